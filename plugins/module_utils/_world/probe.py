# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a program whether it is ready (private to the collection)."""

from __future__ import annotations

import http.client
import socket
import ssl
from urllib.parse import urlsplit

from .._errors import SlipwayError
from .host import Host
from .model import Ready

_TIMEOUT_S = 3.0


class Probe:
    """Readiness of a program, seen from this machine."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def cause(self, ready: Ready) -> str:
        """Return why the program is not ready, or nothing when it is. The command, which costs most, comes last."""
        try:
            if ready.socket:
                self._connect(ready.socket)
            if ready.url:
                cause = self._ask(ready.url, ready.ca_cert)
                if cause:
                    return cause
            if ready.command:
                done = self._host.attempt(*ready.command, timeout_s=10.0)
                return "" if done.returncode == 0 else (done.err or done.out).strip()[-300:]
        except (OSError, http.client.HTTPException, SlipwayError) as error:
            return str(error)
        return ""

    def _connect(self, path: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(_TIMEOUT_S)
            client.connect(path)

    def _ask(self, url: str, ca_cert: str | None) -> str:
        parts = urlsplit(url)
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=ca_cert)
            connection = http.client.HTTPSConnection(
                parts.hostname or "", parts.port, timeout=_TIMEOUT_S, context=context
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", parts.path or "/")
            status = connection.getresponse().status
            return "" if status == 200 else "%s answers with status %d" % (url, status)
        finally:
            connection.close()
