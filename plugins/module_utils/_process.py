# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way this collection runs another program (private to the collection).

A command is a list, never a shell line. It gets its own session, so that it cannot ask
on the terminal and can be ended together with everything it started; it reads nothing
unless given input; its environment is exactly the one it is given. Everything happens in
the calling thread, so Ansible's ``timeout:`` (an exception from a signal handler) ends
the child like any other exception does.
"""

from __future__ import annotations

import errno
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import IO, Callable, Mapping, Optional, Sequence

from ._errors import NotFound, PermanentError, SlipwayError, TransientError
from ._output import OnLine, Output

MIB = 1024 * 1024
OnTick = Callable[[float], None]

_CHUNK = 65536
#: How soon the end of a program is noticed when a child of it keeps its output open.
_POLL_S = 0.1
_TICK_S = 0.5
#: How long a program may take to clean up (git removes its lock files) before SIGKILL.
_GRACE_S = 2.0
#: A background child (ssh's connection master) may keep a pipe open after the program
#: itself has ended: what it has not said within this time is not waited for.
_LINGER_S = 0.1


@dataclass(frozen=True)
class Command:
    """One program run.

    ``argv[0]`` is looked up in the PATH of ``env``. ``timeout_s`` is in seconds of
    monotonic time. ``max_bytes`` bounds what is held of each output stream: a run whose
    lines are listened to keeps the tail, any other run that says more is ended as an error.
    ``pass_fds`` are open file descriptors that the program inherits under the same numbers.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    timeout_s: float
    cwd: Optional[str] = None
    input: Optional[bytes] = None
    max_bytes: int = 16 * MIB
    pass_fds: Sequence[int] = ()

    @property
    def program(self) -> str:
        """The name for messages. Arguments are left out, for they may hold secrets."""
        return os.path.basename(self.argv[0])


@dataclass(frozen=True)
class Completed:
    """How a program ended: ``returncode`` is negative when a signal ended it."""

    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def out(self) -> str:
        """Standard output as text; bytes that are not UTF-8 are replaced."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def err(self) -> str:
        """Standard error as text; bytes that are not UTF-8 are replaced."""
        return self.stderr.decode("utf-8", "replace")


class ProcessTimeout(TransientError):
    """The program was ended because its time was over; ``completed`` is what it said."""

    code = "timeout"

    def __init__(self, command: Command, completed: Completed) -> None:
        super().__init__("run", command.program, "it did not end within %g s and was stopped" % command.timeout_s)
        self.completed = completed


def run(command: Command, on_line: Optional[OnLine] = None, on_tick: Optional[OnTick] = None) -> Completed:
    """Run a program to its end and return how it ended; the return code is not judged.

    ``on_line`` gets every line of both streams as it comes (a carriage return ends a
    line too). ``on_tick`` gets the elapsed seconds about twice a second.

    Raises NotFound (``command_not_found``, ``directory_not_found``), ProcessTimeout, and
    PermanentError (``not_executable``, ``output_too_large``, ``cannot_start``) or
    TransientError (``cannot_start``: the machine is out of processes or memory).
    """
    process = _start(command)
    try:
        return _Exchange(command, process, on_line, on_tick).run()
    finally:
        _end_group(process)


def _start(command: Command) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(command.argv),
            stdin=subprocess.DEVNULL if command.input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(command.env),
            cwd=command.cwd,
            bufsize=0,
            start_new_session=True,
            pass_fds=tuple(command.pass_fds),
        )
    except (OSError, ValueError) as exc:
        raise _start_error(command, exc) from exc


def _start_error(command: Command, exc: Exception) -> SlipwayError:
    if command.cwd is not None and not os.path.isdir(command.cwd):
        return NotFound(
            "run",
            command.program,
            "folder %s does not exist" % command.cwd,
            code="directory_not_found",
        )
    if isinstance(exc, FileNotFoundError):
        return NotFound(
            "run",
            command.program,
            "it is not installed or not in PATH",
            code="command_not_found",
        )
    if isinstance(exc, PermissionError):
        return PermanentError(
            "run",
            command.program,
            "%s may not be executed" % command.argv[0],
            code="not_executable",
        )
    if isinstance(exc, OSError) and exc.errno in (errno.EAGAIN, errno.ENOMEM):
        return TransientError("run", command.program, str(exc), code="cannot_start")
    return PermanentError("run", command.program, str(exc), code="cannot_start")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a program that still runs, with everything it started, and release its pipes."""
    try:
        if process.poll() is None:
            # SIGKILL also when the leader obeyed: a child of it may have ignored SIGTERM.
            for number in (signal.SIGTERM, signal.SIGKILL):
                _signal_group(process, number)
                try:
                    process.wait(_GRACE_S)
                except subprocess.TimeoutExpired:
                    pass
    finally:
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None and not pipe.closed:
                pipe.close()


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # it has ended, or became another user, which a signal of ours cannot reach


