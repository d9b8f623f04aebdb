# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a series of observations into a verdict (private to the collection).

A release that crashes at start and has no readiness probe looks complete for about a
second, each time its container is started again. So being ready is not enough: it must
stay ready, with the very same container lives, for a whole window.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Iterable, Mapping, Optional, Sequence

from .pods import IMAGE_REASONS, Problem, Run
from .rollout import Rollout

PASS = "pass"  # noqa: S105  (a verdict, no password)
FAIL = "fail"
INCONCLUSIVE = "inconclusive"
TIMEOUT = "timeout"

DEADLINE = "ProgressDeadlineExceeded"

# A container that crashed in the last ten minutes has to outlive that crash: one that dies
# after 20 s must not pass a window of 10 s that fits between two crashes. Capped, so that a
# pod which ran for days before its last restart does not hold a delivery up for days.
RECENT_CRASH_S = 600.0
OUTLIVE_CAP_S = 60.0
OUTLIVE_MARGIN_S = 2.0
# What a container has lived before the gate looked counts, less what clocks may be apart.
CLOCK_SKEW_S = 5.0


@dataclass(frozen=True)
class Policy:
    """``stable_for_s`` is the window, ``max_restarts`` how many restarts a container may need to come up."""

    stable_for_s: float
    max_restarts: int


@dataclass(frozen=True)
class Decision:
    """An empty verdict means: keep watching. ``problems`` are worth a diagnosis, worst first."""

    verdict: str = ""
    reason: str = ""
    message: str = ""
    problems: tuple[Problem, ...] = ()


@dataclass
class _Track:
    """What is remembered of one Deployment. Times are of the monotonic clock, in seconds."""

    template_hash: str = ""
    runs: Mapping[str, Run] = field(default_factory=dict)
    ready_since: Optional[float] = None
    window_s: float = 0.0
    # Restarts of each container that were long past when it was first seen.
    old_restarts: dict[str, int] = field(default_factory=dict)
    problems: dict[tuple[str, str, str], tuple[float, Problem]] = field(default_factory=dict)


class Judge:
    """Follows some Deployments and knows at each moment whether one failed or all are stable."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._tracks: dict[tuple[str, str], _Track] = {}
        self.rollouts: tuple[Rollout, ...] = ()

    def observe(self, now: float, wall: float, rollouts: Sequence[Rollout]) -> None:
        """Take in one observation of all Deployments, made at ``now`` (monotonic)."""
        self.rollouts = tuple(rollouts)
        for rollout in rollouts:
            track = self._tracks.setdefault((rollout.namespace, rollout.name), _Track())
            for key, run in rollout.runs.items():
                track.old_restarts.setdefault(key, 0 if _has_crashed_lately(run, wall) else run.restarts)
            _follow_problems(track, rollout, now)
            self._follow_window(track, rollout, now, wall)

    def _follow_window(self, track: _Track, rollout: Rollout, now: float, wall: float) -> None:
        """Open, keep or restart the window: any change of a container's life starts it again."""
        if not rollout.is_ready:
            track.ready_since = None
            return
        is_same = track.template_hash == rollout.template_hash and track.runs == rollout.runs
        if track.ready_since is None or not is_same:
            track.ready_since = now
            track.window_s = required_window(self.policy.stable_for_s, rollout.runs.values(), wall)
        track.template_hash, track.runs = rollout.template_hash, rollout.runs

    @property
    def all_ready(self) -> bool:
        """Whether every Deployment was ready when last observed."""
        return all(track.ready_since is not None for track in self._tracks.values())

    @property
    def ready_since(self) -> Optional[float]:
        """When the last of the current windows opened; None unless all are ready."""
        times = [track.ready_since for track in self._tracks.values()]
        known = [time for time in times if time is not None]
        return max(known) if known and len(known) == len(times) else None

    @property
    def window_s(self) -> float:
        """The longest window that is required now, in seconds."""
        return max([track.window_s for track in self._tracks.values()], default=self.policy.stable_for_s)

    def is_stable(self, now: float) -> bool:
        """Whether every Deployment has been ready, undisturbed, for its whole window."""
        return all(
            track.ready_since is not None and now - track.ready_since >= track.window_s
            for track in self._tracks.values()
        )

    def failure(self, now: float) -> Optional[Decision]:
        """Return the failure that no waiting will cure, if there is one."""
        fatal = [
            problem
            for track in self._tracks.values()
            for since, problem in track.problems.values()
            if self._is_fatal(track, problem, now - since)
        ]
        if not fatal:
            return None
        fatal.sort(key=_badness)
        worst = fatal[0]
        problems = fatal + self._others(fatal)
        if worst.reason == DEADLINE:  # only says that something else is wrong: diagnose that
            problems.sort(key=_badness)
        return Decision(FAIL, worst.reason, describe(worst), tuple(problems))

    def unfinished(self) -> Decision:
        """Return what to say when the time is up before all were stable."""
        lacking = next((rollout for rollout in self.rollouts if not rollout.is_ready), None)
        problems = tuple(self._others([]))
        if lacking is None:
            message = "the release was ready but not yet stable for %g s" % self.window_s
            return Decision(TIMEOUT, "NotStable", message, problems)
        message = "Deployment %s/%s: still waiting for %s" % (lacking.namespace, lacking.name, lacking.waiting_for)
        if problems:
            message += " (%s)" % describe(problems[0])
        return Decision(TIMEOUT, problems[0].reason if problems else lacking.reason, message, problems)

    def _is_fatal(self, track: _Track, problem: Problem, lasted_s: float) -> bool:
        if problem.crashes:  # not running: it needs one restart more than it had
            return problem.restarts - track.old_restarts.get(problem.run_key, 0) + 1 > self.policy.max_restarts
        return problem.grace_s is not None and lasted_s >= problem.grace_s

    def _others(self, known: Sequence[Problem]) -> list[Problem]:
        """Return the current problems that are not in ``known``, worst first."""
        current = [problem for track in self._tracks.values() for _since, problem in track.problems.values()]
        return sorted((problem for problem in current if problem not in known), key=_badness)


