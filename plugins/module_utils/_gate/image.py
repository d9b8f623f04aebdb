# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparison of container image references (private to the collection)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional, Sequence

_PART = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
_REFERENCE = re.compile(
    r"(?P<name>(?:%s(?::[0-9]+)?/)?%s(?:/%s)*)" % (_PART, _PART, _PART)
    + r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?"
    + r"(?:@(?P<digest>sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?"
)


@dataclass(frozen=True)
class Image:
    """A parsed reference. ``repository`` is complete: ``nginx`` is ``docker.io/library/nginx``."""

    repository: str
    tag: str = ""
    digest: str = ""

    def carried_by(self, live: Image) -> bool:
        """Tell whether ``live`` is this very image: the digest decides where one is wanted."""
        if self.repository != live.repository:
            return False
        if self.digest:
            return self.digest == live.digest
        return self.tag == live.tag


def parse_image(reference: str) -> Image:
    """Parse ``[host/]path[:tag][@digest]``; without tag and digest the tag is ``latest``.

    Raises ValueError when it is not a reference that a container runtime would accept.
    """
    found = _REFERENCE.fullmatch(reference) if len(reference) <= 512 else None
    if found is None:
        raise ValueError("%r is not an image reference" % reference[:80])
    tag, digest = found.group("tag") or "", found.group("digest") or ""
    return Image(_complete(found.group("name")), tag or ("" if digest else "latest"), digest)


def _complete(name: str) -> str:
    """Return ``name`` with the registry host and folder that a runtime would add."""
    host, slash, path = name.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, path = "docker.io", name
    if host in ("docker.io", "index.docker.io"):
        host, path = "docker.io", path if "/" in path else "library/" + path
    return host + "/" + path


def carries(references: Sequence[str], wanted: Sequence[Image]) -> bool:
    """Whether each of the live ``references`` whose repository is wanted is exactly a wanted image."""
    for live in map(_parsed, references):
        same = [image for image in wanted if live and image.repository == live.repository]
        if same and not any(live and image.carried_by(live) for image in same):
            return False
    return True


def not_carried(references: Sequence[str], wanted: Sequence[Image]) -> list[Image]:
    """Return the ``wanted`` images that none of the live ``references`` is."""
    live = [image for image in map(_parsed, references) if image]
    return [image for image in wanted if not any(image.carried_by(other) for other in live)]


def _parsed(reference: str) -> Optional[Image]:
    """Parse a live reference; one that the API server let pass but no runtime would is None."""
    try:
        return parse_image(reference)
    except ValueError:
        return None
