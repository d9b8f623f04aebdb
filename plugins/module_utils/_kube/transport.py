# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One keep-alive connection to one API server (private to the collection).

On the standard library alone: importing ``http.client`` costs 4 ms in Ansible's process,
the ``kubernetes`` package 100 to 200 ms.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from typing import Mapping, Optional
from urllib.parse import urlsplit

from .._context import Clock
from .._errors import InvalidInput, PermanentError, SlipwayError, TransientError
from .._wire import Wire, resolve
from .kubeconfig import KubeSettings
from .tls import tls_context

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0
#: A peer that vanished without a word (a lost node, a firewall that forgot us) is found out
#: after 30 s by these: seconds of silence, seconds between probes, probes.
_KEEPALIVE = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))


class Connection:
    """A connection that is opened on first use and again after a failure.

    One thread uses it; any other may call :meth:`interrupt`.
    """

    def __init__(self, settings: KubeSettings, clock: Clock) -> None:
        self._host, self._port, self._secure, self._prefix = _parts(settings)
        if settings.proxy:
            raise InvalidInput("kubeconfig", "%s sets proxy-url, which is not supported" % settings.source)
        self._settings = settings
        self._clock = clock
        self._tls = tls_context(settings) if self._secure else None
        self._raw: Optional[socket.socket] = None
        self._wire: Optional[Wire] = None
        self._http: Optional[http.client.HTTPConnection] = None
        self._lock = threading.Lock()
        self._is_interrupted = False
        self.is_reused = False

    @property
    def address(self) -> str:
        """Host and port, for messages."""
        return ("[%s]:%d" if ":" in self._host else "%s:%d") % (self._host, self._port)

    def send(
        self, method: str, path: str, body: Optional[bytes], headers: Mapping[str, str], within_s: float
    ) -> http.client.HTTPResponse:
        """Send one request and return the response, its body unread; both take ``within_s`` at most.

        Raises TransientError with code ``unreachable`` when nothing was sent, and with code
        ``cut`` when the request may have arrived; PermanentError ``tls`` when one side does
        not trust the other.
        """
        until = self._clock.monotonic() + within_s
        connection, wire = self._http, self._wire
        # http.client drops the socket when the server announces that it closes the connection.
        self.is_reused = connection is not None and connection.sock is not None
        try:
            if connection is None or wire is None or not self.is_reused:
                self.close()
                connection, wire = self._open(until)
            wire.until, wire.idle_s = until, READ_TIMEOUT_S
            connection.request(method, self._prefix + path, body=body, headers=dict(headers))
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._cut(error) from error

    def allow(self, idle_s: float) -> None:
        """Let the body that is being read go on for ever, as long as no silence exceeds ``idle_s``."""
        if self._wire is not None:
            self._wire.until, self._wire.idle_s = float("inf"), idle_s

    def close(self) -> None:
        """Close; the next request opens a new connection."""
        with self._lock:
            raw, self._raw, self._wire, self._http = self._raw, None, None, None
            if raw is not None:
                raw.close()

    def interrupt(self) -> None:
        """Let the thread that uses the connection run into an error, now and in every later request.

        Only that thread closes the socket: its number would be given to the next socket of
        this process, from which the thread would then go on reading.
        """
        with self._lock:
            self._is_interrupted = True
            if self._raw is not None:
                try:
                    self._raw.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # already gone, which is what was wanted

    def _open(self, until: float) -> tuple[http.client.HTTPConnection, Wire]:
        """Connect. Raises SlipwayErrors only."""
        try:
            raw = self._dial(min(until, self._clock.monotonic() + CONNECT_TIMEOUT_S))
        except ssl.SSLError as error:
            raise self._distrust(error) from error
        except UnicodeError as error:
            raise InvalidInput("host", "'%s' is not the name of a host" % self._host) from error
        except OSError as error:
            cause = "%s does not answer (%s)" % (self.address, error.strerror or str(error) or type(error).__name__)
            raise self._unreachable(cause) from error
        wire = Wire(raw, self._clock, until)
        # Port always given: without it, the end of an IPv6 address would be taken for one.
        connection = http.client.HTTPConnection(self._host, self._port)
        connection.auto_open = 0  # by itself it would connect again without TLS and show the token
        connection.sock = wire
        self._http, self._wire = connection, wire
        return connection, wire

    def _dial(self, until: float) -> socket.socket:
        left_s = until - self._clock.monotonic()
        refusal: OSError = socket.timeout("timed out")
        for *_kind, address in resolve(self._host, self._port, left_s):
            left_s = until - self._clock.monotonic()
            if left_s <= 0:
                break
            try:
                return self._greet(socket.create_connection(address[:2], left_s))
            except ssl.SSLError:
                raise
            except OSError as error:
                refusal = error
        raise refusal

    def _greet(self, raw: socket.socket) -> socket.socket:
        """Set up a fresh connection and shake hands."""
        self._raw = raw  # from here on it can be interrupted
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEPALIVE:
                if hasattr(socket, name):
                    raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
            if self._tls:
                self._raw = raw = self._tls.wrap_socket(raw, server_hostname=self._settings.server_name or self._host)
            if self._is_interrupted:
                raise OSError("interrupted")
        except BaseException:
            self.close()
            raise
        return raw

    def _distrust(self, error: ssl.SSLError) -> SlipwayError:
        """Return what a failed handshake means: distrust, or no server at all."""
        if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)):
            return self._unreachable("%s ended the TLS handshake" % self.address)
        if isinstance(error, ssl.SSLCertVerificationError):
            cause, hint = error.verify_message, "Check ca_cert."
        else:
            cause = "TLS failed: %s" % (error.reason or type(error).__name__).lower().replace("_", " ")
            hint = "Check that the port speaks TLS, and that it accepts the client certificate, if there is one."
        return PermanentError("trust", "the API server " + self.address, cause, hint, code="tls")

    def _unreachable(self, cause: str) -> TransientError:
        hint = "Check that the cluster runs and that kubeconfig names the right server."
        return TransientError("reach", "the Kubernetes API", cause, hint, code="unreachable")

    def _cut(self, error: Exception) -> SlipwayError:
        if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
            return self._distrust(error)  # since TLS 1.3 a client certificate is refused after the handshake
        cause = "the connection to %s was cut (%s)" % (self.address, type(error).__name__)
        return TransientError("call", "the Kubernetes API", cause, code="cut")


def _parts(settings: KubeSettings) -> tuple[str, int, bool, str]:
    """Return host, port, whether TLS is used, and path prefix of the server's URL."""
    text = settings.server
    try:
        url = urlsplit(text if "//" in text else "https://" + text)
        port = url.port
    except ValueError as error:
        raise InvalidInput("host", "'%s' is not the URL of an API server" % text.rpartition("@")[2]) from error
    if url.scheme not in ("https", "http") or not url.hostname or url.query or url.username is not None:
        hint = "Credentials do not belong into it." if url.username is not None else ""
        raise InvalidInput("host", "'%s' is not the URL of an API server" % text.rpartition("@")[2], hint)
    return url.hostname, port or (443 if url.scheme == "https" else 80), url.scheme == "https", url.path.rstrip("/")
