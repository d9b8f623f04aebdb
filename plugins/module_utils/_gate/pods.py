# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the status of one pod says (private to the collection)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Iterator, Mapping, Optional

Object = Mapping[str, Any]

# Seconds that a problem must last before it is fatal, by the kubelet's reason. Failing at
# once gives false alarms (a registry that replicates, a ConfigMap that lands a moment
# after its Deployment); reasons that are not listed only explain a timeout.
GRACE_S: Mapping[str, float] = {
    "InvalidImageName": 0.0,
    "ErrImageNeverPull": 2.0,
    # The kubelet asks the registry again after 10 s: fatal once that failed as well.
    "ImageNotFound": 15.0,
    "CreateContainerConfigError": 10.0,
    "CreateContainerError": 30.0,
}
IMAGE_REASONS = ("ErrImagePull", "ImagePullBackOff")
_NOT_FOUND = re.compile(r"not found|manifest unknown|name unknown|does not exist", re.I)
# The kubelet's own caches may lag behind a Secret or ConfigMap that was just created.
_CACHE_LAG = re.compile(r"failed to sync \w+ cache", re.I)


@dataclass(frozen=True)
class Problem:
    """Something in the way of a rollout.

    ``grace_s`` is how long it must last to be fatal, None when it never is on its own.
    ``crashes`` marks a container that ended by itself and is not running now, which is
    judged by the number of its restarts instead of by time.
    """

    kind: str
    namespace: str
    name: str
    reason: str
    message: str = ""
    container: str = ""
    uid: str = ""
    exit_code: Optional[int] = None
    restarts: int = 0
    grace_s: Optional[float] = None
    crashes: bool = False

    @property
    def subject(self) -> str:
        """Name of the object, as messages have it."""
        return "%s %s" % (self.kind, "/".join(filter(None, (self.namespace, self.name))))

    @property
    def run_key(self) -> str:
        """Key of the container in what :func:`container_runs` returns."""
        return "%s/%s" % (self.uid, self.container)

    @property
    def key(self) -> tuple[str, str, str]:
        """Identity across observations; both reasons of a failing image pull are one."""
        reason = "image" if self.reason in IMAGE_REASONS else self.reason
        return (self.uid or self.kind + self.namespace + "/" + self.name, self.container, reason)


@dataclass(frozen=True)
class Run:
    """One life of a container: a new one is never equal to the one before.

    ``last_life_s`` is how long the previous life lasted and ``last_end`` when it ended
    (seconds since the epoch on the node's clock), None when there was none. ``begun`` is
    when this life began by the same clock, None while it has not.
    """

    container_id: str
    restarts: int
    running: bool
    last_life_s: Optional[float] = None
    last_end: Optional[float] = None
    begun: Optional[float] = None


def is_ready(pod: Object) -> bool:
    """Whether the pod's condition Ready is True."""
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in _conditions(pod))


def is_serving(pod: Object) -> bool:
    """Whether a Service sends traffic to the pod: ready, and not being deleted.

    A pod that is shutting down may stay Ready for its whole grace period, but leaves the
    endpoints at once, so it does not hold up a rollout.
    """
    return is_ready(pod) and not _meta(pod).get("deletionTimestamp")


def container_runs(pod: Object) -> dict[str, Run]:
    """Return the current life of each long-running container of ``pod``, sidecars included.

    Ordinary init containers end by nature and are left out.
    """
    runs = {}
    for status in _long_running(pod):
        last = status.get("lastState", {}).get("terminated") or {}
        begun, ended = epoch(last.get("startedAt")), epoch(last.get("finishedAt"))
        life = max(0.0, ended - begun) if begun is not None and ended is not None else None
        runs["%s/%s" % (_meta(pod).get("uid", ""), status.get("name", ""))] = Run(
            status.get("containerID", ""),
            status.get("restartCount", 0),
            "running" in status.get("state", {}),
            life,
            ended,
            epoch((status.get("state", {}).get("running") or {}).get("startedAt")),
        )
    return runs


