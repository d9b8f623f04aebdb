# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches a release until there is a verdict (private to the collection)."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import Any, Callable, Generator, Mapping, Optional, Protocol, TypeVar

from .._context import Clock, Context
from .._errors import SlipwayError, TransientError, UnhealthyError
from .._kube.stream import Objects, Stream
from .._lease import Lease
from .evidence import Investigator, KubeReader
from .http_check import Answer, HttpCheck, Streak, mismatch
from .image import not_carried
from .mask import mask
from .outcome import Timing, advice_for, for_problem, for_url, message_of, result_of, subject_of
from .pods import Problem
from .progress import ProgressLine, state_line
from .request import Request, parse
from .rollout import Rollout, by_owner, image_references, judge
from .targets import NothingToJudge, Target, find_deployments, streams_for
from .verdict import FAIL, INCONCLUSIVE, PASS, TIMEOUT, Decision, Judge

TICK_S = 0.1
# How long an API server that does not answer is tried before the gate gives up, at its start only.
OPEN_S = 30.0
# How long it may last that no Deployment uses a wanted image: a sync may be about to bring it.
UNKNOWN_IMAGE_S = 10.0
Snapshot = Mapping[str, Objects]
T = TypeVar("T")


class Observation(Protocol):
    """Snapshots of streams; see ``_kube/observe.py``."""

    faults: dict[str, SlipwayError]

    def snapshots(self, deadline: float, tick_s: float = 1.0) -> Generator[dict[str, Objects], None, None]:
        """Yield the state at once, at every change and every ``tick_s`` until ``deadline``."""


@dataclass(frozen=True)
class Ports:
    """Everything outside that the gate uses. A cluster is connected only when Deployments are judged."""

    connect: Callable[[], KubeReader]
    observe: Callable[[KubeReader, list[Stream]], Observation]
    ask: Callable[[HttpCheck], Answer]
    clock: Clock
    lease: Lease


def run(params: Mapping[str, Any], ports: Ports, ctx: Context) -> dict[str, Any]:
    """Judge a release and return verdict and evidence; reads only, so check mode is no different.

    Raises InvalidInput before anything is asked, UnhealthyError for a verdict in ``fail_on``,
    FencedError when the lease is lost, and what the cluster's first answer raises.
    """
    request = parse(params)
    gate = Gate(request, ports, ctx)
    try:
        decision = gate.decide()
    except NothingToJudge as nothing:
        decision = for_problem(FAIL, nothing.problem)
    return gate.conclude(decision)