def _follow_problems(track: _Track, rollout: Rollout, now: float) -> None:
    """Remember since when each problem lasts; one that is gone is forgotten.

    A failing image pull alternates between two reasons, of which older kubelets explain
    only the first: the explanation is kept while the pull keeps failing.
    """
    before, track.problems = track.problems, {}
    for problem in rollout.problems:
        since, known = before.get(problem.key, (now, problem))
        is_explained = problem.grace_s is None and known.grace_s is not None and known.reason in IMAGE_REASONS
        if problem.grace_s is not None and known.grace_s is None:
            since = now  # only now is it known to be of the fatal kind
        track.problems[problem.key] = (since, known if is_explained else problem)


def required_window(stable_for_s: float, runs: Iterable[Run], wall: float) -> float:
    """Return how long the containers ``runs`` must live on to be called stable, in seconds.

    ``wall`` is the time of day in seconds since the epoch, only used to leave crashes out
    that are long past and to count what was lived since. Without a window (0) nothing is
    required.
    """
    if not stable_for_s:
        return 0.0
    return max([stable_for_s] + [_yet_to_live(run, wall) for run in runs if _has_crashed_lately(run, wall)])


def _yet_to_live(run: Run, wall: float) -> float:
    """Return what the container lacks to outlive its previous life, in seconds."""
    lived = max(0.0, wall - run.begun - CLOCK_SKEW_S) if run.begun is not None else 0.0
    return min((run.last_life_s or 0.0) + OUTLIVE_MARGIN_S, OUTLIVE_CAP_S) - lived


def _has_crashed_lately(run: Run, wall: float) -> bool:
    """Whether the container's previous life ended not long ago; a node's clock may be ahead."""
    return run.last_end is not None and wall - run.last_end < RECENT_CRASH_S


_WORST_FIRST = (
    "CrashLoopBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "OOMKilled",
    "Error",
    "Restarted",
)


def _badness(problem: Problem) -> tuple[int, int]:
    """Sort key: causes before consequences, more restarts first."""
    rank = _WORST_FIRST.index(problem.reason) if problem.reason in _WORST_FIRST else len(_WORST_FIRST)
    consequences = {"ContainersNotReady": 1, DEADLINE: 2}
    return rank + consequences.get(problem.reason, 0), -problem.restarts


def describe(problem: Problem) -> str:
    """Say in one sentence what is wrong with which object, bounded in length."""
    text = "%s: %s" % (problem.subject, problem.message or problem.reason)
    if problem.reason not in text:
        text += " (%s)" % problem.reason
    return text if len(text) <= 400 else text[:397] + "..."
