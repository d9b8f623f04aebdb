# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a later commit still contains what was delivered (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Mapping, Optional, Protocol, Sequence

from .._errors import InvalidInput
from .state import BEHIND, CHANGED, DESCENDANT, DIVERGED

_FILE_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")


class History(Protocol):
    """One branch of the deploy repository, as far as it was fetched."""

    def load(self, commit: str) -> bool:
        """Fetch the branch down to ``commit``; False when the branch does not contain it."""

    def contains(self, tip: str, commit: str) -> bool:
        """Tell whether ``commit`` is ``tip`` or an ancestor of it; False for what was not fetched."""

    def read(self, commit: str, paths: Sequence[str]) -> Mapping[str, Optional[bytes]]:
        """Return files of a commit, None for what does not exist."""


ImageState = Mapping[str, Optional[str]]


@dataclass(frozen=True)
class Delivered:
    """What was edited: the images ``names`` in the kustomization at ``path`` (a file or its folder).

    ``state_of(data, name)`` returns what a kustomization says about an image, None if nothing.
    """

    path: str
    names: Sequence[str]
    state_of: Callable[[bytes, str], Optional[ImageState]]


def relation(history: History, delivered: Delivered, ours: str, other: str) -> str:
    """Return how ``other`` relates to our commit, in the words of ``state``.

    Raises InvalidInput when our own commit does not have the images.
    """
    if not history.load(ours):
        return DIVERGED
    if not history.contains(other, ours):
        return BEHIND
    mine = _states(history, delivered, ours)
    missing = [name for name, state in zip(delivered.names, mine) if state is None]
    if missing:
        cause = "commit %s sets no image %s in %s" % (ours[:12], ", ".join(missing), delivered.path)
        raise InvalidInput("expected.images", cause, "Name the images as kustomize_image did.")
    return DESCENDANT if _states(history, delivered, other) == mine else CHANGED


def _states(history: History, delivered: Delivered, commit: str) -> list[Optional[ImageState]]:
    """Return what a commit says about the delivered images, None for what it says nothing about."""
    is_file = delivered.path.rsplit("/", 1)[-1] in _FILE_NAMES
    folder = delivered.path.strip("/") + "/" if delivered.path.strip("./") else ""
    paths = [delivered.path] if is_file else [folder + name for name in _FILE_NAMES]
    for data in history.read(commit, paths).values():
        if data is not None:
            return [delivered.state_of(data, name) for name in delivered.names]
    return [None] * len(delivered.names)
