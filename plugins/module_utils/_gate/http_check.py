# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges the answers of one URL (private to the collection)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional

from .expression import search


@dataclass(frozen=True)
class HttpCheck:
    """What to ask and what to expect. All times are in seconds."""

    url: str
    status: tuple[int, ...] = (200,)
    match: Mapping[str, str] = field(default_factory=dict)
    successes: int = 3
    interval_s: float = 0.5
    timeout_s: float = 5.0
    wait_s: float = 60.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_cert: str = ""


@dataclass(frozen=True)
class Answer:
    """What came back. With a ``fault`` nothing usable came.

    ``is_evidence`` tells a fault of the application (it refuses connections, answers
    nonsense) from one that says nothing about it (the name does not resolve, the network
    is silent, our trust store does not fit).
    """

    status: int = 0
    body: bytes = b""
    fault: str = ""
    is_evidence: bool = True


def mismatch(check: HttpCheck, answer: Answer) -> str:
    """Return how ``answer`` differs from what ``check`` expects, empty when it does not."""
    if answer.fault:
        return answer.fault
    if answer.status not in check.status:
        return "status %d instead of %s" % (answer.status, " or ".join(map(str, check.status)))
    if not check.match:
        return ""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return "the body is not JSON"
    for expression, wanted in check.match.items():
        found = search(expression, document)
        if _text(found) != wanted:
            return "%s is %s instead of '%s'" % (expression, _shown(found), wanted)
    return ""


def _text(value: Any) -> Optional[str]:
    """Return a scalar as it is written in JSON, a string bare; anything else equals nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    return None


def _shown(value: Any) -> str:
    return "absent" if value is None else "'%s'" % str(value)[:80]


class Streak:
    """Counts matching answers in a row, from the moment the old pods are gone."""

    def __init__(self, check: HttpCheck) -> None:
        self.check = check
        self.count = 0
        self.asked = 0
        self.last_fault = ""
        self.is_evidence = True
        self.begun_at: Optional[float] = None
        self.matching_since: Optional[float] = None
        self.satisfied_at: Optional[float] = None
        self._due_at = 0.0

    def reset(self) -> None:
        """Forget everything: the rollout is not ready (any more)."""
        self.count = 0
        self.begun_at = self.matching_since = self.satisfied_at = None
        self._due_at = 0.0

    def is_due(self, now: float) -> bool:
        """Whether the URL is to be asked at ``now`` (monotonic)."""
        return now >= self._due_at

    def record(self, now: float, fault: str, is_evidence: bool) -> None:
        """Take in one answer: what was wrong with it, empty when it matched."""
        self.asked += 1
        self.begun_at = now if self.begun_at is None else self.begun_at
        self._due_at = now + self.check.interval_s
        self.last_fault, self.is_evidence = fault, is_evidence
        if fault:
            self.count, self.matching_since, self.satisfied_at = 0, None, None
            return
        self.count += 1
        self.matching_since = now if self.matching_since is None else self.matching_since
        if self.count >= self.check.successes and self.satisfied_at is None:
            self.satisfied_at = now

    @property
    def is_satisfied(self) -> bool:
        """Whether the last N answers in a row matched."""
        return self.satisfied_at is not None

    def is_overdue(self, now: float) -> bool:
        """Whether the application had its time to answer rightly and did not."""
        return self.begun_at is not None and not self.is_satisfied and now - self.begun_at >= self.check.wait_s

    def summary(self) -> dict[str, Any]:
        """Return the check as module return values; never headers or bodies."""
        return {
            "url": self.check.url,
            "in_a_row": self.count,
            "wanted": self.check.successes,
            "asked": self.asked,
            "last_fault": self.last_fault,
            "ok": self.is_satisfied,
        }