class Gate:
    """One gate. Times are of the monotonic clock unless they are called wall."""

    def __init__(self, request: Request, ports: Ports, ctx: Context) -> None:
        self._request = request
        self._ports = ports
        self._ctx = ctx
        self._clock = ports.clock
        self._started = self._clock.monotonic()
        self._started_wall = self._clock.wall()
        self._deadline = self._started + request.wait_timeout_s
        self._judge = Judge(request.policy)
        self._streaks = [Streak(check) for check in request.http]
        self._line = ProgressLine(ctx.progress)
        self._kube: Optional[KubeReader] = None
        self._streams: list[Stream] = []
        self._targets: list[Target] = []
        self._undelivered: list[str] = []
        self._snapshots = 0
        self._confirm_at = 0.0

    def decide(self) -> Decision:
        """Watch until there is a verdict. Raises NothingToJudge."""
        if not self._request.has_rollout:
            return self._poll()
        kube = self._kube = self._ports.connect()
        found = self._patiently(lambda: find_deployments(self._request, kube))
        self._targets, self._streams = sorted(found), streams_for(found)
        return self._watch(kube)

    def _patiently(self, attempt: Callable[[], T]) -> T:
        """Call ``attempt`` again while the API server is away, for a while."""
        until = min(self._deadline, self._started + OPEN_S)
        while True:
            try:
                return attempt()
            except TransientError:
                self._ports.lease.renew_if_due()
                if self._clock.monotonic() + 1.0 >= until:
                    raise
                self._say("the Kubernetes API does not answer, retrying")
                self._clock.sleep(1.0)

    def _watch(self, kube: KubeReader) -> Decision:
        """Judge each snapshot of the cluster until there is a verdict or the time is up."""

        def begin() -> tuple[Observation, Generator[dict[str, Objects], None, None], dict[str, Objects]]:
            observation = self._ports.observe(kube, self._streams)
            snapshots = observation.snapshots(self._deadline, TICK_S)
            return observation, snapshots, next(snapshots)

        observation, snapshots, first = self._patiently(begin)
        with closing(snapshots):
            for snapshot in chain([first], snapshots):
                self._ports.lease.renew_if_due()
                self._snapshots += 1
                decision = self._cancelled() or self._step(kube, snapshot, bool(observation.faults))
                if decision.verdict:
                    return decision
        for fault in observation.faults.values():
            return Decision(INCONCLUSIVE, "ClusterUnobservable", "the cluster could not be observed: %s" % fault.cause)
        return self._time_is_up()

    def _poll(self) -> Decision:
        """Ask the URLs alone until there is a verdict or the time is up."""
        while self._clock.monotonic() < self._deadline:
            self._ports.lease.renew_if_due()
            decision = self._cancelled() or self._ask()
            if not decision.verdict and self._is_stable():
                return Decision(PASS, "Verified")
            self._show()
            if decision.verdict:
                return decision
            self._clock.sleep(TICK_S)
        return self._time_is_up()

    def _cancelled(self) -> Optional[Decision]:
        if self._ports.lease.cancel_requested:
            return Decision(INCONCLUSIVE, "CancelRequested", "the delivery was asked to stop")
        return None

    def _step(self, kube: KubeReader, snapshot: Snapshot, is_blind: bool) -> Decision:
        """Judge one snapshot. While a stream is in trouble, nothing is known that is fit for a verdict."""
        if is_blind:
            self._say("the cluster cannot be observed, retrying")
            return Decision()
        self._observe(snapshot)
        decision = self._judge.failure(self._clock.monotonic()) or self._delivery() or Decision()
        if not decision.verdict and self._is_live():
            decision = self._ask()
            if not decision.verdict and self._is_stable() and self._is_confirmed(kube):
                decision = Decision(PASS, "Verified")
        elif not decision.verdict:
            for streak in self._streaks:
                streak.reset()
        self._show()
        return decision

    def _observe(self, snapshot: Snapshot) -> None:
        """Judge all Deployments by ``snapshot``."""
        owned = by_owner(
            item for name, items in snapshot.items() if not name.startswith("deployments/") for item in items.values()
        )
        live = {target: snapshot["deployments/" + target[0]].get(target[1]) for target in self._targets}
        rollouts = [judge(target, live[target], owned, self._request.wanted) for target in self._targets]
        self._judge.observe(self._clock.monotonic(), self._clock.wall(), rollouts)
        references = [text for item in live.values() if item for text in image_references(item)]
        self._undelivered = [image.repository for image in not_carried(references, self._request.wanted.images)]

    def _is_live(self) -> bool:
        """Whether every Deployment is ready and every wanted image is on one of them."""
        return self._judge.all_ready and not self._undelivered

    def _delivery(self) -> Optional[Decision]:
        """Fail when a wanted image is used nowhere though all is ready: waiting would not bring it."""
        is_early = self._clock.monotonic() - self._started < UNKNOWN_IMAGE_S
        if not self._undelivered or is_early or not self._judge.all_ready:
            return None
        first = self._judge.rollouts[0]
        text = "no judged Deployment uses %s" % self._undelivered[0]
        return for_problem(FAIL, Problem("Deployment", first.namespace, first.name, "NotDelivered", text))

    def _ask(self) -> Decision:
        """Ask the URLs that are due; a URL that had its time and did not match is a verdict."""
        for streak in self._streaks:
            if streak.is_due(self._clock.monotonic()):
                answer = self._ports.ask(streak.check)
                fault = mismatch(streak.check, answer)
                streak.record(self._clock.monotonic(), fault, answer.is_evidence)
        now = self._clock.monotonic()
        overdue = next((streak for streak in self._streaks if streak.is_overdue(now)), None)
        return for_url(overdue) if overdue else Decision()

    def _is_stable(self) -> bool:
        """Whether the URLs answered and the window is over: of the rollouts, else of the answers."""
        now = self._clock.monotonic()
        if not all(streak.is_satisfied for streak in self._streaks):
            return False
        if self._targets:
            return self._judge.is_stable(now)
        since = [streak.matching_since for streak in self._streaks]
        return all(time is not None and now - time >= self._request.policy.stable_for_s for time in since)

    def _is_confirmed(self, kube: KubeReader) -> bool:
        """Look once more with fresh reads: a watch that silently stalled must not pass a release."""
        now = self._clock.monotonic()
        if self._snapshots == 1:
            return True
        if now < self._confirm_at:
            return False
        self._confirm_at = now + 1.0
        try:
            fresh = {stream.name: _listed(kube, stream) for stream in self._streams}
        except TransientError:
            return False
        self._observe(fresh)
        return self._is_live() and self._is_stable()

    def _time_is_up(self) -> Decision:
        """Return the verdict at the deadline: by the URLs if it was their turn, else by the rollout."""
        asked = next((item for item in self._streaks if item.begun_at is not None and item.last_fault), None)
        if asked is not None:
            return for_url(asked)
        if not self._targets:
            return Decision(TIMEOUT, "NotStable", "the URLs did not answer rightly for long enough")
        return self._judge.unfinished()

    def _say(self, text: str) -> None:
        self._line.say(self._clock.monotonic() - self._started, text)

    def _show(self) -> None:
        now = self._clock.monotonic()
        text, key = state_line(self._judge, self._streaks, now)
        self._line.say(now - self._started, text, key)

    def conclude(self, decision: Decision) -> dict[str, Any]:
        """Return the result, or raise UnhealthyError that carries it when the verdict is in ``fail_on``."""
        ended = self._clock.monotonic()
        answered = [streak.satisfied_at for streak in self._streaks if streak.satisfied_at is not None]
        ready_since = self._judge.ready_since if self._request.has_rollout else self._started
        timing = Timing(self._started, ended, ready_since, max(answered, default=None))
        result = result_of(decision, self._judge, self._streaks, timing)
        if decision.verdict != PASS:
            result["diagnosis"] = self._diagnose(decision)
        subject = subject_of(self._judge, decision)
        message = self._masked(message_of(subject, decision, result))
        if decision.verdict in self._request.fail_on:
            code = "unhealthy" if decision.verdict == FAIL else decision.verdict
            raise UnhealthyError("verify", subject, message, advice_for(decision), code, result)
        return dict(result, msg=message)

    def _diagnose(self, decision: Decision) -> dict[str, Any]:
        """Explain the worst problem, or the rollout that was waited for when there is no problem."""
        problem = next(iter(decision.problems), None)
        rollouts = self._judge.rollouts
        about = next((item for item in rollouts if problem in item.problems or not (problem or item.is_ready)), None)
        if problem is None:
            where = about or next(iter(rollouts), None) or Rollout("", "")
            problem = Problem("Deployment", where.namespace, where.name, decision.reason, decision.message)
        kube = self._kube if decision.reason != "ClusterUnobservable" else None
        investigator = Investigator(kube, self._started_wall, self._request.log_lines, self._masked)
        return investigator.diagnose(problem, about.uids if about else ())

    def _masked(self, text: str) -> str:
        return mask(text, self._ctx.secrets.values)


def _listed(kube: KubeReader, stream: Stream) -> Objects:
    answer = kube.list(stream.path, stream.label_selector, stream.field_selector)
    return {item["metadata"]["name"]: item for item in answer.get("items") or []}
