# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook access on the local world, with real port-forwards of its own and of other people."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import ssl
import subprocess
import urllib.request
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._world.processes import look
from ansible_collections.slipway.gitops.tests.integration.world.conftest import World
from ansible_collections.slipway.gitops.tests.integration.world.play import Outcome

KEPT = "slipway.gitops.access : Have the port-forwards as asked"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def say(url: str) -> Any:
    """Ask a server on loopback; its certificate is its own business here."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with urllib.request.urlopen(url, timeout=10, context=trusting) as answer:
        return json.load(answer)


class Desk:
    """One person's port-forwards by the playbook."""

    def __init__(self, world: World, play: Callable[..., Outcome], folder: Path) -> None:
        self.folder = folder / "access"
        self.ports = {"argocd": _free_port(), "sample": _free_port()}
        self._play = play
        self._values = folder / "values.json"
        argocd = {"namespace": "argocd", "resource": "service/argocd-server", "remote_port": 443, "scheme": "https"}
        sample = {"namespace": "sample", "resource": "service/sample", "remote_port": 80}
        self.forwards = [
            {"name": "argocd", "local_port": self.ports["argocd"], **argocd},
            {"name": "sample", "local_port": self.ports["sample"], **sample},
        ]
        self.kubeconfig = str(world.kubeconfig)

    def bring(self, state: str, *arguments: str) -> Outcome:
        """Run the playbook."""
        values = {
            "access_state": state,
            "access_folder": str(self.folder),
            "access_kubeconfig": self.kubeconfig,
            "access_forwards": self.forwards,
        }
        self._values.write_text(json.dumps(values))
        outcome = self._play("slipway.gitops.access", "-e", "@%s" % self._values, *arguments)
        assert outcome.status == 0, outcome.text
        return outcome

    def pids(self, outcome: Outcome) -> dict[str, int]:
        """Return the process of each port-forward."""
        return {item["name"]: item["pid"] for item in outcome.one(KEPT)["forwards"]}


@pytest.fixture
def desk(world: World, play: Callable[..., Outcome], tmp_path: Path) -> Iterator[Desk]:
    made = Desk(world, play, tmp_path)
    yield made
    made.bring("absent")


@pytest.fixture
def others(world: World) -> Iterator[list[tuple[subprocess.Popen[bytes], int]]]:
    """Two port-forwards that other people began by hand, to the same places, with the same program."""
    kubectl = sorted(world.tools.glob("kubectl-*/kubectl"))[0]
    begun = []
    for namespace, target, port in (("argocd", "service/argocd-server", 443), ("sample", "deployment/sample", 8080)):
        local = _free_port()
        words = ["--kubeconfig", str(world.kubeconfig), "port-forward", "-n", namespace, target]
        process = subprocess.Popen([str(kubectl), *words, "%d:%d" % (local, port)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"Forwarding from")
        begun.append((process, local))
    yield begun
    for process, _local in begun:
        process.terminate()
        process.communicate()


def test_g64_port_forwards_of_other_people_survive_up_and_down(
    desk: Desk, others: list[tuple[subprocess.Popen[bytes], int]]
) -> None:
    ours = desk.pids(desk.bring("present"))
    assert say("https://127.0.0.1:%d/api/version" % desk.ports["argocd"])["Version"]
    assert say("http://127.0.0.1:%d/version" % desk.ports["sample"])["version"]
    desk.bring("absent")
    assert [pid for pid in ours.values() if look(pid)] == []
    assert not desk.folder.exists()
    assert [process.poll() for process, _local in others] == [None, None]
    assert say("https://127.0.0.1:%d/api/version" % others[0][1])["Version"]
    assert say("http://127.0.0.1:%d/version" % others[1][1])["version"]


def test_second_run_changes_nothing_and_a_dead_one_is_begun_again(desk: Desk) -> None:
    first = desk.pids(desk.bring("present"))
    again = desk.bring("present")
    assert not again.one(KEPT)["changed"]
    assert desk.pids(again) == first
    os.kill(first["argocd"], signal.SIGKILL)
    healed = desk.bring("present")
    assert [change.split(":")[-1] for change in healed.one(KEPT)["changes"]] == [" its process has ended"]
    assert desk.pids(healed)["sample"] == first["sample"]
    assert say("https://127.0.0.1:%d/api/version" % desk.ports["argocd"])["Version"]


def test_pods_that_were_replaced_are_found_again(desk: Desk, world: World) -> None:
    desk.bring("present")
    world.kubectl("-n", "sample", "delete", "pod", "--all", "--wait=false")
    world.kubectl("-n", "sample", "rollout", "status", "deployment/sample", "--timeout=60s")
    desk.bring("present")
    assert say("http://127.0.0.1:%d/version" % desk.ports["sample"])["version"]


def test_check_mode_begins_nothing(desk: Desk) -> None:
    told = desk.bring("present", "--check", "--diff")
    assert told.one(KEPT)["changed"]
    assert not desk.folder.exists()


def test_g65_no_secret_in_output_or_files(desk: Desk, world: World) -> None:
    """Behaviours 5 and 7: addresses, and how to get the password, never the password."""
    outcome = desk.bring("present", "-vvv")
    encoded = world.get("-n", "argocd", "secret", "argocd-initial-admin-secret")["data"]["password"]
    written = "".join(path.read_text() for path in desk.folder.iterdir())
    for secret in (encoded, base64.b64decode(encoded).decode()):
        assert secret not in outcome.text
        assert secret not in json.dumps(outcome.results)
        assert secret not in written
    told = [
        line
        for line in outcome.one("slipway.gitops.access : Tell how to reach what runs")["msg"]
        if "initial password" in line
    ]
    command = told[0].split(": ", 1)[1]
    shown = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert shown.stdout == base64.b64decode(encoded).decode()


def test_g58_kubeconfig_is_never_changed(desk: Desk, world: World) -> None:
    before = (world.kubeconfig.read_bytes(), world.kubeconfig.stat().st_mtime_ns)
    desk.bring("present")
    desk.bring("absent")
    assert (world.kubeconfig.read_bytes(), world.kubeconfig.stat().st_mtime_ns) == before


def test_unreachable_place_is_told_in_kubectls_words(desk: Desk, play: Callable[..., Outcome]) -> None:
    desk.forwards[1]["resource"] = "service/nobody"
    values = {"access_folder": str(desk.folder), "access_forwards": desk.forwards}
    outcome = play("slipway.gitops.access", "-e", json.dumps(values))
    assert outcome.status != 0
    assert 'services "nobody" not found' in outcome.text
    assert "sample/service/nobody port 80" in outcome.text
