# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbook libraries: a list in any order, installed by layer, refused before anything is done."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest

from ansible_collections.slipway.gitops.tests.integration.world.audit import AuditLog
from ansible_collections.slipway.gitops.tests.integration.world.conftest import World
from ansible_collections.slipway.gitops.tests.integration.world.play import Outcome
from ansible_collections.slipway.gitops.tests.integration.world.toy_chart import MADE, make_chart

Play = Callable[..., Outcome]
#: What the roles of libraries ask the API server with.
AGENTS = ("(kube_manifests;", "OpenAPI-Generator/")


def libraries(play: Play, *arguments: str, **variables: Any) -> Outcome:
    return play("slipway.gitops.libraries", "-e", json.dumps(variables), *arguments)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"libraries_enabled": ["metallb", "jenkinz"]}, '["metallb", "jenkinz"] must be a list of'),
        ({"libraries_enabled": "metallb"}, '"metallb" must be a list of'),
        ({"libraries_enabled": ["metallb"], "libraries_state": "gone"}, "must be present or absent"),
        ({"libraries_enabeld": ["metallb"]}, "did you mean 'libraries_enabled'?"),
    ],
)
def test_bad_variable_is_refused_first(play: Play, variables: dict[str, Any], told: str) -> None:
    outcome = libraries(play, **variables)
    assert outcome.status != 0
    assert told in " ".join(outcome.text.split())
    assert not [item["task"] for item in outcome.results if item["task"].startswith("slipway.gitops.")]


def test_empty_list_says_that_there_is_nothing_to_do(play: Play) -> None:
    outcome = libraries(play, libraries_enabled=[])
    assert outcome.status == 0
    assert "nothing, since libraries_enabled is empty" in outcome.text


@pytest.mark.parametrize(
    ("state", "order"), [("present", ["cert_manager", "metallb"]), ("absent", ["metallb", "cert_manager"])]
)
def test_subset_in_any_order_goes_by_layer_and_check_mode_writes_nothing(
    play: Play, audit: AuditLog, state: str, order: list[str]
) -> None:
    outcome = libraries(play, "--check", libraries_enabled=["metallb", "cert_manager"], libraries_state=state)
    assert outcome.status == 0, outcome.text
    assert "%s, in this order: %s" % (state, ", ".join(order)) in outcome.text
    first = [outcome.text.index("TASK [slipway.gitops.%s : " % role) for role in order]
    assert first == sorted(first)
    written = [one for agent in AGENTS for one in audit.writes(agent)]
    assert written == []


def test_chart_of_an_oci_registry_is_pulled_and_its_digest_compared(play: Play, world: World, tmp_path: Path) -> None:
    archive = tmp_path / "metallb-9.9.9.tgz"
    make_chart(archive, "9.9.9")
    helm = str(next(world.tools.glob("helm-*/helm")))
    repository = "oci://127.0.0.1:5001/charts"
    subprocess.run([helm, "push", str(archive), repository, "--plain-http"], check=True, capture_output=True)
    options = {
        "metallb_source": "oci", "metallb_oci_chart": repository + "/metallb", "metallb_version": "9.9.9",
        "metallb_plain_http": True, "metallb_helm": helm, "metallb_images": "upstream", "metallb_pools": [],
        "libraries_enabled": ["metallb"],
    }  # fmt: skip
    wrong = libraries(play, "--check", **options, metallb_checksum="sha256:" + "0" * 64)
    assert wrong.status != 0 and "is expected. Nothing was applied" in " ".join(wrong.text.split())
    right = "sha256:" + hashlib.sha256(archive.read_bytes()).hexdigest()
    outcome = libraries(play, "--check", **options, metallb_checksum=right)
    assert outcome.status == 0, outcome.text
    assert MADE in outcome.one("slipway.gitops.metallb : Apply the manifests")["created"]


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"metallb_version": "9.9.9"}, "knows the digests of MetalLB 0.16.1 and 0.15.3, not of 9.9.9"),
        ({"metallb_namespace": "elsewhere"}, "works in the namespace metallb-system only"),
        ({"metallb_source": "oci"}, "metallb_source oci needs metallb_oci_chart"),
        (
            {"metallb_pools": [{"name": "a", "addresses": ["192.0.2.20-192.0.2.10"]}]},
            "192.0.2.20-192.0.2.10 is reversed, write 192.0.2.10-192.0.2.20",
        ),
        (
            {"metallb_pools": [{"name": n, "addresses": ["192.0.2.0/28"]} for n in "ab"]},
            "192.0.2.0/28 of pool 'a' and 192.0.2.0/28 of pool 'b' share addresses",
        ),
    ],
)
def test_bad_option_of_metallb_is_refused_before_anything_is_made(
    play: Play, variables: dict[str, Any], told: str
) -> None:
    outcome = libraries(play, libraries_enabled=["metallb"], **variables)
    assert outcome.status != 0
    assert told in " ".join(outcome.text.split())
    assert not [item for item in outcome.results if item["result"].get("changed")]


def test_pool_outside_of_the_nodes_networks_is_warned_of(play: Play) -> None:
    pools = [{"name": "away", "addresses": ["192.0.2.0/28"]}]
    outcome = libraries(play, "--tags", "metallb_preflight", libraries_enabled=["metallb"], metallb_pools=pools)
    assert outcome.status == 0, outcome.text
    assert "192.0.2.0/28 of pool 'away' is not in a network of the nodes (10.244.0.0/24)" in outcome.text


@pytest.mark.parametrize("pins", [{"deploy_cluster_uid": "6f1c2b1e-5a0f-4d53-9b62-0e6a8b4d7c11"}, {}])
def test_another_cluster_than_the_pinned_one_is_refused_before_the_first_library(
    play: Play, audit: AuditLog, world: World, pins: dict[str, str]
) -> None:
    uid = world.get("namespace", "kube-system")["metadata"]["uid"]
    pins = pins or {"deploy_cluster_uid": uid, "deploy_cluster_server": "https://127.0.0.1:6443"}
    is_right = pins["deploy_cluster_uid"] == uid
    outcome = libraries(play, "--check", libraries_enabled=["metallb"], **pins)
    assert (outcome.status == 0) is is_right, outcome.text
    assert ("TASK [slipway.gitops.metallb : " in outcome.text) is is_right
    assert is_right or pins["deploy_cluster_uid"] in outcome.text
    assert [item for agent in AGENTS for item in audit.writes(agent)] == []
