# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The live line of a gate (private to the collection)."""

from __future__ import annotations

from typing import Callable, Sequence

from .http_check import Streak
from .rollout import counted
from .verdict import Judge

AT_LEAST_EVERY_S = 8.0
AT_MOST_EVERY_S = 0.5


class ProgressLine:
    """Shows what is waited for: when it changes, and from time to time when it does not."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._last_key = ""
        self._last_at = float("-inf")

    def say(self, elapsed_s: float, text: str, key: str = "") -> None:
        """Show ``text`` unless too little has changed; ``key`` is its part that counts as change."""
        key = key or text
        since = elapsed_s - self._last_at
        if since >= AT_LEAST_EVERY_S or (key != self._last_key and since >= AT_MOST_EVERY_S):
            self._last_key, self._last_at = key, elapsed_s
            self._show("%s (%.0f s)" % (text, elapsed_s))


def state_line(judge: Judge, streaks: Sequence[Streak], now: float) -> tuple[str, str]:
    """Return the line for the present state and the part of it that counts as change."""
    parts = []
    for rollout in judge.rollouts[:3]:
        text = "%s/%s %d/%d ready" % (rollout.namespace, rollout.name, rollout.ready, rollout.desired)
        text += " (%s)" % rollout.template_hash if rollout.template_hash else ""
        text += ", %d old" % rollout.old_ready if rollout.old_ready else ""
        text += ", " + counted(rollout.restarts, "restart") if rollout.restarts else ""
        parts.append(text if rollout.is_ready else text + ", waits for " + rollout.waiting_for)
    if len(judge.rollouts) > 3:
        ready = sum(1 for rollout in judge.rollouts if rollout.is_ready)
        parts.append("%d of %d Deployments ready" % (ready, len(judge.rollouts)))
    key = "; ".join(parts)
    since = judge.ready_since
    if since is not None:
        parts.append("stable %.0f/%g s" % (min(now - since, judge.window_s), judge.window_s))
        key += " stable"
    for streak in streaks:
        parts.append(
            "http %d/%d" % (min(streak.count, streak.check.successes), streak.check.successes)
            + (" (%s)" % streak.last_fault if streak.last_fault else "")
        )
        key += " http %s %s" % (streak.is_satisfied, streak.last_fault)
    return "; ".join(parts), key
