# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the commits of one remote branch relate (private to the collection)."""

from __future__ import annotations

from typing import Mapping, Optional, Sequence

from .._errors import PermanentError
from .failure import failure
from .repository import Repository
from .session import BLOB_LIMIT, Session


class BranchHistory:
    """The commits of a branch from a given one on. Nothing is checked out."""

    def __init__(self, session: Session, branch: str) -> None:
        self._session = session
        self._repository = Repository(session, branch)

    def load(self, commit: str) -> bool:
        """Fetch what lies between ``commit`` and the tip; False when the branch does not contain it.

        Raises what Repository.fetch raises, and PermanentError when the server does not
        hand out a commit that is no branch.
        """
        done = self._session.git(
            "fetch", "--quiet", "--no-tags", "--depth=1", "--filter=blob:limit=%d" % BLOB_LIMIT,
            "--end-of-options", "origin", commit,
        )  # fmt: skip
        if done.returncode != 0:
            raise failure("fetch commit %s of" % commit[:12], self._repository.label, done)
        try:
            self._repository.fetch(since=commit)
        except PermanentError as error:
            if error.code == "history_rewritten":
                return False
            raise
        return True

    def contains(self, tip: str, commit: str) -> bool:
        """Tell whether ``commit`` is ``tip`` or an ancestor of it, as far as both are fetched."""
        return self._repository.contains(tip, commit)

    def read(self, commit: str, paths: Sequence[str]) -> Mapping[str, Optional[bytes]]:
        """Return the bytes of files, None for what does not exist."""
        files = self._repository.read(commit, paths)
        return {path: file.data if file else None for path, file in files.items()}
