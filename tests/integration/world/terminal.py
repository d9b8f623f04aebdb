# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs at a pseudo terminal, as a person meets them."""

from __future__ import annotations

import os
import pty
import select
import signal
import termios
import time
from typing import Mapping, Sequence

#: What says that a build server runs a program, and no person.
_MARKS = ("CI", "JOB_ID")


def unmarked(env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without a build server's marks."""
    return {name: value for name, value in env.items() if name not in _MARKS}


class Terminal:
    """A process at a pseudo terminal of its own, whose foreground it is, without a build server's marks."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], silence_s: float = 20) -> None:
        """Start it; it hangs when it says nothing for ``silence_s``."""
        self.seen = b""
        self._position = 0
        self._silence_s = silence_s
        settings = unmarked(env)
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.execve(command[0], list(command), settings)  # noqa: S606  (no shell is wanted)

    @property
    def text(self) -> str:
        """What it has said so far."""
        return self.seen.decode("utf-8", "replace")

    def wait_for(self, text: bytes) -> None:
        """Read until ``text`` has come, after what was waited for before."""
        while text not in self.seen[self._position :]:
            assert self._read(), "it ended before %r: %s" % (text, self.text)
        self._position = self.seen.index(text, self._position) + len(text)

    def type(self, keys: bytes) -> None:
        """Press keys once the question reads them: raw mode, then what was typed before is thrown away."""
        until = time.monotonic() + self._silence_s
        while termios.tcgetattr(self._terminal)[3] & termios.ICANON:
            if time.monotonic() > until:
                self._give_up("it does not read keys")
            time.sleep(0.01)
        time.sleep(0.1)  # nothing shows that it was thrown away
        os.write(self._terminal, keys)

    def end(self) -> int:
        """Read to the end and return the exit status."""
        while self._read():
            pass
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _read(self) -> bool:
        ready, _write, _except = select.select([self._terminal], [], [], self._silence_s)
        if not ready:
            self._give_up("it hangs")
        try:
            chunk = os.read(self._terminal, 65536)
        except OSError:  # the other side is closed
            return False
        self.seen += chunk
        return bool(chunk)

    def _give_up(self, why: str) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        raise AssertionError("%s: %s" % (why, self.text))


def answered(command: Sequence[str], env: Mapping[str, str], *answers: str) -> tuple[int, str]:
    """Run playbooks that ask for confirmations, type one answer after another, and return status and output."""
    terminal = Terminal(command, env, silence_s=90)
    for answer in answers:
        terminal.wait_for(b"declines.")
        terminal.type(answer.encode() + b"\r")
    return terminal.end(), terminal.text
