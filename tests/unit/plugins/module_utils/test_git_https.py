# SPDX-License-Identifier: GPL-3.0-or-later
"""The Git port over HTTPS: credentials go to the right place only, certificates are verified."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._errors import PermanentError, SlipwayError
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.git_support import (
    Remote,
    context,
    image,
    set_image,
)

USER, PASSWORD = "release bot", "c4n4ry-p4ssword %40'\"$(id)"


class GitHandler(BaseHTTPRequestHandler):
    """Hands requests to git's own HTTP backend after basic authentication."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.answer()

    def answer(self):
        body = self.body()
        given = self.headers.get("Authorization")
        self.server.seen.append(given)
        if self.path.startswith("/moved/"):
            return self.say(302, {"Location": self.server.elsewhere + self.path[len("/moved") :]}, b"")
        if given is None:
            return self.say(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
        expected = "Basic " + base64.b64encode(("%s:%s" % (USER, PASSWORD)).encode()).decode()
        if given != expected:
            return self.say(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
        return self.backend(body)

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def backend(self, body):
        path, _mark, query = self.path.partition("?")
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "REMOTE_USER": "tester",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], env=env, input=body, capture_output=True, check=False)
        head, _blank, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        return self.say(int(headers.pop("Status", "200").split()[0]), headers, content)

    def say(self, status, headers, content):
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args):
        """Stay quiet."""


def certificate(folder, name, host):
    """Create a self-signed certificate."""
    cert, key = folder / (name + ".crt"), folder / (name + ".key")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        + [
            "-days",
            "2",
            "-subj",
            "/CN=" + host,
            "-addext",
            "subjectAltName=" + host,
            "-keyout",
            str(key),
            "-out",
            str(cert),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


class Server:
    """An HTTPS server on loopback in a thread."""

    def __init__(self, folder, root, name, san):
        self.cert, key = certificate(folder, name, san)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.cert, key)
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), GitHandler)
        self.http.socket = tls.wrap_socket(self.http.socket, server_side=True)
        self.http.root, self.http.seen, self.http.elsewhere = root, [], ""
        self.origin = "https://127.0.0.1:%d" % self.http.server_port
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    @property
    def seen(self):
        return self.http.seen

    def close(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def remote(tmp_path):
    made = Remote(tmp_path)
    made.git("config", "http.receivepack", "true")
    return made


@pytest.fixture
def serve(tmp_path):
    servers = []

    def start(name="server", san="IP:127.0.0.1"):
        servers.append(Server(tmp_path, tmp_path, name, san))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def call(tmp_path, url, server, ctx=None, **changes):
    given = {"username": USER, "password": PASSWORD, "ca_cert": str(server.cert), "allow_file_urls": False}
    return set_image(tmp_path, url, ctx, **dict(given, **changes))


def test_a_password_reaches_its_server_and_nothing_else(remote, tmp_path, serve, monkeypatch):
    server = serve()
    temp = tmp_path / "tmp"
    temp.mkdir()
    found = []
    stop = threading.Event()

    def look():
        """Search arguments and environments of all processes, and the files of the task."""
        needle = PASSWORD.encode()
        while not stop.is_set():
            places = [path / name for path in Path("/proc").glob("[0-9]*") for name in ("cmdline", "environ")]
            # Unlike rglob, walk goes on when a folder ends while it is looked at.
            files = [Path(folder) / name for folder, _folders, names in os.walk(temp) for name in names]
            for place in [*places, *files]:
                try:
                    if needle in place.read_bytes():
                        found.append(place)
                except OSError:
                    continue
            time.sleep(0.005)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        result = call(tmp_path, server.origin + "/remote.git", server, context(tmp_path, env={"TMPDIR": str(temp)}))
    finally:
        stop.set()
        watcher.join()
    assert result["commit"] == remote.tip()
    assert found == []
    assert any(server.seen)
    assert list(temp.iterdir()) == []


def test_a_large_file_is_fetched_with_the_same_password(remote, tmp_path, serve):
    remote.write({"big/kustomization.yaml": "images:\n- name: shop\n  newTag: v1\n" + "# filler\n" * 1000})
    server = serve()
    assert call(tmp_path, server.origin + "/remote.git", server, path="big", images=[image()])["changed"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"password": "wrong"}, "auth"),
        ({"username": "someone"}, "auth"),
        ({"password": None, "username": None}, "auth"),
        ({"ca_cert": None}, "tls"),
    ],
    ids=["password", "user", "none", "authority"],
)
def test_a_refusal_is_named_at_once_and_without_the_secret(remote, tmp_path, serve, changes, code):
    server = serve()
    started = time.monotonic()
    with pytest.raises(PermanentError) as caught:
        call(tmp_path, server.origin + "/remote.git", server, **changes)
    assert caught.value.code == code
    assert PASSWORD not in str(caught.value)
    assert time.monotonic() - started < 5
    assert remote.count() == 1


def test_a_certificate_for_another_host_is_refused(remote, tmp_path, serve):
    server = serve("other", "DNS:git.example.org")
    with pytest.raises(PermanentError) as caught:
        call(tmp_path, server.origin + "/remote.git", server)
    assert caught.value.code == "tls"
    assert server.seen == []


def test_a_redirection_to_another_host_gets_no_credentials(remote, tmp_path, serve):
    server, thief = serve(), serve("thief")
    server.http.elsewhere = thief.origin
    both = tmp_path / "both.crt"
    both.write_bytes(server.cert.read_bytes() + thief.cert.read_bytes())
    with pytest.raises(SlipwayError):
        call(tmp_path, server.origin + "/moved/remote.git", server, ca_cert=str(both))
    assert thief.seen == []


def test_a_repository_that_is_not_there(remote, tmp_path, serve):
    server = serve()
    with pytest.raises(SlipwayError) as caught:
        call(tmp_path, server.origin + "/none.git", server)
    assert caught.value.code == "repo_missing"
