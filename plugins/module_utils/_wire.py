# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A socket on which no operation outlasts its time (private to the collection).

A timeout of a socket is for one read. A server that sends a byte now and then never meets
it, so what matters is one common deadline for everything that belongs to an exchange.
"""

from __future__ import annotations

import io
import ipaddress
import math
import queue
import socket
import threading
from typing import Any, Union

from ._context import Clock


class Wire:
    """What http.client uses of a socket. Closing is left to the owner of ``raw``.

    ``until`` (of the monotonic clock) ends everything, ``idle_s`` is the longest silence.
    Exceeding either raises ``socket.timeout``.
    """

    def __init__(self, raw: socket.socket, clock: Clock, until: float, idle_s: float = math.inf) -> None:
        self.raw = raw
        self.until = until
        self.idle_s = idle_s
        self._clock = clock

    def timed(self) -> socket.socket:
        """Return the socket, allowed to block as long as is left."""
        left_s = min(self.until - self._clock.monotonic(), self.idle_s)
        if left_s <= 0:
            raise socket.timeout("time is up")
        self.raw.settimeout(left_s)
        return self.raw

    def sendall(self, data: bytes) -> None:
        self.timed().sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """Do nothing: http.client closes early, while the body is still to be read."""


class _Reader(io.RawIOBase):
    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._wire.timed().recv_into(buffer)


def resolve(host: str, port: int, within_s: float) -> list[Any]:
    """Return the stream addresses of a host, as ``socket.getaddrinfo`` does, but in time.

    Raises OSError (``socket.timeout`` when the name servers stay silent), and UnicodeError
    for what cannot be a host name. The system's call cannot be interrupted, so a name is
    looked up in a thread that is left behind when it takes too long.
    """
    if _is_address(host):
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    answers: queue.Queue[Union[list[Any], Exception]] = queue.Queue()

    def ask() -> None:
        try:
            answers.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=max(0.0, within_s))
    except queue.Empty:
        raise socket.timeout("no answer from the name servers") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
