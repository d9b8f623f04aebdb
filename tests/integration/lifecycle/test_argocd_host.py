# SPDX-License-Identifier: GPL-3.0-or-later
"""Argo CD as processes of the machine, in front of a simulated cluster."""

from __future__ import annotations

import json
import pwd
from pathlib import Path
from typing import Any, Iterator

import pytest

from ansible_collections.slipway.gitops.tests.integration.lifecycle.local_cluster import HERE, LocalCluster

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


@pytest.fixture(scope="module")
def delivered(network: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivered]:
    """A cluster that is not up yet."""
    cluster = Delivered("delivered", tmp_path_factory.mktemp("life") / "world", "simulated", network)
    yield cluster
    cluster.down()


def test_processes_come_up_once(delivered: Delivered) -> None:
    assert {"start " + name for name in PROGRAMS} < set(delivered.up())
    assert delivered.up() == []


def test_application_is_synced_from_the_git_server(delivered: Delivered) -> None:
    delivered.kubectl("apply", "--server-side", "-f", "-", text=json.dumps(APPLICATION))
    # An Application without resources counts as healthy, so its sync comes first.
    for wanted in ("{.status.sync.status}=Synced", "{.status.health.status}=Healthy"):
        delivered.kubectl("wait", "application/sample", "-n", "argocd", "--timeout=60s", "--for=jsonpath=" + wanted)
    pods = json.loads(delivered.kubectl("get", "pods", "-n", "sample", "-o", "json"))["items"]
    assert len(pods) == 2


def test_processes_heal_after_a_kill(delivered: Delivered) -> None:
    delivered.kill_everything()
    assert "start supervisor" in delivered.up()
    assert delivered.status()["sync"]["status"] == "Synced"


def test_all_of_it_goes_without_a_trace(delivered: Delivered) -> None:
    delivered.down()
    assert not delivered.kept()
    assert not delivered.folder.exists()
    assert not Path("/var/lib/slipway-gitops-delivered").exists()
    with pytest.raises(KeyError):
        pwd.getpwnam("slipway-life")
    assert delivered.down() == []
