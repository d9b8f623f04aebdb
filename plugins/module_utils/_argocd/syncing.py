# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting until an Application is synced to a commit (private to the collection)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Mapping, NamedTuple, Optional

from .._context import Context
from .._errors import BusyError, NotFound, PermanentError, SlipwayError, TransientError
from .._progress import Voice
from .failure import ended, is_passing, timed_out
from .operating import require_window, start
from .operation import Request
from .ports import Object, Ports, Target, about
from .state import CHANGED, DESCENDANT, DIVERGED, UNKNOWN, Judgement, Wanted, judge
from .view import REFRESH, View, short, summary, sync_result

# How long a state that usually does not heal may last, in seconds, while refreshes are asked for;
# longer when the reason does not lie in the commit.
_TOLERANCE_S = {
    "window_closed": 5.0,
    "invalid_spec": 3.0,
    "comparison": 5.0,
    "sync_refused": 5.0,
    "out_of_sync": 15.0,
    "stuck": 15.0,
}
# Argo CD first takes an operation of ours for an automated one and blocks it; when it looks again depends on its load.
_OWN_BLOCKED_S = 15.0
_PASSING_S = 20.0
_WINDOWS_AFTER_S = 3.0
_REFRESH_STUCK_S = 15.0
_REFRESH_CAP_S = 15.0
_ASK_AGAIN_S = 10.0


@dataclass(frozen=True)
class Goal:
    """What to wait for and what may be done for it.

    ``may_operate`` allows an operation of our own, ``retry_failed`` one after the automated
    operation for the revision failed, ``manual`` one where sync windows hold the automated
    operation back, or may do so and cannot be seen. ``options`` is the module option ``operation``.
    """

    wanted: Wanted
    timeout_s: float
    may_operate: bool = True
    retry_failed: bool = False
    manual: bool = False
    hard_refresh: bool = False
    options: Optional[Mapping[str, Any]] = None


@dataclass
class _Timers:
    """When, on the monotonic clock, something was first seen or last done."""

    started: float
    refreshed: float
    refresh_step: float = 1.0
    trouble: dict[str, float] = field(default_factory=dict)
    not_started: Optional[float] = None


class _Answer(NamedTuple):
    """How another commit relates to ours, and until when (monotonic) that can be relied on."""

    relation: str
    until: float


