# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Begins, finds and asks the processes of port-forwards (private to the collection)."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import time
from typing import Iterable, Mapping, Optional, Sequence

from .._errors import NotFound, PermanentError
from .._world.model import MARKER
from .._world.processes import Process, look, marked

#: What a broken way answers at once and a working one never does: the end of the connection.
_SILENCE_S = 0.5


class Keeper:
    """The processes of port-forwards and the ports that they hold."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = dict(env)

    def program(self, name: str) -> str:
        """Return the path of a program. Raises NotFound."""
        found = shutil.which(name, path=self._env.get("PATH", os.defpath))
        if found is None:
            hint = "Install it, or name its path in the option 'kubectl'."
            raise NotFound("run", name, "it is not installed or not in PATH", hint, code="command_not_found")
        return os.path.abspath(found)

    def running(self, path: str) -> dict[str, list[Process]]:
        """Return what runs of the folder ``path``, by name of the port-forward."""
        found = marked(path + "/")
        return {mark[len(path) + 1 :]: processes for mark, processes in found.items()}

    def begin(self, command: Sequence[str], mark: str, log_path: str) -> Optional[Process]:
        """Start a program that outlives this run; return it, or None when it has ended already."""
        log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            process = subprocess.Popen(
                list(command),
                env={**self._env, MARKER: mark},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        except OSError as error:
            raise PermanentError("start", command[0], error.strerror or str(error), code="cannot_start") from error
        finally:
            os.close(log)
        begun = look(process.pid)
        process.returncode = 0  # nobody waits for it: it is left running on purpose
        return begun

    def is_alive(self, process: Process) -> bool:
        """Tell whether exactly this process still runs."""
        now = look(process.pid)
        return now is not None and now.started == process.started

    def silent(self, endpoints: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
        """Return those of ``endpoints`` behind which nobody is: refused, or ended without a word."""
        dead: set[tuple[str, int]] = set()
        opened: dict[socket.socket, tuple[str, int]] = {}
        try:
            for endpoint in endpoints:
                try:
                    opened[socket.create_connection(endpoint, timeout=2.0)] = endpoint
                except OSError:
                    dead.add(endpoint)
            dead |= _ended(opened)
        finally:
            for client in opened:
                client.close()
        return dead


def _ended(opened: Mapping[socket.socket, tuple[str, int]]) -> set[tuple[str, int]]:
    """Return where the other side hangs up although nothing was said."""
    waiting, dead = dict(opened), set()
    deadline = time.monotonic() + _SILENCE_S
    while waiting and time.monotonic() < deadline:
        for client in select.select(list(waiting), [], [], max(0.0, deadline - time.monotonic()))[0]:
            endpoint = waiting.pop(client)
            try:
                if not client.recv(1, socket.MSG_PEEK):
                    dead.add(endpoint)
            except OSError:
                dead.add(endpoint)
    return dead
