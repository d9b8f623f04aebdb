# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache of tools: never half a tool, never two builds, whatever is killed when."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._errors import BusyError, PermanentError
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.tools_support import (
    PROGRAM,
    World,
    serving,
)

_RUN = """
import json, sys
from pathlib import Path
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.tools_support import World
class Published:
    url = sys.argv[2]
(Path(sys.argv[1]) / "process").mkdir()
world = World(Path(sys.argv[1]) / "process", Published())
world.cache = Path(sys.argv[1]) / "cache"
world.env["PATH"] = sys.argv[4] + ":" + world.env["PATH"]
print(json.dumps(world.get(**json.loads(sys.argv[3]))))
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with serving() as mirror:
        yield World(tmp_path, mirror)


def start(world: World, **options: Any) -> subprocess.Popen[str]:
    """Get the tool in a process of its own."""
    argv = [sys.executable, "-c", _RUN, str(world.cache.parent), world.mirror.url, json.dumps(options), str(world.bin)]
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    return subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Gate:
    """An answer that sends half of the program and waits before it sends the rest."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(PROGRAM)))
        request.end_headers()
        request.wfile.write(PROGRAM[:10])
        self.reached.set()
        self.opened.wait(20)
        try:
            request.wfile.write(PROGRAM[10:])
        except OSError:
            pass  # the one who asked was killed


def test_two_runs_do_the_work_once(world: World) -> None:
    gate = Gate()
    world.mirror.publish("/v1.2.3/tool", PROGRAM)
    world.mirror.answers["/v1.2.3/tool"] = gate
    first = start(world)
    assert gate.reached.wait(20)
    second: list[dict[str, Any]] = []
    waiting = threading.Thread(target=lambda: second.append(world.get()))
    waiting.start()
    time.sleep(0.4)  # time enough for a second request, had the lock let it through
    assert not second
    gate.opened.set()
    waiting.join()
    assert json.loads(first.communicate()[0])["way"] == "download"
    assert second[0]["way"] == "cache"
    assert world.mirror.asked.count("/v1.2.3/tool") == 1


def test_lock_is_not_waited_for_for_ever(world: World) -> None:
    gate = Gate()
    world.mirror.publish("/v1.2.3/tool", PROGRAM)
    world.mirror.answers["/v1.2.3/tool"] = gate
    first = start(world)
    assert gate.reached.wait(20)
    with pytest.raises(BusyError, match="another run"):
        world.get(download_timeout=1, build_timeout=1)
    gate.opened.set()
    first.communicate()


def test_killed_download_leaves_nothing_that_counts(world: World) -> None:
    gate = Gate()
    world.mirror.publish("/v1.2.3/tool", PROGRAM)
    world.mirror.answers["/v1.2.3/tool"] = gate
    run = start(world)
    assert gate.reached.wait(20)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    left = world.tools()
    assert [name for name in left if not name.startswith(".staging-")] == []
    assert len(left) == 1

    gate.opened.set()
    world.mirror.answers["/v1.2.3/tool"] = PROGRAM
    found = world.get()
    assert found["way"] == "download"
    assert Path(found["path"]).read_bytes() == PROGRAM
    assert len(world.tools()) == 1


def test_killed_build_leaves_nothing_that_counts(world: World) -> None:
    """The compiler has written half of its result when the run is killed."""
    go = world.bin / "go"
    go.write_text(
        "#!/bin/sh\ncase $1 in version) echo go version go1.99.0 linux/amd64;;\n"
        "build) echo half > $4; touch %s; sleep 30;; esac\n" % (world.bin / "reached")
    )
    go.chmod(0o755)
    build = world.go_module()
    run = start(world, download=None, build=build)
    until((world.bin / "reached").exists)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    go.unlink()
    found = world.get(download=None, build=build)
    assert found["way"] == "build"
    assert b"ELF" in Path(found["path"]).read_bytes()[:8]
    assert len(world.tools()) == 1


def spoil_nothing_recorded(folder: Path) -> None:
    (folder / "tool.json").unlink()


def spoil_half_written(folder: Path) -> None:
    (folder / "tool").write_bytes(PROGRAM[:7])


def spoil_record_cut(folder: Path) -> None:
    record = folder / "tool.json"
    record.write_text(record.read_text()[:20])


def spoil_record_empty(folder: Path) -> None:
    (folder / "tool.json").write_text("[]")


def spoil_program_gone(folder: Path) -> None:
    (folder / "tool").unlink()


def spoil_all_gone(folder: Path) -> None:
    spoil_nothing_recorded(folder)
    spoil_program_gone(folder)


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_nothing_recorded,
        spoil_half_written,
        spoil_record_cut,
        spoil_record_empty,
        spoil_program_gone,
        spoil_all_gone,
    ],
)
def test_what_is_not_whole_is_replaced(world: World, spoil: Callable[[Path], None]) -> None:
    world.mirror.publish("/v1.2.3/tool", PROGRAM)
    path = Path(world.get()["path"])
    spoil(path.parent)
    assert world.get()["way"] == "download"
    assert path.read_bytes() == PROGRAM
    assert world.get()["way"] == "cache"
    assert len(world.tools()) == 1


def test_record_tells_where_the_tool_came_from(world: World) -> None:
    world.mirror.publish("/v1.2.3/tool", PROGRAM)
    record = json.loads((Path(world.get()["path"]).parent / "tool.json").read_text())
    assert (record["name"], record["version"], record["way"]) == ("tool", "1.2.3", "download")
    assert record["files"]["tool"]["size"] == len(PROGRAM)


@pytest.mark.parametrize("place", ["/dev/null/cache", "/proc/cache"])
def test_cache_that_cannot_be_written_is_named(world: World, place: str) -> None:
    world.mirror.publish("/v1.2.3/tool", PROGRAM)
    with pytest.raises(PermanentError) as caught:
        world.get(cache_dir=place)
    assert caught.value.code == "cache"
    assert place in str(caught.value)
    assert "cache_dir" in str(caught.value)
