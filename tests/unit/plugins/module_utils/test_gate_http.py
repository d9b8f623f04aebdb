# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking a URL: a real server on loopback that answers well, wrongly, slowly and with malice."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import threading
import time
from typing import Any, Callable, Iterator

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._clock import SystemClock
from ansible_collections.slipway.gitops.plugins.module_utils._errors import InvalidInput, PermanentError
from ansible_collections.slipway.gitops.plugins.module_utils._gate.expression import check_expression, search
from ansible_collections.slipway.gitops.plugins.module_utils._gate.http_check import Answer, HttpCheck, Streak, mismatch
from ansible_collections.slipway.gitops.plugins.module_utils._gate.url import check_url, clean_headers, refuse_address
from ansible_collections.slipway.gitops.plugins.module_utils._http import HttpProbe
from ansible_collections.slipway.gitops.plugins.module_utils._http_call import MAX_BODY

Script = Callable[[socket.socket], None]


class Server:
    """Accepts connections on loopback and lets ``script`` answer each one with raw bytes."""

    def __init__(self) -> None:
        self.script: Script = answering(b"{}")
        self.requests: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = "http://127.0.0.1:%d/version" % self.port
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _peer = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self.requests.append(connection.recv(65536).decode())
                    self.script(connection)
                except OSError:
                    pass  # the client hung up, as it should on too much

    def close(self) -> None:
        self._listener.close()


def answering(body: bytes, status: str = "200 OK", headers: str = "") -> Script:
    head = "HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n" % (status, len(body), headers)
    return lambda connection: connection.sendall(head.encode() + body)


@pytest.fixture(name="server")
def fixture_server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def ask(url: str, **changed: Any) -> tuple[Answer, str]:
    """Ask ``url`` and return the answer and how it differs from what is expected."""
    check = HttpCheck(url, **{"timeout_s": 1.0, **changed})
    answer = HttpProbe(SystemClock(), "test-agent").ask(check)
    return answer, mismatch(check, answer)


@pytest.mark.parametrize(
    "script, expected, fault",
    [
        pytest.param(answering(b'{"version": "2"}'), {"match": {"version": "2"}}, "", id="right"),
        pytest.param(answering(b'{"version": 2}'), {"match": {"version": "2"}}, "", id="a number"),
        pytest.param(answering(b'{"ok": true}'), {"match": {"ok": "true"}}, "", id="a boolean"),
        pytest.param(answering(b'{"build": {"commit": "ab"}}'), {"match": {"build.commit": "ab"}}, "", id="a path"),
        pytest.param(answering(b'{"v": ["1", "2"]}'), {"match": {"v[-1]": "2"}}, "", id="an expression"),
        pytest.param(answering(b"hello"), {}, "", id="only the status"),
        pytest.param(answering(b"", "204 No Content"), {"status": (204,)}, "", id="no body"),
        pytest.param(
            answering(b'{"version": "1"}'), {"match": {"version": "2"}}, "version is '1' instead of '2'", id="old"
        ),
        pytest.param(
            answering(b'{"name": "x"}'), {"match": {"version": "2"}}, "version is absent instead of '2'", id="none"
        ),
        pytest.param(
            answering(b'{"version": {}}'), {"match": {"version": "2"}}, "version is '{}' instead of '2'", id="dict"
        ),
        pytest.param(answering(b"<html>"), {"match": {"version": "2"}}, "the body is not JSON", id="not JSON"),
        pytest.param(
            answering(b'"\xff\xfe\xfa"'), {"match": {"version": "2"}}, "the body is not JSON", id="wrong charset"
        ),
        pytest.param(answering(b"[" * 100000), {"match": {"version": "2"}}, "the body is not JSON", id="deep"),
        pytest.param(answering(b"", "503 Unavailable"), {}, "status 503 instead of 200", id="503"),
        pytest.param(
            answering(b"", "302 Found", "Location: http://169.254.169.254/\r\n"),
            {},
            "status 302 instead of 200",
            id="redirect",
        ),
        pytest.param(
            answering(b"x" * (MAX_BODY + 1)), {}, "the body is larger than %d bytes" % MAX_BODY, id="too large"
        ),
        pytest.param(
            answering(gzip.compress(b"0" * 10_000_000), headers="Content-Encoding: gzip\r\n"),
            {},
            "the body is compressed although that was not asked for",
            id="compressed bomb",
        ),
        pytest.param(
            lambda connection: connection.sendall(b"SSH-2.0-x\r\n"),
            {},
            "not a usable answer (SSH-2.0-x\r\n)",
            id="not HTTP",
        ),
        pytest.param(lambda connection: None, {}, "not a usable answer", id="hangs up"),
    ],
)
def test_answers(server: Server, script: Script, expected: dict[str, Any], fault: str) -> None:
    server.script = script
    answer, found = ask(server.url, **expected)
    assert found == fault if fault != "not a usable answer" else found.startswith(fault)
    assert answer.is_evidence


