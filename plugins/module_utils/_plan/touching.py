# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which commits a delivery is about (private to the collection)."""

from __future__ import annotations

from typing import Any, Protocol, Sequence


class History(Protocol):
    """The commits of one branch."""

    def contains(self, tip: str, commit: str) -> bool: ...

    def log(self, since: str, tip: str, paths: Sequence[str]) -> Sequence[Any]: ...

    def count(self, since: str, tip: str, paths: Sequence[str] = ()) -> int: ...


def commits_of(history: History, span: tuple[str, str], paths: Sequence[str], live: str) -> dict[str, Any]:
    """Return the commits of ``span`` (last verified release, tip) that touch ``paths``, newest first.

    ``live`` is the commit that Argo CD compares with now: what is not part of it would be
    brought live by this delivery too.
    """
    since, tip = span
    found: dict[str, Any] = {"since": since, "known": bool(since), "total": 0, "touching": 0}
    found.update(of_application=[], brought_live=[])
    if not since:
        return dict(found, note="not listed: no earlier release is known, or the branch no longer contains it")
    found.update(total=history.count(since, tip), touching=history.count(since, tip, paths))
    found["of_application"] = [item._asdict() for item in history.log(since, tip, paths)]
    if not live or not history.contains(live, since):
        return dict(found, note="which of them are live already is not known")
    coming = [item._asdict() for item in history.log(live, tip, paths)]
    note = "%d more of this application go live with it" % len(coming) if coming else ""
    return dict(found, brought_live=coming, note=note)
