# SPDX-License-Identifier: GPL-3.0-or-later
"""The image builder: equal inputs give equal digests, and nothing is done twice."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from typing import Any, Iterator

import pytest

FILES = Path(__file__).parents[3] / "roles/image_build/files"
BUILDER = FILES / "build_image.py"
RECIPE = {
    "reference": "registry.slipway.test/clock:1",
    "layers": [
        {
            "files": [
                {"path": "/usr/bin/clock", "content": "#!/bin/sh\n", "mode": "0755"},
                {"path": "/usr/bin/c", "link": "clock"},
            ]
        },
        {"files": [{"path": "/data", "directory": True, "owner": 999, "mode": "0700"}]},
    ],
    "config": {"user": "65532", "entrypoint": ["/usr/bin/clock"], "env": ["A=b"], "labels": {"x": "y"}},
}


class FakeRegistry(http.server.BaseHTTPRequestHandler):
    """Knows one manifest, or answers an error; a real registry does not break on demand."""

    digest = ""
    status = 200

    def do_HEAD(self) -> None:
        self.send_response(self.status)
        self.send_header("Docker-Content-Digest", self.digest)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        """Be silent."""


@pytest.fixture
def registry() -> Iterator[str]:
    """Serve FakeRegistry on loopback; yield its address."""
    server = http.server.HTTPServer(("127.0.0.1", 0), FakeRegistry)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield "127.0.0.1:%d" % server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def build(cache: Path, recipes: Any, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the builder as the role does."""
    text = recipes if isinstance(recipes, str) else json.dumps(recipes)
    return subprocess.run(
        [sys.executable, str(BUILDER), "--cache", str(cache), *options, text],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **env},
    )  # fmt: skip


