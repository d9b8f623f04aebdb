# SPDX-License-Identifier: GPL-3.0-or-later
"""Port-forwards: real processes and ports of this machine, with a stand-in for kubectl.

The stand-in listens as kubectl does and says what kubectl says; the real one is tried on the
local world (tests/integration/world/test_access.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry.port_forward import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._errors import InvalidInput, PermanentError, SlipwayError
from ansible_collections.slipway.gitops.plugins.module_utils._forward import keeper
from ansible_collections.slipway.gitops.plugins.module_utils._forward.model import Record, parse, reason_to_begin
from ansible_collections.slipway.gitops.plugins.module_utils._world.processes import Process, look

STAND_IN = """\
#!%s -ISE
import os, signal, socket, sys
address = [word[10:] for word in sys.argv if word.startswith("--address=")][0]
port = int(sys.argv[-1].split(":")[0])
mood = os.environ.get("MOOD", "well")
if mood == "refused":
    sys.exit("error: unable to forward port because pod is not running. Current status=Pending")
server = socket.create_server((address, port))
if mood != "mute":
    print("Forwarding from %%s:%%d -> 80" %% (address, port), flush=True)
moods = [mood]
signal.signal(signal.SIGUSR1, lambda number, frame: moods.append("deserted"))
held = []
while True:
    client = server.accept()[0]
    client.close() if moods[-1] == "deserted" else held.append(client)
"""


class Desk:
    """A folder of port-forwards, and a stand-in for kubectl."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "access"
        self.kubectl = folder / "kubectl"
        self.kubectl.write_text(STAND_IN % sys.executable)
        self.kubectl.chmod(0o755)

    def call(self, state: str = "present", check_mode: bool = False, mood: str = "well", **forwards: int) -> Any:
        """Run the module; ``forwards`` are names and local ports."""
        params = {
            "path": str(self.path),
            "state": state,
            "forwards": [
                {
                    "name": name,
                    "namespace": "shop",
                    "resource": "service/web",
                    "address": "127.0.0.1",
                    "local_port": port,
                    "remote_port": 80,
                }
                for name, port in forwards.items()
            ],
            "kubectl": str(self.kubectl),
            "kubeconfig": "/nowhere/config",
            "context": "",
            "wait_timeout": 1,
        }
        env = {"PATH": os.environ["PATH"], "MOOD": mood}
        return ENTRY.run(params, Context(check_mode=check_mode, diff=True, env=env))

    def pid(self, name: str) -> int:
        """Return the process id that is recorded."""
        record = parse((self.path / (name + ".json")).read_bytes())
        assert record is not None
        return record.pid


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(keeper, "_SILENCE_S", 0.05)
    made = Desk(tmp_path)
    yield made
    made.call(state="absent")
    _reap()


