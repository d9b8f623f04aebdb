# SPDX-License-Identifier: GPL-3.0-or-later
"""The subprocess port, against real programs."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._errors import (
    NotFound,
    PermanentError,
    SlipwayError,
)
from ansible_collections.slipway.gitops.plugins.module_utils._process import (
    Command,
    Completed,
    ProcessTimeout,
    run,
)
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.process_support import all_end

ENV = {"PATH": os.environ["PATH"]}


def python(code: str, **options: Any) -> Command:
    options.setdefault("timeout_s", 20)
    options.setdefault("env", ENV)
    return Command([sys.executable, "-c", code], **options)


def wait_for_file(path: Path) -> str:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if path.exists() and path.read_text().endswith("\n"):
            return path.read_text()
        time.sleep(0.01)
    raise AssertionError("%s was not written" % path)


@pytest.mark.parametrize(
    "code, given, expected",
    [
        ("print('a'); import sys; print('b', file=sys.stderr); sys.exit(3)", None, (3, b"a\n", b"b\n")),
        ("import sys; sys.stdout.write(sys.stdin.read().upper())", b"xy", (0, b"XY", b"")),
        ("import sys; print(len(sys.stdin.read()))", b"", (0, b"0\n", b"")),
        ("import sys; print(repr(sys.stdin.read()))", None, (0, b"''\n", b"")),
        ("import os; os.kill(os.getpid(), 9)", None, (-9, b"", b"")),
        ("import os; print(os.isatty(0), os.getsid(0) == os.getpid())", None, (0, b"False True\n", b"")),
        ("import sys; sys.exit(0)", b"unread" * 100_000, (0, b"", b"")),
    ],
)
def test_outcome(code: str, given: bytes, expected: tuple[int, bytes, bytes]) -> None:
    assert run(python(code, input=given)) == Completed(*expected)


def test_big_data_both_ways_does_not_deadlock() -> None:
    data = os.urandom(3_000_000)
    code = "import sys; d=sys.stdin.buffer.read(); sys.stdout.buffer.write(d); sys.stderr.buffer.write(d)"
    done = run(python(code, input=data))
    assert (done.stdout, done.stderr) == (data, data)


def test_environment_is_exactly_the_given_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAK", "yes")
    done = run(python("import os; print(os.environ.get('LEAK'), os.environ['MINE'])", env={"MINE": "1"}))
    assert done.out == "None 1\n"


def test_program_is_found_in_the_given_path(tmp_path: Path) -> None:
    script = tmp_path / "mytool"
    script.write_text("#!/bin/sh\necho found\n")
    script.chmod(0o755)
    assert run(Command(["mytool"], {"PATH": str(tmp_path)}, 5)).out == "found\n"


@pytest.mark.parametrize(
    "command, error, code",
    [
        (Command(["no-such-tool"], ENV, 5), NotFound, "command_not_found"),
        (Command(["/etc/passwd"], ENV, 5), PermanentError, "not_executable"),
        (Command(["true"], ENV, 5, cwd="/no/such/folder"), NotFound, "directory_not_found"),
        (Command(["true", "a\0b"], ENV, 5), PermanentError, "cannot_start"),
        (Command(["true", "x" * 3_000_000], ENV, 5), PermanentError, "cannot_start"),
    ],
)
def test_cannot_start(command: Command, error: type[SlipwayError], code: str) -> None:
    with pytest.raises(error) as caught:
        run(command)
    assert caught.value.code == code
    assert command.program in str(caught.value)


def test_lines_arrive_while_the_program_runs(tmp_path: Path) -> None:
    go = tmp_path / "go"
    code = (
        "import os, sys, time\n"
        "print('first', flush=True)\n"
        "while not os.path.exists(%r): time.sleep(0.01)\n"
        "sys.stderr.write('10%%\\r20%%\\rlast without end')" % str(go)
    )
    lines: list[str] = []

    def listen(line: str) -> None:
        lines.append(line)
        go.touch()  # the program ends only because its first line was passed on at once

    run(python(code), on_line=listen)
    assert lines == ["first", "10%", "20%", "last without end"]


def test_tick_reports_elapsed_time() -> None:
    ticks: list[float] = []
    run(python("import time; time.sleep(1.3)"), on_tick=ticks.append)
    assert len(ticks) == 2
    assert 0.5 <= ticks[0] < ticks[1] < 1.4


def test_unheard_flood_is_refused_and_heard_flood_keeps_the_tail() -> None:
    flood = "import sys\nfor i in range(400_000): sys.stdout.write('%09d\\n' % i)"
    with pytest.raises(PermanentError) as caught:
        run(python(flood, max_bytes=1 << 20))
    assert caught.value.code == "output_too_large"
    seen: list[str] = []
    done = run(python(flood, max_bytes=1000), on_line=seen.append)
    assert len(seen) == 400_000
    assert len(done.stdout) == 1000
    assert done.out.endswith("000399999\n")


@pytest.mark.parametrize("trap", ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"])
def test_timeout_ends_the_whole_group(tmp_path: Path, trap: str) -> None:
    pids = tmp_path / "pids"
    code = (
        "import os, signal, sys, time\n%s\n"
        "child = os.fork()\n"
        "if child: open(%r, 'w').write('%%d %%d\\n' %% (os.getpid(), child)); print('said', flush=True)\n"
        "time.sleep(60)" % (trap, str(pids))
    )
    started = time.monotonic()
    with pytest.raises(ProcessTimeout) as caught:
        run(python(code, timeout_s=1))
    assert time.monotonic() - started < 10
    assert caught.value.completed.out == "said\n"
    assert "1 s" in str(caught.value)
    assert all_end(wait_for_file(pids))


def test_background_child_that_keeps_the_output_open_is_not_waited_for(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = (
        "import os, time\n"
        "child = os.fork()\n"
        "if child: open(%r, 'w').write('%%d\\n' %% child); print('done', flush=True); os._exit(0)\n"
        "os.setsid(); time.sleep(30)" % str(pids)
    )
    started = time.monotonic()
    done = run(python(code))
    assert (done.returncode, done.out) == (0, "done\n")
    assert time.monotonic() - started < 3
    os.kill(int(wait_for_file(pids)), signal.SIGKILL)


def test_exception_from_a_signal_handler_ends_the_program(tmp_path: Path) -> None:
    """Ansible's ``timeout:`` keyword works this way."""
    pids = tmp_path / "pids"

    class TaskTimeout(BaseException):
        pass

    def give_up(*_: Any) -> None:
        raise TaskTimeout

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, 0.7)
    try:
        with pytest.raises(TaskTimeout):
            run(python("import os, time; open(%r, 'w').write('%%d\\n' %% os.getpid()); time.sleep(60)" % str(pids)))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert all_end(wait_for_file(pids))
