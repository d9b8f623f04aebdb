# SPDX-License-Identifier: GPL-3.0-or-later
"""Role argocd on the local world: upstream's manifest, really running, written once."""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import Callable

import pytest

from ansible_collections.slipway.gitops.tests.integration.world.audit import AuditLog
from ansible_collections.slipway.gitops.tests.integration.world.conftest import World
from ansible_collections.slipway.gitops.tests.integration.world.play import Outcome

HERE = Path(__file__).parent
REPOSITORY = "ssh://slipway-git@10.244.0.1:2222/sample.git"
COMPONENTS = {
    "argocd-application-controller",
    "argocd-applicationset-controller",
    "argocd-notifications-controller",
    "argocd-redis",
    "argocd-repo-server",
    "argocd-server",
}


def cache_folder() -> Path:
    """Return the cache of tools."""
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(os.environ.get("SLIPWAY_CACHE") or Path(base) / "slipway-gitops")


@pytest.fixture
def argocd(world: World, play: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Return a function that runs the role with further options."""
    (kubectl,) = cache_folder().glob("tools/kubectl-*/kubectl")
    result = {
        "kubeconfig": str(world.kubeconfig),
        "world_folder": str(world.folder),
        "supervisord": "",
        "tools": {"kubectl": str(kubectl)},
    }

    def run(*arguments: str) -> Outcome:
        return play(str(HERE / "argocd.yml"), "-e", json.dumps({"cluster_bootstrap_result": result}), *arguments)

    return run


def upstream_images() -> set[str]:
    """Return the images that upstream's manifest names, without Dex."""
    (manifest,) = cache_folder().glob("tools/argocd-files-*/manifests/install.yaml")
    return {
        image for image in re.findall(r"^ +image: (\S+)$", manifest.read_text(), re.MULTILINE) if "dex" not in image
    }


def test_every_component_but_dex_really_runs(world: World) -> None:
    pods = world.get("pods", "-n", "argocd")["items"]
    assert {pod["metadata"]["labels"]["app.kubernetes.io/name"] for pod in pods} == COMPONENTS
    for pod in pods:
        for status in pod["status"]["containerStatuses"]:
            assert status["ready"], pod["metadata"]["name"]
            assert status["containerID"].startswith("containerd://")
    assert world.get("deployment", "argocd-dex-server", "-n", "argocd")["spec"]["replicas"] == 0


def test_images_and_pull_policy_are_upstream_s(world: World) -> None:
    pods = world.get("pods", "-n", "argocd")["items"]
    containers = [container for pod in pods for container in pod["spec"]["containers"]]
    assert {container["image"] for container in containers} == upstream_images()
    assert {container["imagePullPolicy"] for container in containers} == {"Always"}


def test_second_run_writes_nothing(argocd: Callable[..., Outcome], audit: AuditLog) -> None:
    assert argocd().status == 0
    audit.rewind()
    outcome = argocd()
    assert outcome.status == 0, outcome.text
    assert "changed=0" in outcome.text
    requests = [
        one
        for one in audit.requests("slipway.gitops/")
        if one.namespace in ("argocd", "") and one.resource != "applications"
    ]
    assert sum("fieldManager=slipway.gitops" in one.uri and "dryRun=All" in one.uri for one in requests) > 40
    assert [one for one in requests if one.is_write] == []


def test_g66_namespace_that_exists_is_not_taken_for_an_installation(
    world: World, argocd: Callable[..., Outcome]
) -> None:
    """Behaviour 3."""
    world.kubectl("create", "namespace", "argocd-g66")
    try:
        outcome = argocd("--check", "-e", "argocd_namespace=argocd-g66", "-e", "argocd_images=upstream")
    finally:
        world.kubectl("delete", "namespace", "argocd-g66", "--wait=false")
    assert outcome.status == 0, outcome.text
    assert "changed=1" in outcome.text


def test_change_by_somebody_else_is_named_and_taken_back_on_demand(
    world: World, argocd: Callable[..., Outcome]
) -> None:
    def known_hosts() -> str:
        found = world.get("configmap", "argocd-ssh-known-hosts-cm", "-n", "argocd")["data"]["ssh_known_hosts"]
        return str(found)

    expected = (world.folder / "git-client/known_hosts").read_text()
    assert known_hosts() == expected
    patch = json.dumps({"data": {"ssh_known_hosts": expected + "# by hand\n"}})
    world.kubectl("patch", "configmap", "argocd-ssh-known-hosts-cm", "-n", "argocd", "--type=merge", "-p", patch)
    try:
        refused = argocd()
        assert refused.status != 0
        assert 'conflict with "kubectl-patch"' in refused.text
        assert ".data.ssh_known_hosts" in refused.text
        seen = argocd("--check", "-e", "argocd_force_conflicts=true")
        assert "changed=1" in seen.text
        assert known_hosts() != expected
    finally:
        repaired = argocd("-e", "argocd_force_conflicts=true")
    assert "changed=1" in repaired.text
    assert known_hosts() == expected


def test_password_goes_to_its_file_and_nowhere_else(
    world: World, argocd: Callable[..., Outcome], tmp_path: Path
) -> None:
    target = tmp_path / "password"
    outcome = argocd("-vvv", "--diff", "-e", "argocd_admin_password_file=%s" % target)
    assert outcome.status == 0, outcome.text
    assert target.stat().st_mode & 0o777 == 0o600
    secret = world.get("secret", "argocd-initial-admin-secret", "-n", "argocd")["data"]["password"]
    password = target.read_text().strip()
    assert base64.b64decode(secret).decode() == password
    assert len(password) >= 12
    shown = outcome.text + json.dumps(outcome.results)
    assert password not in shown
    assert secret not in shown


def test_private_key_of_the_repository_is_not_shown(world: World, argocd: Callable[..., Outcome]) -> None:
    key = str(world.folder / "git-client/argocd_ed25519")
    repository = {"name": "key-of-a-test", "url": REPOSITORY, "ssh_private_key_file": key}
    outcome = argocd("-vvv", "--diff", "-e", json.dumps({"argocd_repositories": [repository]}))
    assert outcome.status == 0, outcome.text
    shown = outcome.text + json.dumps(outcome.results)
    lines = (world.folder / "git-client/argocd_ed25519").read_text().splitlines()
    assert "PRIVATE KEY" in lines[0]
    assert not [line for line in lines if line in shown]
    assert world.get("secret", "key-of-a-test", "-n", "argocd")["data"]["sshPrivateKey"] not in shown
    assert argocd().status == 0
    left = world.kubectl("get", "secret", "key-of-a-test", "-n", "argocd", "--ignore-not-found", "-o", "name")
    assert left == ""


@pytest.mark.parametrize(
    ("option", "cause"),
    [
        ("argocd_version=9.9.9", "installs Argo CD 3.5.7, not 9.9.9"),
        ("argocd_mode=sideways", "value of argocd_mode must be one of"),
        ("argocd_ssh_known_hosts_file=/nonexistent/hosts", "The file /nonexistent/hosts"),
        ("argocd_kubeconfig=/nonexistent/config", "/nonexistent/config"),
    ],
)
def test_bad_option_is_refused_before_a_write(
    argocd: Callable[..., Outcome], audit: AuditLog, option: str, cause: str
) -> None:
    outcome = argocd("-e", option)
    assert outcome.status != 0
    assert cause in " ".join(outcome.text.split())
    assert "fieldManager=slipway.gitops" not in " ".join(one.uri for one in audit.requests())


def test_unknown_host_key_stops_argo_cd(world: World, tmp_path: Path) -> None:
    # The same server under a name that no host key is known for.
    url = "ssh://slipway-git@host.slipway.internal:2222/sample.git"
    application = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "unknown-host", "namespace": "argocd"},
        "spec": {
            "project": "default",
            "source": {"repoURL": url, "path": "apps", "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "default"},
        },
    }
    key = base64.b64encode((world.folder / "git-client/argocd_ed25519").read_bytes()).decode()
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "unknown-host",
            "namespace": "argocd",
            "labels": {"argocd.argoproj.io/secret-type": "repository"},
        },
        "stringData": {"type": "git", "url": url},
        "data": {"sshPrivateKey": key},
    }
    try:
        objects = tmp_path / "objects.json"
        objects.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [secret, application]}))
        world.kubectl("apply", "--server-side", "-f", str(objects))
        found = world.kubectl(
            "wait", "application/unknown-host", "-n", "argocd", "--timeout=60s",
            "--for=jsonpath={.status.conditions[0].type}=ComparisonError",
        )  # fmt: skip
        assert "condition met" in found
        condition = world.get("application", "unknown-host", "-n", "argocd")["status"]["conditions"][0]
        assert "key is unknown" in condition["message"] or "knownhosts" in condition["message"]
    finally:
        world.kubectl("delete", "application/unknown-host", "secret/unknown-host", "-n", "argocd", "--ignore-not-found")