def report(done: subprocess.CompletedProcess[str]) -> Any:
    """Return what a successful run said."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def blob(cache: Path, digest: str) -> bytes:
    """Return a blob of the cache, whose content must fit its name."""
    data = (cache / "blobs/sha256" / digest.split(":")[1]).read_bytes()
    assert "sha256:" + hashlib.sha256(data).hexdigest() == digest
    return data


def manifest(cache: Path) -> Any:
    """Return the only manifest that the index of the cache names."""
    (entry,) = json.loads((cache / "index.json").read_text())["manifests"]
    return json.loads(blob(cache, entry["digest"]))


def test_same_recipe_gives_same_digest_everywhere(tmp_path: Path) -> None:
    first, second = (report(build(tmp_path / name, [RECIPE])) for name in ("a", "b"))
    assert first["images"][0]["digest"] == second["images"][0]["digest"]
    assert first["changed"]


def test_second_run_does_nothing(tmp_path: Path) -> None:
    build(tmp_path, [RECIPE])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file() and path.name != "lock"}
    assert report(build(tmp_path, [RECIPE]))["changed"] is False
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_image_is_what_the_recipe_says(tmp_path: Path) -> None:
    build(tmp_path, [RECIPE])
    found = manifest(tmp_path)
    config = json.loads(blob(tmp_path, found["config"]["digest"]))
    assert config["config"] == {
        "User": "65532", "Entrypoint": ["/usr/bin/clock"], "Env": ["A=b"], "Labels": {"x": "y"},
    }  # fmt: skip
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in found["layers"]]
    layer = tmp_path / "blobs/sha256" / found["layers"][0]["digest"].split(":")[1]
    with tarfile.open(layer) as archive:
        entries = {entry.name: entry for entry in archive}
        program = archive.extractfile("usr/bin/clock")
        assert program is not None
        assert program.read() == b"#!/bin/sh\n"
    assert list(entries) == ["usr", "usr/bin", "usr/bin/clock", "usr/bin/c"]
    assert (entries["usr/bin/clock"].mode, entries["usr/bin/c"].linkname) == (0o755, "clock")
    assert {entry.mtime for entry in entries.values()} == {1577836800}
    with tarfile.open(tmp_path / "blobs/sha256" / found["layers"][1]["digest"].split(":")[1]) as archive:
        data = archive.getmember("data")
    assert (data.isdir(), data.uid, data.mode) == (True, 999, 0o700)


def test_content_of_a_source_decides_not_its_name_or_time(tmp_path: Path) -> None:
    digests = []
    for name, text in (("one", "x"), ("two", "x"), ("three", "y")):
        source = tmp_path / name
        source.write_text(text)
        os.utime(source, (1, 1 + len(name)))
        recipe = {"reference": "a/b:1", "layers": [{"files": [{"path": "/p", "source": str(source)}]}]}
        digests.append(report(build(tmp_path / "cache", [recipe]))["images"][0]["digest"])
    assert digests[0] == digests[1] != digests[2]


def test_lost_blob_is_built_again(tmp_path: Path) -> None:
    digest = report(build(tmp_path, [RECIPE]))["images"][0]["digest"]
    (tmp_path / "blobs/sha256" / manifest(tmp_path)["layers"][0]["digest"].split(":")[1]).write_bytes(b"cut")
    again = report(build(tmp_path, [RECIPE]))["images"][0]
    assert again["built"]
    assert again["digest"] == digest
    assert blob(tmp_path, manifest(tmp_path)["layers"][0]["digest"])


def test_one_reference_names_one_image(tmp_path: Path) -> None:
    build(tmp_path, [RECIPE])
    build(tmp_path, [{**RECIPE, "config": {"user": "1"}}, {**RECIPE, "reference": "registry.slipway.test/clock:2"}])
    entries = json.loads((tmp_path / "index.json").read_text())["manifests"]
    names = [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in entries]
    assert names == ["registry.slipway.test/clock:1", "registry.slipway.test/clock:2"]


def test_published_digest_is_not_pushed_again(tmp_path: Path, registry: str) -> None:
    FakeRegistry.digest, FakeRegistry.status = report(build(tmp_path, [RECIPE]))["images"][0]["digest"], 200
    assert report(build(tmp_path, [RECIPE], "--registry", registry))["changed"] is False


def test_registry_that_fails_is_named(tmp_path: Path, registry: str) -> None:
    FakeRegistry.status = 503
    done = build(tmp_path, [RECIPE], "--registry", registry)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "The registry at %s answered 503 for /v2/clock/manifests/1." % registry


def test_check_touches_nothing(tmp_path: Path, registry: str) -> None:
    FakeRegistry.status = 404
    found = report(build(tmp_path / "cache", [RECIPE], "--check", "--registry", registry))
    assert (found["changed"], found["images"][0]["built"], found["images"][0]["pushed"]) == (True, True, True)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("recipe", "cause"),
    [
        ({**RECIPE, "reference": "registry.slipway.test/clock"}, "names no tag"),
        ({**RECIPE, "reference": "localhost:5001/clock"}, "names no tag"),
        ({**RECIPE, "config": {"entrypiont": []}}, "Unknown image setting 'entrypiont'"),
        ({"reference": "a/b:1", "layers": [{"files": [{"path": "/p", "source": "/nonexistent"}]}]}, "/nonexistent"),
    ],
)
def test_bad_recipes_are_refused_by_cause(tmp_path: Path, recipe: Any, cause: str) -> None:
    done = build(tmp_path, [recipe])
    assert done.returncode == 1
    assert cause in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_missing_program_is_named(tmp_path: Path, registry: str) -> None:
    FakeRegistry.status = 404
    done = build(tmp_path, [RECIPE], "--registry", registry, PATH="/nonexistent")
    assert "skopeo is not installed" in done.stderr


def test_layers_follow_the_machine_s_own_sources(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    fake = {
        "apt-get": 'printf "Debian\\tPackages\\thttp://mirror.test/debian\\tstable\\tmain\\n'
        'Other\\tPackages\\thttp://other.test/apt\\tstable\\tmain\\n"',
        "apt-config": "echo 'Acquire::http::Proxy \"http://proxy.test:1\";'",
        "mmdebstrap": 'printf "%%s\\n" "$@" >%s; for last; do case $last in */layer.tar) : >"$last" ;; esac; done'
        % (tmp_path / "asked"),
    }
    for name, text in fake.items():
        (programs / name).write_text("#!/bin/sh\n%s\n" % text)
        (programs / name).chmod(0o755)
    recipe = {"reference": "a/b:1", "layers": [{"debian": ["git"], "users": [{"name": "argocd", "id": 999}]}]}
    report(build(tmp_path / "cache", [recipe], PATH="%s:/usr/bin:/bin" % programs))
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[-1] == "deb http://mirror.test/debian stable main"
    assert not [line for line in asked if "other.test" in line]
    assert '--aptopt=Acquire::http::Proxy "http://proxy.test:1";' in asked
    assert "--include=git" in asked
    assert any("useradd --uid 999" in line for line in asked)
