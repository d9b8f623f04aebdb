# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that keep a StatefulSet from its new template: which of them are removed, and that it gets ready then."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._errors import Forbidden, SlipwayError
from ansible_collections.slipway.gitops.plugins.module_utils._manifests.stuck import stuck_pod
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.manifests_support import FakeKube, keep, thing

Object = dict[str, Any]
READY = [{"type": "Ready", "status": "True"}]
SPACE = thing("Namespace", "lib")


def pod(ordinal: int, revision: str, ready: bool = False, owner: str = "u", **meta: Any) -> Object:
    item = thing("Pod", "one-%d" % ordinal, status={"conditions": READY if ready else []})
    owners = [{"uid": owner, "controller": True}]
    item["metadata"].update(
        namespace="lib", labels={"controller-revision-hash": revision}, ownerReferences=owners, **meta
    )
    return item


def workload(**more: Any) -> Object:
    """Return a StatefulSet whose newest template is ``new``."""
    item = thing("StatefulSet", version="apps/v1", spec={"replicas": 1, "selector": {}, "template": {}, **more})
    item["metadata"].update(uid="u", namespace="lib", generation=2)
    item["status"] = {"observedGeneration": 2, "updateRevision": "new", "replicas": 1}
    return item


@pytest.mark.parametrize(
    ("spec", "pods", "expected"),
    [
        ({}, [], None),
        ({}, [pod(0, "old")], "one-0"),
        ({}, [pod(0, "old", ready=True)], None),
        ({}, [pod(0, "new")], None),
        ({}, [pod(0, "old", owner="another")], None),
        ({}, [pod(0, "old", deletionTimestamp="2026-01-01T00:00:00Z")], None),
        # In the order of the controller, and one at a time.
        ({}, [pod(2, "old"), pod(10, "old"), pod(1, "old")], "one-10"),
        ({}, [pod(0, "old"), pod(1, "new")], None),
        ({}, [pod(0, "old"), pod(1, "new", ready=True)], "one-0"),
        ({}, [pod(0, "old"), pod(1, "old", deletionTimestamp="2026-01-01T00:00:00Z")], None),
        # Where the controller replaces by itself, or must not.
        ({"podManagementPolicy": "Parallel"}, [pod(0, "old")], None),
        ({"updateStrategy": {"type": "OnDelete"}}, [pod(0, "old")], None),
        ({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}, [pod(0, "old")], None),
        ({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}, [pod(1, "old")], "one-1"),
    ],
)
def test_which_pod_is_stuck(spec: Object, pods: list[Object], expected: Optional[str]) -> None:
    found = stuck_pod(workload(**spec), pods)
    assert (found and found["metadata"]["name"]) == expected


def test_nothing_is_judged_before_the_controller_has_seen_the_new_template() -> None:
    item = workload()
    item["status"]["observedGeneration"] = 1
    assert stuck_pod(item, [pod(0, "old")]) is None


class FakeController(FakeKube):
    """With a controller of StatefulSets that waits as the real one does: the new pod comes when the old one is gone."""

    is_allowed = True

    def apply(self, path: str, *args: Any, **options: Any) -> Object:
        stored = super().apply(path, *args, **options)
        if stored["kind"] == "StatefulSet":
            stored["metadata"].update(uid="u", namespace="lib")
            stored["status"] = {"updateRevision": "new", "replicas": 1}
        return stored

    def delete(self, path: str, propagation: str = "", dry_run: bool = False) -> Object:
        if "/pods/" in path and not self.is_allowed:
            raise Forbidden("delete", path, "pods is forbidden")
        gone = super().delete(path, propagation, dry_run)
        if "/pods/" in path:
            self.store[path] = pod(0, "new", ready=True)
            for key, item in self.store.items():
                if "/statefulsets/" in key:
                    item["status"].update(updatedReplicas=1, readyReplicas=1)
        return gone


def with_a_stuck_pod() -> FakeController:
    kube = FakeController()
    kube.store["/api/v1/namespaces/lib/pods/one-0"] = pod(0, "old")
    return kube


def stateful() -> Object:
    return thing("StatefulSet", version="apps/v1", spec={"replicas": 1, "selector": {}, "template": {"spec": {}}})


def test_broken_pod_of_an_older_template_makes_way_and_a_second_run_does_nothing() -> None:
    kube = with_a_stuck_pod()
    result = keep(kube, SPACE, stateful())
    assert (result["replaced"], result["changed"]) == (["Pod lib/one-0"], True)
    kube.calls.clear()
    again = keep(kube, SPACE, stateful())
    assert (again["replaced"], again["changed"], kube.calls) == ([], False, [])


def test_check_mode_and_a_run_that_does_not_wait_leave_it() -> None:
    kube = with_a_stuck_pod()
    assert keep(kube, SPACE, stateful(), check=True)["replaced"] == []
    assert keep(kube, SPACE, stateful(), wait=False)["replaced"] == []
    assert "delete pods" not in kube.calls


def test_without_the_right_the_failure_says_what_to_do() -> None:
    kube = with_a_stuck_pod()
    kube.is_allowed = False
    with pytest.raises(SlipwayError, match=r"waits for 1 of 1 pods.*Delete its pods of an older template.*forbidden"):
        keep(kube, SPACE, stateful())