def _reap() -> None:
    """Take leave of the processes begun here: outside of a test their parent has ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _runs(pid: int) -> bool:
    return look(pid) is not None


def test_begins_once_and_ends(desk: Desk) -> None:
    port = _free_port()
    first = desk.call(web=port)
    assert first["changed"]
    assert first["diff"]["before"] == ""
    assert first["diff"]["after"] == "web 127.0.0.1:%d -> shop/service/web:80\n" % port
    pid = first["forwards"][0]["pid"]
    assert _runs(pid)
    assert (desk.path.stat().st_mode & 0o777, (desk.path / "web.json").stat().st_mode & 0o777) == (0o700, 0o600)
    second = desk.call(web=port)
    assert not second["changed"]
    assert second["forwards"][0]["pid"] == pid
    assert second["diff"]["before"] == second["diff"]["after"]
    assert desk.call(state="absent")["changed"]
    assert not _runs(pid)
    assert not desk.path.exists()
    assert not desk.call(state="absent")["changed"]


def test_process_does_not_hold_the_run(desk: Desk) -> None:
    pid = desk.call(web=_free_port())["forwards"][0]["pid"]
    assert os.getsid(pid) == pid
    assert os.readlink("/proc/%d/cwd" % pid) == "/"
    log = str(desk.path / "web.log")
    assert [os.readlink("/proc/%d/fd/%d" % (pid, number)) for number in range(3)] == ["/dev/null", log, log]


def test_check_mode_begins_and_ends_nothing(desk: Desk) -> None:
    port = _free_port()
    told = desk.call(check_mode=True, web=port)
    assert told["changed"]
    assert not desk.path.exists()
    pid = desk.call(web=port)["forwards"][0]["pid"]
    assert not desk.call(check_mode=True, web=port)["changed"]
    assert desk.call(state="absent", check_mode=True)["changed"]
    assert _runs(pid)


def test_dead_process_is_begun_again(desk: Desk) -> None:
    port = _free_port()
    pid = desk.call(web=port)["forwards"][0]["pid"]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    told = desk.call(web=port)
    assert "its process has ended" in told["changes"][0]
    assert told["forwards"][0]["pid"] != pid


def test_g64_reused_process_id_is_nobody_of_ours(desk: Desk) -> None:
    """The record names a process that got the id of ours, with the same start time even: it carries no mark."""
    other = subprocess.Popen(["sleep", "60"])
    try:
        seen = look(other.pid)
        assert seen is not None
        desk.path.mkdir(mode=0o700)
        record = Record(other.pid, seen.started, ("kubectl",), "web 127.0.0.1:1 -> shop/service/web:80")
        (desk.path / "web.json").write_bytes(record.dump())
        assert desk.call(state="absent")["changed"]
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x", "started": "1", "command": []}'])
def test_half_record_of_a_crash_is_healed(desk: Desk, content: bytes) -> None:
    port = _free_port()
    pid = desk.call(web=port)["forwards"][0]["pid"]
    (desk.path / "web.json").write_bytes(content)
    told = desk.call(web=port)
    assert "cut short" in told["changes"][0]
    assert not _runs(pid)
    assert _runs(told["forwards"][0]["pid"])


def test_lost_record_does_not_hide_the_process(desk: Desk) -> None:
    pid = desk.call(web=_free_port())["forwards"][0]["pid"]
    (desk.path / "web.json").unlink()
    assert desk.call(state="absent")["changed"]
    assert not _runs(pid)


def test_way_that_leads_nowhere_is_begun_again(desk: Desk) -> None:
    port = _free_port()
    with pytest.raises(SlipwayError, match="nobody answers behind it"):
        desk.call(mood="deserted", web=port)
    assert not desk.path.exists() or not list(desk.path.iterdir())
    assert desk.call(web=port)["changed"]


def test_way_that_leads_nowhere_any_more_is_begun_again(desk: Desk) -> None:
    port = _free_port()
    pid = desk.call(web=port)["forwards"][0]["pid"]
    os.kill(pid, signal.SIGUSR1)  # from now on the stand-in hangs up
    told = desk.call(web=port)
    assert "does not answer any more" in told["changes"][0]
    assert not _runs(pid)


def test_only_what_is_wanted_stays(desk: Desk) -> None:
    one, two = _free_port(), _free_port()
    pids = [item["pid"] for item in desk.call(web=one, api=two)["forwards"]]
    told = desk.call(web=one)
    assert told["changes"] == ["end api: it is no longer wanted"]
    assert [_runs(pid) for pid in pids] == [True, False]
    moved = desk.call(web=two)
    assert "something else is wanted now" in moved["changes"][0]
    assert not _runs(pids[0])


def test_exchanged_ports_are_no_obstacle(desk: Desk) -> None:
    one, two = _free_port(), _free_port()
    desk.call(web=one, api=two)
    desk.call(web=two, api=one)
    assert sorted(item["port"] for item in desk.call(web=two, api=one)["forwards"]) == sorted([one, two])


def test_foreign_port_is_refused_before_anything(desk: Desk) -> None:
    free = _free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PermanentError, match="127.0.0.1:%d .web.: Address already in use" % port) as caught:
            desk.call(api=free, web=port)
    assert caught.value.code == "port_taken"
    assert not desk.path.exists()


@pytest.mark.parametrize(
    "mood, told",
    [
        ("refused", "kubectl ended: error: unable to forward port because pod is not running"),
        ("mute", "does not listen after 1 s"),
    ],
)
def test_failure_is_told_in_kubectls_words_and_leaves_nothing(desk: Desk, mood: str, told: str) -> None:
    with pytest.raises(SlipwayError, match=told) as caught:
        desk.call(mood=mood, web=_free_port())
    assert caught.value.code == "not_forwarded"
    assert list(desk.path.iterdir()) == []
    assert not keeper.Keeper({}).running(str(desk.path))


def test_missing_kubectl_is_named_before_anything(desk: Desk) -> None:
    desk.kubectl.unlink()
    with pytest.raises(SlipwayError, match="not installed or not in PATH") as caught:
        desk.call(web=_free_port())
    assert caught.value.code == "command_not_found"
    assert not desk.path.exists()


def test_g58_cluster_is_named_in_every_command(desk: Desk) -> None:
    pid = desk.call(web=_free_port())["forwards"][0]["pid"]
    command = Path("/proc/%d/cmdline" % pid).read_bytes().split(b"\0")
    assert b"--kubeconfig=/nowhere/config" in command


def _params(**changes: Any) -> dict[str, Any]:
    forward = {
        "name": "web",
        "namespace": "shop",
        "resource": "service/web",
        "address": "127.0.0.1",
        "local_port": 8080,
        "remote_port": 80,
    }
    given = {
        "path": "/tmp/slipway-none/x",
        "state": "present",
        "kubectl": "kubectl",
        "kubeconfig": "/c",
        "context": None,
        "wait_timeout": 1,
    }
    whole = {name: changes.pop(name) for name in list(changes) if name in given}
    return dict(given, **whole, forwards=[dict(forward, **changes)])


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"name": "../x"}, "name '../x'"),
        ({"name": "-x"}, "name '-x'"),
        ({"namespace": "Shop"}, "namespace 'Shop'"),
        ({"resource": "web"}, "not KIND/NAME"),
        ({"resource": "secret/web"}, "not KIND/NAME"),
        ({"resource": "--help/x"}, "not KIND/NAME"),
        ({"local_port": 0}, "local_port 0"),
        ({"remote_port": 65536}, "remote_port 65536"),
        ({"address": "localhost"}, "address of web"),
        ({"address": "127.0.0.1,0.0.0.0"}, "address of web"),
        ({"path": "relative"}, "absolute path"),
        ({"path": "/"}, "absolute path"),
        ({"kubeconfig": None}, "no cluster is named"),
    ],
)
def test_bad_input_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        ENTRY.run(_params(**changes), Context(env={"PATH": "/bin"}))


@pytest.mark.parametrize("changes", [{"name": "api"}, {"local_port": 8081}])
def test_nothing_is_given_twice(changes: dict[str, Any]) -> None:
    params = _params()
    params["forwards"].append(dict(params["forwards"][0], **changes))
    with pytest.raises(InvalidInput, match="is given twice"):
        ENTRY.run(params, Context(env={"PATH": "/bin"}))


@pytest.mark.parametrize(
    "record, running, reason",
    [
        (None, [], "it is new"),
        (Record(7, "100", ("kubectl",)), [], "its process has ended"),
        (None, [Process(7, 1, "100", "", ())], "it was left by a run that was cut short"),
        (Record(7, "99", ("kubectl",)), [Process(7, 1, "100", "", ())], "it was left by a run that was cut short"),
        (Record(7, "100", ("kubectl", "x")), [Process(7, 1, "100", "", ())], "something else is wanted now"),
        (Record(7, "100", ("kubectl",)), [Process(8, 7, "101", "", ()), Process(7, 1, "100", "", ())], ""),
    ],
)
def test_reason_to_begin(record: Any, running: list[Process], reason: str) -> None:
    assert reason_to_begin(("kubectl",), record, running) == reason


def test_record_is_read_back() -> None:
    record = Record(7, "100", ("kubectl", "port-forward"), "web")
    assert parse(record.dump()) == record
    assert json.loads(record.dump())["version"] == 1


def test_second_run_waits_for_the_first(desk: Desk, call_soon: Callable[[Callable[[], object]], None]) -> None:
    from ansible_collections.slipway.gitops.plugins.module_utils._world.host import Host

    lock = Host({}).try_lock(str(desk.path))
    assert lock is not None
    call_soon(lock.close)
    assert desk.call(web=_free_port())["changed"]


@pytest.fixture
def call_soon() -> Iterator[Callable[[Callable[[], object]], None]]:
    import threading

    timers = []

    def plan(what: Callable[[], object]) -> None:
        timers.append(threading.Timer(0.3, what))
        timers[-1].start()

    yield plan
    for timer in timers:
        timer.join()
