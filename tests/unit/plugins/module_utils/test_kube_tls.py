# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to an API server: TLS, credentials, addresses, and servers that are none."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Iterator, Optional

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from ansible_collections.slipway.gitops.plugins.module_utils._clock import SystemClock
from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._errors import (
    InvalidInput,
    PermanentError,
    SlipwayError,
    TransientError,
)
from ansible_collections.slipway.gitops.plugins.module_utils._kube.auth import load_settings
from ansible_collections.slipway.gitops.plugins.module_utils._kube.client import KubeClient, connect
from ansible_collections.slipway.gitops.plugins.module_utils._kube.kubeconfig import KubeSettings

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
CLOSING = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


def _pem_key(key: Any, password: Optional[bytes] = None) -> bytes:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock))


def _certificate(key: Any, name: str, issuer: Any = None) -> bytes:
    """Return a certificate for this machine's loopback, self-signed or signed by ``issuer`` (name, key)."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    names.append(x509.IPAddress(ipaddress.ip_address("::1")))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer[0])]) if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    signed = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    return bytes(signed.public_bytes(serialization.Encoding.PEM))


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an authority, a server's certificate and clients' with keys of several kinds."""
    folder = tmp_path_factory.mktemp("pki")
    authority = ec.generate_private_key(ec.SECP256R1())
    (folder / "ca.crt").write_bytes(_certificate(authority, "authority"))
    keys = {
        "server": ec.generate_private_key(ec.SECP256R1()),
        "ec": ec.generate_private_key(ec.SECP384R1()),
        "rsa": rsa.generate_private_key(65537, 2048),
    }
    for name, key in keys.items():
        (folder / (name + ".crt")).write_bytes(_certificate(key, name, ("authority", authority)))
        (folder / (name + ".key")).write_bytes(_pem_key(key))
    (folder / "locked.key").write_bytes(_pem_key(keys["ec"], b"a passphrase"))
    return folder


class FakeTlsServer:
    """Answers each request with the next scripted bytes; keeps what came in, also what was no TLS."""

    def __init__(self, pki: Path, wants_client: bool = False, newest: Optional[ssl.TLSVersion] = None) -> None:
        self.script: list[bytes] = []
        self.requests: list[bytes] = []
        self.no_tls: list[bytes] = []
        self.peers: list[Any] = []
        self.clients: list[KubeClient] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pki / "server.crt", pki / "server.key")
        self._context.load_verify_locations(pki / "ca.crt")
        if wants_client:
            self._context.verify_mode = ssl.CERT_REQUIRED
        if newest:
            self._context.maximum_version = newest
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                raw, _peer = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        first = raw.recv(5, socket.MSG_PEEK)
        if first[:1] != b"\x16":
            self.no_tls.append(raw.recv(4096))
            raw.close()
            return
        try:
            with self._context.wrap_socket(raw, server_side=True) as tls:
                self.peers.append((tls.getpeercert(), tls.version()))
                while True:
                    request = tls.recv(65536)
                    if not request:
                        return
                    self.requests.append(request)
                    answer = self.script.pop(0) if self.script else OK
                    tls.sendall(answer)
                    if b"close" in answer:
                        return
        except OSError:
            return

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept(); close() alone does not
        self._socket.close()

    def client(self, pki: Path, host: str = "127.0.0.1", **more: Any) -> KubeClient:
        settings = KubeSettings(
            **{"server": "https://%s:%d" % (host, self.port), "ca_file": str(pki / "ca.crt"), **more}
        )
        self.clients.append(connect(settings, SystemClock(), "test"))
        return self.clients[-1]


@pytest.fixture
def server(pki: Path) -> Iterator[FakeTlsServer]:
    fake = FakeTlsServer(pki)
    yield fake
    fake.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_names_and_addresses_are_verified(server: FakeTlsServer, pki: Path, host: str) -> None:
    assert server.client(pki, host).get("/x") == {}


def test_a_connection_that_the_server_closes_is_opened_again_with_tls(server: FakeTlsServer, pki: Path) -> None:
    server.script = [CLOSING, OK]
    client = server.client(pki, token="a-bearer-token")
    assert client.get("/one") == {}
    assert client.get("/two") == {}
    assert server.no_tls == [], "a request with the token went out unencrypted"
    assert len(server.requests) == 2


def test_wrong_authority_is_a_permanent_error(server: FakeTlsServer, pki: Path) -> None:
    with pytest.raises(PermanentError) as caught:
        server.client(pki, ca_file=str(pki / "rsa.crt")).get("/x")
    assert caught.value.code == "tls"


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_client_certificates_of_every_kind(pki: Path, kind: str, newest: ssl.TLSVersion) -> None:
    fake = FakeTlsServer(pki, wants_client=True, newest=newest)
    try:
        files = {"cert_file": str(pki / (kind + ".crt")), "key_file": str(pki / (kind + ".key"))}
        assert fake.client(pki, **files).get("/x") == {}
        assert fake.peers[0][0]["subject"] == ((("commonName", kind),),)
    finally:
        fake.close()


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_refused_client_certificate_is_told_at_once(pki: Path, newest: ssl.TLSVersion) -> None:
    fake = FakeTlsServer(pki, wants_client=True, newest=newest)
    try:
        started = time.monotonic()
        with pytest.raises(SlipwayError) as caught:
            fake.client(pki).get("/x")
        assert (type(caught.value), caught.value.code) == (PermanentError, "tls")
        assert time.monotonic() - started < 15  # a fault that may pass is asked again for 20 s
    finally:
        fake.close()


