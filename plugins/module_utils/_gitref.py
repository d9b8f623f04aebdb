# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of what is handed to Git: addresses, branches, paths, people (private to the collection).

Git takes many of these for options, revisions or programs to run. Each check is an
allow-list; a value that passes can stand in an argument list, a configuration file and a
fast-import stream.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from ._errors import InvalidInput

_MAX = 4096
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_USER = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_PATH = r"[A-Za-z0-9._~/+%@:=,-]*"
_WEB = re.compile(r"(?P<scheme>https?)://(?P<host>%s)(?P<port>:[0-9]{1,5})?/%s" % (_HOST, _PATH))
_SSH = re.compile(r"ssh://(?:%s@)?%s(?::[0-9]{1,5})?/%s" % (_USER, _HOST, _PATH))
_SCP = re.compile(r"(?:%s@)?%s:(?![:-])%s" % (_USER, _HOST, _PATH))
_FILE = re.compile(r"(?:file://)?/[^\x00-\x1f\x7f]*")
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+#@=-]*")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Address:
    """A checked address: the URL, the transport (``ssh``, ``https``, ``http``, ``file``) and
    for web transports the origin (``https://host:port``) that may be given credentials."""

    url: str
    transport: str
    origin: str = ""


@dataclass(frozen=True)
class Author:
    """Who a commit says it is by; ``when`` is in seconds since the epoch."""

    name: str
    email: str
    when: float


@dataclass(frozen=True)
class File:
    """A regular file in a commit: its mode as Git writes it (``100644``) and its bytes."""

    mode: str
    data: bytes


def check_repo(repo: str, allow_file: bool) -> Address:
    """Return the address of a repository, or raise InvalidInput for ``repo``.

    Accepted: ``https://``, ``ssh://``, ``user@host:path``; ``http://`` to this machine only;
    ``file://`` and absolute paths only when allowed. Credentials in the URL are refused,
    because they would show in process lists and logs.
    """
    if len(repo) > _MAX:
        raise InvalidInput("repo", "the address is longer than %d characters" % _MAX)
    web = _WEB.fullmatch(repo)
    if web:
        if web["scheme"] == "http" and web["host"] not in _LOOPBACK:
            raise InvalidInput("repo", "http:// is not encrypted", "Use https:// or ssh://.")
        return Address(repo, web["scheme"], "%s://%s%s" % (web["scheme"], web["host"], web["port"] or ""))
    if _SSH.fullmatch(repo) or ("://" not in repo and "::" not in repo and _SCP.fullmatch(repo)):
        return Address(repo, "ssh")
    if _FILE.fullmatch(repo):
        if not allow_file:
            raise InvalidInput("repo", "local repositories are not allowed", "Set allow_file_urls: true to allow them.")
        return Address(repo if repo.startswith("file://") else "file://" + repo, "file")
    if re.match(r"https?://[^/]*@", repo):
        raise InvalidInput("repo", "the address holds credentials", "Use the options username and password.")
    scheme = urlsplit(repo).scheme if re.fullmatch(r"[!-~]+", repo) and "[" not in repo else ""
    cause = (
        "'%s' is not an allowed transport" % scheme if scheme and "://" in repo else "it is not a repository address"
    )
    raise InvalidInput("repo", cause, "Use https://host/path, ssh://user@host/path or user@host:path.")


def check_branch(branch: str) -> str:
    """Return the short name of a branch, or raise InvalidInput for ``branch``."""
    parts = branch.split("/")
    sound = (
        len(branch) <= 255
        and _REF.fullmatch(branch)
        and not any(part.startswith(".") or part.endswith((".", ".lock")) or not part for part in parts)
        and ".." not in branch
        and branch not in ("HEAD", "FETCH_HEAD", "ORIG_HEAD", "@")
        and parts[0] != "refs"
        and not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", branch)
    )
    if not sound:
        raise InvalidInput(
            "branch", "%r is not the name of a branch" % branch[:300], "Give its short name, such as main."
        )
    return branch


def check_path(path: str) -> str:
    """Return a path inside a repository without ``./`` and a trailing ``/``; ``""`` is the top.

    Raises InvalidInput for ``path`` when it is absolute, leaves the repository or enters ``.git``.
    """
    if not path or len(path) > _MAX or any(ord(char) < 32 or ord(char) == 127 for char in path):
        raise InvalidInput("path", "it is empty, too long or holds control characters")
    if path.startswith(("/", "~")) or "\\" in path:
        raise InvalidInput("path", "%r is not relative to the repository" % path[:300])
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise InvalidInput("path", "%r leads out of the repository" % path[:300])
    if any(part.lower().rstrip(". ") == ".git" or part.lower().startswith("git~") for part in parts):
        raise InvalidInput("path", "%r leads into .git" % path[:300])
    return "/".join(parts)


def check_person(option: str, text: str) -> str:
    """Return the name or address of an author, or raise InvalidInput for ``option``."""
    if not text.strip() or len(text) > 255 or re.search(r"[<>\x00-\x1f\x7f]", text):
        raise InvalidInput(option, "it is empty, too long or holds '<', '>' or a control character")
    return text.strip()
