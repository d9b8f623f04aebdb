# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes API as a port: raw objects in and out (private to the collection)."""

from __future__ import annotations

import http.client
import json
import math
import random
from typing import Any, Callable, Iterator, Mapping, NamedTuple, Optional, TypeVar

from .._context import Backoff, Clock
from .._errors import InvalidInput, PermanentError, SlipwayError, TransientError
from .failure import failure, no_json
from .kubeconfig import KubeSettings
from .paths import with_query
from .transport import Connection

T = TypeVar("T")
#: What reading raises when a connection breaks; ValueError for what is only half there.
_BROKEN = (OSError, http.client.HTTPException, ValueError)
_MERGE = "application/merge-patch+json"
_APPLY = "application/apply-patch+yaml"
_JSON = "application/json"
#: How long a fault is ridden out, and how long when the server itself said when to come back.
_RETRY_FOR_S = 20.0
_ASKED_TO_WAIT_S = 60.0
#: Longest time of a call with all its attempts. A write has to end within what a holder of a
#: lease asks for before it begins one.
_READ_S = 120.0
_WRITE_S = 30.0
#: Shortest time that a request is given, for what has to be said after the deadline.
_LEAST_S = 3.0
#: The API server sends a bookmark about every minute: a stream that says less is dead.
_STREAM_IDLE_S = 75.0
_HEAD_S = 30.0


class WatchEvent(NamedTuple):
    """One event of a watch: ADDED, MODIFIED, DELETED or BOOKMARK, and the object."""

    type: str
    object: dict[str, Any]


