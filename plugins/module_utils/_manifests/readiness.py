# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When an object that was applied is ready for what comes next (private to the collection)."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional

from .._gate.pods import pod_problems
from .document import DEFINITION, WORKLOADS

Object = Mapping[str, Any]


def waits_for(item: Object) -> str:
    """Return what an object still waits for, nothing when it is ready or never has to be."""
    if item.get("kind") == DEFINITION:
        return "" if _has_condition(item, "Established") else "to be established"
    if item.get("kind") in WORKLOADS:
        return _rollout(item)
    return ""


def pods_say(pods: Iterable[Object]) -> str:
    """Return in short why pods are not ready, nothing when they do not tell."""
    said = {}
    for pod in pods:
        for problem in pod_problems(pod):
            said[problem.reason] = "%s: %s %s" % (problem.subject, problem.reason, problem.message)
    return "; ".join(text.strip() for text in said.values())


def lingering(body: Optional[Object]) -> str:
    """Return what keeps an object that is being removed, nothing when it is gone."""
    if body is None:
        return ""
    finalizers = ", ".join(body["metadata"].get("finalizers") or [])
    conditions = (body.get("status") or {}).get("conditions") or []
    remaining = "; ".join(
        one.get("message", "")
        for one in conditions
        if one.get("type") == "NamespaceContentRemaining" and one.get("status") == "True"
    )
    return "finalizers %s%s" % (finalizers, "; " + remaining if remaining else "") if finalizers else "its removal"


def _rollout(item: Object) -> str:
    meta, spec, status = item.get("metadata") or {}, item.get("spec") or {}, item.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(meta.get("generation") or 0):
        return "its controller to see it"
    if item["kind"] == "DaemonSet":
        wanted = int(status.get("desiredNumberScheduled") or 0)
        names = ("updatedNumberScheduled", "numberReady")
    else:
        wanted = int(spec.get("replicas", 1))
        names = ("updatedReplicas", "readyReplicas")
        if int(status.get("replicas") or 0) > wanted:
            return "pods of an older template to go"
    updated, ready = (int(status.get(name) or 0) for name in names)
    if updated < wanted:
        return "%d of %d pods to be made" % (wanted - updated, wanted)
    return "%d of %d pods to be ready" % (wanted - ready, wanted) if ready < wanted else ""


def _has_condition(item: Object, kind: str) -> bool:
    conditions = (item.get("status") or {}).get("conditions") or []
    return any(one.get("type") == kind and one.get("status") == "True" for one in conditions)
