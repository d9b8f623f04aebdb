# SPDX-License-Identifier: GPL-3.0-or-later
"""The service accounts that playbook rbac makes: deliveries pass under them, and nothing more does."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import pytest
import yaml

from ansible_collections.slipway.gitops.plugins.filter.rbac_manifests import rbac_manifests
from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry import (
    cluster_preflight,
    kube_manifests,
    release_backup,
    service_account_kubeconfig,
)
from ansible_collections.slipway.gitops.plugins.module_utils._errors import Forbidden, SlipwayError
from ansible_collections.slipway.gitops.tests.integration.world.audit import AuditLog, Request
from ansible_collections.slipway.gitops.tests.integration.world.conftest import INVENTORY, World
from ansible_collections.slipway.gitops.tests.integration.world.play import Outcome, run_playbook
from ansible_collections.slipway.gitops.tests.integration.world.shipped_account import rights
from ansible_collections.slipway.gitops.tests.integration.world.test_access import Desk, say

NAMESPACE = "rbac-test"
GOLDEN = Path(__file__).parent / "golden"
DELIVER = rights("deploy", "deploy", "sample", "sample")
RESTORE = rights("backup", "restore", "sample", "sample")
#: Each right once.
RIGHTS = DELIVER + [right for right in RESTORE if right not in DELIVER]


def written(audit: AuditLog) -> list[Request]:
    """Return what the accounts of this test wrote; others may be at work in the same world."""
    return [item for item in audit.writes() if item.user.startswith("system:serviceaccount:%s:" % NAMESPACE)]


def _label(right: Mapping[str, str]) -> str:
    return "-".join(str(right[part]) for part in ("verb", "resource", "subresource", "name") if right.get(part))


@pytest.fixture(scope="module")
def accounts(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder with the kubeconfigs of the accounts; run twice, and removed at the end."""
    folder = tmp_path_factory.mktemp("rbac")

    def bring(state: str) -> Outcome:
        values = {
            "rbac_hosts": "sample_local",
            "rbac_purposes": ["access", "status", "deploy", "production"],
            "rbac_namespace": NAMESPACE,
            "rbac_kubeconfig_folder": str(folder),
            "rbac_manifests_folder": str(folder / "manifests"),
            "rbac_state": state,
        }
        words = ["-i", str(INVENTORY), "-e", json.dumps(values)]
        done = run_playbook(Path(sys.executable).parent, "slipway.gitops.rbac", words, folder / "record.jsonl")
        assert done.status == 0, done.text
        return done

    first = bring("present")
    token = yaml.safe_load((folder / "sample-local-deploy.yml").read_text())["users"][0]["user"]["token"]
    assert token not in first.text + json.dumps(first.results)
    assert "changed=0" in bring("present").text
    yield folder
    bring("absent")
    left = world.get("serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings", "-A")["items"]
    assert [item["metadata"]["name"] for item in left if "sample-local" in item["metadata"]["name"]] == []
    assert not list(folder.glob("*.yml"))
    world.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def test_files_are_for_their_owner_only_and_grant_no_wildcard(accounts: Path) -> None:
    for purpose in ("access", "status", "production", "deploy"):
        file = accounts / ("sample-local-%s.yml" % purpose)
        assert file.stat().st_mode & 0o777 == 0o600
        objects = list(yaml.safe_load_all((accounts / "manifests" / (file.stem + ".yaml")).read_text()))
        rules = [rule for item in objects for rule in item.get("rules") or []]
        assert rules
        assert "*" not in json.dumps(rules)
    assert objects == rbac_manifests(DELIVER, "sample-local-deploy", NAMESPACE)


def test_behaviour_8_delivery_passes_under_the_shipped_account(
    accounts: Path, world: World, play: Callable[..., Outcome], audit: AuditLog
) -> None:
    image = world.get("-n", "sample", "deployment", "sample")["spec"]["template"]["spec"]["containers"][0]["image"]
    release = "2" if image.endswith(":1") else "1"
    identity = {"deploy_kubeconfig": str(accounts / "sample-local-deploy.yml"), "deploy_context": "sample-local-deploy"}
    values = json.dumps({"deploy_hosts": "sample_local", "deploy_release": release, **identity})
    outcome = play("slipway.gitops.deploy_staging", "-e", values)
    assert outcome.status == 0, outcome.text
    user = "system:serviceaccount:%s:sample-local-deploy" % NAMESPACE
    sent = [request for request in audit.requests("slipway.gitops/") if request.user == user]
    assert {request.resource for request in sent} >= {"applications", "deployments", "replicasets", "pods"}
    assert [request for request in sent if request.code == 403] == []
    assert {(item.verb, item.resource, item.namespace) for item in sent if item.is_write} == {
        ("patch", "applications", "argocd")
    }


