# SPDX-License-Identifier: GPL-3.0-or-later
"""A program is ready when all that is asked of it holds."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Iterator

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._world.host import Host
from ansible_collections.slipway.gitops.plugins.module_utils._world.model import Ready
from ansible_collections.slipway.gitops.plugins.module_utils._world.probe import Probe

NO = ("sh", "-c", "echo not yet >&2; exit 1")


class Health(BaseHTTPRequestHandler):
    """Says 200 at /healthz, 404 elsewhere."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield "http://127.0.0.1:%d" % server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "command", "cause"),
    [
        ("/healthz", (), ""),
        ("/healthz", ("true",), ""),
        ("/healthz", NO, "not yet"),
        ("/other", ("true",), "status 404"),
        ("/other", NO, "status 404"),
        ("", NO, "not yet"),
        ("", ("true",), ""),
    ],
)
def test_url_and_command_must_both_hold(address: str, path: str, command: tuple[str, ...], cause: str) -> None:
    said = Probe(Host({"PATH": "/usr/bin:/bin"})).cause(Ready(url=path and address + path, command=command))
    assert (cause in said) if cause else not said


def test_command_is_not_run_before_the_url_answers(address: str, tmp_path: object) -> None:
    ready = Ready(url=address + "/other", command=("touch", "%s/run" % tmp_path))
    probe = Probe(Host({"PATH": "/usr/bin:/bin"}))
    assert probe.cause(ready)
    assert not probe.cause(Ready(command=("sh", "-c", "test ! -e %s/run" % tmp_path)))
