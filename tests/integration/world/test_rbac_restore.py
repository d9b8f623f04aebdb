# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore passes under the service account that playbook rbac makes for it, and uses no right that it has not."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
import yaml

from ansible_collections.slipway.gitops.tests.integration.world.audit import AuditLog
from ansible_collections.slipway.gitops.tests.integration.world.conftest import INVENTORY, World
from ansible_collections.slipway.gitops.tests.integration.world.play import CHECKOUT, Outcome, run_playbook

HERE = Path(__file__).parent
NAME = "rbac-restore"
#: Where the account is kept: a lost namespace of the application does not take it along.
ACCOUNTS = "rbac-restore-accounts"
ACCOUNT = NAME + "-local-restore"


@dataclass
class Release:
    """A release in a namespace of its own, its Application, and an account to restore it."""

    world: World
    folder: Path
    age: dict[str, str]

    def run(self, playbook: str, *more: str, **variables: Any) -> Outcome:
        """Run a playbook of the collection for this release."""
        given = {
            "deploy_application": NAME, "deploy_namespace": NAME, "deploy_argocd_application": NAME, "deploy_url": "",
            "backup_hosts": "sample_local", "backup_path": str(self.folder / "backups"), "deploy_stable_for": 1,
            "backup_age_binary": self.age.get("age", ""), "deploy_queue_path": str(self.folder / "queue/queue.db"),
            **variables,
        }  # fmt: skip
        words = ["-i", str(INVENTORY), "-e", json.dumps(given), *more]
        return run_playbook(
            Path(sys.executable).parent, "slipway.gitops." + playbook, words, self.folder / "record.jsonl"
        )

    def bring_account(self, state: str) -> None:
        """Have the account, or not."""
        done = self.run(
            "rbac", rbac_hosts="sample_local", rbac_purposes=["restore"], rbac_namespace=ACCOUNTS, rbac_state=state,
            rbac_kubeconfig_folder=str(self.folder),
        )  # fmt: skip
        assert done.status == 0, done.text


def objects() -> list[dict[str, Any]]:
    """Return the release: the sample's own objects, with a Secret that no repository has."""
    base = CHECKOUT / "roles/sample_app/files/deploy/apps/sample/base"
    deployment = yaml.safe_load((base / "deployment.yaml").read_text())
    service = yaml.safe_load((base / "service.yaml").read_text())
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["image"] += ":1"
    container["envFrom"] = [{"secretRef": {"name": "settings"}}]
    deployment["spec"]["replicas"] = 1
    service["spec"]["type"] = "ClusterIP"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "settings"}, "stringData": {"COLOUR": "blue"}}
    found = [secret, deployment, service]
    for item in found:
        item["metadata"].update(namespace=NAME, labels={"app.kubernetes.io/name": "sample"})
    # Never synced: what lies in the namespace is this test's own affair.
    application = {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": NAME, "namespace": "argocd"},
        "spec": {
            "project": "default", "source": {"repoURL": "https://git.example.org/none.git", "path": "none"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": NAME},
        },
    }  # fmt: skip
    return [*found, application]


def remove(world: World) -> None:
    """Remove what the test made, or what one that was ended has left."""
    world.kubectl("-n", "argocd", "delete", "application", NAME, "--ignore-not-found", "--timeout=60s")
    world.kubectl("delete", "namespace", NAME, ACCOUNTS, "--ignore-not-found", "--timeout=110s")


@pytest.fixture
def release(world: World, play: Callable[..., Outcome], tmp_path: Path) -> Iterator[Release]:
    tools = play(str(HERE / "restore_drill.yml"))
    assert tools.status == 0, tools.text
    (tmp_path / "queue").mkdir(mode=0o700)
    made = Release(world, tmp_path, tools.one("Say where they are")["__cluster_bootstrap_tools"])
    file = tmp_path / "objects.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects()}))
    remove(world)
    world.kubectl("create", "namespace", NAME)
    try:
        world.kubectl("create", "-f", str(file))
        made.bring_account("present")
        world.kubectl("-n", NAME, "rollout", "status", "deployment/sample", "--timeout=60s")
        yield made
    finally:
        made.bring_account("absent")
        remove(world)


def test_restore_passes_under_the_shipped_account(release: Release, world: World, audit: AuditLog) -> None:
    identity = release.folder / "identity"
    subprocess.run([release.age["age-keygen"], "-o", str(identity)], check=True, capture_output=True)
    key = next(line for line in identity.read_text().splitlines() if "public key" in line).split()[-1]
    kept = {"backup_label_selectors": ["app.kubernetes.io/name=sample"], "backup_secrets": "encrypt"}
    made = release.run("backup", backup_recipients=[key], **kept)
    assert made.status == 0, made.text
    for gone in ("service/sample", "secret/settings"):
        world.kubectl("-n", NAME, "delete", gone)
    world.kubectl("-n", "argocd", "delete", "application", NAME)
    world.kubectl("-n", NAME, "annotate", "deployment", "sample", "rbac-test=changed")
    world.kubectl("label", "namespace", NAME, "rbac-test=changed")

    audit.rewind()
    who = {
        "backup_kubeconfig": str(release.folder / (ACCOUNT + ".yml")), "backup_context": ACCOUNT,
        "backup_identity_file": str(identity),
    }  # fmt: skip
    looked = release.run("restore", "--tags", "backup_plan", **who)
    assert looked.status == 0, looked.text
    plan = looked.one("slipway.gitops.backup : Compare the backup with the cluster")
    restored = release.run("restore", backup_confirm=plan["hash"], **who)
    assert restored.status == 0, restored.text
    assert "is live and passed the gate" in restored.text
    for found in ("service/sample", "secret/settings"):
        assert world.get("-n", NAME, found)
    assert world.get("-n", "argocd", "application", NAME)
    assert "rbac-test" not in json.dumps(world.get("-n", NAME, "deployment", "sample")["metadata"])

    user = "system:serviceaccount:%s:%s" % (ACCOUNTS, ACCOUNT)
    sent = [item for item in audit.requests("slipway.gitops/") if NAME in item.user]
    assert {item.user for item in sent} == {user}
    assert [item for item in sent if item.code in (401, 403)] == []
    assert {item.resource for item in sent if item.is_write} == {
        "namespaces", "secrets", "services", "deployments", "applications"
    }  # fmt: skip
    assert {item.verb for item in sent if item.is_write} == {"patch"}
