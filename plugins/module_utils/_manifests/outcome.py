# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of a release of manifests, for people and programs (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional, Sequence

from .document import Id, Object, shown

#: What of a result means that the cluster was changed.
CHANGING = ("created", "updated", "removed", "replaced")


@dataclass
class Webhooks:
    """How long admission webhooks kept the first dry runs waiting."""

    seconds: float = 0.0
    refusals: int = 0
    first_refusal: str = ""

    def as_result(self) -> dict[str, Any]:
        """Return them as return values."""
        return {
            "seconds": round(self.seconds, 3),
            "refusals": self.refusals,
            "first_refusal": self.first_refusal,
        }


@dataclass
class Changes:
    """What was, or would be, changed, and what was left although the release has it no more."""

    created: list[Id] = field(default_factory=list)
    updated: list[Id] = field(default_factory=list)
    removed: list[Id] = field(default_factory=list)
    kept: list[Id] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    def note(self, item: Id, before: Optional[Object], after: Optional[Object]) -> None:
        """Remember one object that is made, changed or (``after`` is None) removed."""
        which = self.removed if after is None else self.created if before is None else self.updated
        which.append(item)
        self.before.append(shown(before))
        self.after.append(shown(after))

    def as_result(self, replaced: Sequence[Id]) -> dict[str, list[str]]:
        """Return them as return values, with the pods that were replaced."""
        lists = {"created": self.created, "updated": self.updated, "removed": self.removed, "kept": self.kept}
        return {name: [str(item) for item in ids] for name, ids in {**lists, "replaced": replaced}.items()}

    def as_diff(self, header: str) -> dict[str, str]:
        """Return them as a diff, with the same header on both sides."""
        sides = {"before": "".join(self.before), "after": "".join(self.after)}
        return {**sides, "before_header": header, "after_header": header}