def pod_problems(pod: Object) -> list[Problem]:
    """Return everything that keeps ``pod`` from being ready, or that ended a container of it."""
    meta, status = _meta(pod), pod.get("status", {})
    if meta.get("deletionTimestamp"):
        return []
    about = Problem("Pod", meta.get("namespace", ""), meta.get("name", ""), "", uid=meta.get("uid", ""))
    found: list[Problem] = []
    for container in _statuses(pod):
        found += _container_problems(about, container)
    for condition in _conditions(pod):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            reason = condition.get("reason") or "Unschedulable"
            found.append(replace(about, reason=reason, message=condition.get("message", "")))
    if status.get("phase") == "Failed":
        found.append(replace(about, reason=status.get("reason") or "PodFailed", message=status.get("message", "")))
    if not found and not is_ready(pod):
        found += _not_ready(about, pod)
    return found


def _container_problems(about: Problem, status: Mapping[str, Any]) -> Iterator[Problem]:
    """Read one container's state; a crash is described by the life that ended, not by the wait."""
    state = status.get("state", {})
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    last = ended or status.get("lastState", {}).get("terminated") or {}
    name, restarts = status.get("name", ""), status.get("restartCount", 0)
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    about = replace(about, container=name, restarts=restarts, reason=reason, message=message)
    if reason == "CrashLoopBackOff":
        text = "container %s ended %s after %s" % (name, _how(last), _times(restarts))
        yield replace(about, message=text, exit_code=last.get("exitCode"), crashes=True)
    elif reason in IMAGE_REASONS:
        yield replace(about, grace_s=GRACE_S["ImageNotFound"] if _NOT_FOUND.search(message) else None)
    elif reason and reason not in ("ContainerCreating", "PodInitializing"):
        yield replace(about, grace_s=None if _CACHE_LAG.search(message) else GRACE_S.get(reason))
    elif ended and not status.get("ready", False):  # an init container that succeeded is ready
        text = "container %s ended %s" % (name, _how(ended)) + (" after %s" % _times(restarts) if restarts else "")
        reason = ended.get("reason") or "Error"
        if restarts and reason in ("Error", "Completed"):
            reason = "CrashLoopBackOff"  # which the kubelet only says some seconds later
        yield replace(about, reason=reason, message=text, exit_code=ended.get("exitCode"), crashes=True)
    elif restarts and not status.get("ready", False):
        text = "container %s ended %s and was started again" % (name, _how(last))
        yield replace(about, reason="Restarted", message=text, exit_code=last.get("exitCode"))


def _not_ready(about: Problem, pod: Object) -> Iterator[Problem]:
    """Explain a pod that runs but is not ready."""
    for condition in _conditions(pod):
        if condition.get("type") == "Ready" and condition.get("status") != "True":
            unready = [item.get("name", "") for item in _long_running(pod) if not item.get("ready")]
            text, reason = condition.get("message") or "not ready", condition.get("reason") or "NotReady"
            yield replace(about, reason=reason, message=text, container=unready[0] if unready else "")


def _times(restarts: int) -> str:
    return "%d restart%s" % (restarts, "" if restarts == 1 else "s")


def _how(ended: Mapping[str, Any]) -> str:
    """Describe how a container ended."""
    if not ended:
        return "unexpectedly"
    text = "with exit code %s" % ended.get("exitCode")
    reason = ended.get("reason", "")
    return text + (" (%s)" % reason if reason not in ("", "Error", "Completed") else "")


def _long_running(pod: Object) -> list[Mapping[str, Any]]:
    """Return the statuses of containers and of sidecars (init containers that always restart)."""
    specs = pod.get("spec", {}).get("initContainers", [])
    sidecars = {item.get("name") for item in specs if item.get("restartPolicy") == "Always"}
    status = pod.get("status", {})
    running = [item for item in status.get("initContainerStatuses", []) if item.get("name") in sidecars]
    return running + list(status.get("containerStatuses", []))


def _statuses(pod: Object) -> list[Mapping[str, Any]]:
    status = pod.get("status", {})
    return list(status.get("initContainerStatuses", [])) + list(status.get("containerStatuses", []))


def _conditions(pod: Object) -> list[Mapping[str, Any]]:
    return list(pod.get("status", {}).get("conditions", []))


def _meta(pod: Object) -> Mapping[str, Any]:
    meta: Mapping[str, Any] = pod.get("metadata", {})
    return meta


def epoch(text: Optional[str]) -> Optional[float]:
    """Convert an API timestamp; one that cannot be read counts as absent."""
    try:
        return datetime.fromisoformat((text or "").replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
