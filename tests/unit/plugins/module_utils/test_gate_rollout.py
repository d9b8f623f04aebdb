# SPDX-License-Identifier: GPL-3.0-or-later
"""What live objects say about a rollout: one table for readiness, one for problems."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._gate.image import Image, carries, not_carried, parse_image
from ansible_collections.slipway.gitops.plugins.module_utils._gate.rollout import Wanted, selector_text
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.gate_support import (
    NEW,
    OLD,
    REPOSITORY,
    container,
    deployment,
    judged,
    old_replica_set,
    pod,
    replica_set,
    wanted,
)

DIGEST = "sha256:" + "a" * 64
PODS = [pod(1), pod(2)]
COMPLETE = [replica_set(), old_replica_set(), *PODS]


@pytest.mark.parametrize(
    "item, owned, against, reason",
    [
        pytest.param(deployment(), COMPLETE, wanted(), "", id="complete"),
        pytest.param(deployment(), COMPLETE, wanted(REPOSITORY + ":2"), "", id="with its image"),
        pytest.param(deployment(), COMPLETE, wanted("docker.io/library/redis:7"), "", id="an image of somebody else"),
        pytest.param(None, COMPLETE, wanted(), "Missing", id="missing"),
        pytest.param(deployment(), COMPLETE, wanted(REPOSITORY + ":3"), "ImageNotLive", id="another tag is live"),
        pytest.param(deployment(generation=3), COMPLETE, wanted(), "NotObserved", id="controller has not looked yet"),
        pytest.param(deployment(revision="3"), COMPLETE, wanted(), "NoReplicaSet", id="ReplicaSet not made yet"),
        pytest.param(
            deployment(),
            [replica_set(owner="d-0"), *PODS],
            wanted(),
            "NoReplicaSet",
            id="ReplicaSet of a deleted namesake",
        ),
        pytest.param(
            deployment(REPOSITORY + ":3"), COMPLETE, wanted(), "NoReplicaSet", id="lists a moment apart: other image"
        ),
        pytest.param(
            deployment(status={"readyReplicas": 1, "availableReplicas": 1}),
            [replica_set(ready=1), pod(1), pod(2, containers=[container(ready=False)])],
            wanted(),
            "NotReady",
            id="one pod not ready",
        ),
        pytest.param(
            deployment(status={"availableReplicas": 1}), COMPLETE, wanted(), "NotReady", id="ready but not long enough"
        ),
        pytest.param(
            deployment(status={"updatedReplicas": 1}), COMPLETE, wanted(), "NotReady", id="old pods make up the number"
        ),
        pytest.param(
            deployment(status={"replicas": 3}), [*COMPLETE, pod(3, OLD)], wanted(), "NotReady", id="surplus old pod"
        ),
        pytest.param(
            deployment(), [*COMPLETE, pod(3, OLD)], wanted(), "OldPodsServing", id="counts right, old pod ready"
        ),
        pytest.param(
            deployment(), [*COMPLETE, pod(3, OLD, deleting=True)], wanted(), "", id="old pod is shutting down"
        ),
        pytest.param(
            deployment(),
            [replica_set(), pod(1), pod(2, deleting=True)],
            wanted(),
            "NotReady",
            id="new pod being deleted",
        ),
        pytest.param(
            deployment(), [replica_set(generation=2), *PODS], wanted(), "NotReady", id="ReplicaSet controller lags"
        ),
        pytest.param(
            deployment(replicas=0), [replica_set(replicas=0)], wanted(allow_zero_replicas=True), "", id="none"
        ),
    ],
)
def test_ready(item: Any, owned: list[dict[str, Any]], against: Wanted, reason: str) -> None:
    rollout = judged(item, owned, against)
    assert rollout.reason == reason
    assert rollout.is_ready is (reason == "")


def timed_out(message: str) -> dict[str, Any]:
    condition = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": message}
    return deployment(conditions=[condition])


def unready(status: dict[str, Any], **changed: Any) -> list[dict[str, Any]]:
    return [replica_set(replicas=1, ready=0), pod(1, containers=[status], **changed)]


NOT_FOUND = 'rpc error: code = NotFound desc = failed to pull "x": not found'


@pytest.mark.parametrize(
    "item, owned, reason, grace_s",
    [
        pytest.param(deployment(spec={"paused": True}), COMPLETE, "Paused", 0.0, id="paused"),
        pytest.param(deployment(replicas=0), [replica_set(replicas=0)], "ZeroReplicas", 0.0, id="zero"),
        pytest.param(
            timed_out('ReplicaSet "web-%s" has timed out progressing.' % NEW),
            COMPLETE,
            "ProgressDeadlineExceeded",
            2.0,
            id="deadline of this ReplicaSet",
        ),
        pytest.param(
            timed_out('ReplicaSet "web-%s" has timed out progressing.' % OLD),
            COMPLETE,
            None,
            None,
            id="deadline of the one rolled back from",
        ),
        pytest.param(
            deployment(
                conditions=[{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}]
            ),
            COMPLETE,
            "FailedCreate",
            None,
            id="quota",
        ),
        pytest.param(
            deployment(),
            unready(container("ErrImagePull", message=NOT_FOUND)),
            "ErrImagePull",
            15.0,
            id="image not found",
        ),
        pytest.param(
            deployment(),
            unready(container("ErrImagePull", message="dial tcp: i/o timeout")),
            "ErrImagePull",
            None,
            id="registry away",
        ),
        pytest.param(deployment(), unready(container("InvalidImageName")), "InvalidImageName", 0.0, id="image name"),
        pytest.param(
            deployment(),
            unready(container("CreateContainerConfigError", message='secret "db" not found')),
            "CreateContainerConfigError",
            10.0,
            id="secret missing",
        ),
        pytest.param(
            deployment(),
            unready(container("CreateContainerConfigError", message="failed to sync secret cache: timed out")),
            "CreateContainerConfigError",
            None,
            id="kubelet cache lags",
        ),
        pytest.param(deployment(), unready(container("terminated")), "Error", None, id="ended just now"),
        pytest.param(
            deployment(), unready(container("ContainerCreating")), "ContainersNotReady", None, id="being created"
        ),
        pytest.param(
            deployment(),
            unready(
                container("ContainerCreating"),
                conditions=[
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: cpu"}
                ],
            ),
            "Unschedulable",
            None,
            id="no node takes it",
        ),
        pytest.param(deployment(), COMPLETE, None, None, id="nothing"),
        pytest.param(
            deployment(revision="3"),
            unready(container("ErrImagePull", message=NOT_FOUND)),
            None,
            None,
            id="pods of a template that is not current",
        ),
    ],
)
def test_problems(item: Any, owned: list[dict[str, Any]], reason: Any, grace_s: Any) -> None:
    problems = judged(item, owned).problems
    assert [(problem.reason, problem.grace_s) for problem in problems] == ([(reason, grace_s)] if reason else [])


def test_problems_of_another_image_are_not_ours() -> None:
    rollout = judged(deployment(), unready(container("CrashLoopBackOff", 9)), wanted(REPOSITORY + ":3"))
    assert (rollout.reason, rollout.problems) == ("ImageNotLive", ())


def test_problems_of_pods_are_not_ours_before_the_controller_saw_the_new_generation() -> None:
    rollout = judged(deployment(generation=3), unready(container("CrashLoopBackOff", 9)))
    assert (rollout.reason, rollout.problems) == ("NotObserved", ())


def test_crash_loop_names_container_exit_code_and_restarts() -> None:
    status = container("CrashLoopBackOff", 3, last={"exitCode": 137, "reason": "OOMKilled"})
    (problem,) = judged(deployment(), unready(status)).problems
    assert (problem.container, problem.exit_code, problem.restarts, problem.crashes) == ("app", 137, 3, True)
    assert problem.message == "container app ended with exit code 137 (OOMKilled) after 3 restarts"


def test_init_containers_that_succeeded_are_no_problem_and_have_no_run() -> None:
    done = dict(container("terminated", name="setup", ready=True), state={"terminated": {"exitCode": 0}})
    rollout = judged(
        deployment(replicas=1), [replica_set(replicas=1), pod(1, status={"initContainerStatuses": [done]})]
    )
    assert rollout.is_ready
    assert not rollout.problems
    assert list(rollout.runs) == ["pod-%s-1/app" % NEW]


def test_sidecars_have_a_run() -> None:
    sidecar = container(name="proxy")
    specs = {"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]}
    item = pod(1, status={"initContainerStatuses": [sidecar]}, spec=specs)
    rollout = judged(deployment(replicas=1), [replica_set(replicas=1), item])
    assert sorted(rollout.runs) == ["pod-%s-1/app" % NEW, "pod-%s-1/proxy" % NEW]


@pytest.mark.parametrize(
    "text, repository, tag, digest",
    [
        ("nginx", "docker.io/library/nginx", "latest", ""),
        ("team/web:1.2", "docker.io/team/web", "1.2", ""),
        ("docker.io/nginx:1", "docker.io/library/nginx", "1", ""),
        ("index.docker.io/team/web:1", "docker.io/team/web", "1", ""),
        ("localhost:5000/web:1", "localhost:5000/web", "1", ""),
        ("registry.example.com/a/b:2@" + DIGEST, "registry.example.com/a/b", "2", DIGEST),
        ("registry.example.com/a/b@" + DIGEST, "registry.example.com/a/b", "", DIGEST),
    ],
)
def test_image_references(text: str, repository: str, tag: str, digest: str) -> None:
    assert parse_image(text) == Image(repository, tag, digest)


@pytest.mark.parametrize("text", ["", "Web:1", "web:", "web@sha256:12", "-web", "web:a b", "web\n", "x" * 600])
def test_bad_image_references(text: str) -> None:
    with pytest.raises(ValueError, match="is not an image reference"):
        parse_image(text)


@pytest.mark.parametrize(
    "live, image, is_carried, is_absent",
    [
        ("shop:2", "shop:2", True, False),
        ("shop:2", "shop:3", False, True),
        ("shop:2@" + DIGEST, "shop@" + DIGEST, True, False),
        ("shop:3@" + DIGEST, "shop:2@" + DIGEST, True, False),
        ("shop:2", "shop@" + DIGEST, False, True),
        ("other:2", "shop:2", True, True),
        ("docker.io/library/shop:2", "shop:2", True, False),
    ],
)
def test_carrying_an_image(live: str, image: str, is_carried: bool, is_absent: bool) -> None:
    assert carries([live], [parse_image(image)]) is is_carried
    assert bool(not_carried([live], [parse_image(image)])) is is_absent


def test_two_containers_of_one_repository_must_agree() -> None:
    assert not carries(["shop:2", "shop:1"], [parse_image("shop:2")])


def test_selector_as_query_text() -> None:
    rules = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "old", "operator": "DoesNotExist"},
        {"key": "x", "operator": "NotIn", "values": ["y"]},
        {"key": "z", "operator": "Exists"},
    ]
    item = deployment(spec={"selector": {"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": rules}})
    assert selector_text(item) == "a=1,b=2,tier in (a,b),!old,x notin (y),z"
