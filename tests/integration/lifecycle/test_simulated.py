# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated cluster, and in front of it a Git server and Argo CD as processes of the machine.

The tests of this file build on one another, in their order: the cluster is brought up once.
"""

from __future__ import annotations

import json
import pwd
from pathlib import Path
from typing import Any, Iterator

import pytest

from ansible_collections.slipway.gitops.tests.integration.lifecycle.local_cluster import HERE, LocalCluster
from ansible_collections.slipway.gitops.tests.size import FULL

APPLICATION = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Application",
    "metadata": {"name": "sample", "namespace": "argocd"},
    "spec": {
        "project": "default",
        "source": {
            "repoURL": "ssh://slipway-life@127.0.0.1:2222/sample.git",
            "targetRevision": "main",
            "path": "apps/sample/overlays/local",
        },
        "destination": {"server": "https://kubernetes.default.svc", "namespace": "sample"},
        "syncPolicy": {"automated": {}, "syncOptions": ["CreateNamespace=true"]},
    },
}
PROGRAMS = {"argocd-redis", "argocd-repo-server", "argocd-application-controller", "argocd-server"}


class Delivered(LocalCluster):
    """A simulated cluster with a Git server and Argo CD."""

    def command(self, *arguments: str) -> list[str]:
        return [
            str(HERE / "argocd_host.yml") if word.endswith("/bootstrap.yml") else word
            for word in super().command(*arguments)
        ]

    def status(self) -> Any:
        """Return the status of the Application."""
        return json.loads(self.kubectl("get", "application", "sample", "-n", "argocd", "-o", "json"))["status"]

    def nodes(self) -> list[dict[str, dict[str, str]]]:
        """Return the metadata of the nodes."""
        found: list[dict[str, dict[str, str]]] = json.loads(self.kubectl("get", "nodes", "-o", "json"))["items"]
        return [node["metadata"] for node in found]  # type: ignore[misc]


@pytest.fixture(scope="module")
def delivered(network: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivered]:
    """A cluster that is not up yet."""
    cluster = Delivered("delivered", tmp_path_factory.mktemp("life") / "world", "simulated", network)
    yield cluster
    cluster.clean_up()


def test_comes_up_once_with_all_processes(delivered: Delivered) -> None:
    before = delivered.network()
    changes = set(delivered.up())
    assert {"start kwok-controller", *("start " + name for name in PROGRAMS)} < changes
    assert delivered.up() == []
    assert delivered.network() == before


def test_nodes_say_what_they_are(delivered: Delivered) -> None:
    assert len(delivered.nodes()) == 3
    assert all(node["annotations"]["kwok.x-k8s.io/node"] == "fake" for node in delivered.nodes())


def test_application_is_synced_from_the_git_server(delivered: Delivered) -> None:
    delivered.kubectl("apply", "--server-side", "-f", "-", text=json.dumps(APPLICATION))
    # An Application without resources counts as healthy, so its sync comes first.
    for wanted in ("{.status.sync.status}=Synced", "{.status.health.status}=Healthy"):
        delivered.kubectl("wait", "application/sample", "-n", "argocd", "--timeout=60s", "--for=jsonpath=" + wanted)
    pods = json.loads(delivered.kubectl("get", "pods", "-n", "sample", "-o", "json"))["items"]
    assert len(pods) == 2


def test_writes_an_audit_log(delivered: Delivered) -> None:
    delivered.kubectl("create", "configmap", "seen")
    events = [json.loads(line) for line in (delivered.folder / "logs/audit.log").read_text().splitlines()]
    made = [event for event in events if (event.get("objectRef") or {}).get("name") == "seen"]
    assert [event["verb"] for event in made] == ["create"]
    assert made[0]["userAgent"].startswith("kubectl/")


def test_is_an_existing_cluster_to_others(delivered: Delivered, network: str) -> None:
    """One that is too old is refused; at full size also a context that the kubeconfig does not have."""
    other = LocalCluster("delivered", delivered.folder, "existing", network)
    arguments = ["-e", "cluster_bootstrap_kubeconfig=%s/kubeconfig" % delivered.folder]
    right = [*arguments, "-e", "cluster_bootstrap_context=delivered"]
    other.play(*right)
    old = other.play(*right, "-e", "cluster_bootstrap_minimum_version=2.0", ok=False)
    assert "2.0 or newer is needed" in old.text
    if FULL:
        wrong = other.play(*arguments, "-e", "cluster_bootstrap_context=production", ok=False)
        assert "production" in wrong.text


def test_takes_another_number_of_nodes(delivered: Delivered, network: str) -> None:
    LocalCluster("delivered", delivered.folder, "simulated", network).up("-e", "cluster_bootstrap_simulated_nodes=5")
    assert len(delivered.nodes()) == 5


def test_heals_after_everything_was_killed(delivered: Delivered) -> None:
    delivered.kill_everything()
    assert "start supervisor" in delivered.up("-e", "cluster_bootstrap_simulated_nodes=5")
    assert len([name for name in delivered.kept().values() if "redis-server" in name]) == 1
    assert len(delivered.nodes()) == 5
    assert delivered.status()["sync"]["status"] == "Synced"


def test_all_of_it_goes_without_a_trace(delivered: Delivered) -> None:
    assert "stop supervisor" in delivered.down()
    assert not delivered.kept()
    assert not delivered.folder.exists()
    assert not Path("/var/lib/slipway-gitops-delivered").exists()
    with pytest.raises(KeyError):
        pwd.getpwnam("slipway-life")
    assert delivered.down() == []
