# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One branch of a remote repository: read its tip, build on it, push (private to the collection).

There is no working tree: files are read from and written to Git's objects, so links,
filters and hooks of the repository have nothing to act on, and no file is ever half written.
"""

from __future__ import annotations

import re
from typing import Mapping, Optional, Sequence

from .._errors import InvalidInput, PermanentError
from .._gitref import Author, File
from .failure import failure, push_failure
from .session import BLOB_LIMIT, Session

_TIP = "refs/slipway/tip"
_OBJECT = re.compile(rb"(?:[0-9a-f]{40}|[0-9a-f]{64}) (blob|tree|commit|tag) ([0-9]+)\n")
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LINK, _SUBMODULE = b"120000", b"160000"


class Repository:
    """The branch ``branch`` of the repository that ``session`` is for."""

    def __init__(self, session: Session, branch: str) -> None:
        self._session = session
        self._branch = branch
        self._commits = 0

    @property
    def label(self) -> str:
        """The branch as messages name it."""
        return "branch '%s' of repository %s" % (self._branch, self._session.address.url)

    def fetch(self, since: str = "") -> str:
        """Fetch the tip and return its commit.

        The first fetch takes the tip alone, with files up to a small size. A later one
        names in ``since`` the commit that we built on and also brings what lies between.

        Raises NotFound (``ref_missing``, ``repo_missing``), TransientError (``unreachable``,
        ``timeout``) and PermanentError (``auth``, ``host_key``, ``tls``, ``history_rewritten``).
        """
        depth = () if since else ("--depth=1",)
        done = self._session.git(
            "fetch", "--quiet", "--no-tags", "--filter=blob:limit=%d" % BLOB_LIMIT, *depth,
            "--end-of-options", "origin", "+refs/heads/%s:%s" % (self._branch, _TIP),
        )  # fmt: skip
        if done.returncode != 0:
            raise failure("fetch", self.label, done)
        tip = (self._session.folder / _TIP).read_text(encoding="ascii").strip()
        if not _SHA.fullmatch(tip):
            raise PermanentError("fetch", self.label, "its tip is %r" % tip[:80], code="git")
        if since and not self.contains(tip, since):
            raise PermanentError(
                "build on", self.label, "its history was rewritten: %s is no longer part of it" % since[:12],
                "Nothing was pushed. Look at the branch before the next delivery.", code="history_rewritten",
            )  # fmt: skip
        return tip

    def contains(self, tip: str, commit: str) -> bool:
        """Tell whether ``commit`` is ``tip`` or an ancestor of it, as far as both are fetched."""
        done = self._session.git("merge-base", "--is-ancestor", "--end-of-options", commit, tip)
        return done.returncode == 0

    def read(self, commit: str, paths: Sequence[str]) -> dict[str, Optional[File]]:
        """Return the files at ``paths``; None for what does not exist or is a folder.

        Raises InvalidInput for ``path`` when a part of one is a symbolic link or a submodule.
        """
        folders = sorted({folder for path in paths for folder in _parents(path)})
        names = ["%s:%s" % (commit, path) for path in (*folders, *paths)]
        done = self._session.git("cat-file", "--batch", data=("\n".join(names) + "\n").encode("utf-8"))
        if done.returncode != 0:
            self._refuse_submodules(commit, paths)
            raise failure("read", self.label, done)
        objects = _objects(done.stdout, len(names))
        modes: dict[str, bytes] = {}
        for folder, found in zip(folders, objects):
            if found and found[0] == b"tree":
                modes.update(_modes(folder, found[1], self._hash_bytes(commit)))
        files: dict[str, Optional[File]] = {}
        for path, found in zip(paths, objects[len(folders) :]):
            _refuse_links(path, modes)
            is_file = found is not None and found[0] == b"blob" and path in modes
            files[path] = File(modes[path].decode("ascii"), found[1]) if is_file and found else None
        return files

    def _refuse_submodules(self, commit: str, paths: Sequence[str]) -> None:
        """Name the submodule in the way: git fails on one, because its commit is elsewhere."""
        parts = sorted({part for path in paths for part in (*_parents(path)[1:], path)})
        done = self._session.git("ls-tree", "-z", "--full-tree", "--end-of-options", commit, *parts)
        modes = {}
        for line in filter(None, done.out.split("\0")):
            head, _tab, name = line.partition("\t")
            modes[name] = head.split(" ")[0].encode("ascii")
        for path in paths:
            _refuse_links(path, modes)

    def commit(self, parent: str, files: Mapping[str, File], message: str, author: Author) -> str:
        """Create a commit on ``parent`` that replaces ``files``, locally, and return it."""
        self._commits += 1
        ref = "refs/slipway/next%d" % self._commits
        person = "%s <%s> %d +0000" % (author.name, author.email, author.when)
        text = message.encode("utf-8")
        stream = [("commit %s\nauthor %s\ncommitter %s\ndata %d\n" % (ref, person, person, len(text))).encode("utf-8")]
        stream += [text, ("\nfrom %s\n" % parent).encode("ascii")]
        for path, file in sorted(files.items()):
            stream.append(("M %s inline %s\ndata %d\n" % (file.mode, _c_quoted(path), len(file.data))).encode("utf-8"))
            stream += [file.data, b"\n"]
        stream.append(b"done\n")
        done = self._session.git("fast-import", "--quiet", "--done", data=b"".join(stream))
        if done.returncode != 0:
            raise failure("commit to", self.label, done)
        return (self._session.folder / ref).read_text(encoding="ascii").strip()

    def push(self, commit: str, parent: str, timeout_s: float) -> None:
        """Push ``commit``, whose parent is ``parent``, if the branch still points to ``parent``.

        The expected value makes it a compare-and-swap. A bare fast-forward push would also
        create a branch that was deleted meanwhile, and bring back commits that somebody has
        just taken away.

        Raises LostRace, PermanentError (``rejected``, ``auth``, ``host_key`` ...), and
        TransientError when it is not known whether the server took it.
        """
        ref = "refs/heads/%s" % self._branch
        done = self._session.git(
            "push", "--porcelain", "--no-thin", "--no-verify", "--no-signed", "--recurse-submodules=no",
            "--force-with-lease=%s:%s" % (ref, parent), "--end-of-options", "origin", "%s:%s" % (commit, ref),
            timeout_s=timeout_s,
        )  # fmt: skip
        if done.returncode != 0:
            raise push_failure(self.label, done)

    @staticmethod
    def _hash_bytes(commit: str) -> int:
        return len(commit) // 2


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(len(parts) + 1)]


def _objects(output: bytes, count: int) -> list[Optional[tuple[bytes, bytes]]]:
    """Split the output of ``cat-file --batch``; None for an object that is missing."""
    found: list[Optional[tuple[bytes, bytes]]] = []
    position = 0
    for _number in range(count):
        head = _OBJECT.match(output, position)
        if head:
            end = head.end() + int(head.group(2))
            found.append((head.group(1), output[head.end() : end]))
            position = end + 1
        else:
            found.append(None)
            position = output.index(b"\n", position) + 1
    return found


def _modes(folder: str, tree: bytes, hash_bytes: int) -> dict[str, bytes]:
    """Return the modes in one tree object by full path."""
    modes: dict[str, bytes] = {}
    position = 0
    while position < len(tree):
        end = tree.index(b"\0", position)
        mode, _space, name = tree[position:end].partition(b" ")
        text = name.decode("utf-8", "surrogateescape")
        modes["%s/%s" % (folder, text) if folder else text] = mode
        position = end + 1 + hash_bytes
    return modes


def _refuse_links(path: str, modes: Mapping[str, bytes]) -> None:
    for part in (*_parents(path)[1:], path):
        kind = {_LINK: "a symbolic link", _SUBMODULE: "a submodule"}.get(modes.get(part, b""))
        if kind:
            raise InvalidInput("path", "'%s' is %s in the repository" % (part, kind), "Name the file itself.")


def _c_quoted(path: str) -> str:
    return '"%s"' % path.replace("\\", "\\\\").replace('"', '\\"')
