# SPDX-License-Identifier: GPL-3.0-or-later
"""The window and the verdict: what ends a wait, what starts the window again, what never passes."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.slipway.gitops.plugins.module_utils._gate.pods import Run
from ansible_collections.slipway.gitops.plugins.module_utils._gate.rollout import Rollout
from ansible_collections.slipway.gitops.plugins.module_utils._gate.verdict import (
    FAIL,
    TIMEOUT,
    Judge,
    Policy,
    required_window,
)
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.gate_support import (
    container,
    deployment,
    judged,
    live_rollout,
    pod,
    replica_set,
)

LATER = 1_800_000_000.0  # long after every time in the payloads
JUST_AFTER = 1_767_268_800.0  # 2026-01-01T12:00:00Z, one second after the crashes in the payloads
LONG_AGO = {"startedAt": "2025-12-01T00:00:00Z", "finishedAt": "2025-12-24T00:00:00Z"}
NOT_FOUND = "rpc error: code = NotFound desc = x: not found"


def judge_of(
    *series: tuple[float, Rollout], window: float = 10.0, max_restarts: int = 2, wall: float = JUST_AFTER
) -> Judge:
    """Return a judge that observed ``series`` of (time, rollout)."""
    judge = Judge(Policy(window, max_restarts))
    for at, rollout in series:
        judge.observe(at, wall, [rollout])
    return judge


GOOD = live_rollout(container(), container())


def test_stable_only_after_the_whole_window() -> None:
    judge = judge_of((0.0, GOOD), (9.9, GOOD))
    assert not judge.is_stable(9.99)
    assert judge.is_stable(10.0)


@pytest.mark.parametrize(
    "disturbed",
    [
        pytest.param(live_rollout(container(), container(restarts=1)), id="restarted and ready again"),
        pytest.param(live_rollout(container(), container(id="other")), id="another container, count unchanged"),
        pytest.param(live_rollout(container(), container(ready=False)), id="readiness dropped"),
        pytest.param(live_rollout(container(), container("terminated")), id="ended"),
        pytest.param(live_rollout(container(), container("CrashLoopBackOff", 1)), id="waits for its next start"),
        pytest.param(live_rollout(container()), id="a pod is gone"),
        pytest.param(live_rollout(container(), container(), container()), id="a pod came"),
        pytest.param(judged(None, []), id="the Deployment is gone"),
        pytest.param(judged(deployment(generation=3), [replica_set(), pod(1), pod(2)]), id="a new generation"),
    ],
)
def test_any_disturbance_starts_the_window_again(disturbed: Rollout) -> None:
    judge = judge_of((0.0, GOOD), (5.0, disturbed), (5.1, GOOD))
    assert not judge.is_stable(15.0)
    assert judge.is_stable(15.2)


def test_restarts_of_long_ago_do_not_count() -> None:
    old = live_rollout(container(restarts=7))
    judge = judge_of((0.0, old), wall=LATER)
    assert judge.is_stable(10.0)


@pytest.mark.parametrize(
    "life_s, ended_ago_s, window, expected",
    [
        (None, None, 10.0, 10.0),
        (1.0, 1.0, 10.0, 10.0),
        (20.0, 1.0, 10.0, 22.0),
        (20.0, 599.0, 10.0, 22.0),
        (20.0, 601.0, 10.0, 10.0),
        (20.0, -30.0, 10.0, 22.0),  # the node's clock is ahead
        (86400.0, 1.0, 10.0, 60.0),
        (20.0, 1.0, 0.0, 0.0),
    ],
)
def test_a_container_must_outlive_its_last_crash(
    life_s: Optional[float], ended_ago_s: Optional[float], window: float, expected: float
) -> None:
    end = None if ended_ago_s is None else LATER - ended_ago_s
    assert required_window(window, [Run("c", 1, True, life_s, end), Run("d", 0, True)], LATER) == expected


@pytest.mark.parametrize(
    "begun_ago_s, expected",
    [
        (None, 60.0),  # not known
        (0.0, 60.0),
        (5.0, 60.0),  # within what clocks may be apart
        (35.0, 30.0),
        (64.0, 10.0),  # the window itself is never given away
        (500.0, 10.0),
        (-30.0, 60.0),  # the node's clock is ahead
    ],
)
def test_what_a_container_has_lived_since_its_crash_counts(begun_ago_s: Optional[float], expected: float) -> None:
    """After a power cut every container has a crash to outlive that is older than the delivery."""
    begun = None if begun_ago_s is None else LATER - begun_ago_s
    assert required_window(10.0, [Run("c", 1, True, 300.0, LATER - 520, begun)], LATER) == expected


def test_a_slow_crash_loop_does_not_fit_between_two_looks() -> None:
    last = {"startedAt": "2026-01-01T11:59:39Z", "finishedAt": "2026-01-01T11:59:59Z"}
    second_life = live_rollout(container(restarts=1, last=last))
    judge = judge_of((0.0, second_life), wall=JUST_AFTER)
    assert judge.window_s == 22.0
    assert not judge.is_stable(20.5)


@pytest.mark.parametrize(
    "status, at, reason",
    [
        pytest.param(container("CrashLoopBackOff", 1), 100.0, None, id="a second restart is allowed"),
        pytest.param(container("CrashLoopBackOff", 2), 0.0, "CrashLoopBackOff", id="a third is a loop"),
        pytest.param(container("terminated", 1), 100.0, None, id="ended, second restart to come"),
        pytest.param(container("terminated", 2), 0.0, "CrashLoopBackOff", id="ended, third restart to come"),
        pytest.param(container(restarts=9), 100.0, None, id="running now"),
        pytest.param(container("terminated", 9, last=LONG_AGO), 100.0, None, id="old restarts, ended once now"),
        pytest.param(container("ErrImagePull", message=NOT_FOUND), 14.9, None, id="image: grace"),
        pytest.param(container("ErrImagePull", message=NOT_FOUND), 15.0, "ErrImagePull", id="image: not there"),
        pytest.param(container("ErrImagePull", message="i/o timeout"), 900.0, None, id="registry away"),
        pytest.param(container("InvalidImageName"), 0.0, "InvalidImageName", id="image name"),
        pytest.param(container("CreateContainerConfigError"), 9.0, None, id="config: grace"),
        pytest.param(container("CreateContainerConfigError"), 10.0, "CreateContainerConfigError", id="config"),
    ],
)
def test_doomed_pods_end_the_wait(status: dict[str, Any], at: float, reason: Optional[str]) -> None:
    rollout = live_rollout(status)
    failure = judge_of((0.0, rollout), (at, rollout)).failure(at)
    assert (failure.verdict, failure.reason) == (FAIL, reason) if failure else reason is None


def test_grace_starts_again_when_the_problem_was_gone() -> None:
    missing = live_rollout(container("CreateContainerConfigError"))
    judge = judge_of((0.0, missing), (8.0, live_rollout(container("ContainerCreating"))), (9.0, missing))
    assert judge.failure(12.0) is None
    assert judge.failure(19.0) is not None


def test_an_older_kubelet_explains_a_failed_pull_only_at_first() -> None:
    explained = live_rollout(container("ErrImagePull", message=NOT_FOUND))
    silent = live_rollout(container("ImagePullBackOff", message='Back-off pulling image "x"'))
    failure = judge_of((0.0, explained), (1.0, silent), (15.0, silent)).failure(15.0)
    assert failure is not None
    assert NOT_FOUND in failure.message


def test_grace_of_a_pull_starts_when_it_is_known_that_the_image_is_missing() -> None:
    away = live_rollout(container("ErrImagePull", message="i/o timeout"))
    missing = live_rollout(container("ErrImagePull", message=NOT_FOUND))
    judge = judge_of((0.0, away), (20.0, missing))
    assert judge.failure(21.0) is None
    assert judge.failure(35.0) is not None


def test_missing_deployment_fails_after_a_moment() -> None:
    judge = judge_of((0.0, judged(None, [])))
    assert judge.failure(4.9) is None
    failure = judge.failure(5.0)
    assert failure is not None
    assert failure.reason == "Missing"


def test_cause_comes_before_consequence() -> None:
    condition = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}
    item = deployment(replicas=1, conditions=[condition], status={"readyReplicas": 0})
    rollout = judged(item, [replica_set(replicas=1, ready=0), pod(1, containers=[container("CrashLoopBackOff", 4)])])
    failure = judge_of((0.0, rollout), (3.0, rollout)).failure(3.0)
    assert failure is not None
    assert [problem.reason for problem in failure.problems] == ["CrashLoopBackOff", "ProgressDeadlineExceeded"]


def test_a_missed_deadline_is_diagnosed_by_what_the_pods_say() -> None:
    condition = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}
    item = deployment(replicas=1, conditions=[condition], status={"readyReplicas": 0})
    for status in (container("ImagePullBackOff", message="i/o timeout"), container(ready=False)):
        rollout = judged(item, [replica_set(replicas=1, ready=0), pod(1, containers=[status])])
        failure = judge_of((0.0, rollout), (3.0, rollout)).failure(3.0)
        assert failure is not None
        assert failure.reason == "ProgressDeadlineExceeded"
        assert failure.problems[0].kind == "Pod"


def test_time_is_up_says_what_was_waited_for() -> None:
    decision = judge_of((0.0, live_rollout(container(), container(ready=False)))).unfinished()
    assert (decision.verdict, decision.reason) == (TIMEOUT, "ContainersNotReady")
    assert decision.message.startswith("Deployment shop/web: still waiting for 1 more pod of")
    assert judge_of((0.0, GOOD)).unfinished().reason == "NotStable"


def test_all_deployments_must_be_stable() -> None:
    judge = Judge(Policy(10.0, 1))
    other = Rollout("shop", "worker", template_hash="x")
    judge.observe(0.0, LATER, [GOOD, Rollout("shop", "worker", "pods", "NotReady")])
    judge.observe(4.0, LATER, [GOOD, other])
    assert judge.ready_since == 4.0
    assert not judge.is_stable(13.0)
    assert judge.is_stable(14.0)


STATES = st.sampled_from(("up", "unready", "crash", "wait"))
STEPS = st.lists(st.tuples(st.floats(0.05, 8.0), STATES), min_size=1, max_size=25)


@settings(max_examples=300, deadline=None)
@given(STEPS, st.floats(0.5, 10.0))
def test_never_stable_within_a_window_of_the_last_disturbance(steps: list[tuple[float, str]], window: float) -> None:
    """Whatever a container does, and even if only its restart count is seen: no pass before the window is over."""
    judge, now, restarts, disturbed_at = Judge(Policy(window, 100)), 0.0, 0, 0.0
    for pause, state in steps:
        if state == "crash":
            restarts += 1
        seen = {"up": container(restarts=restarts), "crash": container(restarts=restarts)}
        seen.update(unready=container(restarts=restarts, ready=False), wait=container("CrashLoopBackOff", restarts))
        judge.observe(now, JUST_AFTER, [live_rollout(seen[state])])
        if state != "up":
            disturbed_at = now
        if judge.is_stable(now):
            assert state in ("up", "crash")
            assert now - disturbed_at >= window
        now += pause
