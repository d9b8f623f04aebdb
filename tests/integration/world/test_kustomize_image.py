# SPDX-License-Identifier: GPL-3.0-or-later
"""kustomize_image against the world's Git server: real ssh, real host keys, real rights."""

from __future__ import annotations

import getpass
import importlib
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import pytest
import yaml

from ansible_collections.slipway.gitops.tests.integration.world.conftest import World
from ansible_collections.slipway.gitops.tests.integration.world.play import Outcome

SERVER = "ssh://slipway-git@10.244.0.1:2222/"
NAME = "registry.slipway.test/sample"
FILE = "apps/sample/overlays/staging/kustomization.yaml"
MODULE = "slipway.gitops.kustomize_image"


class Scratch:
    """A repository of this test on the world's server: a copy of the sample's."""

    def __init__(self, world: World, repositories: Path) -> None:
        self.world = world
        self.folder = repositories / "kustomize-image-test.git"
        self.url = SERVER + self.folder.name
        shutil.rmtree(self.folder, ignore_errors=True)
        subprocess.run(["cp", "-a", str(repositories / "sample.git"), str(self.folder)], check=True)
        # As it was when the world was made, whatever was delivered since.
        self.git("update-ref", "refs/heads/main", self.git("rev-list", "--max-parents=0", "main"))

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "safe.directory=*", "--git-dir", str(self.folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.rstrip("\n")


@pytest.fixture
def scratch(world: World) -> Iterator[Scratch]:
    """Return a repository of our own, so that no Application sees what is pushed."""
    folders = [Path("/var/lib/slipway-gitops") / world.folder.name / "git-server", world.folder / "git-server"]
    made = Scratch(world, [folder for folder in folders if folder.is_dir()][0] / "repositories")  # noqa: RUF015
    yield made
    shutil.rmtree(made.folder)


@pytest.fixture
def call(scratch: Scratch, play: Callable[..., Outcome], tmp_path: Path) -> Callable[..., Outcome]:
    """Return a function that runs tasks on the controller, with the world's folder in ``world``."""

    def run(*tasks: Mapping[str, Any], **extra: str) -> Outcome:
        hosts = {"hosts": "local_world", "gather_facts": False, "vars": {"world": str(scratch.world.folder)}}
        book = tmp_path / "book.yml"
        book.write_text(yaml.safe_dump([dict(hosts, name="Call", tasks=list(tasks))]), encoding="utf-8")
        return play(str(book), **extra)

    return run


def task(scratch: Scratch, **changes: Any) -> dict[str, Any]:
    """Return a task that sets tag 2."""
    keys = scratch.world.folder / "git-client"
    arguments = {
        "repo": scratch.url,
        "key_file": str(keys / "id_ed25519"),
        "known_hosts": str(keys / "known_hosts"),
        "path": str(Path(FILE).parent),
        "images": [{"name": NAME, "new_tag": "2"}],
        "timeout": 20,
    }
    return {"name": "Set", MODULE: {key: value for key, value in {**arguments, **changes}.items() if value is not None}}


def test_the_examples_of_the_documentation_do_what_they_say(scratch: Scratch, call: Callable[..., Outcome]) -> None:
    documentation = importlib.import_module("ansible_collections.slipway.gitops.plugins.modules.kustomize_image")
    examples = yaml.safe_load(documentation.EXAMPLES.replace(SERVER + "sample.git", scratch.url))
    before = scratch.git("show", "main:" + FILE)
    outcome = call(*examples)
    assert outcome.status == 0, outcome.text
    results = [outcome.one(example["name"]) for example in examples]
    assert [result["pushed"] for result in results] == [True, False, True, True]
    assert scratch.git("rev-list", "--count", "main^^^..main") == "3"
    assert scratch.git("show", "main:" + FILE) == scratch.git("show", "%s:%s" % (results[0]["commit"], FILE))
    assert scratch.git("show", "main:" + FILE) == re.sub(r'newTag: "."', 'newTag: "2"', before)
    assert "Source-Commit: 4b825dc6" in scratch.git("show", "-s", results[2]["commit"])
    assert scratch.git("show", "-s", "--format=%s", "main") == "Roll back sample 2"
    assert '+    newTag: "3"' in outcome.section("Look what a delivery would change")


@dataclass(frozen=True)
class Sshd:
    """An SSH server of this test alone, whose log is nobody else's."""

    folder: Path
    port: int

    @property
    def log(self) -> Path:
        return self.folder / "log"


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """Run OpenSSH's server on loopback for the current user."""
    folder = tmp_path / "sshd"
    folder.mkdir()
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "known_hosts").write_text("[127.0.0.1]:%d %s" % (port, (folder / "host.pub").read_text()))
    settings = {
        "ListenAddress": "127.0.0.1:%d" % port,
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "key.pub",
        "StrictModes": "no",
        "PidFile": "none",
        "UsePAM": "no",
    }
    (folder / "config").write_text("".join("%s %s\n" % pair for pair in settings.items()))
    server = Sshd(folder, port)
    process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", str(folder / "config"), "-E", str(server.log)])
    try:
        server.log.touch()
        log_until(server.log, "Server listening")
        yield server
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("in_process", ["auto", "never"])
def test_a_task_opens_one_connection(
    scratch: Scratch, sshd: Sshd, call: Callable[..., Outcome], in_process: str
) -> None:
    copy = sshd.folder / "copy.git"
    shutil.copytree(scratch.folder, copy)  # git serves a repository to its owner only
    mine = {
        "repo": "ssh://%s@127.0.0.1:%d%s" % (getpass.getuser(), sshd.port, copy),
        "key_file": str(sshd.folder / "key"),
        "known_hosts": str(sshd.folder / "known_hosts"),
    }
    outcome = call(task(scratch, **mine), SLIPWAY_IN_PROCESS=in_process)
    assert outcome.status == 0, outcome.text
    assert outcome.one("Set")["pushed"]
    lines = log_until(sshd.log, "Disconnected from")
    assert len([line for line in lines if "Accepted publickey" in line]) == 1, lines


