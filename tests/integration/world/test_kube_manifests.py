# SPDX-License-Identifier: GPL-3.0-or-later
"""A release of manifests on a real API server: one play, judged by results and by the audit log."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.slipway.gitops.tests.integration.world.audit import AuditLog, Request
from ansible_collections.slipway.gitops.tests.integration.world.conftest import INVENTORY, World
from ansible_collections.slipway.gitops.tests.integration.world.play import Outcome, run_playbook

Told = tuple[Outcome, list[Request]]
CLAIM = ["PersistentVolumeClaim manifests/claim"]
EVERYTHING = [
    "Namespace manifests",
    "CustomResourceDefinition things.manifests.example.org",
    "ConfigMap manifests/settings",
    "Secret manifests/secret",
    "Thing manifests/thing",
]


@pytest.fixture(scope="module")
def told(world: World, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Run the play once; return what it said and what our client sent."""
    log = AuditLog(world.audit_log)
    arguments = ["-i", str(INVENTORY), "-e", json.dumps({"kubeconfig": str(world.kubeconfig)}), "--diff"]
    book = str(Path(__file__).parent / "kube_manifests.yml")
    record = tmp_path_factory.mktemp("manifests") / "record.jsonl"
    outcome = run_playbook(Path(sys.executable).parent, book, arguments, record, {})
    assert outcome.status == 0, outcome.text
    return outcome, [item for item in log.requests("slipway.gitops/") if "(kube_manifests;" in item.agent]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("Look first", {"changed": True, "created": EVERYTHING, "previous_version": ""}),
        ("Install", {"changed": True, "created": EVERYTHING, "version": "1"}),
        ("Install again", {"changed": False, "created": [], "updated": [], "removed": []}),
        (
            "Upgrade to what has no secret",
            {
                "updated": ["ConfigMap manifests/settings"],
                "removed": ["Secret manifests/secret"],
                "previous_version": "1",
            },
        ),
        ("Have a claim", {"created": ["ConfigMap manifests/word", *CLAIM], "kept": []}),
        ("Leave the claim out", {"changed": True, "removed": [], "kept": CLAIM}),
        ("Leave it out again", {"changed": False, "kept": []}),
        ("Take the claim back", {"changed": True, "created": [], "updated": []}),
        ("Remove the claim with its release", {"removed": ["ConfigMap manifests/word", *CLAIM]}),
        ("Overwrite it on demand", {"updated": ["ConfigMap manifests/settings"], "created": []}),
        ("Remove it again", {"changed": False, "removed": []}),
    ],
)
def test_what_each_step_says(told: Told, task: str, expected: dict[str, Any]) -> None:
    result = told[0].one(task)
    assert {key: result[key] for key in expected} == expected


def test_claim_that_stays_is_told_of_in_a_warning(told: Told) -> None:
    said = " ".join(told[0].text.split())
    assert said.count("%s is no longer part of release claimed" % CLAIM[0]) == 1


def test_refusals_name_object_and_cause(told: Told) -> None:
    assert ".dta" in told[0].one("Refuse an unknown field")["msg"]
    assert "serves no None in none.example.org/v1" in told[0].one("Refuse a kind that nobody serves")["msg"]
    assert "ConfigMap manifests/settings" in told[0].one("Refuse to overwrite it")["msg"]
    assert "Thing manifests/mine" in told[0].one("Refuse to remove it with a thing of somebody else")["msg"]


def test_removal_takes_custom_resources_first_and_the_namespace_last(told: Told) -> None:
    removed = told[0].one("Remove it")["removed"]
    assert {removed[0], removed[1]} == {"Thing manifests/thing", "Thing manifests/mine"}
    assert removed[-1] == "Namespace manifests"


def test_only_what_differs_was_written(told: Told) -> None:
    writes = [(item.verb, item.resource, item.name) for item in told[1] if item.is_write and item.code < 300]
    patched = [(resource, name) for verb, resource, name in writes if verb == "patch"]
    # Once when installed, once by the upgrade, once by force.
    assert patched.count(("configmaps", "settings")) == 3
    assert patched.count(("namespaces", "manifests")) == 1
    assert patched.count(("customresourcedefinitions", "things.manifests.example.org")) == 1
    assert patched.count(("things", "thing")) == 1


def test_value_of_the_secret_is_shown_nowhere(told: Told) -> None:
    for task in ("Look first", "Install"):
        assert "hunter2" not in json.dumps(told[0].one(task).get("diff"))


def test_nothing_is_left(told: Told, world: World) -> None:
    left = world.kubectl(
        "get", "namespace/manifests", "crd/things.manifests.example.org", "--ignore-not-found", "-o", "name"
    )
    assert left == ""