class Syncing:
    """One wait for one Application. Use :meth:`run` once."""

    def __init__(self, target: Target, goal: Goal, ports: Ports, ctx: Context) -> None:
        self.target = target
        self.goal = goal
        self.ports = ports
        self.wanted = goal.wanted
        self.app: Object = {}
        self.has_operated = False
        self._ctx = ctx
        self._relations: dict[str, _Answer] = {}
        now = ports.clock.monotonic()
        self._timers = _Timers(started=now, refreshed=now)
        self._voice = Voice(target.name, ctx.progress, ports.clock.monotonic)
        self._line = ""

    def judge(self, app: Mapping[str, Any]) -> Judgement:
        """Judge, asking the Git port about another revision when that decides."""
        now = self.ports.clock.monotonic()
        self._relations = {key: known for key, known in self._relations.items() if known.until > now}
        while True:
            relations = {key: known.relation for key, known in self._relations.items()}
            judgement = judge(app, replace(self.wanted, relations=relations))
            if not judgement.ask:
                return judgement
            self._relations[judgement.ask] = self._ask(judgement.ask)

    def _ask(self, other: str) -> _Answer:
        """Ask the repository. How two commits relate never changes, but the branch may not be pushed through yet."""
        self._voice.say("Argo CD compares %s; looking whether it contains our commit" % short(other))
        try:
            relation = self.ports.relation(self.wanted.revision, other)
        except TransientError as error:
            self._ctx.warn("The repository could not be asked about %s: %s" % (short(other), error))
            relation = UNKNOWN
        is_final = relation in (DESCENDANT, CHANGED, DIVERGED)
        return _Answer(relation, math.inf if is_final else self.ports.clock.monotonic() + _ASK_AGAIN_S)

    def run(self, app: Object) -> Judgement:
        """Refresh, then wait until the goal is reached; ``app`` is the Application as just read.

        Raises the typed error of whatever ends the wait otherwise; its ``result`` holds the
        last observed state.
        """
        self.app = app
        try:
            return self._wait(must_repeat=View(app).is_refreshing)
        except SlipwayError as error:
            error.result = dict(self.result(), changed=self.has_operated, **error.result)
            raise

    def _wait(self, must_repeat: bool) -> Judgement:
        """Wait. ``must_repeat``: a comparison is under way that may have begun before our commit."""
        self._refresh()
        deadline = self._timers.started + self.goal.timeout_s
        judgement, fault = Judgement("waiting", "nothing was observed yet"), None
        for sight in self.ports.observe(self.target.namespace, self.target.name, deadline):
            fault = sight.fault
            self._keep_lease()
            if isinstance(fault, PermanentError):
                raise fault
            if sight.app is None:
                raise NotFound("sync", str(self.target), "it was deleted meanwhile", code="deleted")
            self.app = sight.app
            if must_repeat and not View(self.app).is_refreshing:
                must_repeat = False
                self._refresh()
                continue
            judgement = self.judge(self.app)
            self._report(judgement)
            if judgement.state == "synced" or (judgement.needs_operation and not self.goal.may_operate):
                return judgement
            self._act(judgement)
        raise self._timeout(judgement, fault)

    @property
    def seconds(self) -> float:
        """Seconds since the wait began."""
        return self.ports.clock.monotonic() - self._timers.started

    def result(self) -> dict[str, Any]:
        """Return the return values that describe the last observed state."""
        view = View(self.app)
        return {
            "application": summary(self.app),
            "sync": sync_result(self.app),
            "health": view.health,
            "conditions": summary(self.app)["conditions"],
            "revision": view.operation_revision if self.wanted.operation_id else view.revision,
            "operation_started": self.has_operated,
            "seconds": round(self.seconds, 3),
            "superseded_by": "",
        }

    def _keep_lease(self) -> None:
        self.ports.lease.renew_if_due()
        if self.ports.lease.cancel_requested:
            raise BusyError("wait for", str(self.target), "the delivery was cancelled", code="cancelled")

    def _act(self, judgement: Judgement) -> None:
        """Do what brings the goal nearer, or raise when nothing can."""
        if judgement.code in ("sync_failed", "sync_refused") and self._may_retry():
            self._start(View(self.app).revision)
            return
        if judgement.state != "waiting":
            raise self._error(judgement)
        if judgement.needs_operation:
            self._start(self.wanted.revision)
            return
        now = self.ports.clock.monotonic()
        self._check_trouble(judgement, now)
        self._check_windows(judgement, now)
        self._refresh_again(now)

    def _may_retry(self) -> bool:
        return self.goal.retry_failed and not self.has_operated

    def _start(self, revision: str) -> None:
        request = Request(self.ports.new_id(), revision, self.ports.lease.fence, self.goal.options)
        app = start(self.target, request, self.ports)
        if app is None:
            return  # somebody else's operation: wait, then look again
        self.app = app
        self.has_operated = True
        self.wanted = replace(self.wanted, operation_id=request.id)
        self._voice.say("started an operation to %s" % (short(revision) or "the target revision"))

    def _check_trouble(self, judgement: Judgement, now: float) -> None:
        if not judgement.trouble:
            if not View(self.app).is_refreshing:  # the refresh we asked for decides whether it healed
                self._timers.trouble.clear()
            return
        since = self._timers.trouble.setdefault(judgement.code, now)
        if now - since >= self._tolerance_s(judgement):
            raise self._error(judgement)

    def _tolerance_s(self, judgement: Judgement) -> float:
        if is_passing(judgement):
            return _PASSING_S
        if judgement.code == "window_closed" and View(self.app).operation_id:  # of this run or of one before
            return _OWN_BLOCKED_S
        return _TOLERANCE_S[judgement.code]

    def _check_windows(self, judgement: Judgement, now: float) -> None:
        """A closed window is the usual reason why an automated operation does not begin."""
        if judgement.code != "not_started":
            self._timers.not_started = None
            return
        self._timers.not_started = self._timers.not_started or now
        if now - self._timers.not_started >= _WINDOWS_AFTER_S:
            self._timers.not_started = now
            try:
                may_begin = require_window(self.target, self.app, self.ports, is_manual=False)
            except BusyError:
                if not self.goal.manual:
                    raise
                may_begin = False
            if self.goal.manual and not may_begin:
                self._start(View(self.app).revision)  # which asks the windows about a person's sync

    def _refresh(self, kind: str = "") -> None:
        kind = kind or ("hard" if self.goal.hard_refresh else "normal")
        with about(self.target):
            self.ports.client.merge_patch(self.target.path, {"metadata": {"annotations": {REFRESH: kind}}})
        self._timers.refreshed = self.ports.clock.monotonic()

    def _refresh_again(self, now: float) -> None:
        """Ask again when the comparison was about another revision, failed, or did not come."""
        view, waited = View(self.app), now - self._timers.refreshed
        if view.is_operating:
            return
        if view.is_refreshing:
            if waited >= _REFRESH_STUCK_S:
                # Argo CD drops a comparison that met a passing fault, and looks again at the next change only.
                self._refresh("hard" if view.annotations.get(REFRESH) == "normal" else "normal")
        elif waited >= self._timers.refresh_step:
            self._timers.refresh_step = min(self._timers.refresh_step * 2, _REFRESH_CAP_S)
            self._refresh()

    def _report(self, judgement: Judgement) -> None:
        view = View(self.app)
        line = "%s; %s, health %s" % (judgement.reason, view.sync_status, view.health)
        # While a refresh that we repeated runs, what it is about is still the line before.
        if line != self._line and not (view.is_refreshing and self._line):
            self._line = line
            self._voice.say(line)
        self._voice.beat(lambda: "still " + self._line)

    def _error(self, judgement: Judgement) -> SlipwayError:
        result = {"superseded_by": View(self.app).revision} if judgement.state == "superseded" else {}
        return ended(judgement, self._verb(), str(self.target), result)

    def _verb(self) -> str:
        return "sync to %s" % short(self.wanted.revision) if self.wanted.revision else "sync"

    def _timeout(self, judgement: Judgement, fault: Optional[SlipwayError]) -> SlipwayError:
        is_ours = View(self.app).operation_revision == self.wanted.revision or not self.wanted.revision
        error = timed_out(judgement, self.app, is_ours or self.has_operated, fault, self.seconds)
        error.what, error.resource = self._verb(), str(self.target)
        return error
