# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository, a namespace and an Application of the tests' own on the world's Argo CD."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.slipway.gitops.tests.integration.world.conftest import World

SERVER = "ssh://slipway-git@10.244.0.1:2222/"
IMAGE = "registry.slipway.test/sample"
NAME = "argocd-app-test"
CLUSTER = "https://kubernetes.default.svc"

#: No replicas: what is tested is the sync, and no pod has to start for it.
DEPLOYMENT = (
    """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: sample}
spec:
  replicas: 0
  selector: {matchLabels: {app: sample}}
  template:
    metadata: {labels: {app: sample}}
    spec: {containers: [{name: app, image: %s}]}
"""
    % IMAGE
)


def kustomization(tag: str, *resources: str) -> str:
    """Return a kustomization that sets one image."""
    return 'resources: [%s]\nimages:\n  - name: %s\n    newTag: "%s"\n' % (
        ", ".join(("deployment.yaml", *resources)), IMAGE, tag,
    )  # fmt: skip


class Repository:
    """A bare repository on the world's Git server and a clone to commit from."""

    def __init__(self, world: World, clone: Path, name: str = NAME) -> None:
        folders = [Path("/var/lib/slipway-gitops") / world.folder.name / "git-server", world.folder / "git-server"]
        served = next(folder for folder in folders if folder.is_dir()) / "repositories"
        self.name = name
        self.bare = served / (name + ".git")
        self.url = SERVER + self.bare.name
        self.clone = clone
        shutil.rmtree(self.bare, ignore_errors=True)
        subprocess.run(["cp", "-a", str(served / "sample.git"), str(self.bare)], check=True)
        keys = world.folder / "git-client"
        self._ssh = "ssh -F none -i %s -o UserKnownHostsFile=%s" % (keys / "id_ed25519", keys / "known_hosts")
        self._run("clone", "-q", self.url, str(clone))
        self.commit({"app/deployment.yaml": DEPLOYMENT, "app/kustomization.yaml": kustomization("1")})

    def commit(self, files: dict[str, str], branch: str = "main") -> str:
        """Commit and push files and return the commit."""
        for path, text in files.items():
            target = self.clone / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        self._git("add", "-A")
        self._git("commit", "-q", "--allow-empty", "-m", "Change")
        self._git("push", "-q", "origin", "HEAD:refs/heads/" + branch)
        return self._git("rev-parse", "HEAD")

    def back(self, commit: str) -> None:
        """Let the clone stand where it was, without pushing."""
        self._git("reset", "-q", "--hard", commit)

    def _git(self, *arguments: str) -> str:
        return self._run("-C", str(self.clone), *arguments)

    def _run(self, *arguments: str) -> str:
        person = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
        environment = dict(os.environ, GIT_SSH_COMMAND=self._ssh)
        command = ["git", *person, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def register(world: World, repository: Repository) -> None:
    """Give Argo CD the sample's key for our repository too."""
    known = world.get("-n", "argocd", "secret", "sample-repository")
    data = dict(known["data"], url=base64.b64encode(repository.url.encode()).decode())
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": repository.name, "namespace": "argocd", "labels": known["metadata"]["labels"]},
        "data": data,
    }
    apply(world, repository.clone.parent, secret)


def apply(world: World, folder: Path, thing: dict[str, Any]) -> None:
    """Apply an object as another manager than ours."""
    path = folder / "object.json"
    path.write_text(json.dumps(thing), encoding="utf-8")
    world.kubectl("apply", "-f", str(path))


def project(name: str, **spec: Any) -> dict[str, Any]:
    """Return an AppProject that allows everything but what ``spec`` says."""
    everything = {
        "sourceRepos": ["*"],
        "destinations": [{"namespace": "*", "server": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": dict(everything, **spec),
    }


def specification(repository: Repository, automated: bool = True, **changes: Any) -> dict[str, Any]:
    """Return the specification of our Application."""
    policy: dict[str, Any] = {"syncOptions": ["CreateNamespace=true"], "retry": {"limit": 0}}
    if automated:
        policy["automated"] = {"prune": True}
    spec = {
        "project": "default",
        "source": {"repoURL": repository.url, "path": "app", "targetRevision": "main"},
        "destination": {"server": CLUSTER, "namespace": NAME},
        "syncPolicy": policy,
    }
    return dict(spec, **changes)