def drip(connection: socket.socket) -> None:
    """Send a byte of the header now and then, for ever."""
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1000:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


@pytest.mark.parametrize("script", [lambda connection: time.sleep(2), drip], ids=["silent", "slow loris"])
def test_time_is_bounded(server: Server, script: Script) -> None:
    server.script = script
    begun = time.monotonic()
    answer, fault = ask(server.url, timeout_s=0.4)
    assert fault == "no complete answer within 0.4 s"
    assert answer.is_evidence
    assert time.monotonic() - begun < 1.0


def test_request_carries_our_name_and_headers_and_asks_for_no_compression(server: Server) -> None:
    ask(server.url + "?x=1", headers={"X-Token": "abc"})
    (request,) = server.requests
    assert request.startswith("GET /version?x=1 HTTP/1.1\r\n")
    assert "User-Agent: test-agent\r\n" in request
    assert "X-Token: abc\r\n" in request
    assert "Accept-Encoding: identity\r\n" in request


def test_a_redirect_gets_no_second_request(server: Server) -> None:
    other = Server()
    server.script = answering(b"", "302 Found", "Location: %s\r\n" % other.url)
    ask(server.url)
    assert other.requests == []
    other.close()


def test_refused_connection_is_evidence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    answer, fault = ask("http://127.0.0.1:%d/" % port)
    assert (fault, answer.is_evidence) == ("Connection refused", True)


def test_unresolvable_name_is_no_evidence() -> None:
    answer, fault = ask("http://no-such-host.invalid/")
    assert fault.startswith("no-such-host.invalid does not resolve")
    assert not answer.is_evidence


@pytest.mark.parametrize("error", ["self-signed certificate"])
def test_untrusted_certificate_is_no_evidence(tmp_path: Any, error: str) -> None:
    context, authority = certificate(tmp_path)
    with TlsServer(context) as url:
        answer, fault = ask(url)
        assert fault.startswith("the certificate is not trusted: " + error)
        assert not answer.is_evidence
        assert ask(url, ca_cert=authority) == (Answer(200, b"{}"), "")


def certificate(folder: Any) -> tuple[ssl.SSLContext, str]:
    """Make a certificate for localhost; return the server's context and the path to trust."""
    import subprocess

    key, path = str(folder / "key.pem"), str(folder / "cert.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += [
        "-keyout",
        key,
        "-out",
        path,
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key)
    return context, path


