# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a later commit still contains what was delivered (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Protocol, Sequence

from .._errors import InvalidInput
from .state import BEHIND, CHANGED, DESCENDANT, DIVERGED


class History(Protocol):
    """One branch of the deploy repository, as far as it was fetched."""

    def load(self, commit: str) -> bool:
        """Fetch the branch down to ``commit``; False when the branch does not contain it."""

    def contains(self, tip: str, commit: str) -> bool:
        """Tell whether ``commit`` is ``tip`` or an ancestor of it; False for what was not fetched."""

    def read(self, commit: str, paths: Sequence[str]) -> Mapping[str, Optional[bytes]]:
        """Return files of a commit, None for what does not exist."""


State = Mapping[str, Any]


@dataclass(frozen=True)
class Delivered:
    """What was edited: ``names`` in the one of the files ``places`` that exists.

    ``state_of(data, name)`` returns what a file says about a name, None if nothing.
    ``option`` is where the names come from.
    """

    places: Sequence[str]
    names: Sequence[str]
    state_of: Callable[[bytes, str], Optional[State]]
    option: str = "expected.images"


def relation(history: History, delivered: Delivered, ours: str, other: str) -> str:
    """Return how ``other`` relates to our commit, in the words of ``state``.

    Raises InvalidInput when our own commit does not have the names.
    """
    if not history.load(ours):
        return DIVERGED
    if not history.contains(other, ours):
        return BEHIND
    mine = _states(history, delivered, ours)
    missing = [name for name, state in zip(delivered.names, mine) if state is None]
    if missing:
        cause = "commit %s sets no %s in %s" % (ours[:12], ", ".join(missing), delivered.places[0])
        raise InvalidInput(delivered.option, cause, "Name them as the task that edited the file did.")
    return DESCENDANT if _states(history, delivered, other) == mine else CHANGED


def _states(history: History, delivered: Delivered, commit: str) -> list[Optional[State]]:
    """Return what a commit says about the delivered names, None for what it says nothing about."""
    for data in history.read(commit, delivered.places).values():
        if data is not None:
            return [delivered.state_of(data, name) for name in delivered.names]
    return [None] * len(delivered.names)
