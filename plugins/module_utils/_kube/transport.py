# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One keep-alive connection to one API server (private to the collection).

On the standard library alone: importing ``http.client`` costs 4 ms in Ansible's process,
the ``kubernetes`` package 100 to 200 ms.
"""

from __future__ import annotations

import base64
import http.client
import os
import socket
import ssl
import tempfile
from typing import Mapping, Optional
from urllib.parse import urlsplit

from .._errors import InvalidInput, PermanentError, TransientError
from .auth import read_text
from .kubeconfig import KubeSettings

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0


def tls_context(settings: KubeSettings) -> ssl.SSLContext:
    """Return a TLS context that trusts the cluster's own authority only, where one is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif settings.ca_data:
        context.load_verify_locations(cadata=_decoded(settings.ca_data, settings.source).decode("ascii", "replace"))
    elif settings.ca_file:
        context.load_verify_locations(cadata=read_text(settings.ca_file, "ca_cert"))
    else:
        context.load_default_certs()
    if settings.cert_data or settings.cert_file:
        _load_client_certificate(context, settings)
    return context


def _decoded(data: str, source: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except ValueError as error:
        raise InvalidInput("kubeconfig", "%s holds certificate data that is not base64" % source) from error


def _load_client_certificate(context: ssl.SSLContext, settings: KubeSettings) -> None:
    """Load certificate and key; OpenSSL takes files only, so data goes through a private file, removed at once."""
    cert = _decoded(settings.cert_data, settings.source) if settings.cert_data else None
    key = _decoded(settings.key_data, settings.source) if settings.key_data else None
    handle, path = tempfile.mkstemp(prefix="slipway-")
    try:
        with os.fdopen(handle, "wb") as private:
            private.write(cert or read_text(settings.cert_file, "client_cert").encode())
            private.write(b"\n")
            private.write(key or read_text(settings.key_file, "client_key").encode())
        context.load_cert_chain(path)
    except ssl.SSLError as error:
        raise InvalidInput("client_cert", "certificate and key are not usable: %s" % error.reason) from error
    finally:
        os.unlink(path)


class Connection:
    """A connection that is opened on first use and again after a failure. Not thread-safe."""

    def __init__(self, settings: KubeSettings) -> None:
        url = urlsplit(settings.server if "//" in settings.server else "https://" + settings.server)
        if url.scheme not in ("https", "http") or not url.hostname or url.query or url.username:
            raise InvalidInput("host", "'%s' is not the URL of an API server" % settings.server)
        if settings.proxy:
            raise InvalidInput("kubeconfig", "%s sets proxy-url, which is not supported" % settings.source)
        self.prefix = url.path.rstrip("/")
        self.address = "%s:%d" % (url.hostname, url.port or (443 if url.scheme == "https" else 80))
        self._host, self._port, self._secure = url.hostname, url.port, url.scheme == "https"
        self._settings = settings
        self._tls = tls_context(settings) if self._secure else None
        self._http: Optional[http.client.HTTPConnection] = None
        self.is_reused = False

    def send(
        self, method: str, path: str, body: Optional[bytes], headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        """Send one request and return the response, its body unread.

        Raises TransientError with code ``unreachable`` when nothing was sent, and with code
        ``cut`` when the request may have arrived; PermanentError ``tls`` for a bad certificate.
        """
        self.is_reused = self._http is not None
        connection = self._http or self._open()
        try:
            connection.request(method, self.prefix + path, body=body, headers=dict(headers))
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            cause = "the connection to %s was cut (%s)" % (self.address, type(error).__name__)
            raise TransientError("call", "the Kubernetes API", cause, code="cut") from error

    def _open(self) -> http.client.HTTPConnection:
        try:
            raw = socket.create_connection((self._host, self._port or (443 if self._secure else 80)), CONNECT_TIMEOUT_S)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                raw = self._tls.wrap_socket(raw, server_hostname=self._settings.server_name or self._host)
            raw.settimeout(READ_TIMEOUT_S)
        except ssl.SSLCertVerificationError as error:
            raise PermanentError(
                "trust", "the API server " + self.address, error.verify_message, "Check ca_cert.", code="tls"
            ) from error
        except OSError as error:
            cause = "%s does not answer (%s)" % (self.address, error.strerror or type(error).__name__)
            hint = "Check that the cluster runs and that kubeconfig names the right server."
            raise TransientError("reach", "the Kubernetes API", cause, hint, code="unreachable") from error
        self._http = http.client.HTTPConnection(self._host, self._port)
        self._http.sock = raw
        return self._http

    def limit(self, seconds: float) -> None:
        """Set how long one read may block, in seconds."""
        if self._http is not None and self._http.sock is not None:
            self._http.sock.settimeout(seconds)

    def close(self) -> None:
        """End the connection; another thread blocked in a read gets an error."""
        connection, self._http = self._http, None
        if connection is not None:
            if connection.sock is not None:
                try:
                    connection.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # already gone, which is what was wanted
            connection.close()
