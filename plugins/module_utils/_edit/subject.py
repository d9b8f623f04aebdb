# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be edited in a branch (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Protocol, Sequence

State = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """The file after the edit, and each wanted thing before and after."""

    data: bytes
    before: Sequence[State]
    after: Sequence[State]


class Subject(Protocol):
    """A file and what shall hold in it; pure, so that it can be planned again on every new tip."""

    @property
    def places(self) -> Sequence[str]:
        """Paths in the repository where the file may be."""

    def choose(self, found: Sequence[str], branch: str) -> str:
        """Return which of the places that hold a file is meant, or raise InvalidInput."""

    def edit(self, path: str, data: bytes) -> Outcome:
        """Return the edited content of the file at ``path``, or raise InvalidInput."""

    def headline(self, states: Sequence[State]) -> str:
        """Name what is set, in a few words."""

    def describe(self, state: State) -> str:
        """Name one thing and what it is now, for a sentence."""
