# SPDX-License-Identifier: GPL-3.0-or-later
"""How the role git_server seeds a repository: the first commit, and what the seed has got since."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.slipway.gitops.tests.unit.repo import tree

SCRIPT = tree.ROOT / "roles/git_server/files/seed-repository"


class Server:
    """A bare repository, a seed, and another person who commits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bare, self.seed = folder / "remote.git", folder / "seed"
        self.seed.mkdir()
        self.git("init", "--quiet", "--bare", "-b", "main", str(self.bare))
        self.git("--git-dir", str(self.bare), "config", "uploadpack.allowFilter", "true")

    def git(self, *arguments: str) -> str:
        person = ["-c", "user.name=Other", "-c", "user.email=other@example.org"]
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(["git", *person, *arguments], env=env, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def write(self, **files: str) -> None:
        for name, text in files.items():
            path = self.seed / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def fill(self, branch: str = "main", folder: str = "") -> str:
        """Run the script and return what it said."""
        command = ["sh", str(SCRIPT), "file://%s" % self.bare, branch, folder or str(self.seed)]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True, timeout=60)
        assert done.stderr == ""
        return done.stdout.strip()

    def files(self) -> list[str]:
        return self.git("--git-dir", str(self.bare), "ls-tree", "-r", "--name-only", "main").split("\n")

    def show(self, what: str) -> str:
        return self.git("--git-dir", str(self.bare), "show", what)

    def commits(self) -> list[str]:
        return self.git("--git-dir", str(self.bare), "log", "--format=%s", "main").split("\n")

    def push(self, **files: str) -> None:
        """Commit as another person; an empty text removes a file."""
        clone = self.folder / "clone"
        self.git("clone", "--quiet", str(self.bare), str(clone))
        for name, text in files.items():
            path = clone / name.replace("__", "/")
            if text:
                path.write_text(text)
            else:
                path.unlink()
        self.git("-C", str(clone), "add", "-A")
        self.git("-C", str(clone), "commit", "-q", "-m", "theirs")
        self.git("-C", str(clone), "push", "-q", "origin", "main")


@pytest.fixture
def server(tmp_path: Path) -> Server:
    made = Server(tmp_path)
    made.write(values="tag: 0\n", app__one="1\n", app__two="2\n")
    return made


def test_an_empty_repository_gets_everything_once(server: Server) -> None:
    (server.seed / "app/one").chmod(0o755)
    (server.seed / "with space").write_text("x")
    assert server.fill() == "seeded"
    assert server.files() == ["app/one", "app/two", "values", "with space"]
    assert server.git("--git-dir", str(server.bare), "ls-tree", "main", "app/one").startswith("100755 ")
    assert server.fill() == ""
    assert server.fill(folder=str(server.seed) + "/") == ""
    assert server.commits() == ["Start the deploy repository"]


def test_a_repository_with_history_gets_the_new_files_only(server: Server) -> None:
    """What was delivered stays, and what somebody removed does not come back."""
    server.fill()
    server.push(values="tag: 7\n", app__two="", theirs="x\n")
    server.write(app__three="3\n", values="tag: 0\nmore: true\n")
    assert server.fill() == "seeded"
    assert server.files() == ["app/one", "app/three", "theirs", "values"]
    assert server.show("main:values") == "tag: 7"
    assert server.commits() == ["Add the new files of the seed", "theirs", "Start the deploy repository"]
    assert server.fill() == ""
    server.git("--git-dir", str(server.bare), "fsck", "--strict")


def test_a_repository_with_other_branches_only_is_left_alone(server: Server) -> None:
    server.fill("other")
    assert server.fill("main") == ""
    assert server.git("--git-dir", str(server.bare), "for-each-ref", "--format=%(refname)") == "refs/heads/other"
