# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a gate as module return values (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence

from .diagnosis import hint_for, shortened
from .http_check import Streak
from .pods import Problem
from .verdict import FAIL, INCONCLUSIVE, PASS, TIMEOUT, Decision, Judge, describe

MAX_PROBLEMS = 10


@dataclass(frozen=True)
class Timing:
    """Moments of the monotonic clock, in seconds."""

    started: float
    ended: float
    ready_since: Optional[float]
    answered_at: Optional[float]

    def seconds(self) -> dict[str, float]:
        """Return how long each part took; the parts of a verdict that was not reached are 0.

        ``stability`` is the undisturbed window at the end. ``http`` is what the URLs took from
        the moment the rollout was ready, and runs at the same time as the window.
        """
        ready = self.ready_since if self.ready_since is not None else self.ended
        http = max(0.0, self.answered_at - (self.ready_since or self.started)) if self.answered_at is not None else 0.0
        parts = {
            "total": self.ended - self.started,
            "rollout": ready - self.started,
            "stability": self.ended - ready,
            "http": http,
        }
        return {name: round(value, 3) for name, value in parts.items()}


def for_problem(verdict: str, problem: Problem) -> Decision:
    """Return the decision that one problem stands for."""
    return Decision(verdict, problem.reason, describe(problem), (problem,))


def for_url(streak: Streak) -> Decision:
    """Return the decision about a URL that had its time: no evidence is no pass, and no failure."""
    verdict, reason = (FAIL, "HttpMismatch") if streak.is_evidence else (INCONCLUSIVE, "HttpNoEvidence")
    return for_problem(verdict, Problem("URL", "", streak.check.url, reason, streak.last_fault or "too few answers"))


def result_of(decision: Decision, judge: Judge, streaks: Sequence[Streak], timing: Timing) -> dict[str, Any]:
    """Return the values that every verdict has."""
    return {
        "changed": False,
        "verdict": decision.verdict,
        "reason": decision.reason,
        "seconds": timing.seconds(),
        "stable_for": judge.policy.stable_for_s,
        "stable_window": judge.window_s,
        "deployments": [rollout.summary() for rollout in judge.rollouts],
        "http": [streak.summary() for streak in streaks],
        "checks": {"deployments": len(judge.rollouts), "http": len(streaks)},
        "problems": [
            {"object": item.subject, "reason": item.reason, "message": shortened(item.message)}
            for item in decision.problems[:MAX_PROBLEMS]
        ],
        "diagnosis": {},
    }


def subject_of(judge: Judge, decision: Decision) -> str:
    """Name what was judged, for messages."""
    if len(judge.rollouts) == 1:
        return "Deployment %s/%s" % (judge.rollouts[0].namespace, judge.rollouts[0].name)
    if judge.rollouts:
        return "%d Deployments" % len(judge.rollouts)
    return decision.problems[0].subject if decision.problems else "the answers"


def message_of(subject: str, decision: Decision, result: Mapping[str, Any]) -> str:
    """Say the verdict in one sentence, without naming ``subject`` twice."""
    if decision.verdict == PASS:
        return "Verified %s in %.1f s" % (subject, result["seconds"]["total"])
    message, seen = decision.message, str(result["diagnosis"].get("message", "")).strip()
    if message.startswith(subject + ": "):
        message = message[len(subject) + 2 :]
    return (
        message if not seen or seen in message or message in seen else "%s. Last seen: %s" % (message.rstrip("."), seen)
    )


def advice_for(decision: Decision) -> str:
    """Return what to do next."""
    hint = hint_for(decision.reason)
    if decision.verdict == TIMEOUT:
        hint = (hint + " The rollout may still succeed: run the gate again to go on watching.").strip()
    return hint
