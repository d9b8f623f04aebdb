# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes API port against a server that misbehaves on purpose."""

from __future__ import annotations

import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Iterator

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._clock import SystemClock
from ansible_collections.slipway.gitops.plugins.module_utils._errors import (
    Forbidden,
    NotFound,
    PermanentError,
    SlipwayError,
    TransientError,
)
from ansible_collections.slipway.gitops.plugins.module_utils._kube.client import KubeClient
from ansible_collections.slipway.gitops.plugins.module_utils._kube.kubeconfig import KubeSettings
from ansible_collections.slipway.gitops.plugins.module_utils._kube.observe import Observer
from ansible_collections.slipway.gitops.plugins.module_utils._kube.stream import Stream

PODS = "/api/v1/namespaces/shop/pods"


class FakeFaultyApi:
    """An API server that plays back scripted answers; a real one cannot be made to show these faults."""

    def __init__(self) -> None:
        self.script: deque[dict[str, Any]] = deque()
        self.seen: list[tuple[str, str]] = []
        self.clients: list[KubeClient] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_args: Any) -> None:
                """Stay silent."""

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                self.rfile.read(length)
                outer.seen.append((self.command, self.path))
                step = outer.script.popleft() if outer.script else {"status": 200, "body": {}}
                if step.get("cut"):
                    self.close_connection = True
                    self.connection.close()
                    return
                body = step["body"] if isinstance(step["body"], bytes) else json.dumps(step["body"]).encode()
                self.send_response(step["status"])
                for name, value in (step.get("headers") or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(step.get("length", len(body))))
                self.end_headers()
                self.wfile.write(body)
                if step.get("length"):
                    self.close_connection = True

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]


@pytest.fixture
def api() -> Iterator[FakeFaultyApi]:
    fake = FakeFaultyApi()
    yield fake
    fake.server.shutdown()
    for used in fake.clients:
        used.close()
    fake.server.server_close()


def client(api: FakeFaultyApi, token: str = "") -> KubeClient:
    made = KubeClient(KubeSettings(server=api.url, token=token), SystemClock(), "test")
    api.clients.append(made)
    return made


def status(code: int, reason: str, message: str = "because", causes: Any = None) -> dict[str, Any]:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": {"causes": causes or []}}
    return {"status": code, "body": body}


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (status(401, "Unauthorized"), PermanentError, "auth"),
        (status(403, "Forbidden"), Forbidden, "forbidden"),
        (status(404, "NotFound"), NotFound, "not_found"),
        (status(409, "Conflict"), TransientError, "conflict"),
        (status(409, "AlreadyExists"), PermanentError, "already_exists"),
        (status(409, "Conflict", causes=[{"reason": "FieldManagerConflict"}]), PermanentError, "field_conflict"),
        (status(410, "Expired"), TransientError, "gone"),
        (status(422, "Invalid"), PermanentError, "invalid"),
        ({"status": 400, "body": b"not json"}, PermanentError, "invalid"),
    ],
)
def test_refusal_is_typed_and_not_repeated(api: FakeFaultyApi, answer: Any, kind: type, code: str) -> None:
    api.script.append(answer)
    with pytest.raises(SlipwayError) as caught:
        client(api).apply(PODS + "/a", {"kind": "Pod"}, "m")
    assert caught.type is kind
    assert caught.value.code == code
    assert len(api.seen) == 1


def test_webhook_that_does_not_answer_is_told_at_once_to_who_only_asks(api: FakeFaultyApi) -> None:
    gone = status(500, "InternalError", 'Internal error occurred: failed calling webhook "w": connection refused')
    api.script.append(gone)
    with pytest.raises(TransientError) as caught:
        client(api).apply(PODS + "/a", {"kind": "Pod"}, "m", dry_run=True)
    assert (caught.value.code, len(api.seen)) == ("webhook", 1)
    api.script.append(gone)
    client(api).apply(PODS + "/a", {"kind": "Pod"}, "m")
    assert len(api.seen) == 3


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503, "body": {}},
        {"status": 429, "body": {}, "headers": {"Retry-After": "0"}},
        {"cut": True},
        {"status": 200, "body": b'{"half', "length": 400},
    ],
)
@pytest.mark.parametrize("method", ["get", "apply"])
def test_passing_fault_is_ridden_out_for_repeatable_calls(api: FakeFaultyApi, fault: Any, method: str) -> None:
    api.script.extend([fault, fault, {"status": 200, "body": {"ok": 1}}])
    kube = client(api)
    answer = kube.get(PODS) if method == "get" else kube.apply(PODS + "/a", {}, "m")
    assert answer == {"ok": 1}
    assert len(api.seen) == 3