def log_until(log: Path, text: str) -> list[str]:
    """Return the lines of a log once ``text`` is among them."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        lines = log.read_text().splitlines()
        if any(text in line for line in lines):
            return lines
        time.sleep(0.05)
    raise AssertionError("'%s' was not logged" % text)


def test_nothing_stays_behind(scratch: Scratch, call: Callable[..., Outcome], tmp_path: Path) -> None:
    temp = tmp_path / "t"
    temp.mkdir()
    assert call(task(scratch), TMPDIR=str(temp)).one("Set")["pushed"]
    assert list(temp.glob("slipway-git-*")) == []
    alive = subprocess.run(["pgrep", "-f", str(temp)], capture_output=True, text=True, check=False).stdout
    assert alive == ""


def other_host_key(scratch: Scratch, folder: Path) -> str:
    """Write known hosts in which the server has the key of somebody else."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "other")], check=True)
    public = " ".join((folder / "other.pub").read_text().split()[:2])
    (folder / "changed").write_text("[10.244.0.1]:2222 %s\n" % public)
    return str(folder / "changed")


def no_host_key(scratch: Scratch, folder: Path) -> str:
    """Write known hosts without the server."""
    (folder / "unknown").write_text("example.org ssh-ed25519 AAAA\n")
    return str(folder / "unknown")


@pytest.mark.parametrize("known_hosts", [other_host_key, no_host_key])
def test_a_changed_or_unknown_host_key_is_refused(
    scratch: Scratch, call: Callable[..., Outcome], tmp_path: Path, known_hosts: Callable[[Scratch, Path], str]
) -> None:
    outcome = call(task(scratch, known_hosts=known_hosts(scratch, tmp_path)))
    assert outcome.status != 0
    failed = outcome.one("Set")
    assert (failed["error_class"], failed["error"]["code"]) == ("permanent", "host_key")


def test_a_key_that_may_only_read_cannot_push(scratch: Scratch, call: Callable[..., Outcome]) -> None:
    tip = scratch.git("rev-parse", "main")
    reading = str(scratch.world.folder / "git-client/argocd_ed25519")
    failed = call(task(scratch, key_file=reading)).one("Set")
    assert failed["error_class"] == "permanent"
    assert "may only read" in failed["msg"]
    assert scratch.git("rev-parse", "main") == tip


def test_an_unknown_key_is_an_authentication_failure(
    scratch: Scratch, call: Callable[..., Outcome], tmp_path: Path
) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    failed = call(task(scratch, key_file=str(tmp_path / "key"))).one("Set")
    assert failed["error"]["code"] == "auth"


@pytest.mark.parametrize(
    ("changes", "code", "named"),
    [
        ({"repo": SERVER + "none.git"}, "repo_missing", "option repo"),
        ({"repo": SERVER.replace("2222", "9") + "x.git", "timeout": 5}, "unreachable", "option repo"),
        ({"branch": "none"}, "ref_missing", "option branch"),
        ({"path": "apps/none"}, "kustomization_missing", "Option 'path'"),
        ({"path": "../x"}, "invalid_input", "Option 'path'"),
        ({"images": [{"name": "none", "new_tag": "2"}]}, "image_missing", "Option 'images'"),
        ({"images": [{"name": NAME, "new_tag": "latest"}]}, "tag_denied", "Option 'images[0].new_tag'"),
        ({"images": [{"name": NAME, "new_tag": ""}]}, "invalid_input", "Option 'images[0].new_tag'"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_bad_input_names_its_option_and_changes_nothing(
    scratch: Scratch, call: Callable[..., Outcome], changes: dict[str, Any], code: str, named: str
) -> None:
    before = scratch.git("for-each-ref")
    outcome = call(task(scratch, **changes))
    assert outcome.status != 0
    failed = outcome.one("Set")
    assert failed["error"]["code"] == code
    assert named in failed["msg"]
    assert scratch.git("for-each-ref") == before