def test_encrypted_key_is_refused_and_asks_nobody(pki: Path) -> None:
    settings = KubeSettings("https://127.0.0.1:1", cert_file=str(pki / "ec.crt"), key_file=str(pki / "locked.key"))
    caught: list[BaseException] = []

    def attempt() -> None:
        try:
            connect(settings, SystemClock(), "test")
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(5)
    assert caught, "somebody was asked for a passphrase"
    assert isinstance(caught[0], InvalidInput)
    assert "passphrase" in str(caught[0])


def test_private_key_leaves_no_file(pki: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen: list[str] = []
    real = ssl.SSLContext.load_cert_chain

    def spy(self: ssl.SSLContext, path: str, *rest: Any, **named: Any) -> None:
        seen.extend(str(item) for item in tmp_path.iterdir())
        real(self, path, *rest, **named)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", spy)
    files = {"cert_file": str(pki / "ec.crt"), "key_file": str(pki / "ec.key")}
    connect(KubeSettings("https://127.0.0.1:1", **files), SystemClock(), "test")
    assert seen == [], "a kill at this moment would leave the key behind"
    assert list(tmp_path.iterdir()) == []


def test_authority_file_with_comments_in_utf_8(server: FakeTlsServer, pki: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.crt"
    bundle.write_text("# Főtanúsítvány\n" + (pki / "ca.crt").read_text(), encoding="utf-8")
    assert server.client(pki, ca_file=str(bundle)).get("/x") == {}


def test_authority_file_without_a_certificate(pki: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.crt").write_text("nothing\n")
    with pytest.raises(InvalidInput) as caught:
        connect(KubeSettings("https://127.0.0.1:1", ca_file=str(tmp_path / "empty.crt")), SystemClock(), "test")
    assert caught.value.option == "ca_cert"


@pytest.mark.parametrize(
    "url",
    [
        "https://host:99999",
        "https://[::1",
        "ftp://host",
        "https://",
        "https://user:pw@host",
        "https://a..b",
        "https://h/?q=1",
    ],
)
def test_address_that_is_none_is_bad_input(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        connect(KubeSettings(url, verify=False), SystemClock(), "test").get("/x")
    assert caught.value.option == "host"
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("token", ["line\none-more-secret", "späß-secret", "tab\tsecret"])
def test_token_that_no_header_can_carry_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_settings({"host": "http://127.0.0.1:1", "api_key": token}, Context())
    assert caught.value.option == "api_key"
    assert "secret" not in str(caught.value)


def test_server_without_tls_is_a_permanent_error(pki: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        raw, _peer = listener.accept()
        raw.recv(4096)
        raw.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        raw.close()

    threading.Thread(target=answer, daemon=True).start()
    with pytest.raises(PermanentError) as caught:
        connect(
            KubeSettings("https://127.0.0.1:%d" % listener.getsockname()[1], ca_file=str(pki / "ca.crt")),
            SystemClock(),
            "test",
        ).get("/x")
    listener.close()
    assert caught.value.code == "tls"


def test_ipv6_address_without_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def no_network(address: Any, *_rest: Any, **_named: Any) -> socket.socket:
        asked.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", no_network)
    with pytest.raises(TransientError) as caught:
        connect(KubeSettings("https://[::1]", verify=False), SystemClock(), "test").get("/x")
    assert asked == [("::1", 443)]
    assert "[::1]:443" in str(caught.value)


def test_ipv6_server_with_its_right_host_header(pki: Path) -> None:
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    requests: list[bytes] = []

    def answer() -> None:
        raw, _peer = listener.accept()
        requests.append(raw.recv(4096))
        raw.sendall(OK)
        raw.close()

    threading.Thread(target=answer, daemon=True).start()
    port = listener.getsockname()[1]
    with closing(connect(KubeSettings("http://[::1]:%d" % port), SystemClock(), "test")) as client:
        assert client.get("/x") == {}
    listener.close()
    assert b"Host: [::1]:%d\r\n" % port in requests[0]


def test_secrets_from_files_are_registered(tmp_path: Path, pki: Path) -> None:
    (tmp_path / "token").write_text("a-projected-token\n")
    (tmp_path / "config").write_text(
        "current-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n"
        "clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}]\n"
        "users: [{name: a, user: {tokenFile: token}}]\n"
    )
    ctx = Context()
    load_settings({"kubeconfig": str(tmp_path / "config")}, ctx)
    assert "a-projected-token" in ctx.secrets.values
