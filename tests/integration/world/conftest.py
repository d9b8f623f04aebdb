# SPDX-License-Identifier: GPL-3.0-or-later
"""The local world as tests use it: real, shared, brought up before (scripts/test world)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import pytest

from ansible_collections.slipway.gitops.tests.integration.world.audit import AuditLog
from ansible_collections.slipway.gitops.tests.integration.world.play import CHECKOUT, Outcome, run_playbook

INVENTORY = CHECKOUT / "inventories/local/hosts"


@dataclass(frozen=True)
class World:
    """The local cluster and its folder."""

    folder: Path

    @property
    def kubeconfig(self) -> Path:
        """Credentials of the cluster's administrator."""
        return self.folder / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """Where the API server writes its audit log."""
        return self.folder / "logs/audit.log"

    @property
    def tools(self) -> Path:
        """The folder of the tools that the world was made with."""
        return _kubectl().parents[1]

    def kubectl(self, *arguments: str) -> str:
        """Return what kubectl says; a failure fails the test."""
        done = subprocess.run(
            [str(_kubectl()), "--kubeconfig", str(self.kubeconfig), *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """Return an object or a list of the cluster."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def image_digest(self, tag: str) -> str:
        """Return the digest that the registry gives for a tag of the sample's image."""
        types = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
        request = urllib.request.Request("http://127.0.0.1:5001/v2/sample/manifests/" + tag, headers={"Accept": types})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return str(answer.headers["Docker-Content-Digest"])


def _kubectl() -> Path:
    cache = Path(os.environ.get("SLIPWAY_CACHE") or _base("XDG_CACHE_HOME", "~/.cache") / "slipway-gitops")
    found = sorted(cache.glob("tools/kubectl-*/kubectl"))
    assert found, "no kubectl in %s: bring the world up first" % cache
    return found[-1]


def _base(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or default).expanduser()


@pytest.fixture(scope="session")
def world() -> World:
    """Return the local world, which must be up; its node must be a real one."""
    default = _base("XDG_STATE_HOME", "~/.local/state") / "slipway-gitops/slipway"
    found = World(Path(os.environ.get("SLIPWAY_WORLD") or default))
    assert found.kubeconfig.exists(), "the local world is not up: run scripts/test world"
    for node in found.get("nodes")["items"]:
        runtime = node["status"]["nodeInfo"]["containerRuntimeVersion"]
        assert runtime.startswith("containerd://"), "node %s is simulated" % node["metadata"]["name"]
        assert "kwok.x-k8s.io/node" not in node["metadata"].get("annotations", {})
    return found


@pytest.fixture
def audit(world: World) -> AuditLog:
    """Return the API server's audit log from now on."""
    return AuditLog(world.audit_log)


@pytest.fixture
def play(world: World, tmp_path: Path) -> Callable[..., Outcome]:
    """Return a function that runs a playbook of the collection, or a file, on the local inventory."""

    def run(playbook: str, *arguments: str, **extra: str) -> Outcome:
        programs = Path(sys.executable).parent
        return run_playbook(programs, playbook, ["-i", str(INVENTORY), *arguments], tmp_path / "record.jsonl", extra)

    return run
