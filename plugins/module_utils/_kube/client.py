# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes API as a port: raw objects in and out (private to the collection)."""

from __future__ import annotations

import http.client
import json
import random
from typing import Any, Iterator, Mapping, NamedTuple, Optional

from .._context import Backoff, Clock
from .._errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    PermanentError,
    SlipwayError,
    TransientError,
)
from .auth import read_text
from .kubeconfig import KubeSettings
from .paths import with_query
from .transport import READ_TIMEOUT_S, Connection

_MERGE = "application/merge-patch+json"
_APPLY = "application/apply-patch+yaml"
_JSON = "application/json"
_RETRY_FOR_S = 20.0


class WatchEvent(NamedTuple):
    """One event of a watch: ADDED, MODIFIED, DELETED or BOOKMARK, and the object."""

    type: str
    object: dict[str, Any]


class KubeClient:
    """One identity on one cluster over one connection. Not thread-safe: use :meth:`clone`."""

    def __init__(self, settings: KubeSettings, clock: Clock, agent: str) -> None:
        self.settings = settings
        self._clock = clock
        self._agent = agent
        self._token = settings.token
        self._connection = Connection(settings)

    def clone(self) -> KubeClient:
        """Return a client with a connection of its own, for another thread."""
        return KubeClient(self.settings, self._clock, self._agent)

    def close(self) -> None:
        """End the connection, also under a thread that is blocked reading from it."""
        self._connection.close()

    def get(self, path: str, query: Optional[Mapping[str, str]] = None) -> dict[str, Any]:
        """Return an object. Raises NotFound."""
        return self._json("GET", with_query(path, query))

    def list(self, path: str, label_selector: str = "", field_selector: str = "") -> dict[str, Any]:
        """Return a list object; its ``metadata.resourceVersion`` is where a watch can start."""
        return self.get(path, {"labelSelector": label_selector, "fieldSelector": field_selector})

    def get_text(self, path: str, query: Optional[Mapping[str, str]] = None) -> str:
        """Return the body as text, for container logs. Undecodable bytes are replaced."""
        return self._send("GET", with_query(path, query)).decode("utf-8", "replace")

    def apply(
        self, path: str, body: Mapping[str, Any], manager: str, force: bool = False, dry_run: bool = False
    ) -> dict[str, Any]:
        """Server-side apply with strict field validation; returns the object as stored.

        Raises PermanentError ``field_conflict`` when another manager owns a field and
        ``force`` is false, and ``invalid`` for an unknown field.
        """
        query = {"fieldManager": manager, "fieldValidation": "Strict", "force": "true" if force else ""}
        return self._json("PATCH", self._dry(path, query, dry_run), body, _APPLY)

    def merge_patch(self, path: str, body: Mapping[str, Any], dry_run: bool = False) -> dict[str, Any]:
        """JSON merge patch. With ``metadata.resourceVersion`` in the body it is compare-and-swap."""
        return self._json("PATCH", self._dry(path, {}, dry_run), body, _MERGE)

    def create(self, path: str, body: Mapping[str, Any], dry_run: bool = False) -> dict[str, Any]:
        """Create an object in the collection ``path``. Never sent twice on its own."""
        return self._json("POST", self._dry(path, {"fieldValidation": "Strict"}, dry_run), body)

    def replace(self, path: str, body: Mapping[str, Any], dry_run: bool = False) -> dict[str, Any]:
        """Replace an object; its resourceVersion makes it compare-and-swap."""
        return self._json("PUT", self._dry(path, {"fieldValidation": "Strict"}, dry_run), body)

    def delete(self, path: str, propagation: str = "", dry_run: bool = False) -> dict[str, Any]:
        """Delete an object; ``propagation`` is Foreground, Background or Orphan. Raises NotFound."""
        return self._json("DELETE", self._dry(path, {"propagationPolicy": propagation}, dry_run))

    def watch(self, path: str, version: str, selectors: tuple[str, str] = ("", "")) -> Iterator[WatchEvent]:
        """Yield changes after ``version`` (a resourceVersion) until the server or the network ends the stream.

        ``selectors`` are label and field selector. Raises TransientError with code ``gone``
        when the version is too old: list again, then watch.
        """
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": "290",
            "labelSelector": selectors[0],
            "fieldSelector": selectors[1],
        }
        response = self._once("GET", with_query(path, query), None, _JSON)
        self._connection.limit(300.0)
        try:
            for line in iter(response.readline, b""):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise _failure(int(event["object"].get("code") or 500), json.dumps(event["object"]), "GET", path)
                yield WatchEvent(event["type"], event["object"])
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            raise TransientError("watch", path, "the stream was cut (%s)" % type(error).__name__, code="cut") from error
        finally:
            self._connection.close()

    @staticmethod
    def _dry(path: str, query: Mapping[str, str], dry_run: bool) -> str:
        return with_query(path, dict(query, dryRun="All" if dry_run else ""))

    def _json(
        self, method: str, path: str, body: Optional[Mapping[str, Any]] = None, content_type: str = _JSON
    ) -> dict[str, Any]:
        raw = self._send(method, path, body, content_type)
        try:
            answer = json.loads(raw)
        except ValueError as error:
            raise TransientError(method.lower(), path, "the answer is not JSON", code="cut") from error
        return dict(answer)

    def _send(
        self, method: str, path: str, body: Optional[Mapping[str, Any]] = None, content_type: str = _JSON
    ) -> bytes:
        """Send with retries of what is safe to repeat: everything but POST, and a POST that was refused unread."""
        payload = json.dumps(body).encode() if body is not None else None
        backoff = Backoff(0.1, 5.0, random.random)
        deadline = self._clock.monotonic() + _RETRY_FOR_S
        has_renewed = False
        while True:
            try:
                response = self._once(method, path, payload, content_type)
                return response.read()
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                fault: SlipwayError = TransientError(
                    method.lower(), path, "the answer was cut (%s)" % type(error).__name__, code="cut"
                )
            except SlipwayError as error:
                fault = error
            if fault.code == "auth" and self.settings.token_file and not has_renewed:
                has_renewed, self._token = True, ""  # a projected token is rotated under us
                continue
            if fault.code == "cut" and self._connection.is_reused and method != "POST":
                self._connection.is_reused = False  # a keep-alive that ended while idle is no fault
                continue
            delay = max(backoff.delay(), getattr(fault, "retry_after_s", 0.0))
            if not _is_repeatable(fault, method) or self._clock.monotonic() + delay > deadline:
                raise fault
            self._clock.sleep(delay)

    def _once(self, method: str, path: str, payload: Optional[bytes], content_type: str) -> http.client.HTTPResponse:
        headers = {"User-Agent": self._agent, "Accept": "application/json"}
        if payload is not None:
            headers["Content-Type"] = content_type
        if not self._token and self.settings.token_file:
            self._token = read_text(self.settings.token_file, "kubeconfig").strip()
        if self._token:
            headers["Authorization"] = "Bearer " + self._token
        response = self._connection.send(method, path, payload, headers)
        self._connection.limit(READ_TIMEOUT_S)
        if response.status >= 400:
            fault = _failure(response.status, response.read().decode("utf-8", "replace"), method, path)
            setattr(fault, "retry_after_s", _seconds(response.headers.get("Retry-After")))
            raise fault
        return response


