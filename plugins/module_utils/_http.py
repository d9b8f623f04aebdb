# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks one URL once, without being led anywhere else (private to the collection).

The name is resolved once and the connection goes to that very address, redirects are
answers and not followed, link-local and metadata addresses are refused, proxies of the
environment are not used, and size and time are bounded whatever the server does.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import Any, Optional
from urllib.parse import SplitResult, urlsplit

from ._context import Clock
from ._errors import InvalidInput
from ._gate.http_check import Answer, HttpCheck
from ._gate.url import port_of, refuse_address
from ._wire import Wire, resolve

MAX_BODY = 1024 * 1024


class HttpProbe:
    """Asks URLs. ``agent`` is the User-Agent under which servers see us."""

    def __init__(self, clock: Clock, agent: str) -> None:
        self._clock = clock
        self._agent = agent

    def ask(self, check: HttpCheck) -> Answer:
        """GET ``check.url`` within ``check.timeout_s``; every fault becomes part of the answer.

        Raises InvalidInput only for what the operator has to change: a forbidden address
        and an unusable ``ca_cert``.
        """
        deadline = self._clock.monotonic() + check.timeout_s
        url = urlsplit(check.url)
        context = _tls(check.ca_cert) if url.scheme == "https" else None
        try:
            addresses = resolve(url.hostname or "", port_of(url), check.timeout_s)
        except (OSError, UnicodeError) as error:
            return Answer(fault="%s does not resolve (%s)" % (url.hostname, error), is_evidence=False)
        for address in addresses:
            refuse_address(str(address[4][0]))
        try:
            return self._ask_at(addresses, context, check, deadline)
        except ssl.SSLCertVerificationError as error:
            return Answer(fault="the certificate is not trusted: %s" % error.verify_message, is_evidence=False)
        except socket.timeout:
            return Answer(fault="no complete answer within %g s" % check.timeout_s)
        except (ssl.SSLError, http.client.HTTPException, ValueError) as error:
            return Answer(fault="not a usable answer (%s)" % (str(error)[:120] or type(error).__name__))
        except OSError as error:
            return Answer(fault=error.strerror or type(error).__name__)

    def _ask_at(
        self, addresses: list[Any], context: Optional[ssl.SSLContext], check: HttpCheck, deadline: float
    ) -> Answer:
        url = urlsplit(check.url)
        raw = self._connect(addresses, deadline)
        if raw is None:
            return Answer(fault="no connection within %g s" % check.timeout_s, is_evidence=False)
        try:
            if context is not None:
                raw = context.wrap_socket(raw, server_hostname=url.hostname)
            return self._exchange(Wire(raw, self._clock, deadline), check, url)
        finally:
            raw.close()

    def _connect(self, addresses: list[Any], deadline: float) -> Optional[socket.socket]:
        """Connect to the first address that accepts; None when the network stays silent."""
        refusal: Optional[OSError] = None
        for family, kind, protocol, _name, address in addresses:
            raw = socket.socket(family, kind, protocol)
            try:
                raw.settimeout(max(0.001, deadline - self._clock.monotonic()))
                raw.connect(address)
                return raw
            except socket.timeout:
                raw.close()
            except OSError as error:
                raw.close()
                refusal = error
        if refusal is not None:
            raise refusal
        return None

    def _exchange(self, bounded: Wire, check: HttpCheck, url: SplitResult) -> Answer:
        connection = http.client.HTTPConnection(url.hostname or "", port_of(url))
        connection.sock = bounded
        headers = {"User-Agent": self._agent, "Accept-Encoding": "identity", "Connection": "close"}
        headers.update(check.headers)
        target = (url.path or "/") + ("?" + url.query if url.query else "")
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            return Answer(response.status, fault="the body is compressed although that was not asked for")
        body = response.read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            return Answer(response.status, fault="the body is larger than %d bytes" % MAX_BODY)
        return Answer(response.status, body)


def _tls(ca_cert: str) -> ssl.SSLContext:
    """Return a verifying context that also trusts ``ca_cert``, a PEM file."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_cert:
        try:
            context.load_verify_locations(cafile=ca_cert)
        except (OSError, ssl.SSLError) as error:
            raise InvalidInput("http.ca_cert", "%s cannot be used: %s" % (ca_cert, error)) from error
    return context
