# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says why a release did not pass: cause, events, log lines (private to the collection)."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping, Sequence

from .pods import IMAGE_REASONS, Problem, epoch

MAX_EVENTS = 10
MAX_MESSAGE = 500
MAX_LINE = 500
MAX_LOG = 16384
EVENTS_BEFORE_S = 5.0

Mask = Callable[[str], str]

# What every rollout reports when all goes well.
_SUCCESS = frozenset(
    (
        "Started",
        "Created",
        "SuccessfulCreate",
        "SuccessfulDelete",
        "Scheduled",
        "Pulling",
        "Pulled",
        "Killing",
        "ScalingReplicaSet",
    )
)

_HINTS = {
    "CrashLoopBackOff": "The container ends by itself after it was started: read its last log lines.",
    "Restarted": "The container ended by itself and was started again: read its last log lines.",
    "Error": "The container ended by itself: read its last log lines.",
    "OOMKilled": "The container needs more memory than its limit allows.",
    "ErrImagePull": "Check that the registry has this tag or digest and that the node may pull it.",
    "ImagePullBackOff": "Check that the registry has this tag or digest and that the node may pull it.",
    "InvalidImageName": "Correct the image reference.",
    "CreateContainerConfigError": "A ConfigMap, Secret or key that the pod refers to is missing or wrong.",
    "Unschedulable": "No node can take the pod: see the message for what is short.",
    "ContainersNotReady": "The readiness probe does not succeed: see the events and the application's own log.",
    "FailedCreate": "The pods are refused: a quota, a limit range or an admission policy is in the way.",
    "ProgressDeadlineExceeded": "No progress within progressDeadlineSeconds: see the pods of the new ReplicaSet.",
    "Paused": "Resume the rollout (spec.paused), or set allow_paused.",
    "ZeroReplicas": "Scale the Deployment up, or set allow_zero_replicas.",
    "Missing": "Check name and namespace, and that the sync created the object.",
    "ImageNotLive": "The live Deployment has other images than the delivered ones: was the commit synced?",
    "NotDelivered": "No judged Deployment uses this image: check the option images and the selection.",
    "NoDeployments": "Nothing matched, so nothing was verified: check namespace, names and selectors.",
    "OldPodsServing": "Pods of an older template are still ready: see why they do not end.",
    "NotStable": "Give it more time (wait_timeout) or look at why containers restart.",
    "HttpMismatch": "The URL does not answer as the release should.",
    "HttpNoEvidence": "The URL could not be asked from here: check name resolution, network and certificates.",
    "ClusterUnobservable": "The Kubernetes API did not answer: nothing can be said about the release.",
}


def hint_for(reason: str) -> str:
    """Return what to do about ``reason``, empty when nothing useful can be said."""
    return _HINTS.get(reason, "")


def telling_events(events: Iterable[Mapping[str, Any]], since: float, mask: Mask) -> list[dict[str, Any]]:
    """Return the events worth reading, oldest first: late enough and not of a normal success.

    ``since`` is the start of the gate in seconds since the epoch; a few seconds before it
    are included, because a sync that just ended caused them.
    """
    found = []
    for event in events:
        seen = (
            event.get("lastTimestamp") or event.get("eventTime") or event.get("metadata", {}).get("creationTimestamp")
        )
        at = epoch(seen)
        if event.get("reason") in _SUCCESS or at is None or at < since - EVENTS_BEFORE_S:
            continue
        found.append((at, event, str(seen)))
    found.sort(key=lambda item: item[0])
    return [_event(event, seen, mask) for _at, event, seen in found[-MAX_EVENTS:]]


def _event(event: Mapping[str, Any], seen: str, mask: Mask) -> dict[str, Any]:
    about = event.get("involvedObject", {})
    return {
        "object": "%s/%s" % (about.get("kind", ""), about.get("name", "")),
        "reason": event.get("reason", ""),
        "message": shortened(mask(event.get("message") or "")),
        "count": event.get("count") or (event.get("series") or {}).get("count") or 1,
        "last_seen": seen,
    }


def log_tail(text: str, lines: int, mask: Mask) -> list[str]:
    """Return the last lines of a container's log: masked, and bounded in number and size."""
    kept: list[str] = []
    size = 0
    for line in (shortened(whole, MAX_LINE) for whole in reversed(mask(text).splitlines()[-lines:])):
        size += len(line)
        if size > MAX_LOG:
            break
        kept.append(line)
    return kept[::-1]


def has_logs(problem: Problem) -> bool:
    """Whether a container behind ``problem`` was ever started, so that it can have a log."""
    no_start = IMAGE_REASONS + ("InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError")
    return problem.kind == "Pod" and bool(problem.container) and problem.reason not in no_start


def report(problem: Problem, events: Sequence[Mapping[str, Any]], log: Mapping[str, Any], mask: Mask) -> dict[str, Any]:
    """Return the diagnosis of one problem as module return values."""
    message = problem.message
    if problem.reason == "ContainersNotReady":
        # The pod only says "not ready"; the probe's own answer is in its events.
        unhealthy = [event["message"] for event in events if event["reason"] == "Unhealthy"]
        message = unhealthy[-1] if unhealthy else message
    return {
        "object": {"kind": problem.kind, "namespace": problem.namespace, "name": problem.name},
        "reason": problem.reason,
        "message": shortened(mask(message)),
        "hint": hint_for(problem.reason),
        "container": problem.container,
        "exit_code": problem.exit_code,
        "restarts": problem.restarts,
        "events": list(events),
        "log": dict(log),
    }


def shortened(text: str, limit: int = MAX_MESSAGE) -> str:
    """Return ``text`` with at most ``limit`` characters."""
    return text if len(text) <= limit else text[: limit - 3] + "..."
