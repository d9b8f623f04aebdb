# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about the local world: the application, Git, the queue, the node."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Sequence

from . import console, env, places

INVENTORY = "local"
HOST = "sample_local"


def folder() -> Path:
    """Return the folder that holds the state of the local world."""
    if "SLIPWAY_WORLD" in os.environ:
        return Path(os.environ["SLIPWAY_WORLD"]).expanduser()
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "slipway-gitops" / "slipway"


@dataclass(frozen=True)
class Container:
    """One running container as the node's container runtime knows it."""

    namespace: str
    pod: str
    name: str
    pid: int
    command: str


class World:
    """The local world, asked with its own tools."""

    def __init__(self, tools: env.Environment, host: str = HOST) -> None:
        self.tools = tools
        #: The host of the local inventory, that is the environment, that questions are about.
        self.host = host
        self.facts: Mapping[str, Any] = {}

    def playbook(self, name: str, log: Path, *arguments: str) -> int:
        """Run one of the collection's playbooks on the local inventory, with live output."""
        command = ["ansible-playbook", "slipway.gitops." + name, "-i", self.tools.inventory(INVENTORY), *arguments]
        return self.tools.run(command, name, log=log)

    def module(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """Run one module for the environment and return its result. Raises RuntimeError."""
        command = [
            self.tools.program("ansible"), self.host, "-i", self.tools.inventory(INVENTORY),
            "-m", name, "-a", json.dumps(arguments),
        ]  # fmt: skip
        variables = dict(
            self.tools.variables, ANSIBLE_STDOUT_CALLBACK="ansible.posix.json", ANSIBLE_LOAD_CALLBACK_PLUGINS="1"
        )
        done = subprocess.run(
            command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
        )
        try:
            answer = json.loads(done.stdout[done.stdout.index("{") :])
            result: dict[str, Any] = answer["plays"][0]["tasks"][0]["hosts"][self.host]
        except (ValueError, LookupError) as error:
            raise RuntimeError("%s gave no result: %s" % (name, (done.stderr or done.stdout).strip()[-500:])) from error
        if done.returncode:
            raise RuntimeError("%s: %s" % (name, result.get("msg")))
        return result

    def variable(self, expression: str) -> Any:
        """Return a variable of the sample's environment as the inventory gives it."""
        return self.module("ansible.builtin.debug", var=expression)[expression]

    def queue(self) -> dict[str, Any]:
        """Return the record of the sample's environment."""
        answer = self.module(
            "slipway.gitops.deploy_queue_info",
            environment="{{ deploy_environment }}",
            environments="{{ deploy_environments }}",  # before the first delivery there is no record of it
            path="{{ deploy_queue_path }}",
        )
        record: dict[str, Any] = answer["environments"][0]
        return record

    def last_delivery(self) -> dict[str, Any]:
        """Return the newest finished entry of the queue, as its events tell it."""
        events = self.queue()["events"]
        ended = [event for event in events if event["after"] in ("succeeded", "failed", "rolled_back", "cancelled")]
        newest = max(ended, key=lambda event: event["seq"])
        entry: dict[str, Any] = {}
        for event in events:
            if event["entry"] == newest["entry"]:
                entry.update(event["data"].get("entry") or {})
        return dict(entry, measures=newest["data"].get("measures") or {})

    def application(self) -> dict[str, Any]:
        """Return what Argo CD reports of the sample."""
        answer = self.module(
            "slipway.gitops.argocd_app_info",
            name="{{ deploy_argocd_application | default(deploy_application) }}",
            namespace="{{ deploy_argocd_namespace | default(omit) }}",
            kubeconfig="{{ deploy_kubeconfig }}",
        )
        summary: dict[str, Any] = answer["applications"][0]
        return summary

    def ask(self, url: str, patience_s: float = 10.0) -> dict[str, Any]:
        """Return the JSON that the application answers over HTTP on loopback."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                with urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310  (a loopback address)
                    body: dict[str, Any] = json.load(answer)
                    return body
            except (urllib.error.URLError, OSError, ValueError) as error:
                if time.monotonic() > deadline:
                    raise RuntimeError("%s does not answer: %s" % (url, error)) from error
                time.sleep(0.2)

    def git_log(self, count: int) -> list[str]:
        """Return the newest commits of the deploy repository, newest first."""
        # The repository belongs to the Git server's own user, which git would refuse to root.
        show = ["log", "-n", str(count), "--format=%h %s", "main"]
        return self._output(["git", "-c", "safe.directory=*", "--git-dir", str(self.repository()), *show]).splitlines()

    def repository(self) -> Path:
        """Return the bare deploy repository on the Git server's disk."""
        return Path(str(self.variable("git_server_folder"))) / "repositories" / "sample.git"

    def kubectl_command(self) -> list[str]:
        """Return the command that asks this cluster."""
        found = sorted(places.cache().glob("tools/kubectl-*/kubectl"))
        if not found:
            raise RuntimeError("the cache %s has no kubectl: bring the world up first" % places.cache())
        return [str(found[-1]), "--kubeconfig", str(folder() / "kubeconfig")]

    def kubectl(self, *arguments: str) -> str:
        """Return what kubectl prints."""
        return self._output([*self.kubectl_command(), *arguments])

    def containers(self, namespaces: Sequence[str]) -> list[Container]:
        """Return the running containers of some namespaces with the process ids the node gave them."""
        socket = "/run/slipway-gitops/%s/containerd.sock" % folder().name
        ctr = ["ctr", "--address", socket, "--namespace", "k8s.io"]
        pids: dict[str, int] = {}
        for line in self._output([*ctr, "tasks", "ls"]).splitlines()[1:]:
            name, number, state = line.split()[:3]
            if state == "RUNNING":
                pids[name] = int(number)
        found = []
        for name, pid in pids.items():
            labels = json.loads(self._output([*ctr, "containers", "info", name]))["Labels"]
            if labels.get("io.kubernetes.pod.namespace") in namespaces and "io.kubernetes.container.name" in labels:
                command = Path("/proc/%d/cmdline" % pid).read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append(
                    Container(
                        labels["io.kubernetes.pod.namespace"],
                        labels["io.kubernetes.pod.name"],
                        labels["io.kubernetes.container.name"],
                        pid,
                        command.strip()[:60],
                    )
                )
        return sorted(found, key=lambda item: (item.namespace, item.pod, item.name))

    def _output(self, command: Sequence[str]) -> str:
        done = subprocess.run(
            list(command), env=dict(self.tools.variables), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError("%s failed: %s" % (" ".join(command[:3]), done.stderr.strip()[-500:]))
        return done.stdout


def need_root() -> None:
    """End the command with a clear message where pods cannot run."""
    if os.geteuid() != 0 or not Path("/proc/self/cgroup").exists():
        console.fail("the local world runs real pods, which needs root on Linux; run this as root")
