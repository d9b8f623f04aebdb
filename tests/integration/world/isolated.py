# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a command in a network namespace from which nothing can be reached but what is named.

Usage: ``isolated.py PORT=SOCKET [PORT=SOCKET ...] -- COMMAND [ARGUMENT ...]``

Inside, a connection to ``127.0.0.1:PORT`` ends at the Unix socket, which lies in the file
system and so leads out. There is no other way: the namespace has a loopback and no route.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Callable

_CLONE_NEWNET = 0x40000000
Connect = Callable[[], socket.socket]


def relay(listener: socket.socket, connect: Connect) -> None:
    """Pass on what arrives at ``listener`` until it is closed, in threads of its own."""

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one side has gone; the other pump sees it too

    def serve(near: socket.socket) -> None:
        with near, connect() as far:
            back = threading.Thread(target=pump, args=(far, near), daemon=True)
            back.start()
            pump(near, far)
            back.join()

    def accept() -> None:
        while True:
            try:
                near, _address = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(near,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def way_out(path: Path, host: str, port: int) -> socket.socket:
    """Listen on a Unix socket that leads to an address; close the result to end it."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    relay(listener, lambda: socket.create_connection((host, port), timeout=30))
    return listener


def _to(path: str) -> Connect:
    def connect() -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        made.connect(path)
        return made

    return connect


def main(arguments: list[str]) -> int:
    """Isolate this process, open the ways out, run the command; return its status."""
    separator = arguments.index("--")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        sys.exit("no network namespace of its own: %s" % os.strerror(ctypes.get_errno()))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)
    for way in arguments[:separator]:
        port, _equals, path = way.partition("=")
        relay(socket.create_server(("127.0.0.1", int(port))), _to(path))
    return subprocess.run(arguments[separator + 1 :], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
