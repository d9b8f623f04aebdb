# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry on loopback whose every answer is scripted: the faults that a real one does not show at will."""

from __future__ import annotations

import hashlib
import json
import ssl
import subprocess
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Mapping, Optional

OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = b'{"schemaVersion": 2}'
DIGEST = "sha256:" + hashlib.sha256(MANIFEST).hexdigest()


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]

    @property
    def authorization(self) -> str:
        """What proved who asked, empty when nothing did."""
        return self.headers.get("Authorization", "")


@dataclass(frozen=True)
class Told:
    """One answer. ``status`` 0 hangs up instead."""

    status: int = 200
    body: bytes = MANIFEST
    headers: Mapping[str, str] = field(default_factory=dict)


def manifest(body: bytes = MANIFEST, kind: str = OCI, **headers: str) -> Told:
    """Return a manifest with its digest in the header, unless ``digest`` says otherwise."""
    digest = headers.pop("digest", "sha256:" + hashlib.sha256(body).hexdigest())
    told = {"Content-Type": kind, **({"Docker-Content-Digest": digest} if digest else {})}
    return Told(200, body, told)


def refusal(status: int, code: str = "", **headers: str) -> Told:
    """Return a registry's error; header names are given with underscores."""
    body = json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Told(status, body, {"Content-Type": "application/json", **named})


class FakeRegistry:
    """Answers from ``script`` first, then from ``pages`` by path, else that there is no such manifest."""

    def __init__(self, certificate: Optional[Path] = None) -> None:
        self.asked: list[Asked] = []
        self.script: deque[Told] = deque()
        self.pages: dict[str, Told] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.host = "127.0.0.1:%d" % self.port
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, asked: Asked) -> Told:
        """Return the answer to one request."""
        self.asked.append(asked)
        if self.script:
            return self.script.popleft()
        return self.pages.get(asked.path) or refusal(404, "MANIFEST_UNKNOWN")

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def _handler(registry: FakeRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_args: Any) -> None:
            """Stay silent."""

        def _serve(self) -> None:
            told = registry.answer(Asked(self.command, self.path, dict(self.headers)))
            if not told.status:
                return
            self.send_response(told.status)
            for name, value in {"Content-Length": str(len(told.body)), **told.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(told.body)

        do_GET = do_HEAD = _serve

    return Handler


def certificate(folder: Path, name: str = "server") -> Path:
    """Return a file with a self-signed certificate for loopback and its key."""
    key, made = folder / (name + ".key"), folder / (name + ".pem")
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(made), "-days", "2", "-subj", "/CN=" + name, "-addext", names]
    subprocess.run(command, check=True, capture_output=True)
    made.write_bytes(made.read_bytes() + key.read_bytes())
    return made
