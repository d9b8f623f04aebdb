# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the live objects say about the rollout of one Deployment (private to the collection).

A Deployment is *ready* when the live object carries the delivered image, its controller
has seen the current generation, the ReplicaSet of the current template is complete, ready
and available, and no pod of an older template is serving. Whether it *stays* so is the
business of :mod:`verdict`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Optional, Sequence

from .image import Image, carries
from .pods import Problem, Run, container_runs, is_serving, pod_problems

Object = Mapping[str, Any]

REVISION = "deployment.kubernetes.io/revision"
TEMPLATE_HASH = "pod-template-hash"


@dataclass(frozen=True)
class Wanted:
    """What a Deployment is judged against."""

    images: tuple[Image, ...] = ()
    allow_paused: bool = False
    allow_zero_replicas: bool = False


@dataclass(frozen=True)
class Rollout:
    """One observation of one Deployment.

    ``waiting_for`` is empty exactly when it is ready. ``runs`` has one entry per container
    of the current template's pods, so that two observations can be compared. ``fatal``
    is a problem that no waiting will cure, ``problems`` are those that only waiting tells.
    """

    namespace: str
    name: str
    waiting_for: str = ""
    reason: str = ""
    template_hash: str = ""
    images: tuple[str, ...] = ()
    desired: int = 0
    ready: int = 0
    old_ready: int = 0
    runs: Mapping[str, Run] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    uids: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether the delivered template is completely live at this moment."""
        return not self.waiting_for

    @property
    def restarts(self) -> int:
        """Restarts of all containers of the current template's pods, since the pods exist."""
        return sum(run.restarts for run in self.runs.values())

    def summary(self) -> dict[str, Any]:
        """Return the observation as module return values."""
        return {
            "namespace": self.namespace,
            "name": self.name,
            "template_hash": self.template_hash,
            "images": list(self.images),
            "desired": self.desired,
            "ready": self.ready,
            "old_ready": self.old_ready,
            "restarts": self.restarts,
        }


@dataclass(frozen=True)
class Family:
    """A Deployment with everything it owns; ``current`` is the ReplicaSet of its template."""

    deployment: Object
    current: Optional[Object]
    pods: tuple[Object, ...]
    old_pods: tuple[Object, ...]


Owned = Mapping[str, Sequence[Object]]


def by_owner(objects: Iterable[Object]) -> dict[str, list[Object]]:
    """Group ReplicaSets and pods by the uid of their controlling owner, for :func:`judge`."""
    owned: dict[str, list[Object]] = {}
    for item in objects:
        owned.setdefault(_owner(item), []).append(item)
    return owned


def judge(target: tuple[str, str], deployment: Optional[Object], owned: Owned, wanted: Wanted) -> Rollout:
    """Judge the Deployment ``target`` (namespace, name); None stands for one that does not exist."""
    namespace, name = target
    if deployment is None:
        missing = Problem("Deployment", namespace, name, "Missing", "the Deployment does not exist", grace_s=5.0)
        return Rollout(namespace, name, "the Deployment to exist", "Missing", problems=(missing,))
    family = find_family(deployment, owned)
    waiting_for, reason = _waiting_for(family, wanted)
    template = _template(deployment)
    current = family.current or {}
    return Rollout(
        namespace=namespace,
        name=name,
        waiting_for=waiting_for,
        reason=reason,
        template_hash=_meta(current).get("labels", {}).get(TEMPLATE_HASH, ""),
        images=tuple(container.get("image", "") for container in template.get("containers", [])),
        desired=_desired(deployment),
        ready=sum(1 for pod in family.pods if is_serving(pod)),
        old_ready=sum(1 for pod in family.old_pods if is_serving(pod)),
        runs=_join_runs(family.pods),
        problems=_problems(family, wanted),
        uids=tuple(filter(None, map(_uid, (deployment, current)))),
    )


def find_family(deployment: Object, owned: Owned) -> Family:
    """Find the ReplicaSets and pods of ``deployment`` by owner, and which of them are current.

    The controller writes the revision of the current ReplicaSet onto the Deployment. As
    the lists may be a moment apart, the images of both templates must agree as well.
    """
    replica_sets = owned.get(_uid(deployment), ())
    current = None
    if _is_observed(deployment):
        revision = _annotation(deployment, REVISION)
        matches = [item for item in replica_sets if revision and _annotation(item, REVISION) == revision]
        current = next((item for item in matches if image_references(item) == image_references(deployment)), None)
    older = [item for item in replica_sets if item is not current]
    return Family(
        deployment,
        current,
        tuple(owned.get(_uid(current), ())) if current else (),
        tuple(pod for item in older for pod in owned.get(_uid(item), ())),
    )


def _waiting_for(family: Family, wanted: Wanted) -> tuple[str, str]:
    """Return what a ready rollout still lacks and a one-word reason, both empty when nothing."""
    deployment, current = family.deployment, family.current
    if not carries(image_references(deployment), wanted.images):
        return "the live object to carry the delivered image", "ImageNotLive"
    if not _is_observed(deployment):
        return "the Deployment controller to see the new generation", "NotObserved"
    if current is None:
        return "the ReplicaSet of the new template", "NoReplicaSet"
    desired = _desired(deployment)
    missing = desired - sum(1 for pod in family.pods if is_serving(pod))
    if missing > 0:
        return "%s of the new template to be ready" % counted(missing, "more pod"), "NotReady"
    if not _is_complete(deployment, current, desired):
        return "the pods to be counted as available, and no others", "NotReady"
    old = sum(1 for pod in family.old_pods if is_serving(pod))
    if old:
        return "%s of older templates to stop serving" % counted(old, "pod"), "OldPodsServing"
    return "", ""