class KubeClient:
    """One identity on one cluster over one connection. Not thread-safe: use :meth:`clone`.

    ``deadline`` (of the monotonic clock) is when the caller wants to be through: no request
    is repeated after it, and one that hangs is given up a few seconds later at most.
    """

    def __init__(self, settings: KubeSettings, clock: Clock, agent: str, deadline: float = math.inf) -> None:
        self.settings = settings
        self._clock = clock
        self._agent = agent
        self._deadline = deadline
        self._is_interrupted = False
        self._connection = Connection(settings, clock)

    def clone(self) -> KubeClient:
        """Return a client with a connection of its own, for another thread."""
        return KubeClient(self.settings, self._clock, self._agent, self._deadline)

    def close(self) -> None:
        """Close the connection; called by the thread that uses the client."""
        self._connection.close()

    def interrupt(self) -> None:
        """Let the thread that uses the client run into an error soon, whatever it waits for."""
        self._is_interrupted = True
        self._connection.interrupt()

    def get(self, path: str, query: Optional[Mapping[str, str]] = None) -> dict[str, Any]:
        """Return an object. Raises NotFound."""
        return self._json("GET", with_query(path, query))

    def list(self, path: str, label_selector: str = "", field_selector: str = "") -> dict[str, Any]:
        """Return a list object; its ``metadata.resourceVersion`` is where a watch can start."""
        return self.get(path, {"labelSelector": label_selector, "fieldSelector": field_selector})

    def get_text(self, path: str, query: Optional[Mapping[str, str]] = None) -> str:
        """Return the body as text, for container logs. Undecodable bytes are replaced."""
        return self._send("GET", with_query(path, query), lambda _type, raw: raw.decode("utf-8", "replace"))

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
        try:
            response = self._open_stream(with_query(path, query))
            for line in iter(response.readline, b""):
                yield _event(line, path)
        except _BROKEN as error:
            raise TransientError("watch", path, "the stream was cut (%s)" % type(error).__name__, code="cut") from error
        finally:
            self._connection.close()

    def _open_stream(self, path: str) -> http.client.HTTPResponse:
        until = self._clock.monotonic() + _HEAD_S  # only the head of the answer is waited for
        try:
            response = self._once("GET", path, None, _JSON, until)
        except PermanentError as error:
            if error.code != "auth" or not self._renew():
                raise
            response = self._once("GET", path, None, _JSON, until)
        self._connection.allow(_STREAM_IDLE_S)
        return response

    @staticmethod
    def _dry(path: str, query: Mapping[str, str], dry_run: bool) -> str:
        return with_query(path, dict(query, dryRun="All" if dry_run else ""))

    def _json(
        self, method: str, path: str, body: Optional[Mapping[str, Any]] = None, content_type: str = _JSON
    ) -> dict[str, Any]:
        def parse(answered: str, raw: bytes) -> dict[str, Any]:
            if answered and "json" not in answered:
                raise no_json(path, answered)
            answer = json.loads(raw)
            if not isinstance(answer, dict):
                raise ValueError("a JSON object was expected")
            return answer

        return self._send(method, path, parse, body, content_type)

    def _send(
        self,
        method: str,
        path: str,
        parse: Callable[[str, bytes], T],
        body: Optional[Mapping[str, Any]] = None,
        content_type: str = _JSON,
    ) -> T:
        """Send, with retries of what is safe to repeat: everything but POST, and a POST that was refused unread.

        ``parse`` gets the type and the bytes of the answer; its ValueError counts as half an answer.
        """
        payload = json.dumps(body).encode() if body is not None else None
        backoff = Backoff(0.1, 5.0, random.random)
        started = self._clock.monotonic()
        give_up = started + (_READ_S if method == "GET" else _WRITE_S)
        has_renewed = False
        while True:
            try:
                response = self._once(method, path, payload, content_type, give_up)
                return parse(response.headers.get("Content-Type") or "", response.read())
            except _BROKEN as error:
                self._connection.close()
                cause = "the answer was cut (%s)" % type(error).__name__
                fault: SlipwayError = TransientError(method.lower(), path.split("?", maxsplit=1)[0], cause, code="cut")
            except SlipwayError as error:
                fault = error
            if fault.code == "auth" and not has_renewed and self._renew():
                has_renewed = True
                continue
            if fault.code == "cut" and self._connection.is_reused and method != "POST":
                self._connection.is_reused = False  # a keep-alive that ended while idle is no fault
                continue
            asked_s = getattr(fault, "retry_after_s", 0.0)
            delay = max(backoff.delay(), asked_s)
            until = min(started + (_ASKED_TO_WAIT_S if asked_s else _RETRY_FOR_S), self._deadline, give_up)
            if (
                self._is_interrupted
                or not _is_repeatable(fault, method, path)
                or self._clock.monotonic() + delay > until
            ):
                raise fault
            self._clock.sleep(delay)

    def _once(
        self, method: str, path: str, payload: Optional[bytes], content_type: str, until: float
    ) -> http.client.HTTPResponse:
        headers = {"User-Agent": self._agent, "Accept": "application/json"}
        if payload is not None:
            headers["Content-Type"] = content_type
        if self.settings.token:
            headers["Authorization"] = "Bearer " + self.settings.token
        within_s = max(_LEAST_S, min(self._deadline, until) - self._clock.monotonic())
        response = self._connection.send(method, path, payload, headers, within_s)
        if response.status >= 300:
            text = response.read().decode("utf-8", "replace")
            raise failure(response.status, text, method, path, response.headers.get("Retry-After"))
        return response

    def _renew(self) -> bool:
        """Get fresh credentials after a refusal; False when there are no others."""
        before = self.settings
        after = before.renew() if before.renew else before
        if after == before:
            return False
        self.settings = after
        if (after.cert_data, after.key_data) != (before.cert_data, before.key_data):
            self._connection.close()
            self._connection = Connection(after, self._clock)
            if self._is_interrupted:
                self._connection.interrupt()
        return True


def _event(line: bytes, path: str) -> WatchEvent:
    """Return one event of a stream. Raises the error that it stands for; ValueError when it is none."""
    event = json.loads(line)
    try:
        kind, item = str(event["type"]), event["object"]
        if kind == "ERROR":
            raise failure(int(item.get("code") or 500), json.dumps(item), "GET", path)
        str(item["metadata"]["resourceVersion"])
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("not an event of a watch") from error
    return WatchEvent(kind, item)


def _is_repeatable(fault: SlipwayError, method: str, path: str) -> bool:
    """Tell whether the same request may be sent again without a person or a new decision."""
    if fault.code == "webhook" and "dryRun=All" in path:
        return False  # a question: who asks wants to hear that nobody answers
    if fault.code in ("unreachable", "too_many_requests"):
        return fault.code == "too_many_requests"  # an absent server is told at once, not after the retries
    return fault.code in ("cut", "server_error", "webhook") and method != "POST"


def connect(settings: KubeSettings, clock: Clock, agent: str, within_s: float = math.inf) -> KubeClient:
    """Return a client for a task that has ``within_s`` seconds; nothing is sent yet.

    Raises InvalidInput for unusable settings.
    """
    if not settings.server:
        raise InvalidInput("host", "no API server is named")
    return KubeClient(settings, clock, agent, clock.monotonic() + within_s)
