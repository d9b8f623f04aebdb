# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads over HTTP, to a file, with a digest (private to the collection).

Says exactly why a download did not work, because the next step depends on it: an
unreachable host is not asked again, a cut connection is, a missing file never is.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import ssl
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Mapping
from urllib.parse import urlsplit

from .._context import Clock
from .._errors import NotFound, PermanentError, SlipwayError, TransientError

_CHUNK = 1024 * 1024
#: Seconds to wait for a connection, and between two pieces of data.
_CONNECT_S = 5.0
_READ_S = 30.0
_TEXT_LIMIT = 1024 * 1024

OnBytes = Callable[[int, int], None]


class UnreachableError(TransientError):
    """The host does not answer at all: no name, no route, no connection, no proxy.

    ``resource`` is the host, with its port if the address has one.
    """

    code = "unreachable"


class Fetcher:
    """Reads addresses with the proxies and certificate authorities of the task's environment.

    ``timeout_s`` is the time in seconds for one whole download.
    """

    def __init__(self, env: Mapping[str, str], clock: Clock, timeout_s: float) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._env = env

    def text(self, url: str) -> str:
        """Return a short text. Raises as :meth:`to_file` does."""
        with _translated(url), self._open(url) as response:
            body: bytes = response.read(_TEXT_LIMIT)
            return body.decode("utf-8", "replace")

    def to_file(self, url: str, path: str, on_bytes: OnBytes) -> str:
        """Stream ``url`` to a new file, force it to disk and return its SHA-256.

        ``on_bytes`` gets the bytes so far and in all (0: unknown). A file that did not
        come whole is removed. Raises UnreachableError; NotFound; TransientError
        (``connection_cut``, ``http_status``, ``timeout``: worth another try);
        PermanentError (``tls``, ``refused``).
        """
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            with _translated(url), self._open(url) as response, open(path, "xb") as file:
                digest = self._copy(response, file, url, on_bytes)
                file.flush()
                os.fsync(file.fileno())
                return digest
        except BaseException:
            if os.path.exists(path):
                os.unlink(path)
            raise

    def _copy(self, response: Any, file: Any, url: str, on_bytes: OnBytes) -> str:
        digest = hashlib.sha256()
        expected = int(response.headers.get("Content-Length") or 0)
        deadline = self._clock.monotonic() + self._timeout_s
        done = 0
        while True:
            chunk = response.read1(_CHUNK)
            if not chunk:
                break
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            on_bytes(done, expected)
            if self._clock.monotonic() > deadline:
                raise _failure(url, "it took longer than %g s" % self._timeout_s, "timeout")
        if done < expected:
            raise _cut(url, "%d of %d bytes came" % (done, expected))
        return digest.hexdigest()

    def _open(self, url: str) -> Any:
        request = urllib.request.Request(url, headers={"User-Agent": "slipway.gitops"})  # noqa: S310  (http and https)
        return self._opener().open(request, timeout=_CONNECT_S)

    def _opener(self) -> urllib.request.OpenerDirector:
        opener = urllib.request.OpenerDirector()
        for handler in (
            _EnvironmentProxies(self._env),
            _Web(self._env),
            urllib.request.HTTPRedirectHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.UnknownHandler(),
        ):
            opener.add_handler(handler)
        return opener


class _Web(urllib.request.AbstractHTTPHandler):
    """Gives up soon on a host that does not answer, but lets a slow one send its data."""

    def __init__(self, env: Mapping[str, str]) -> None:
        super().__init__()
        self._env = env

    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(self._plain, request)

    def https_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(self._secure, request)

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_

    def _plain(self, host: str, **options: Any) -> http.client.HTTPConnection:
        return self._patient(http.client.HTTPConnection(host, **options))

    def _secure(self, host: str, **options: Any) -> http.client.HTTPConnection:
        return self._patient(http.client.HTTPSConnection(host, context=self._trust(host), **options))

    def _patient(self, connection: http.client.HTTPConnection) -> http.client.HTTPConnection:
        connect = connection.connect

        def connect_then_wait() -> None:
            connect()
            connection.sock.settimeout(_READ_S)

        connection.connect = connect_then_wait  # type: ignore[method-assign]
        return connection

    def _trust(self, host: str) -> ssl.SSLContext:
        context = ssl.create_default_context()
        file, folder = self._env.get("SSL_CERT_FILE"), self._env.get("SSL_CERT_DIR")
        try:
            if file or folder:
                context.load_verify_locations(file or None, folder or None)
        except OSError as error:
            cause = "SSL_CERT_FILE or SSL_CERT_DIR cannot be read (%s)" % _text(error)
            raise PermanentError("trust", host, cause, code="tls") from error
        return context


class _EnvironmentProxies(urllib.request.ProxyHandler):
    """Proxies of the task's environment, which the process environment may not show."""

    def __init__(self, env: Mapping[str, str]) -> None:
        lower = {name.lower(): value for name, value in env.items()}
        proxies = {scheme: lower[scheme + "_proxy"] for scheme in ("http", "https") if lower.get(scheme + "_proxy")}
        self._direct = lower.get("no_proxy", "")
        super().__init__(proxies)

    def proxy_open(self, req: urllib.request.Request, proxy: str, type: str) -> Any:  # noqa: A002  (urllib's name)
        bypass = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
        if bypass(req.host, {"no": self._direct}):
            return None
        return super().proxy_open(req, proxy, type)


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turn what urllib raises into the errors that :meth:`Fetcher.to_file` promises."""
    try:
        yield
    except urllib.error.HTTPError as error:
        raise _status_error(url, error.code) from error
    except urllib.error.URLError as error:
        raise _connect_error(url, error.reason) from error
    except (http.client.HTTPException, ConnectionError, socket.timeout, ssl.SSLError) as error:
        raise _cut(url, _text(error)) from error
    except OSError as error:
        raise PermanentError("store", url, _text(error), code="disk") from error


def _status_error(url: str, status: int) -> SlipwayError:
    if status in (404, 410):
        return NotFound("download", url, "HTTP %d" % status)
    if status == 429 or status >= 500:
        return _failure(url, "HTTP %d" % status, "http_status")
    return PermanentError("download", url, "HTTP %d" % status, code="refused")


def _connect_error(url: str, reason: Any) -> SlipwayError:
    if isinstance(reason, ssl.SSLCertVerificationError):
        cause = "its certificate is not trusted (%s)" % reason.verify_message
        return PermanentError("download", url, cause, code="tls")
    if isinstance(reason, (ConnectionResetError, BrokenPipeError)):
        return _cut(url, _text(reason))
    if isinstance(reason, (OSError, str)):
        return UnreachableError("reach", urlsplit(url).netloc, "the host does not answer (%s)" % _text(reason))
    return PermanentError("download", url, _text(reason), code="refused")


def _text(error: Any) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _cut(url: str, detail: str) -> TransientError:
    return _failure(url, "the connection was cut (%s)" % detail, "connection_cut")


def _failure(url: str, cause: str, code: str) -> TransientError:
    return TransientError("download", url, cause, code=code)