def test_right_that_status_lacks_stops_a_delivery_before_any_change(
    accounts: Path, play: Callable[..., Outcome], audit: AuditLog
) -> None:
    identity = {"deploy_kubeconfig": str(accounts / "sample-local-status.yml"), "deploy_context": "sample-local-status"}
    values = json.dumps({"deploy_hosts": "sample_local", "deploy_release": "3", **identity})
    outcome = play("slipway.gitops.deploy_staging", "-e", values)
    assert outcome.status != 0
    text = " ".join(outcome.text.split())
    for verb in ("watch", "patch", "update"):
        assert "%s applications" % verb in text, outcome.text
    assert written(audit) == []


def test_right_that_deploy_lacks_stops_a_restore_before_it_looks_for_a_backup(
    accounts: Path, play: Callable[..., Outcome], audit: AuditLog, tmp_path: Path
) -> None:
    values = {
        "backup_hosts": "sample_local", "backup_path": str(tmp_path), "backup_identity_file": "/dev/null",
        "backup_kubeconfig": str(accounts / "sample-local-deploy.yml"), "backup_context": "sample-local-deploy",
    }  # fmt: skip
    outcome = play("slipway.gitops.restore", "-e", json.dumps(values))
    assert outcome.status != 0
    text = " ".join(outcome.text.split())
    for right in RESTORE:
        is_missing = right not in DELIVER
        assert ("%s %s" % (right["verb"], right["resource"]) in text) or not is_missing, (right, outcome.text)
    assert "Compare the backup with the cluster" not in outcome.text
    assert written(audit) == []


def test_behaviour_6_port_forwards_are_begun_under_their_account(
    accounts: Path, world: World, play: Callable[..., Outcome], tmp_path: Path, audit: AuditLog
) -> None:
    desk = Desk(world, play, tmp_path)
    desk.kubeconfig = str(accounts / "sample-local-access.yml")
    try:
        desk.bring("present")
        assert say("http://127.0.0.1:%d/version" % desk.ports["sample"])["version"]
        assert say("https://127.0.0.1:%d/api/version" % desk.ports["argocd"])["Version"]
    finally:
        desk.bring("absent")
    user = "system:serviceaccount:%s:sample-local-access" % NAMESPACE
    sent = {(item.verb, item.resource) for item in audit.requests() if item.user == user and item.code < 400}
    # kubectl asks which kinds there are, without a resource, when it has forgotten.
    assert sent - {("get", "")} == {("get", "services"), ("list", "pods"), ("get", "pods"), ("create", "pods")}


@pytest.mark.parametrize("purpose, is_complete", [("production", True), ("deploy", False)])
def test_plan_says_what_it_may_not_compare(
    purpose: str, is_complete: bool, accounts: Path, play: Callable[..., Outcome], tmp_path: Path
) -> None:
    name = "sample-local-" + purpose
    identity = {"deploy_kubeconfig": str(accounts / (name + ".yml")), "deploy_context": name}
    values = {"deploy_hosts": "sample_local", "deploy_release": "3", "deploy_plan_folder": str(tmp_path), **identity}
    outcome = play("slipway.gitops.deploy_staging", "--tags", "deploy_plan", "-e", json.dumps(values))
    assert outcome.status == 0, outcome.text
    assert ("a right is missing" not in outcome.text) is is_complete, outcome.text


def test_right_to_read_secrets_is_asked_for_before_any_change_where_a_backup_is_to_hold_them(
    accounts: Path, play: Callable[..., Outcome], audit: AuditLog, tmp_path: Path
) -> None:
    identity = {"deploy_kubeconfig": str(accounts / "sample-local-deploy.yml"), "deploy_context": "sample-local-deploy"}
    saved = {
        "deploy_backup": True, "deploy_backup_path": str(tmp_path), "deploy_backup_secrets": "encrypt",
        "deploy_backup_recipients": ["age1" + "q" * 58],
    }  # fmt: skip
    values = json.dumps({"deploy_hosts": "sample_local", "deploy_release": "3", **identity, **saved})
    outcome = play("slipway.gitops.deploy_staging", "-e", values)
    assert outcome.status != 0
    assert "get secrets" in " ".join(outcome.text.split()), outcome.text
    assert written(audit) == []


@pytest.mark.parametrize("purpose, unread", [("production", []), ("deploy", ["Service sample/sample"])])
def test_backup_under_a_shipped_account_says_what_it_lacks(
    purpose: str, unread: list[str], accounts: Path, play: Callable[..., Outcome], tmp_path: Path
) -> None:
    name = "sample-local-" + purpose
    identity = {"backup_kubeconfig": str(accounts / (name + ".yml")), "backup_context": name}
    values = {"backup_hosts": "sample_local", "backup_path": str(tmp_path), "backup_secrets": "exclude", **identity}
    outcome = play("slipway.gitops.backup", "-e", json.dumps(values))
    made = outcome.one("slipway.gitops.backup : Back up what is live")["backup"]
    assert made["unread"] == unread
    assert (outcome.status == 0) is not bool(unread), outcome.text
    assert ("INCOMPLETE" in outcome.text) is bool(unread)
    manifest = json.loads((Path(made["path"]) / "manifest.json").read_bytes())
    assert manifest["unread"] == unread


