# SPDX-License-Identifier: GPL-3.0-or-later
"""A local release page, tiny tools and a tiny Go module for the tests of getting tools."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Iterator

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry.cached_tool import ARGUMENT_SPEC, run
from ansible_collections.slipway.gitops.plugins.module_utils._tools.golang import GoPackage
from ansible_collections.slipway.gitops.plugins.module_utils._tools.ports import Listener

VERSION = "1.2.3"
PROGRAM = b"#!/bin/sh\necho tool version v1.2.3\n"

Handler = Callable[[BaseHTTPRequestHandler], None]


@functools.cache
def go_folder() -> str:
    """Folder of a real ``go``: this machine's, else the Python package, installed once."""
    here = shutil.which("go")
    if here:
        return os.path.dirname(here)
    folder = tempfile.mkdtemp(prefix="slipway-go-")
    ignored = Listener(on_line=lambda _line: None, on_tick=lambda _elapsed_s: None)
    GoPackage(os.environ, os.path.join(folder, "install.log"), 600).install(folder, ignored)
    return os.path.join(folder, "site", "go", "bin")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tarball(member: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo(member)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


class Mirror:
    """A real HTTP server on loopback; each path answers bytes, a status, or as a function does."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        mirror = self

        class Answering(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked.append(self.path)
                answer = mirror.answers.get(self.path, 404)
                if callable(answer):
                    answer(self)
                elif isinstance(answer, int):
                    self.send_error(answer)
                else:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self.server.socket.settimeout(1)  # a client that is gone again must not hold the server in accept()
        self.host = "127.0.0.1:%d" % self.server.server_port
        self.url = "http://" + self.host

    def publish(self, path: str, data: bytes) -> None:
        """Offer a file with its checksum beside it."""
        self.answers[path] = data
        self.answers[path + ".sha256"] = ("%s  %s\n" % (sha256(data), path.rsplit("/", 1)[-1])).encode()


@contextmanager
def serving() -> Iterator[Mirror]:
    mirror = Mirror()
    thread = threading.Thread(target=mirror.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield mirror
    finally:
        mirror.server.shutdown()
        mirror.server.server_close()
        thread.join()


def cut_after(data: bytes, count: int) -> Handler:
    """Promise all of the data, send some of it, and hang up."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data[:count])
        request.close_connection = True

    return answer


def in_turn(*answers: Any) -> Handler:
    """Give the first answer to the first request, and so on; the last one for ever."""
    left = list(answers)

    def answer(request: BaseHTTPRequestHandler) -> None:
        now = left.pop(0) if len(left) > 1 else left[0]
        if callable(now):
            now(request)
        elif isinstance(now, int):
            request.send_error(now)
        else:
            cut_after(now, len(now))(request)

    return answer


class World:
    """A cache, a PATH and a release page of one test."""

    def __init__(self, folder: Path, mirror: Mirror) -> None:
        self.cache = folder / "cache"
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.module = folder / "module"
        self.mirror = mirror
        self.said: list[str] = []
        self.warned: list[str] = []
        path = ":".join((str(self.bin), go_folder(), os.environ["PATH"]))
        self.env = dict(os.environ, PATH=path, GOFLAGS="", GOPROXY="off")

    def get(self, check_mode: bool = False, **options: Any) -> dict[str, Any]:
        """Run the module's use case with real ports, its options validated as Ansible does."""
        given = {
            "name": "tool",
            "version": VERSION,
            "cache_dir": str(self.cache),
            "download": self.download(),
            **options,
        }
        given = {name: value for name, value in given.items() if value is not None}
        checked = ArgumentSpecValidator(ARGUMENT_SPEC).validate(given)
        assert not checked.error_messages, checked.error_messages
        context = Context(check_mode=check_mode, env=self.env, progress=self.said.append, warn=self.warned.append)
        return run(checked.validated_parameters, context)

    def download(self) -> dict[str, str]:
        """Return the option ``download`` for files offered by :meth:`Mirror.publish`."""
        url = self.mirror.url + "/v{version}/{name}"
        return {"url": url, "checksum": "sha256:%s.sha256" % url}

    def on_path(self, version: str, name: str = "tool") -> Path:
        program = self.bin / name
        program.write_text("#!/bin/sh\necho %s version v%s\n" % (name, version))
        program.chmod(0o755)
        return program

    def go_module(self, source: str = "") -> dict[str, Any]:
        """Write a Go program without dependencies; return the option ``build`` for it."""
        self.module.mkdir(exist_ok=True)
        (self.module / "go.mod").write_text("module example.test/tool\n\ngo 1.21\n")
        (self.module / "main.go").write_text(
            source or 'package main\n\nvar version = "unset"\n\nfunc main() { println("tool version", version) }\n'
        )
        return {"module_dir": str(self.module), "package": "example.test/tool", "ldflags": "-X main.version=v{version}"}

    def tools(self) -> list[str]:
        """Names of what the cache shows, without its own bookkeeping."""
        folder = self.cache / "tools"
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith((".lock-", ".unreachable-")))