class _Exchange:
    """Feeds a running program and collects what it says, in one thread."""

    def __init__(
        self,
        command: Command,
        process: subprocess.Popen[bytes],
        on_line: Optional[OnLine],
        on_tick: Optional[OnTick],
    ) -> None:
        self._command = command
        self._process = process
        self._on_tick = on_tick
        self._outputs = {
            pipe: Output(command.max_bytes, on_line) for pipe in (process.stdout, process.stderr) if pipe is not None
        }
        self._unsent = memoryview(command.input or b"")
        self._selector = selectors.DefaultSelector()
        self._started = self._ticked = time.monotonic()

    def run(self) -> Completed:
        with self._selector:
            self._register()
            ended_at: Optional[float] = None
            while self._selector.get_map():
                self._transfer()
                if self._process.poll() is None:
                    self._tick()
                elif ended_at is None:
                    ended_at = time.monotonic()
                elif time.monotonic() - ended_at > _LINGER_S:
                    break
        for output in self._outputs.values():
            output.close()
        self._wait()
        return self._completed(self._process.returncode)

    def _register(self) -> None:
        for pipe in self._outputs:
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ)
        if self._process.stdin is not None:
            os.set_blocking(self._process.stdin.fileno(), False)
            self._selector.register(self._process.stdin, selectors.EVENT_WRITE)

    def _transfer(self) -> None:
        for key, _events in self._selector.select(_POLL_S):
            pipe: IO[bytes] = key.fileobj  # type: ignore[assignment]
            if pipe is self._process.stdin:
                self._write(pipe)
            else:
                self._read(pipe)

    def _write(self, pipe: IO[bytes]) -> None:
        try:
            sent = os.write(pipe.fileno(), self._unsent[:_CHUNK])
        except BrokenPipeError:
            # The program does not want the rest; its return code says whether that is bad.
            sent = len(self._unsent)
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._close(pipe)

    def _read(self, pipe: IO[bytes]) -> None:
        chunk = os.read(pipe.fileno(), _CHUNK)
        if chunk and self._outputs[pipe].add(chunk):
            return
        if chunk:
            raise PermanentError(
                "run",
                self._command.program,
                "it said more than %d MiB" % (self._command.max_bytes // MIB),
                code="output_too_large",
            )
        self._close(pipe)

    def _close(self, pipe: IO[bytes]) -> None:
        self._selector.unregister(pipe)
        pipe.close()

    def _tick(self) -> None:
        """Tell the elapsed time, and end the exchange when it is over."""
        now = time.monotonic()
        if now - self._started >= self._command.timeout_s:
            raise ProcessTimeout(self._command, self._completed(-signal.SIGTERM))
        if self._on_tick is not None and now - self._ticked >= _TICK_S:
            self._ticked = now
            self._on_tick(now - self._started)

    def _wait(self) -> None:
        """Wait for a program that closed its output before it ended."""
        while True:
            left_s = self._started + self._command.timeout_s - time.monotonic()
            try:
                self._process.wait(min(max(left_s, 0.0), _TICK_S))
                return
            except subprocess.TimeoutExpired:
                self._tick()

    def _completed(self, returncode: int) -> Completed:
        stdout, stderr = (output.kept() for output in self._outputs.values())
        return Completed(returncode, stdout, stderr)