@pytest.mark.parametrize("purpose, is_complete", [("production", True), ("deploy", False)])
def test_account_of_production_may_read_what_applications_have(
    purpose: str, is_complete: bool, accounts: Path, tmp_path: Path
) -> None:
    # What every namespace has; the account of a delivery may read none of it.
    resources = [{"kind": "ConfigMap", "name": "kube-root-ca.crt"}, {"kind": "ServiceAccount", "name": "default"}]
    wanted = {
        "app": "sample", "environment": "kinds", "release": "1", "namespace": "sample", "path": str(tmp_path),
        "resources": [{"group": "", "version": "v1", **item} for item in resources]
        + [{"group": "apps", "version": "v1", "kind": "Deployment", "name": "sample"}],
        "kubeconfig": str(accounts / ("sample-local-%s.yml" % purpose)),
    }  # fmt: skip
    warnings: list[str] = []
    context = Context(env={"HOME": str(tmp_path)}, warn=warnings.append)
    backup = release_backup.ENTRY.run(_filled(release_backup.ENTRY, wanted), context)["backup"]
    unread = [] if is_complete else ["ConfigMap sample/kube-root-ca.crt", "ServiceAccount sample/default"]
    assert backup["unread"] == unread
    assert bool(warnings) is not is_complete


@pytest.fixture(scope="module")
def lacking(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], dict[str, Any]]]:
    """Return a function that asks the preflight under an account that lacks one of the rights."""
    folder = tmp_path_factory.mktemp("lacking")
    objects: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "rbac-lacking"}}]
    for index in range(len(RIGHTS)):
        given = [right for number, right in enumerate(RIGHTS) if number != index]
        objects += rbac_manifests(given, "lacking-%d" % index, "rbac-lacking")
    release = {
        "name": "rbac-lacking",
        "namespace": "rbac-lacking",
        "definitions": objects,
        "kubeconfig": str(world.kubeconfig),
    }
    kube_manifests.ENTRY.run(_filled(kube_manifests.ENTRY, release), Context(env={"HOME": str(folder)}))

    def ask(index: int) -> dict[str, Any]:
        file, name = folder / ("%d.yml" % index), "lacking-%d" % index
        context = Context(env={"HOME": str(folder)})
        account = {"name": name, "namespace": "rbac-lacking", "path": str(file), "kubeconfig": str(world.kubeconfig)}
        service_account_kubeconfig.ENTRY.run(_filled(service_account_kubeconfig.ENTRY, account), context)
        wanted = {"access": [_filled_right(right) for right in RIGHTS], "kubeconfig": str(file)}
        return cluster_preflight.ENTRY.run(_filled(cluster_preflight.ENTRY, wanted), context)

    yield ask
    gone = {**release, "definitions": None, "state": "absent"}
    kube_manifests.ENTRY.run(_filled(kube_manifests.ENTRY, gone), Context(env={"HOME": str(folder)}))


def _filled(entry: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: option.get("default") for name, option in entry.argument_spec.items()}, **given}


def _filled_right(right: Mapping[str, str]) -> dict[str, str]:
    return {"group": "", "subresource": "", "namespace": "", "name": "", **right}


@pytest.mark.parametrize("index", range(len(RIGHTS)), ids=[_label(right) for right in RIGHTS])
def test_g70_each_right_that_is_removed_is_named(index: int, lacking: Callable[[int], dict[str, Any]]) -> None:
    right = RIGHTS[index]
    with pytest.raises(SlipwayError) as caught:
        lacking(index)
    assert isinstance(caught.value, Forbidden), caught.value
    resource = right["resource"] + ("/" + right["subresource"] if right.get("subresource") else "")
    for word in (right["verb"], resource, right.get("namespace", "")):
        assert word in str(caught.value), str(caught.value)
    denied = [item for item in caught.value.result["access"] if not item["allowed"]]
    assert [{key: item[key] for key in right} for item in denied] == [right]


def test_golden_list_of_what_the_account_may(accounts: Path, world: World) -> None:
    said = []
    for namespace in ("sample", "argocd", "default"):
        listed = world.kubectl(
            "--kubeconfig=%s" % (accounts / "sample-local-deploy.yml"), "auth", "can-i", "--list", "-n", namespace
        )
        lines = sorted(" ".join(line.split()) for line in listed.splitlines()[1:])
        # What begins with a bracket is discovery, which every identity may read.
        said += ["# " + namespace, *[line for line in lines if not line.startswith("[")]]
    assert "\n".join(said) + "\n" == (GOLDEN / "can-i-deploy.txt").read_text(encoding="utf-8")