class TlsServer:
    """A TLS server on loopback that answers every request with an empty JSON object."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> str:
        threading.Thread(target=self._serve, daemon=True).start()
        return "https://localhost:%d/" % self._listener.getsockname()[1]

    def __exit__(self, *_details: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                raw, _peer = self._listener.accept()
                with self._context.wrap_socket(raw, server_side=True) as connection:
                    connection.recv(65536)
                    answering(b"{}")(connection)
            except OSError:
                if self._listener.fileno() < 0:
                    return


def test_unusable_ca_cert_names_the_option(tmp_path: Any) -> None:
    with pytest.raises(InvalidInput, match=r"http\.ca_cert"):
        ask("https://127.0.0.1:1/", ca_cert=str(tmp_path / "missing.pem"))


REFUSED = (
    "169.254.169.254",
    "fe80::1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "0.0.0.0",  # noqa: S104  (refused, not bound)
    "::",
    "224.0.0.1",
)


@pytest.mark.parametrize("address", REFUSED)
def test_refused_addresses(address: str) -> None:
    with pytest.raises(InvalidInput, match="link-local, metadata"):
        refuse_address(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.7", "192.168.1.2", "fd00::1", "203.0.113.9"])
def test_allowed_addresses(address: str) -> None:
    refuse_address(address)


def test_a_name_that_leads_to_a_metadata_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a name resolves to is what is connected to: one lookup, checked before the connection."""
    lookups = []

    def rebinding(host: str, port: int, **_details: Any) -> Any:
        lookups.append(host)
        address = "127.0.0.1" if len(lookups) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    server = Server()
    assert ask("http://rebinding.example:%d/" % server.port)[0].status == 200
    assert lookups == ["rebinding.example"]
    with pytest.raises(InvalidInput, match="link-local"):
        ask("http://rebinding.example:%d/" % server.port)
    server.close()


def test_decimal_spelling_of_a_metadata_address_is_refused() -> None:
    with pytest.raises(InvalidInput, match="link-local"):
        ask("http://2852039166/")


@pytest.mark.parametrize(
    "url, cause",
    [
        ("file:///etc/passwd", "scheme"),
        ("gopher://x/", "scheme"),
        ("http://user:hunter2@host/", "user information"),
        ("http://@host/", "user information"),
        ("http:///path", "no host"),
        ("http://host:99999/", "not a URL"),
        ("http://[::1/", "not a URL"),
        ("http://host/a b", "blanks"),
        ("http://host/\r\nX: y", "blanks"),
        ("http://host/\x00", "blanks"),
        ("http://h\u00f6st/", "non-ASCII"),
        ("http://169.254.169.254/latest", "link-local"),
        ("http://[fe80::1]/", "link-local"),
        ("http://host/" + "a" * 5000, "too long"),
    ],
)
def test_bad_urls_are_refused_before_anything_is_sent(url: str, cause: str) -> None:
    with pytest.raises(InvalidInput, match=cause) as refused:
        check_url("http.url", url)
    assert refused.value.option == "http.url"
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("name, value", [("X: y", "1"), ("X", "a\r\nY: b"), ("Host", "x"), ("", "x"), ("X", "\u00fc")])
def test_bad_headers_are_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidInput):
        clean_headers({name: value})


@pytest.mark.parametrize("expression", ["", "a[", "a" * 300, "no_such_function(@)[", "a..b"])
def test_bad_expressions_are_refused(expression: str) -> None:
    with pytest.raises(InvalidInput, match="expression"):
        check_expression("http.match", expression)


def test_expression_needs_the_library_only_when_it_is_not_a_plain_path(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "jmespath", None)
    check_expression("http.match", "build.version")
    assert search("build.version", {"build": {"version": 3}}) == 3
    with pytest.raises(PermanentError, match="jmespath is not installed"):
        check_expression("http.match", "build[0]")


def test_a_function_that_does_not_fit_the_value_finds_nothing() -> None:
    assert search("length(version)", {"version": 2}) is None


def test_streak_needs_answers_in_a_row() -> None:
    streak = Streak(HttpCheck("http://x/", successes=3, interval_s=1.0, wait_s=60.0))
    for at, fault in enumerate(["", "", "status 503", "", ""]):
        assert streak.is_due(float(at))
        streak.record(float(at), fault, True)
        assert not streak.is_due(at + 0.9)
    assert not streak.is_satisfied
    streak.record(5.0, "", True)
    assert streak.is_satisfied
    assert streak.matching_since == 3.0
    streak.record(6.0, "status 503", True)
    assert not streak.is_satisfied
    assert not streak.is_overdue(59.9)
    assert streak.is_overdue(60.0)
    streak.reset()
    assert (streak.count, streak.is_overdue(100.0)) == (0, False)


def test_summary_shows_no_header() -> None:
    check = HttpCheck("http://x/", headers={"Authorization": "Bearer hunter2"})
    assert "hunter2" not in json.dumps(Streak(check).summary()) + repr(check)