@pytest.mark.parametrize("fault", [{"status": 500, "body": {}}, {"cut": True}])
def test_create_is_never_sent_twice(api: FakeFaultyApi, fault: Any) -> None:
    api.script.append(fault)
    with pytest.raises(TransientError):
        client(api).create(PODS, {"kind": "Pod"})
    assert len(api.seen) == 1


def test_absent_server_is_told_at_once(api: FakeFaultyApi) -> None:
    kube = KubeClient(KubeSettings(server="http://127.0.0.1:1"), SystemClock(), "test")
    with pytest.raises(TransientError) as caught:
        kube.get(PODS)
    assert caught.value.code == "unreachable"
    assert "127.0.0.1:1" in str(caught.value)


def test_message_about_a_secret_is_withheld(api: FakeFaultyApi) -> None:
    api.script.append(status(422, "Invalid", message="data: aHVudGVyMg== is wrong"))
    with pytest.raises(PermanentError) as caught:
        client(api).apply("/api/v1/namespaces/shop/secrets/db", {}, "m")
    assert "aHVudGVyMg" not in str(caught.value)


def pod(name: str, version: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": version}}


def listing(version: str, *items: Any) -> dict[str, Any]:
    return {"status": 200, "body": {"metadata": {"resourceVersion": version}, "items": list(items)}}


def events(*items: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    lines = b"".join(json.dumps({"type": kind, "object": body}).encode() + b"\n" for kind, body in items)
    return {"status": 200, "body": lines}


def test_observer_lists_watches_and_lists_again_when_the_version_is_too_old(api: FakeFaultyApi) -> None:
    gone = {"type": "ERROR", "object": {"code": 410, "message": "too old"}}
    api.script.extend(
        [
            listing("5", pod("a", "5")),
            events(("ADDED", pod("b", "6")), ("DELETED", pod("a", "7"))),
            {"status": 200, "body": json.dumps(gone).encode() + b"\n"},
            listing("20", pod("c", "20")),
        ]
    )
    api.script.extend([events(("BOOKMARK", pod("", "21")))] * 50)
    clock = SystemClock()
    seen = []
    for snapshot in Observer(client(api), [Stream("pods", PODS)], clock).snapshots(clock.monotonic() + 10, 0.05):
        seen.append(sorted(snapshot["pods"]))
        if seen[-1] == ["c"]:
            break
    assert seen[0] == ["a"]
    assert ["b"] in seen
    watches = [path for _method, path in api.seen if "watch=true" in path]
    assert "resourceVersion=5" in watches[0]
    assert "resourceVersion=7" in watches[1]


def test_observer_polls_where_watching_is_forbidden(api: FakeFaultyApi) -> None:
    api.script.extend(
        [
            listing("5", pod("a", "5")),
            status(403, "Forbidden"),
            listing("6", pod("b", "6")),
            listing("7", pod("b", "7")),
        ]
    )
    clock = SystemClock()
    for snapshot in Observer(client(api), [Stream("pods", PODS)], clock).snapshots(clock.monotonic() + 10, 0.05):
        if sorted(snapshot["pods"]) == ["b"]:
            return
    pytest.fail("the new object was never seen")


def test_observer_tells_of_trouble_and_keeps_the_last_state(api: FakeFaultyApi) -> None:
    api.script.append(listing("5", pod("a", "5")))
    api.script.extend([{"status": 500, "body": {}}] * 50)
    clock = SystemClock()
    observer = Observer(client(api), [Stream("pods", PODS)], clock)
    for snapshot in observer.snapshots(clock.monotonic() + 10, 0.05):
        assert sorted(snapshot["pods"]) == ["a"]
        if observer.faults:
            assert observer.faults["pods"].code == "server_error"
            return
    pytest.fail("the fault was never reported")
