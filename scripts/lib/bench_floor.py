# SPDX-License-Identifier: GPL-3.0-or-later
"""The floor of a delivery, by hand: git push, refresh, and three questions every 50 ms."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shlex
import ssl
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence
from urllib.parse import urlsplit

from . import env, world

POLL_S = 0.05
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Site:
    """What is delivered where; the same for the floor and for the role."""

    application: str = "slipway-bench"
    namespace: str = "slipway-bench"
    deployment: str = "sample"
    branch: str = "bench"
    path: str = "apps/sample/overlays/bench"
    port: int = 30090

    @property
    def url(self) -> str:
        """Where the application answers its version."""
        return "http://127.0.0.1:%d/version" % self.port


@dataclass(frozen=True)
class FloorTimes:
    """Seconds from the start of ``git push``; the last from the moment the commit was on the branch."""

    pushed: float
    synced: float
    running: float
    verified: float
    from_landing: float


class Api:
    """The API server over one connection, with the standard library alone."""

    def __init__(self, kubeconfig: Mapping[str, Any]) -> None:
        cluster, user = kubeconfig["clusters"][0]["cluster"], kubeconfig["users"][0]["user"]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=_text(cluster, "certificate-authority"))
        with tempfile.NamedTemporaryFile("w", prefix="slipway-bench-") as pair:  # mode 0600, gone at once
            pair.write(_text(user, "client-certificate") + "\n" + _text(user, "client-key"))
            pair.flush()
            context.load_cert_chain(pair.name)
        self._http = http.client.HTTPSConnection(urlsplit(cluster["server"]).netloc, context=context, timeout=10)

    def call(self, path: str, patch: Optional[Mapping[str, Any]] = None, method: str = "GET") -> dict[str, Any]:
        """Return an object, after a merge patch if there is one. Raises RuntimeError."""
        body = json.dumps(patch) if patch is not None else None
        headers = {"Content-Type": "application/merge-patch+json"} if body else {}
        self._http.request("PATCH" if body else method, path, body, {**headers, "User-Agent": "slipway-bench-floor"})
        answer = self._http.getresponse()
        document: dict[str, Any] = json.load(answer)
        if answer.status >= 400:
            raise RuntimeError("%s: %s" % (path, document.get("message")))
        return document


def _text(section: Mapping[str, Any], key: str) -> str:
    """Return a certificate or key of a kubeconfig, which holds its data or names a file."""
    data = section.get(key + "-data")
    return base64.b64decode(data).decode() if data else Path(section[key]).read_text(encoding="utf-8")


def _kubeconfig(tools: env.Environment) -> dict[str, Any]:
    """Return the kubeconfig of the local world; YAML is read by Ansible's Python, which has a parser."""
    read = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"
    text = (world.folder() / "kubeconfig").read_text(encoding="utf-8")
    done = subprocess.run([tools.program("python"), "-c", read], input=text, capture_output=True, text=True, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


class Floor:
    """One prepared clone, and eyes on the application."""

    def __init__(self, shared: world.World, site: Site, clone: Path) -> None:
        self._site = site
        self._clone = clone
        self._api = Api(_kubeconfig(shared.tools))
        self._ref = shared.repository() / "refs" / "heads" / site.branch
        key, hosts = shared.variable("[deploy_git_key_file, deploy_git_known_hosts]")
        ssh = ["ssh", "-F", "none", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
               "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + hosts]  # fmt: skip
        self._env = {**os.environ, "GIT_SSH_COMMAND": shlex.join(ssh), "GIT_CONFIG_GLOBAL": os.devnull}
        self._git("clone", "--quiet", shared.variable("deploy_repository"), str(clone), at=clone.parent)
        self._have_overlay()

    def _have_overlay(self) -> None:
        """Have a branch and an overlay of our own, so that no other application notices a commit."""
        if self._git("ls-remote", "--heads", "origin", self._site.branch):
            self._git("checkout", "--quiet", self._site.branch)
        else:
            self._git("checkout", "--quiet", "-b", self._site.branch)
        target = self._clone / self._site.path / "kustomization.yaml"
        if not target.exists():
            text = (self._clone / "apps/sample/overlays/local/kustomization.yaml").read_text(encoding="utf-8")
            target.parent.mkdir(parents=True)
            target.write_text(text.replace("value: 30080", "value: %d" % self._site.port), encoding="utf-8")
            self._commit("Add an overlay for benchmarks")
            self._git("push", "--quiet", "origin", self._site.branch)

    def deliver(self, version: str) -> FloorTimes:
        """Push one changed line and wait until it is verified; return when what happened."""
        commit = self._prepare(version)
        started = time.time()
        self._git("push", "--quiet", "origin", self._site.branch)
        pushed = time.time()
        refresh = {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}
        self._api.call(self._application_path, refresh)
        synced = running = verified = 0.0
        while not verified:
            is_synced = self._is_synced(commit)
            is_running = self._is_ready(version) and self._answers(version, commit)
            now = time.time()
            synced, running = synced or now * is_synced, running or now * is_running
            verified = now * (is_synced and is_running)
            if now - started > PATIENCE_S:
                raise RuntimeError("version %s was not verified by hand in %d s" % (version, PATIENCE_S))
            time.sleep(0.0 if verified else POLL_S)
        at_commit = verified - self.landed()
        return FloorTimes(pushed - started, synced - started, running - started, verified - started, at_commit)

    def landed(self) -> float:
        """Return when the newest commit came onto the branch, by the Git server's own file."""
        return self._ref.stat().st_mtime

    def head(self) -> str:
        """Return the commit at the tip of the branch on the Git server."""
        return self._ref.read_text(encoding="ascii").strip()

    def settle(self, version: str) -> None:
        """Wait until ``version`` runs alone: nothing of an older one ends any more."""
        pods = "/api/v1/namespaces/%s/pods" % self._site.namespace
        deadline = time.time() + PATIENCE_S
        while not (self._is_ready(version) and len(self._api.call(pods)["items"]) == self._replicas):
            if time.time() > deadline:
                raise RuntimeError("version %s does not run alone after %d s" % (version, PATIENCE_S))
            time.sleep(0.2)

    def remove_namespace(self) -> None:
        """Delete the namespace of the application; nothing waits for its end."""
        self._api.call("/api/v1/namespaces/" + self._site.namespace, method="DELETE")

    def version(self) -> str:
        """Return the version at the tip of the branch."""
        self._git("pull", "--quiet", "--ff-only", "origin", self._site.branch)
        lines = (self._clone / self._site.path / "kustomization.yaml").read_text(encoding="utf-8").splitlines()
        return next(line.split('"')[1] for line in lines if "newTag:" in line)

    def _prepare(self, version: str) -> str:
        before = self.version()
        target = self._clone / self._site.path / "kustomization.yaml"
        text = target.read_text(encoding="utf-8")
        target.write_text(text.replace('newTag: "%s"' % before, 'newTag: "%s"' % version), encoding="utf-8")
        self._commit("Deliver %s by hand" % version)
        return self._git("rev-parse", "HEAD")

    def _commit(self, message: str) -> None:
        self._git("add", "--all")
        who = [
            "-c",
            "user.name=slipway-bench",
            "-c",
            "user.email=slipway-bench@localhost",
            "-c",
            "commit.gpgSign=false",
        ]
        self._git(*who, "commit", "--quiet", "-m", message)

    @property
    def _application_path(self) -> str:
        return "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/" + self._site.application

    def _is_synced(self, commit: str) -> bool:
        status = self._api.call(self._application_path).get("status") or {}
        sync, health = status.get("sync") or {}, status.get("health") or {}
        return sync.get("revision") == commit and sync.get("status") == "Synced" and health.get("status") == "Healthy"

    def _is_ready(self, version: str) -> bool:
        live = self._deployment()
        status, wanted = live.get("status") or {}, live["spec"]["replicas"]
        self._replicas = wanted
        image = live["spec"]["template"]["spec"]["containers"][0]["image"]
        counts = [status.get(name) for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")]
        is_current = status.get("observedGeneration", 0) >= live["metadata"]["generation"]
        return is_current and image.endswith(":" + version) and counts == [wanted] * 4

    def _deployment(self) -> dict[str, Any]:
        return self._api.call(
            "/apis/apps/v1/namespaces/%s/deployments/%s" % (self._site.namespace, self._site.deployment)
        )

    def _answers(self, version: str, commit: str) -> bool:
        try:
            with urllib.request.urlopen(self._site.url, timeout=2) as answer:  # noqa: S310  (a loopback address)
                body = json.load(answer)
        except (OSError, ValueError):
            return False
        return bool(body.get("version") == version and body.get("commit") == commit)

    def _git(self, *arguments: str, at: Optional[Path] = None) -> str:
        command: Sequence[str] = ["git", *arguments]
        done = subprocess.run(
            command, cwd=at or self._clone, env=self._env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError("git %s failed: %s" % (arguments[0], done.stderr.strip()))
        return done.stdout.strip()
