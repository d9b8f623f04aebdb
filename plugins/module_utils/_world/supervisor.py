# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process supervisor of a world, spoken to over its socket (private to the collection).

The programs are kept by ``supervisord``. Its own command line client costs a Python start
per question; this asks the same XML-RPC interface directly.
"""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from typing import Any, Optional

from .._errors import PermanentError, TransientError

_TIMEOUT_S = 30.0


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _SocketTransport(xmlrpc.client.Transport):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:  # noqa: ARG002 (the base class gives it)
        return _SocketConnection(self._path)


class Supervisor:
    """A running ``supervisord``.

    Methods raise TransientError (``supervisor_unreachable``) when nobody answers and
    PermanentError (``supervisor_refused``) when it refuses.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        proxy = xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=_SocketTransport(path))
        self._rpc = proxy.supervisor

    def pid(self) -> Optional[int]:
        """Return its process id, or None when nobody answers on the socket."""
        try:
            return int(self._call("getPID"))
        except TransientError:
            return None

    def states(self) -> dict[str, dict[str, Any]]:
        """Return what it says about each program, by name (``statename``, ``pid``, ``spawnerr``)."""
        return {info["name"]: info for info in self._call("getAllProcessInfo")}

    def reload(self) -> tuple[set[str], set[str], set[str]]:
        """Read the configuration again; return the programs that are new, changed and gone."""
        added, changed, removed = self._call("reloadConfig")[0]
        return set(added), set(changed), set(removed)

    def add(self, name: str) -> None:
        """Take up a program; it is started at once."""
        self._call("addProcessGroup", name)

    def start(self, name: str) -> None:
        """Start a program that has stopped, without waiting for it."""
        self._call("startProcess", name, False)

    def remove(self, name: str) -> None:
        """Stop a program, wait for its end, and forget it."""
        self._call("stopProcessGroup", name)
        self._call("removeProcessGroup", name)

    def stop(self, name: str) -> None:
        """Stop a program and wait for its end."""
        self._call("stopProcess", name)

    def shutdown(self) -> None:
        """Stop all programs and the supervisor itself; returns before that is done."""
        self._call("shutdown")

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self._rpc, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            raise PermanentError(
                "ask",
                "the supervisor to %s %s" % (method, " ".join(map(str, arguments))),
                fault.faultString,
                code="supervisor_refused",
            ) from fault
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise TransientError(
                "reach", "the supervisor at %s" % self._path, str(error), code="supervisor_unreachable"
            ) from error
