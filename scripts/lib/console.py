# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows what is going on: runs a program with its output live, in a log, never silent."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Callable, Mapping, Optional, Sequence

#: After this many seconds without output a line tells what is running and for how long.
HEARTBEAT_S = 8.0

Show = Callable[[str], None]


def say(text: str = "") -> None:
    """Print one line at once, also into a pipe."""
    print(text, flush=True)


def quiet(text: str) -> None:
    """Drop a line of a program's output: only the heartbeat is shown."""


def indented(text: str) -> None:
    """Print a program's line so that it stands under the step it belongs to."""
    # Ansible calls every look that has to be repeated a failure: who searches the output for one finds waiting.
    say("    " + text.replace("FAILED - RETRYING:", "waiting:"))


def run(
    command: Sequence[str],
    what: str,
    *,
    log: Path,
    env: Optional[Mapping[str, str]] = None,
    cwd: Optional[Path] = None,
    show: Show = indented,
) -> int:
    """Run ``command`` with its output shown and logged; return its exit status.

    It reads nothing from the terminal. Ctrl-C ends the program and everything it started.
    """
    started = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        sink.write(("$ %s\n" % " ".join(map(str, command))).encode())
        sink.flush()
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            start_new_session=True,
        )
        try:
            assert process.stdout is not None  # noqa: S101  (stdout=PIPE)
            _relay(process, process.stdout, sink, show, what)
            status = process.wait()
        except BaseException:
            end(process)
            raise
        sink.write(("= exit status %d after %.1f s\n" % (status, time.monotonic() - started)).encode())
    return status


def _relay(process: subprocess.Popen[bytes], pipe: IO[bytes], sink: IO[bytes], show: Show, what: str) -> None:
    """Copy lines to screen and log until the program has ended or closed its output."""
    started = last = time.monotonic()
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            ready = selector.select(timeout=1.0)
            if ready:
                chunk = os.read(pipe.fileno(), 65536)
                if not chunk:
                    break
                sink.write(chunk)
                sink.flush()
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    show(line.decode(errors="replace").rstrip("\r"))
                if lines and show is not quiet:
                    last = time.monotonic()
            elif process.poll() is not None:
                break  # something it left behind keeps the pipe open: not waited for
            if time.monotonic() - last >= HEARTBEAT_S:
                last = time.monotonic()
                say("    ... %s: %d s so far" % (what, last - started))
    if pending:
        show(pending.decode(errors="replace"))


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program and its children: politely first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=10)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def follow(process: subprocess.Popen[bytes], log: Path, what: str) -> None:
    """Show what a program writes into its log, from its last lines on, until it has ended."""
    started = last = time.monotonic()
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 2000))
        pending = stream.read()
        while True:
            is_over = process.poll() is not None
            *lines, pending = (pending + stream.read()).split(b"\n")
            for line in lines:
                indented(line.decode(errors="replace"))
                last = time.monotonic()
            if is_over:
                return
            if time.monotonic() - last >= HEARTBEAT_S:
                last = time.monotonic()
                say("    ... %s: %d s so far" % (what, last - started))
            time.sleep(0.2)


def tail(log: Path, lines: int = 30) -> str:
    """Return the end of a log file."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


def fail(text: str) -> None:
    """End the command with a message for the operator."""
    sys.stdout.flush()
    print("error: " + text, file=sys.stderr, flush=True)
    raise SystemExit(1)
