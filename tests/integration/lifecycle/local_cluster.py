# SPDX-License-Identifier: GPL-3.0-or-later
"""A local cluster of a test's own: in its own network, under its own name, with its own folder.

The network is a network namespace, so that bridge, routes, packet filter and ports of this
cluster and of any other on the machine do not meet.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Optional, Sequence

from ansible_collections.slipway.gitops.tests.integration.world.play import Outcome, environment

HERE = Path(__file__).resolve().parent
MARKER = "SLIPWAY_GITOPS_SUPERVISED"
SANDBOX = "slipway.gitops/sandbox:1"


class LocalCluster:
    """One cluster: role runs, and a look at what they left on the machine."""

    def __init__(self, name: str, folder: Path, provider: str, namespace: Optional[str] = None) -> None:
        self.name = name
        self.folder = folder
        self.provider = provider
        self.runtime = Path("/run/slipway-gitops") / name
        self._inside = ["nsenter", "--net=/run/netns/" + namespace] if namespace else []

    def command(self, *arguments: str) -> list[str]:
        """Return the command of one run of the role."""
        variables = {
            "cluster_bootstrap_provider": self.provider,
            "cluster_bootstrap_name": self.name,
            "cluster_bootstrap_world_folder": str(self.folder),
        }
        program = str(Path(sys.executable).parent / "ansible-playbook")
        playbook = str(HERE / "bootstrap.yml")
        return [*self._inside, program, "-i", "localhost,", playbook, "-e", json.dumps(variables), *arguments]

    def environment(self) -> dict[str, str]:
        return environment(self.folder.parent / "record.jsonl")

    def play(self, *arguments: str, ok: bool = True) -> Outcome:
        """Run the role to its end."""
        record = self.folder.parent / "record.jsonl"
        record.unlink(missing_ok=True)
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert (done.returncode == 0) is ok, done.stdout
        lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
        return Outcome(done.returncode, done.stdout, [json.loads(line) for line in lines])

    def up(self, *arguments: str) -> list[str]:
        """Bring it up; return what was changed."""
        return _changes(self.play(*arguments))

    def down(self) -> list[str]:
        """Remove it; return what was changed."""
        return _changes(self.play("-e", "cluster_bootstrap_state=absent"))

    def clean_up(self) -> None:
        """Remove what a test has left of it, if any."""
        if self.folder.exists() or self.kept():
            self.down()

    def run(self, *argv: str, check: bool = True) -> str:
        """Run a command in the cluster's network and return what it says."""
        done = subprocess.run([*self._inside, *argv], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout

    def kubectl(self, *arguments: str, text: str = "") -> str:
        """Ask the cluster with the kubectl of the last run."""
        done = subprocess.run(
            [*self._inside, self.tools()["kubectl"], "--kubeconfig", str(self.folder / "kubeconfig"), *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def tools(self) -> dict[str, str]:
        cache = Path(os.environ.get("SLIPWAY_CACHE") or Path.home() / ".cache/slipway-gitops")
        return {"kubectl": str(next(cache.glob("tools/kubectl-*/kubectl")))}

    # What is on the machine

    def kept(self) -> dict[int, str]:
        """Return the supervisor and what it started, by process id, container shims excepted."""
        mark = ("%s=%s" % (MARKER, self.folder)).encode()
        return {
            pid: name
            for pid, name, environ in _processes()
            if "shim" not in name and (mark in environ or _works_in(pid, self.folder))
        }

    def shims(self) -> list[int]:
        """Return the container shims of its containerd."""
        socket = str(self.runtime / "containerd.sock").encode()
        return [pid for pid, name, _environ in _processes() if "shim" in name and socket in _read(pid, "cmdline")]

    def contained(self) -> list[int]:
        """Return the processes whose root lies in the cluster's folder: those in its containers."""
        mark = ("upperdir=%s/" % self.folder).encode()
        return [pid for pid, _name, _environ in _processes() if mark in _read(pid, "mountinfo").split(b"\n")[0]]

    def mounts(self) -> list[str]:
        points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        return [point for point in points if point.startswith((str(self.folder), str(self.runtime)))]

    def traces(self) -> set[str]:
        """Return what nodes leave in folders of the machine; of sockets, those that are dead."""
        folders = ("/var/log/containers", "/var/lib/cni/results", "/run/containerd/s", "/var/lib/kubelet")
        paths = [path for folder in folders for path in Path(folder).rglob("*")]
        return {str(path) for path in paths if not path.is_dir() and self._is_mine(path)}

    def _is_mine(self, path: Path) -> bool:
        if path.is_symlink():
            return str(self.folder) in os.readlink(path)
        if path.is_socket():
            return not _accepts(path)
        return str(self.runtime).encode() in path.read_bytes()

    def network(self) -> dict[str, Any]:
        """Return links, routes, packet filter and the kernel setting that the role changes."""
        return {
            "links": sorted(link["ifname"] for link in json.loads(self.run("ip", "-j", "link"))),
            "routes": self.run("ip", "route"),
            "filter": _rules(self.run("iptables-save")),
            "filter6": _rules(self.run("ip6tables-save")),
            "forward": self.run("cat", "/proc/sys/net/ipv4/ip_forward"),
            "localnet": self.run("cat", "/proc/sys/net/ipv4/conf/all/route_localnet"),
        }

    # Misfortune

    def kill_everything(self) -> None:
        """End every process of the cluster at once and without notice, containers included."""
        for pid in [*sorted(self.kept()), *self.shims(), *self.contained()]:
            _kill(pid)

    def cut_short(self, delay_s: float) -> None:
        """Start a run and end it without notice after a while, with all its workers."""
        run = subprocess.Popen(self.command(), env=self.environment(), stdout=subprocess.DEVNULL)
        time.sleep(delay_s)
        for pid in _descendants(run.pid):
            _kill(pid)
        run.wait()

    def clear_run(self) -> None:
        """Take away what a restart of the machine takes away: mounts, and files below /run."""
        for point in reversed(self.mounts()):
            subprocess.run(["umount", "--lazy", point], check=True)
        for address in self.runtime.glob("containerd/io.containerd.runtime.v2.task/k8s.io/*/address"):
            Path(address.read_text().replace("unix://", "")).unlink(missing_ok=True)
        shutil.rmtree(self.runtime)

    def kill(self, name: str) -> None:
        """End one kept program without notice."""
        for pid, found in self.kept().items():
            if found == name:
                _kill(pid)


def _changes(outcome: Outcome) -> list[str]:
    results = [item["result"] for item in outcome.results if item["result"].get("changed")]
    return [change for result in results for change in result.get("changes", ["something"])]


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def _rules(saved: str) -> list[str]:
    """Return rules, chains that somebody made, and policies that are not the kernel's default."""
    lines = [re.sub(r" \[\d+:\d+\]$", "", line) for line in saved.splitlines() if line.startswith((":", "-A"))]
    return [line for line in lines if not re.fullmatch(r":[A-Z]+ ACCEPT", line)]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _read(pid: int, name: str) -> bytes:
    try:
        return Path("/proc/%d/%s" % (pid, name)).read_bytes()
    except OSError:
        return b""


def _works_in(pid: int, folder: Path) -> bool:
    """Whether its working folder is in a folder, for a program that writes over its environment, as Redis does."""
    try:
        return os.readlink("/proc/%d/cwd" % pid).startswith("%s/" % folder)
    except OSError:
        return False


def _descendants(pid: int) -> list[int]:
    """Return a process and everything it started; workers of Ansible have sessions of their own."""
    found = [pid]
    for parent in found:
        for task in Path("/proc/%d/task" % parent).glob("*/children"):
            found += [int(child) for child in _read(parent, "task/%s/children" % task.parent.name).split()]
    return found


def _processes() -> Sequence[tuple[int, str, bytes]]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            pid = int(entry.name)
            command = _read(pid, "cmdline").split(b"\0")
            name = next((Path(part.decode()).name for part in command if b"supervisord" in part), "")
            found.append((pid, name or Path(command[0].decode()).name, _read(pid, "environ")))
    return [item for item in found if item[2]]
