# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes of the machine belong to a world."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._world.model import MARKER
from ansible_collections.slipway.gitops.plugins.module_utils._world.processes import kept

WAIT = "print('ready', flush=True); input()"
#: What a program does that gives itself a title: its environment becomes zeros (fields 50 and 51 of stat).
FORGET = (
    "import ctypes; fields = open('/proc/self/stat').read().rpartition(')')[2].split();"
    "start, end = int(fields[47]), int(fields[48]); ctypes.memset(start, 0, end - start);"
)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[dict[str, int]]:
    """Process ids by name: with and without the mark, with and without an environment, in the world or not."""
    world = tmp_path / "world"
    for folder in ("world/redis", "world2"):
        (tmp_path / folder).mkdir(parents=True)
    cases = {
        "marked": ({MARKER: str(world)}, WAIT, tmp_path),
        "marked for another": ({MARKER: str(world) + "2"}, WAIT, tmp_path),
        "somebody's shell": ({"A": "1"}, WAIT, world),
        "titled": ({MARKER: str(world)}, FORGET + WAIT, world / "redis"),
        "titled elsewhere": ({MARKER: str(world) + "2"}, FORGET + WAIT, tmp_path / "world2"),
    }
    started = {}
    for name, (environment, code, folder) in cases.items():
        started[name] = subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    for process in started.values():
        assert process.stdout and process.stdout.readline() == b"ready\n"
    yield {name: process.pid for name, process in started.items()}
    for process in started.values():
        process.communicate(b"\n")
        assert process.returncode == 0


def test_process_is_known_by_its_mark_or_else_by_its_folder(processes: dict[str, int], tmp_path: Path) -> None:
    names = {pid: name for name, pid in processes.items()}
    found = {names[process.pid] for process in kept(str(tmp_path / "world"))}
    assert found == {"marked", "titled"}
