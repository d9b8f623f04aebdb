# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks one URL once, without being led anywhere else (private to the collection).

The name is resolved once and the connection goes to that very address, redirects are
answers and not followed, link-local and metadata addresses are refused, proxies of the
environment are not used, and size and time are bounded whatever the server does.
"""

from __future__ import annotations

import errno
import http.client
import ipaddress
import socket
import ssl
from typing import Any, Optional
from urllib.parse import SplitResult, urlsplit

from ._context import Clock
from ._errors import InvalidInput, PermanentError, TransientError
from ._gate.http_check import Answer, HttpCheck
from ._gate.url import port_of, refuse_address
from ._http_call import Call, Reply
from ._wire import Wire, resolve

_CUT = (http.client.RemoteDisconnected, http.client.IncompleteRead, ssl.SSLEOFError, ssl.SSLZeroReturnError)
_NO_ROUTE = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH)


class Unresolved(OSError):
    """The name of the host has no address."""


class Silent(OSError):
    """No address of the host let us connect in time."""


class Unusable(ValueError):
    """An answer came, with this ``status``, but not one that can be used."""

    def __init__(self, status: int, cause: str) -> None:
        super().__init__(cause)
        self.status = status


class Line:
    """Carries one request over a connection of its own. ``agent`` is the User-Agent under which servers see us."""

    def __init__(self, clock: Clock, agent: str) -> None:
        self._clock = clock
        self._agent = agent

    def send(self, call: Call, context: Optional[ssl.SSLContext]) -> Reply:
        """Return the answer, whatever its status.

        Raises Unresolved, Silent and Unusable, what sockets and http.client raise, and
        InvalidInput, which names ``call.option``, for an address that must not be asked.
        """
        deadline = self._clock.monotonic() + call.timeout_s
        url = urlsplit(call.url)
        try:
            addresses = resolve(url.hostname or "", port_of(url), call.timeout_s)
        except (OSError, UnicodeError) as error:
            raise Unresolved("%s does not resolve (%s)" % (url.hostname, error)) from error
        for address in addresses:
            _check_address(str(address[4][0]), call)
        raw = self._connect(addresses, deadline)
        if raw is None:
            raise Silent("no connection within %g s" % call.timeout_s)
        try:
            if context is not None:
                raw = context.wrap_socket(raw, server_hostname=url.hostname)
            return self._exchange(Wire(raw, self._clock, deadline), call, url)
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

    def _exchange(self, bounded: Wire, call: Call, url: SplitResult) -> Reply:
        connection = http.client.HTTPConnection(url.hostname or "", port_of(url))
        connection.sock = bounded
        headers = {"User-Agent": self._agent, "Accept-Encoding": "identity", "Connection": "close"}
        headers.update(call.headers)
        target = (url.path or "/") + ("?" + url.query if url.query else "")
        connection.request(call.method, target, headers=headers)
        response = connection.getresponse()
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Unusable(response.status, "the body is compressed although that was not asked for")
        body = response.read(call.max_body + 1)
        if len(body) > call.max_body:
            raise Unusable(response.status, "the body is larger than %d bytes" % call.max_body)
        if response.length:
            raise http.client.IncompleteRead(body, response.length)
        names = {name.lower() for name in response.headers}
        return Reply(response.status, {name: ", ".join(response.headers.get_all(name, [])) for name in names}, body)


class HttpProbe:
    """Asks URLs of an application: what goes wrong is part of the answer."""

    def __init__(self, clock: Clock, agent: str) -> None:
        self._line = Line(clock, agent)

    def ask(self, check: HttpCheck) -> Answer:
        """GET ``check.url`` within ``check.timeout_s``; every fault becomes part of the answer.

        Raises InvalidInput only for what the operator has to change: a forbidden address
        and an unusable ``ca_cert``.
        """
        context = trust(check.ca_cert, "http.ca_cert") if urlsplit(check.url).scheme == "https" else None
        call = Call(check.url, headers=check.headers, timeout_s=check.timeout_s, option="http.url")
        try:
            reply = self._line.send(call, context)
        except (Unresolved, Silent) as error:
            return Answer(fault=str(error), is_evidence=False)
        except ssl.SSLCertVerificationError as error:
            return Answer(fault="the certificate is not trusted: %s" % error.verify_message, is_evidence=False)
        except socket.timeout:
            return Answer(fault="no complete answer within %g s" % check.timeout_s)
        except Unusable as error:
            return Answer(error.status, fault=str(error))
        except (ssl.SSLError, http.client.HTTPException, ValueError) as error:
            return Answer(fault="not a usable answer (%s)" % (str(error)[:120] or type(error).__name__))
        except OSError as error:
            return Answer(fault=error.strerror or type(error).__name__)
        return Answer(reply.status, reply.body)


class HttpClient:
    """Asks services: what goes wrong is a typed error. ``verify`` is whether certificates are."""

    def __init__(self, clock: Clock, agent: str, ca_cert: str = "", verify: bool = True) -> None:
        self._line = Line(clock, agent)
        self._ca_cert = ca_cert
        self._verify = verify
        self._context: Optional[ssl.SSLContext] = None

    def ask(self, call: Call) -> Reply:
        """Return the answer, whatever its status.

        Raises TransientError (``unreachable``: nothing was sent; ``cut``, ``timeout``);
        PermanentError (``tls``, ``not_http``); InvalidInput.
        """
        url = urlsplit(call.url)
        try:
            return self._line.send(call, self._trusted() if url.scheme == "https" else None)
        except socket.timeout:
            cause, code = "no complete answer within %g s" % call.timeout_s, "timeout"
        except ssl.SSLCertVerificationError as error:
            hint = "For a private authority set ca_cert."
            raise PermanentError("trust", url.netloc, error.verify_message, hint, code="tls") from error
        except (http.client.HTTPException, ValueError, ssl.SSLError) as error:
            if not isinstance(error, _CUT):
                cause = "no usable answer (%s)" % (str(error)[:120] or type(error).__name__)
                raise PermanentError("ask", url.netloc, cause, code="not_http") from error
            cause, code = "the connection was cut", "cut"
        except OSError as error:
            is_away = isinstance(error, (Unresolved, Silent)) or error.errno in _NO_ROUTE
            cause, code = error.strerror or str(error) or type(error).__name__, "unreachable" if is_away else "cut"
        raise TransientError("ask", url.netloc, cause, code=code)

    def _trusted(self) -> ssl.SSLContext:
        """Return what is trusted; reading the system's authorities takes longer than a request."""
        self._context = self._context or trust(self._ca_cert, "ca_cert", self._verify)
        return self._context


def _check_address(text: str, call: Call) -> None:
    refuse_address(text, call.option)
    if call.is_local and not ipaddress.ip_address(text.split("%", 1)[0]).is_loopback:
        raise InvalidInput(call.option, "http is for this machine only, and %s is another one" % text, "Use https.")


def trust(ca_cert: str, option: str, verify: bool = True) -> ssl.SSLContext:
    """Return a context that also trusts ``ca_cert``, a PEM file, and verifies unless told otherwise.

    Raises InvalidInput, which names ``option``.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if ca_cert:
        try:
            context.load_verify_locations(cafile=ca_cert)
        except (OSError, ssl.SSLError) as error:
            raise InvalidInput(option, "%s cannot be used: %s" % (ca_cert, error)) from error
    return context
