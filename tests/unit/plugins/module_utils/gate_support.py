# SPDX-License-Identifier: GPL-3.0-or-later
"""Live objects as a real cluster writes them, with only what is varied given by the test."""

from __future__ import annotations

from typing import Any, Iterable, Optional

from ansible_collections.slipway.gitops.plugins.module_utils._gate.image import parse_image
from ansible_collections.slipway.gitops.plugins.module_utils._gate.rollout import Rollout, Wanted, by_owner, judge

NAMESPACE = "shop"
OLD, NEW = "5d4f4d8c9b", "7c9f8d6b54"
REPOSITORY = "registry.example.com/shop"


def deployment(image: str = REPOSITORY + ":2", replicas: int = 2, **changed: Any) -> dict[str, Any]:
    """Return a Deployment whose rollout of revision 2 is complete, except for what is ``changed``."""
    status = {
        "observedGeneration": 2,
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": replicas,
        "availableReplicas": replicas,
        "conditions": changed.pop("conditions", []),
    }
    status.update(changed.pop("status", {}))
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "shop"}},
        "template": {"spec": {"containers": [{"name": "app", "image": image}]}},
    }
    spec.update(changed.pop("spec", {}))
    meta = {
        "namespace": NAMESPACE,
        "name": "web",
        "uid": "d-1",
        "generation": changed.pop("generation", 2),
        "annotations": {"deployment.kubernetes.io/revision": changed.pop("revision", "2")},
    }
    assert not changed, "unknown: %s" % changed
    return {"metadata": meta, "spec": spec, "status": status}


def replica_set(
    template: str = NEW, replicas: int = 2, image: str = REPOSITORY + ":2", **changed: Any
) -> dict[str, Any]:
    """Return a ReplicaSet of the Deployment; the old one has revision 1."""
    ready = changed.pop("ready", replicas)
    status = {"observedGeneration": 1, "replicas": replicas, "readyReplicas": ready, "availableReplicas": ready}
    status.update(changed.pop("status", {}))
    meta = {
        "namespace": NAMESPACE,
        "name": "web-" + template,
        "uid": "rs-" + template,
        "generation": changed.pop("generation", 1),
        "labels": {"app": "shop", "pod-template-hash": template},
        "annotations": {"deployment.kubernetes.io/revision": changed.pop("revision", "2" if template == NEW else "1")},
        "ownerReferences": [{"kind": "Deployment", "uid": changed.pop("owner", "d-1"), "controller": True}],
    }
    assert not changed, "unknown: %s" % changed
    template_spec = {"containers": [{"name": "app", "image": image}]}
    return {"metadata": meta, "spec": {"replicas": replicas, "template": {"spec": template_spec}}, "status": status}


def old_replica_set(replicas: int = 0) -> dict[str, Any]:
    """Return the ReplicaSet of the release before."""
    return replica_set(OLD, replicas, REPOSITORY + ":1")


def container(state: str = "running", restarts: int = 0, **changed: Any) -> dict[str, Any]:
    """Return a container status; ``state`` is running, or terminated, or a reason for waiting."""
    states = {"running": {"startedAt": "2026-01-01T12:00:00Z"}, "terminated": {"exitCode": 1, "reason": "Error"}}
    shown = (
        {state: states[state]}
        if state in states
        else {"waiting": {"reason": state, "message": changed.pop("message", "")}}
    )
    status = {
        "name": changed.pop("name", "app"),
        "ready": changed.pop("ready", state == "running"),
        "restartCount": restarts,
        "containerID": "containerd://%s" % changed.pop("id", restarts),
        "state": shown,
        "lastState": {},
    }
    if restarts or "last" in changed:
        last = {
            "exitCode": 1,
            "reason": "Error",
            "startedAt": "2026-01-01T11:59:58Z",
            "finishedAt": "2026-01-01T11:59:59Z",
        }
        status["lastState"] = {"terminated": dict(last, **changed.pop("last", {}))}
    assert not changed, "unknown: %s" % changed
    return status


def pod(
    number: int = 1, template: str = NEW, containers: Optional[list[dict[str, Any]]] = None, **changed: Any
) -> dict[str, Any]:
    """Return a pod of ``template``, ready when all its containers are."""
    containers = [container()] if containers is None else containers
    is_ready = changed.pop("ready", bool(containers) and all(item["ready"] for item in containers))
    ready = {"type": "Ready", "status": "True" if is_ready else "False"}
    if not is_ready:
        ready.update(reason="ContainersNotReady", message="containers with unready status: [app]")
    meta: dict[str, Any] = {
        "namespace": NAMESPACE,
        "name": "web-%s-%d" % (template, number),
        "uid": "pod-%s-%d" % (template, number),
        "labels": {"app": "shop", "pod-template-hash": template},
        "ownerReferences": [{"kind": "ReplicaSet", "uid": "rs-" + template, "controller": True}],
    }
    if changed.pop("deleting", False):
        meta["deletionTimestamp"] = "2026-01-01T12:00:10Z"
    status = {"phase": "Running", "conditions": [ready], "containerStatuses": containers}
    status["conditions"] += changed.pop("conditions", [])
    status.update(changed.pop("status", {}))
    spec = changed.pop("spec", {})
    assert not changed, "unknown: %s" % changed
    return {"metadata": meta, "spec": spec, "status": status}


def wanted(*images: str, **changed: bool) -> Wanted:
    return Wanted(tuple(parse_image(image) for image in images), **changed)


def judged(
    item: Optional[dict[str, Any]], owned: Iterable[dict[str, Any]], against: Optional[Wanted] = None
) -> Rollout:
    """Judge ``item`` with everything in ``owned``."""
    return judge((NAMESPACE, "web"), item, by_owner(owned), against or Wanted())


def live_rollout(*containers: dict[str, Any]) -> Rollout:
    """Return the observation of a Deployment with one pod per container status, ready when all are."""
    pods = [pod(number, containers=[status]) for number, status in enumerate(containers, 1)]
    ready = sum(1 for status in containers if status["ready"])
    count = len(containers)
    item = deployment(replicas=count, status={"readyReplicas": ready, "availableReplicas": ready})
    return judged(item, [replica_set(replicas=count, ready=ready), *pods])