def counted(number: int, noun: str) -> str:
    """Return ``number`` and ``noun``, as a plural unless there is one."""
    return "%d %s%s" % (number, noun, "" if number == 1 else "s")


def _is_complete(deployment: Object, current: Object, desired: int) -> bool:
    """Whether Deployment and ReplicaSet both count exactly the desired pods, all available."""
    status, owned = deployment.get("status", {}), current.get("status", {})
    counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")]
    counts += [owned.get(key, 0) for key in ("replicas", "readyReplicas", "availableReplicas")]
    counts.append(current.get("spec", {}).get("replicas", 0))
    seen = owned.get("observedGeneration", 0) >= _meta(current).get("generation", 0)
    return seen and all(count == desired for count in counts)


def _problems(family: Family, wanted: Wanted) -> tuple[Problem, ...]:
    """Return what stands in the way: of the Deployment first, then of its current pods."""
    deployment = family.deployment
    found = []
    if deployment.get("spec", {}).get("paused") and not wanted.allow_paused:
        found.append(_problem(deployment, "Paused", "the Deployment is paused: no rollout happens", 0.0))
    if _desired(deployment) == 0 and not wanted.allow_zero_replicas:
        found.append(
            _problem(deployment, "ZeroReplicas", "the Deployment is scaled to zero: nothing can be verified", 0.0)
        )
    # Pods and conditions belong to the delivered template only after the controller saw it.
    if family.current is None or not carries(image_references(deployment), wanted.images):
        return tuple(found)
    found += _condition_problems(deployment, family.current)
    for pod in family.pods:
        found += pod_problems(pod)
    return tuple(found)


def _condition_problems(deployment: Object, current: Object) -> list[Problem]:
    """Read the Deployment's conditions.

    After a roll back to a template that already had a ReplicaSet, ProgressDeadlineExceeded
    of the abandoned template stays until the new pods make progress. Its message names the
    ReplicaSet it is about, so a deadline that another one missed is not held against ours.
    """
    found = []
    for condition in deployment.get("status", {}).get("conditions", []):
        reason, message = condition.get("reason", ""), condition.get("message", "")
        if reason == "ProgressDeadlineExceeded" and condition.get("status") == "False":
            about_other = message.startswith("ReplicaSet ") and '"%s"' % _meta(current).get("name") not in message
            if not about_other:
                found.append(_problem(deployment, reason, message, 2.0))
        elif condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            # Not fatal: a quota may free up as soon as old pods are gone.
            found.append(_problem(deployment, reason or "ReplicaFailure", message, None))
    return found


def _join_runs(pods: Sequence[Object]) -> dict[str, Run]:
    """Collect the runs of all containers of all pods that are not being deleted."""
    runs: dict[str, Run] = {}
    for pod in pods:
        if not _meta(pod).get("deletionTimestamp"):
            runs.update(container_runs(pod))
    return runs


def _problem(deployment: Object, reason: str, message: str, grace_s: Optional[float]) -> Problem:
    meta = _meta(deployment)
    return Problem("Deployment", meta.get("namespace", ""), meta.get("name", ""), reason, message, grace_s=grace_s)


def _template(item: Object) -> Object:
    template: Object = item.get("spec", {}).get("template", {}).get("spec", {})
    return template


def image_references(item: Object) -> list[str]:
    """Return the images of all containers in the template of a Deployment or ReplicaSet."""
    containers = _template(item).get("initContainers", []) + _template(item).get("containers", [])
    return [container.get("image", "") for container in containers]


def _is_observed(deployment: Object) -> bool:
    observed: int = deployment.get("status", {}).get("observedGeneration", 0)
    generation: int = _meta(deployment).get("generation", 0)
    return observed >= generation


def _desired(deployment: Object) -> int:
    replicas: int = deployment.get("spec", {}).get("replicas", 1)
    return replicas


def _meta(item: Optional[Object]) -> Mapping[str, Any]:
    meta: Mapping[str, Any] = (item or {}).get("metadata", {})
    return meta


def _annotation(item: Object, key: str) -> str:
    value: str = (_meta(item).get("annotations") or {}).get(key, "")
    return value


def _uid(item: Object) -> str:
    uid: str = _meta(item).get("uid", "")
    return uid


def _owner(item: Object) -> str:
    """Return the uid of the controlling owner, empty when there is none."""
    owners = _meta(item).get("ownerReferences") or []
    uid: str = next((owner.get("uid", "") for owner in owners if owner.get("controller")), "")
    return uid


def selector_text(deployment: Object) -> str:
    """Return the label selector of ``deployment`` in the form that the API takes in a query."""
    selector = deployment.get("spec", {}).get("selector") or {}
    parts = ["%s=%s" % pair for pair in sorted((selector.get("matchLabels") or {}).items())]
    for rule in selector.get("matchExpressions") or []:
        key, values = rule["key"], "(%s)" % ",".join(rule.get("values") or [])
        forms = {
            "In": key + " in " + values,
            "NotIn": key + " notin " + values,
            "Exists": key,
            "DoesNotExist": "!" + key,
        }
        parts.append(forms[rule["operator"]])
    return ",".join(parts)
