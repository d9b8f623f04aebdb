# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking the real registry: open as in the local world, and behind TLS with passwords and with tokens."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator, Mapping
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry.registry_image_info import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._registry.model import MANIFEST_TYPES
from ansible_collections.slipway.gitops.plugins.module_utils._run import execute
from ansible_collections.slipway.gitops.tests.integration.world.conftest import World
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.registry_support import INDEX, certificate

WORLD = "127.0.0.1:5001"
MIRRORS = {"registry.slipway.test": "http://" + WORLD}
SAMPLE = "registry.slipway.test/sample"
PRIVATE = "private.slipway.test/sample"
ROBOT = {"username": "robot", "password": "a password of tests"}
#: The password as the registry keeps it.
HASH = "$2y$04$abcdefghijklmnopqrstuuf6jy9oofv/1FTtdWDUJPpjhojBhQQ.S"


def ask(*images: str, **options: Any) -> dict[str, Any]:
    """Run the module as a task does."""
    checked = ArgumentSpecValidator(ENTRY.argument_spec, **ENTRY.constraints).validate({"images": [*images], **options})
    assert checked.error_messages == []
    return execute(ENTRY, checked.validated_parameters, Context(agent="test-registry"))


def manifest(tag: str) -> tuple[bytes, str]:
    """Return a manifest of the sample application and its type, asked without our client."""
    connection = http.client.HTTPConnection(WORLD, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/v2/sample/manifests/" + tag, headers={"Accept": ", ".join(MANIFEST_TYPES)})
        response = connection.getresponse()
        assert response.status == 200
        return response.read(), response.headers["Content-Type"]


def digest_of(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("tag", ["1", "2"])
def test_behaviour_16_digest_is_that_of_the_manifest(tag: str) -> None:
    body, kind = manifest(tag)
    (image,) = ask("%s:%s" % (SAMPLE, tag), mirrors=MIRRORS)["images"]
    assert (image["exists"], image["digest"], image["media_type"]) == (True, digest_of(body), kind)
    by_digest = ask("%s@%s" % (SAMPLE, image["digest"]), mirrors=MIRRORS)["images"][0]
    assert (by_digest["exists"], by_digest["digest"]) == (True, image["digest"])


@pytest.mark.parametrize("image", [SAMPLE + ":6", SAMPLE + "@sha256:" + "0" * 64, "registry.slipway.test/nothing:1"])
def test_behaviour_16_what_does_not_exist_stops(image: str) -> None:
    result = ask(SAMPLE + ":1", image, mirrors=MIRRORS)
    assert result["error"]["code"] == "not_found"
    assert result["error"]["resource"] == image
    assert [item["exists"] for item in result["images"]] == [True, False]


def test_loopback_registry_needs_no_mirror() -> None:
    assert ask(WORLD + "/sample:1")["images"][0]["registry"] == WORLD


def test_another_server_is_no_registry_without_the_image(world: World) -> None:
    """A wrong address must not look like a missing image: here it is the kubelet's."""
    result = ask(SAMPLE + ":1", mirrors={"registry.slipway.test": "http://127.0.0.1:10248"}, must_exist=False)
    assert result["error"]["code"] == "not_a_registry"


def test_index_for_several_platforms() -> None:
    body, kind = manifest("1")
    entry = {"mediaType": kind, "digest": digest_of(body), "size": len(body)}
    names = [{"os": "linux", "architecture": "amd64"}, {"os": "linux", "architecture": "arm64", "variant": "v8"}]
    entries = [dict(entry, platform=platform) for platform in names]
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    _write("PUT", "index-of-tests", index, 201)
    try:
        (image,) = ask(SAMPLE + ":index-of-tests", mirrors=MIRRORS, platforms=True)["images"]
    finally:
        _write("DELETE", digest_of(index), b"", 202)
    assert (image["digest"], image["media_type"]) == (digest_of(index), INDEX)
    assert image["platforms"] == ["linux/amd64", "linux/arm64/v8"]


def _write(method: str, version: str, body: bytes, status: int) -> None:
    connection = http.client.HTTPConnection(WORLD, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, "/v2/sample/manifests/" + version, body, {"Content-Type": INDEX})
        assert connection.getresponse().status == status


@dataclass(frozen=True)
class Private:
    """A registry over TLS that serves the images of the world and wants to know who asks."""

    port: int
    ca_cert: Path

    def ask(self, tag: str = "1", **options: Any) -> dict[str, Any]:
        """Ask it for the sample application."""
        mirrors = {"private.slipway.test": "https://127.0.0.1:%d" % self.port}
        return ask("%s:%s" % (PRIVATE, tag), **{"mirrors": mirrors, "ca_cert": str(self.ca_cert), **options})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(world: World, folder: Path, auth: Mapping[str, Any]) -> Iterator[Private]:
    """Start the registry program beside the world's, on the same storage, which it only reads."""
    port, pem = _free_port(), certificate(folder, "registry")
    storage = {
        "filesystem": {"rootdirectory": str(world.folder / "registry/storage")},
        "maintenance": {"readonly": {"enabled": True}},
    }
    tls = {"certificate": str(pem), "key": str(folder / "registry.key")}
    settings = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": storage,
        "http": {"addr": "127.0.0.1:%d" % port, "tls": tls},
        "auth": auth,
    }
    (folder / "config.yml").write_text(yaml.safe_dump(settings))
    command = ["docker-registry", "serve", str(folder / "config.yml")]
    environment = dict(os.environ, OTEL_TRACES_EXPORTER="none")
    with (
        (folder / "registry.log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process,
    ):
        try:
            _wait_for(port, process, folder / "registry.log")
            yield Private(port, pem)
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return


@pytest.fixture(scope="module", name="with_password")
def fixture_with_password(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Private]:
    folder = tmp_path_factory.mktemp("registry-password")
    (folder / "htpasswd").write_text("robot:%s\n" % HASH)
    with serving(world, folder, {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}) as private:
        yield private


class TokenService:
    """Signs tokens as registries want them: for our robot the right to pull, for anybody else none."""

    def __init__(self, pem: Path, key: Path) -> None:
        self._key = serialization.load_pem_private_key(key.read_bytes(), None)
        loaded = x509.load_pem_x509_certificate(pem.read_bytes())
        self._certificate = base64.b64encode(loaded.public_bytes(serialization.Encoding.DER)).decode()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, key)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = "https://127.0.0.1:%d/token" % self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_args: Any) -> None:
                """Stay silent."""

            def do_GET(self) -> None:
                given = self.headers.get("Authorization", "").partition(" ")[2]
                is_robot = base64.b64decode(given).decode() == "%(username)s:%(password)s" % ROBOT
                body = json.dumps({"token": service.token(self.path, is_robot)}).encode()
                self.send_response(200 if is_robot or not given else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler

    def token(self, path: str, is_robot: bool) -> str:
        """Return a signed token for what ``path`` asks for."""
        query = parse_qs(urlsplit(path).query)
        kind, name, actions = query["scope"][0].split(":")
        now = int(time.time())
        claims = {
            "iss": "tests", "sub": "robot", "aud": query["service"][0], "exp": now + 60, "nbf": now - 10, "iat": now,
            "jti": "one", "access": [{"type": kind, "name": name, "actions": actions.split(",")}] if is_robot else [],
        }  # fmt: skip
        header = {"typ": "JWT", "alg": "ES256", "x5c": [self._certificate]}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
        assert isinstance(self._key, ec.EllipticCurvePrivateKey)
        numbers = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return signed + "." + _encoded(b"".join(number.to_bytes(32, "big") for number in numbers))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture(scope="module", name="with_token")
def fixture_with_token(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Private]:
    folder = tmp_path_factory.mktemp("registry-token")
    pem = certificate(folder, "tokens")
    service = TokenService(pem, folder / "tokens.key")
    auth = {"realm": service.url, "service": "registry of tests", "issuer": "tests", "rootcertbundle": str(pem)}
    try:
        with serving(world, folder, {"token": auth}) as private:
            both = folder / "ca.pem"
            both.write_bytes(private.ca_cert.read_bytes() + pem.read_bytes())
            yield Private(private.port, both)
    finally:
        service.close()


@pytest.fixture(name="private", params=["password", "token"])
def fixture_private(request: pytest.FixtureRequest) -> Private:
    """Return each private registry in turn."""
    found: Private = request.getfixturevalue("with_" + request.param)
    return found


def test_private_registry_tells_whom_it_knows(private: Private) -> None:
    result = private.ask(**ROBOT)
    assert "failed" not in result, result
    assert result["images"][0]["digest"] == digest_of(manifest("1")[0])
    assert private.ask("6", **ROBOT)["error"]["code"] == "not_found"


@pytest.mark.parametrize("identity", [{}, {"username": "robot", "password": "a wrong password"}], ids=["none", "wrong"])
def test_private_registry_refuses_others(private: Private, identity: dict[str, str]) -> None:
    result = private.ask(must_exist=False, **identity)
    assert result["error"]["code"] == "auth"
    assert "a wrong password" not in json.dumps(result)


def test_private_authority_is_trusted_only_when_named(private: Private, world: World) -> None:
    result = private.ask(ca_cert=None, **ROBOT)
    assert result["error"]["code"] == "tls"
    assert "ca_cert" in result["msg"]
