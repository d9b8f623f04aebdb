# SPDX-License-Identifier: GPL-3.0-or-later
"""Watching through everything that happens to streams: no silence that looks like a quiet cluster."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._clock import SystemClock
from ansible_collections.slipway.gitops.plugins.module_utils._errors import PermanentError, SlipwayError, TransientError
from ansible_collections.slipway.gitops.plugins.module_utils._kube import client as client_module
from ansible_collections.slipway.gitops.plugins.module_utils._kube.client import KubeClient, connect
from ansible_collections.slipway.gitops.plugins.module_utils._kube.kubeconfig import KubeSettings
from ansible_collections.slipway.gitops.plugins.module_utils._kube.observe import Observer
from ansible_collections.slipway.gitops.plugins.module_utils._kube.stream import Stream

PATH = "/api/v1/pods"
EMPTY_LIST = {"metadata": {"resourceVersion": "5"}, "items": []}


def answer(body: Any, status: int = 200, headers: str = "") -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"HTTP/1.1 %d X\r\n%sContent-Length: %d\r\n\r\n%s" % (status, headers.encode(), len(raw), raw)


def stream_of(*events: Any) -> bytes:
    lines = [json.dumps(event).encode() + b"\n" for event in events]
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(
        b"%x\r\n%s\r\n" % (len(line), line) for line in lines
    )


class FakeStreamingApi:
    """Hands each request to ``behave(connection, request)``, which may hang, trickle, cut or lie."""

    def __init__(self, behave: Callable[[socket.socket, str], None]) -> None:
        self.requests: list[str] = []
        self.clients: list[KubeClient] = []
        self._behave = behave
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = "http://127.0.0.1:%d" % self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                raw, _peer = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        with raw:
            while True:
                try:
                    request = _request(raw)
                    if not request:
                        return
                    self.requests.append(request)
                    self._behave(raw, request)
                except OSError:
                    return

    def client(self, within_s: float = 30.0, **settings: Any) -> KubeClient:
        self.clients.append(connect(KubeSettings(server=self.url, **settings), SystemClock(), "test", within_s))
        return self.clients[-1]

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept(); close() alone does not
        self._socket.close()


def _request(raw: socket.socket) -> str:
    """Return one request, head and body; empty at the end of the connection."""
    text = ""
    while "\r\n\r\n" not in text:
        part = raw.recv(65536).decode()
        if not part:
            return ""
        text += part
    head, _blank, body = text.partition("\r\n\r\n")
    length = re.search(r"Content-Length: (\d+)", head)
    while length and len(body) < int(length.group(1)):
        body += raw.recv(65536).decode()
    return head


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket, str], None]], FakeStreamingApi]]:
    made: list[FakeStreamingApi] = []

    def start(behave: Callable[[socket.socket, str], None]) -> FakeStreamingApi:
        made.append(FakeStreamingApi(behave))
        return made[-1]

    yield start
    for fake in made:
        fake.close()


def faults_of(client: KubeClient, seconds: float) -> dict[str, SlipwayError]:
    """Observe until there is a fault or the time is over."""
    clock = SystemClock()
    observer = Observer(client, [Stream("pods", PATH)], clock)
    for _snapshot in observer.snapshots(clock.monotonic() + seconds, 0.05):
        if observer.faults:
            break
    return observer.faults


def watching(behave: Callable[[socket.socket], None]) -> Callable[[socket.socket, str], None]:
    """Return a behaviour: lists are empty, watches are up to ``behave``."""

    def both(raw: socket.socket, request: str) -> None:
        if "watch=true" in request:
            behave(raw)
        else:
            raw.sendall(answer(EMPTY_LIST))

    return both


@pytest.mark.parametrize(
    "bad", [[], {}, {"type": "ADDED"}, {"type": "ADDED", "object": None}, {"type": "ADDED", "object": {}}]
)
def test_malformed_event_does_not_end_the_watching(serve: Any, bad: Any) -> None:
    good = {"type": "ADDED", "object": {"metadata": {"name": "a", "resourceVersion": "9"}}}
    script = [stream_of(bad), stream_of(good)]

    def behave(raw: socket.socket) -> None:
        if script:
            raw.sendall(script.pop(0))
        time.sleep(10)

    clock = SystemClock()
    observer = Observer(serve(watching(behave)).client(), [Stream("pods", PATH)], clock)
    for snapshot in observer.snapshots(clock.monotonic() + 10, 0.05):
        if "a" in snapshot["pods"]:
            return
    pytest.fail("the event after the malformed one was never seen")


def test_defect_in_a_thread_is_a_fault_and_not_silence(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_rest: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(client_module, "_event", broken)
    api = serve(watching(lambda raw: raw.sendall(stream_of({"type": "ADDED", "object": {}}))))
    assert faults_of(api.client(), 10)["pods"].code == "defect"


def test_connection_that_is_cut_each_time_becomes_a_fault(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_RETRY_FOR_S", 0.5)
    served = iter([EMPTY_LIST])

    def behave(raw: socket.socket, request: str) -> None:
        body = next(served, None)
        if body is None:
            raw.shutdown(socket.SHUT_RDWR)
        else:
            raw.sendall(answer(body))

    assert faults_of(serve(behave).client(), 15)["pods"].code == "cut"


def test_streams_that_end_at_once_are_not_asked_for_in_a_frenzy(serve: Any) -> None:
    api = serve(watching(lambda raw: raw.sendall(stream_of() + b"0\r\n\r\n")))
    assert faults_of(api.client(), 3) == {}
    assert len(api.requests) < 30


def test_refused_token_is_renewed_while_watching(serve: Any) -> None:
    def behave(raw: socket.socket, request: str) -> None:
        if "watch=true" not in request:
            raw.sendall(answer(EMPTY_LIST))
        elif "Bearer new" in request:
            raw.sendall(stream_of({"type": "ADDED", "object": {"metadata": {"name": "a", "resourceVersion": "9"}}}))
            time.sleep(10)
        else:
            raw.sendall(answer({"code": 401, "message": "Unauthorized"}, 401))

    fresh = KubeSettings(server="unused", token="new")
    api = serve(behave)
    clock = SystemClock()
    client = api.client(token="old", renew=lambda: fresh)
    observer = Observer(client, [Stream("pods", PATH)], clock)
    for snapshot in observer.snapshots(clock.monotonic() + 10, 0.05):
        assert observer.faults == {}
        if "a" in snapshot["pods"]:
            return
    pytest.fail("the watch was never taken up with the new token")


def test_refused_credentials_without_others_are_told_at_once(serve: Any) -> None:
    api = serve(lambda raw, _request: raw.sendall(answer({"code": 401}, 401)))
    same = KubeSettings(server=api.url, token="old")
    with pytest.raises(PermanentError) as caught:
        api.client(token="old", renew=lambda: same).get(PATH)
    assert caught.value.code == "auth"
    assert len(api.requests) == 1


def test_threads_and_sockets_are_gone_after_many_observations(serve: Any) -> None:
    def hang(raw: socket.socket) -> None:
        raw.sendall(stream_of())
        raw.recv(1)

    client = serve(watching(hang)).client()
    clock = SystemClock()
    files = len(list(Path("/proc/self/fd").iterdir()))
    streams = [Stream("pods", PATH), Stream("events", PATH)]

    def ours() -> int:
        return sum("_Follower" in repr(getattr(thread, "_target", "")) for thread in threading.enumerate())

    for _item in range(50):
        for _seen in Observer(client, streams, clock).snapshots(clock.monotonic() + 0.01, 0.01):
            pass
    until = time.monotonic() + 5
    while ours() and time.monotonic() < until:
        time.sleep(0.05)
    assert ours() == 0
    client.close()
    assert len(list(Path("/proc/self/fd").iterdir())) <= files + 10, "sockets of clients are still open"


def trickle(raw: socket.socket) -> None:
    """Send a byte now and then: no single read ever times out."""
    raw.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        raw.sendall(b" ")
        time.sleep(0.2)


def trickle_the_head(raw: socket.socket) -> None:
    raw.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        raw.sendall(b"x")
        time.sleep(0.2)


@pytest.mark.parametrize("behave", [trickle, trickle_the_head, lambda raw: time.sleep(60)])
def test_no_answer_outlasts_the_deadline_by_five_seconds(serve: Any, behave: Callable[[socket.socket], None]) -> None:
    client = serve(lambda raw, _request: behave(raw)).client(within_s=1.0)
    started = time.monotonic()
    with pytest.raises(TransientError):
        client.get(PATH)
    assert time.monotonic() - started < 6.0


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (answer(b"<html>", headers="Content-Type: text/html\r\n"), "not_an_api"),
        (answer(b"", 302, "Location: https://login.example.com/?secret=1\r\n"), "redirect"),
    ],
)
def test_server_that_is_no_api_server_is_told_at_once(serve: Any, said: bytes, code: str) -> None:
    api = serve(lambda raw, _request: raw.sendall(said))
    with pytest.raises(PermanentError) as caught:
        api.client().get(PATH)
    assert caught.value.code == code
    assert "login.example" not in str(caught.value)
    assert len(api.requests) == 1


@pytest.mark.parametrize("body", [b"[]", b"null", b'{"half', b"\xff\xfe"])
def test_answer_that_is_no_object_is_asked_for_again(serve: Any, body: bytes) -> None:
    script = [answer(body), answer({"ok": 1})]
    api = serve(lambda raw, _request: raw.sendall(script.pop(0)))
    assert api.client().get(PATH) == {"ok": 1}


@pytest.mark.parametrize(
    ("header", "least"), [("1", 1.0), ("-5", 0), ("²", 0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0), ("", 0)]
)
def test_retry_after_is_heeded_whatever_it_says(serve: Any, header: str, least: float) -> None:
    raw_header = ("Retry-After: %s\r\n" % header).encode("latin-1")
    busy = b"HTTP/1.1 429 X\r\n" + raw_header + b"Content-Length: 2\r\n\r\n{}"
    script = [busy, answer({"ok": 1})]
    started = time.monotonic()
    assert serve(lambda raw, _request: raw.sendall(script.pop(0))).client().create(PATH, {}) == {"ok": 1}
    assert least <= time.monotonic() - started < least + 1.0


def test_wait_that_the_server_asks_for_ends_at_the_deadline(serve: Any) -> None:
    busy = answer({}, 429, "Retry-After: 30\r\n")
    started = time.monotonic()
    with pytest.raises(TransientError) as caught:
        serve(lambda raw, _request: raw.sendall(busy)).client(within_s=2.0).get(PATH)
    assert caught.value.code == "too_many_requests"
    assert time.monotonic() - started < 2.0


def test_silent_name_servers_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_rest, **_named: time.sleep(30) or [])
    started = time.monotonic()
    with pytest.raises(TransientError) as caught:
        connect(KubeSettings("http://cluster.example.com"), SystemClock(), "test", 1.0).get(PATH)
    assert caught.value.code == "unreachable"
    assert time.monotonic() - started < 5.0


def test_interrupted_client_opens_nothing(serve: Any) -> None:
    api = serve(lambda raw, _request: raw.sendall(answer({})))
    client = api.client()
    client.interrupt()
    with pytest.raises(TransientError):
        client.get(PATH)
    assert api.requests == []


def test_write_ends_within_what_its_caller_reserved(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_WRITE_S", 3.5)
    client = serve(lambda _raw, _request: time.sleep(30)).client(within_s=300.0)
    started = time.monotonic()
    with pytest.raises(TransientError):
        client.merge_patch(PATH, {})
    assert time.monotonic() - started < 5.0