def _seconds(header: Optional[str]) -> float:
    """Return a Retry-After in seconds, at most 30; a date or nonsense counts as none."""
    return float(min(int(header), 30)) if header and header.isdigit() else 0.0


def _is_repeatable(fault: SlipwayError, method: str) -> bool:
    """Tell whether the same request may be sent again without a person or a new decision."""
    if fault.code in ("unreachable", "too_many_requests"):
        return fault.code == "too_many_requests"  # an absent server is told at once, not after the retries
    return fault.code in ("cut", "server_error") and method != "POST"


_CODES: dict[int, tuple[type[SlipwayError], str]] = {
    400: (PermanentError, "invalid"),
    401: (PermanentError, "auth"),
    403: (Forbidden, "forbidden"),
    404: (NotFound, "not_found"),
    405: (PermanentError, "not_supported"),
    409: (TransientError, "conflict"),
    410: (TransientError, "gone"),
    415: (PermanentError, "invalid"),
    422: (PermanentError, "invalid"),
    429: (TransientError, "too_many_requests"),
}
_VERBS = {"GET": "read", "PATCH": "apply", "POST": "create", "PUT": "replace", "DELETE": "delete"}
_HINTS = {
    "auth": "The credentials are missing, expired or for another cluster.",
    "forbidden": "Grant this right to the identity in use, or use another kubeconfig or context.",
}


def _failure(status: int, body: str, method: str, path: str) -> SlipwayError:
    """Return the typed error for a refused request; the cause is the server's own message."""
    try:
        document = json.loads(body)
        message, reason = str(document.get("message") or ""), str(document.get("reason") or "")
        causes = (document.get("details") or {}).get("causes") or []
    except (ValueError, AttributeError):
        message, reason, causes = body.strip()[:300], "", []
    if "/secrets" in path:
        message = "%s (message withheld: it may quote the Secret)" % (reason or status)
    kind, code = _CODES.get(status, (TransientError if status >= 500 else PermanentError, "server_error"))
    if status == 409 and any(item.get("reason") == "FieldManagerConflict" for item in causes):
        kind, code = PermanentError, "field_conflict"
    if status == 409 and reason == "AlreadyExists":
        kind, code = PermanentError, "already_exists"
    if status == 500 and message.startswith("failed to create typed patch object"):
        kind, code = PermanentError, "invalid"  # server-side apply refuses an unknown field with a 500
    resource = path.split("?", 1)[0]
    return kind(_VERBS.get(method, method), resource, message or "HTTP status %d" % status, _HINTS.get(code, ""), code)


def connect(settings: KubeSettings, clock: Clock, agent: str) -> KubeClient:
    """Return a client; nothing is sent yet. Raises InvalidInput for unusable settings."""
    if not settings.server:
        raise InvalidInput("host", "no API server is named")
    return KubeClient(settings, clock, agent)
