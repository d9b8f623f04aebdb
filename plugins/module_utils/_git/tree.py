# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A branch as a plan needs it: its commits since a release, and its files in a folder (private to the collection)."""

from __future__ import annotations

import os
from typing import NamedTuple, Optional, Sequence

from .._errors import PermanentError
from .._gitref import File
from .failure import failure
from .history import BranchHistory
from .repository import Repository
from .session import Session

#: More commits than this are not listed.
_LISTED = 200
_FIELDS = "%H%x00%an%x00%s%x00"


class Commit(NamedTuple):
    """One commit, for people."""

    sha: str
    author: str
    subject: str


class BranchTree:
    """Reads one branch: everything is fetched once, and nothing is ever written to the repository."""

    def __init__(self, session: Session, branch: str) -> None:
        self._session = session
        self._branch = branch
        self._repository = Repository(session, branch)

    @property
    def label(self) -> str:
        """The branch as messages name it."""
        return self._repository.label

    def fetch(self, since: str) -> tuple[str, bool]:
        """Return the tip, and whether the commits from ``since`` (or none) on are known.

        Raises as Repository.fetch. A commit that the branch does not have is no failure.
        """
        is_known = False
        if since:
            try:
                is_known = BranchHistory(self._session, self._branch).load(since)
            except PermanentError as error:
                if error.code in ("auth", "host_key", "tls"):
                    raise
        return self._repository.fetch(since if is_known else ""), is_known

    def read(self, commit: str, paths: Sequence[str]) -> dict[str, Optional[File]]:
        """Return the files at ``paths``; None for what is no file."""
        return self._repository.read(commit, paths)

    def contains(self, tip: str, commit: str) -> bool:
        """Tell whether ``commit`` is ``tip`` or an ancestor of it, as far as both are fetched."""
        return self._repository.contains(tip, commit)

    def count(self, since: str, tip: str, paths: Sequence[str] = ()) -> int:
        """Return how many commits after ``since`` up to ``tip`` touch one of ``paths``, or how many there are."""
        done = self._session.git("rev-list", "--count", "--end-of-options", "%s..%s" % (since, tip), "--", *paths)
        if done.returncode != 0:
            raise failure("count the commits of", self.label, done)
        return int(done.out)

    def log(self, since: str, tip: str, paths: Sequence[str]) -> list[Commit]:
        """Return the newest of these commits, newest first."""
        done = self._session.git(
            "log", "--no-renames", "--no-show-signature", "--no-mailmap", "--max-count=%d" % _LISTED,
            "--format=" + _FIELDS, "--end-of-options", "%s..%s" % (since, tip), "--", *paths,
        )  # fmt: skip
        if done.returncode != 0:
            raise failure("list the commits of", self.label, done)
        parts = [part.lstrip("\n") for part in done.out.split("\0")]
        return [Commit(*parts[start : start + 3]) for start in range(0, len(parts) - 1, 3)]

    def check_out(self, commit: str, folder: str) -> None:
        """Write all files of ``commit`` into the existing empty ``folder``.

        Nothing that the repository says is run. Raises PermanentError ``link_outside`` for a
        symbolic link that leads out of the repository.
        """
        done = self._session.git(
            "--work-tree=%s" % folder, "read-tree", "-m", "-u", "--index-output=%s.index" % folder, commit,
        )  # fmt: skip
        if done.returncode != 0:
            raise failure("read the files of", self.label, done)
        _refuse_links_outside(folder, self.label)


def _refuse_links_outside(folder: str, label: str) -> None:
    top = os.path.realpath(folder)
    for place, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = os.path.join(place, name)
            if os.path.islink(path) and not (os.path.realpath(path) + os.sep).startswith(top + os.sep):
                cause = "the symbolic link %s leads out of it" % os.path.relpath(path, top)
                raise PermanentError("use", label, cause, "Argo CD refuses it, too.", code="link_outside")
