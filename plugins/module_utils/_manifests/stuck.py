# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that keep a StatefulSet from its new template for ever (private to the collection).

A StatefulSet that goes in order waits until every pod is ready before it replaces one, the
broken ones of an older template too (kubernetes/kubernetes#67250). So a wrong image that was
corrected would never be seen; Kubernetes calls removing such a pod a forced rollback.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping, Optional

from .._errors import Forbidden
from .._gate.pods import is_serving
from .cluster import Cluster
from .document import Id

Object = Mapping[str, Any]

REVISION = "controller-revision-hash"


def stuck_pod(workload: Object, pods: Iterable[Object]) -> Optional[Object]:
    """Return the pod that a StatefulSet waits for in vain, None when there is none.

    One at a time, the last one first, as its controller goes: none while a pod is about to
    go, or while one of the new template is not ready yet.
    """
    meta, spec, status = workload.get("metadata") or {}, workload.get("spec") or {}, workload.get("status") or {}
    wanted = status.get("updateRevision")
    is_seen = int(status.get("observedGeneration") or 0) >= int(meta.get("generation") or 0)
    if not (wanted and is_seen and _goes_in_order(spec)):
        return None
    unready = []
    for pod in pods:
        if meta.get("uid") not in [owner.get("uid") for owner in pod["metadata"].get("ownerReferences") or []]:
            continue
        if pod["metadata"].get("deletionTimestamp"):
            return None
        if not is_serving(pod):
            unready.append(pod)
    if any(_revision(pod) == wanted for pod in unready):
        return None
    first = int(((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition") or 0)
    return max((pod for pod in unready if _ordinal(pod) >= first), key=_ordinal, default=None)


class StuckPods:
    """Removes them during one run. ``replaced`` are those it removed."""

    def __init__(self, cluster: Cluster, say: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._say = say
        self.replaced: list[Id] = []
        #: What a person has to do when the right to do it is missing.
        self.hint = ""

    def look(self, workload: Object) -> None:
        """Remove the pod that a StatefulSet waits for in vain, if there is one; others have none."""
        if workload.get("kind") != "StatefulSet" or self.hint:
            return
        try:
            pod = stuck_pod(workload, self._cluster.pods_of(dict(workload)))
            if pod is not None:
                self._remove(Id("v1", "Pod", pod["metadata"]["namespace"], pod["metadata"]["name"]))
        except Forbidden as error:
            self.hint = "Delete its pods of an older template that are not ready by hand (%s)." % error.cause

    def _remove(self, pod: Id) -> None:
        if self._cluster.delete(pod):
            self.replaced.append(pod)
            self._say("%s of an older template was not ready and kept its successor from coming: removed" % (pod,))


def _goes_in_order(spec: Object) -> bool:
    strategy = (spec.get("updateStrategy") or {}).get("type") or "RollingUpdate"
    return (spec.get("podManagementPolicy") or "OrderedReady", strategy) == ("OrderedReady", "RollingUpdate")


def _revision(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(REVISION))


def _ordinal(pod: Object) -> int:
    tail = pod["metadata"]["name"].rpartition("-")[2]
    return int(tail) if tail.isdigit() else 0
