# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folds what queue, Argo CD and gate say about one environment into one status, and shows it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Callable, Iterable, Iterator, Mapping

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: environment_status
short_description: Fold what queue, Argo CD and gate say about an environment into one status
version_added: 1.0.0
author: slipway.gitops contributors (@slipway-gitops)
description:
  - Gives one dictionary that answers what runs there, since when, whether it is well, and what happened last.
  - The key RV(ignore:ok) is true only when the gate passed, and nothing holds, pauses or contradicts it.
options:
  _input:
    description:
      - "A dictionary with RV(ignore:application), RV(ignore:environment), RV(ignore:url), and what the modules returned:
        RV(ignore:queue) (one element of M(slipway.gitops.deploy_queue_info)'s C(environments), or empty),
        RV(ignore:argocd) (one of M(slipway.gitops.argocd_app_info)'s C(applications), or empty),
        RV(ignore:gate) (the result of M(slipway.gitops.health_gate), or empty),
        RV(ignore:error) (why something could not be read)."
    type: dict
    required: true
  deliveries:
    description: How many of the last deliveries are listed.
    type: int
    default: 5
seealso:
  - plugin: slipway.gitops.status_screen
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Fold the status
  ansible.builtin.set_fact:
    status: "{{ {'application': 'shop', 'environment': 'staging', 'url': '', 'queue': {}, 'argocd': {}, 'gate': {}, 'error': ''}
      | slipway.gitops.environment_status }}"
"""

RETURN = r"""
_value:
  description: The status of the environment.
  type: dict
  sample: {application: shop, environment: staging, ok: true, health: healthy, reason: "", release: {version: 1.4.2}}
"""

_ENDED = ("succeeded", "failed", "rolled_back", "cancelled")


def environment_status(facts: Mapping[str, Any], deliveries: int = 5) -> dict[str, Any]:
    """Return the status. Raises AnsibleFilterError for anything but the facts named in the documentation."""
    if not isinstance(facts, Mapping) or "application" not in facts or "environment" not in facts:
        raise AnsibleFilterError("environment_status takes a dictionary with application and environment")
    queue, argocd, gate = facts.get("queue") or {}, facts.get("argocd") or {}, facts.get("gate") or {}
    verified = (queue.get("last_verified") or {}).get(facts["application"]) or {}
    live = sorted({image for item in gate.get("deployments") or [] for image in item["images"]})
    reason = _why_not_well(facts, verified, live)
    return {
        "application": facts["application"],
        "environment": facts["environment"],
        "ok": not reason,
        "health": _health(facts, argocd, gate),
        "reason": reason,
        "release": _release(verified),
        "live": {
            "images": live,
            "deployments": list(gate.get("deployments") or []),
            "resources": list(argocd.get("resources") or []),
        },
        "argocd": {
            "sync": (argocd.get("sync") or {}).get("status", "Unknown"),
            "health": argocd.get("health", "Unknown"),
            "revision": (argocd.get("sync") or {}).get("revision", ""),
            "conditions": list(argocd.get("conditions") or []),
        },
        "queue": {
            "running": _entry(queue.get("running")),
            "waiting": [_entry(entry) for entry in queue.get("waiting") or []],
            "paused": queue.get("paused"),
            "holds": list(queue.get("holds") or []),
        },
        "deliveries": list(_deliveries(queue.get("events") or []))[-max(deliveries, 0) :][::-1] if deliveries else [],
        "urls": _urls(facts, argocd),
    }


def _why_not_well(facts: Mapping[str, Any], verified: Mapping[str, Any], live: Iterable[str]) -> str:
    """Return the first thing a person must know, worst first; nothing when all is well."""
    queue, gate = facts.get("queue") or {}, facts.get("gate") or {}
    if facts.get("error"):
        return str(facts["error"])
    if not facts.get("argocd"):
        return "Argo CD knows no such Application"
    if gate.get("verdict") != "pass":
        return str(gate.get("msg") or "the gate was not asked")
    if queue.get("paused"):
        return "paused: %s" % (queue["paused"].get("reason") or "no reason given")
    holds = [hold for hold in queue.get("holds") or [] if hold.get("scope") == "environment"]
    if holds:
        return "on hold: %s" % (holds[0].get("reason") or "no reason given")
    if not verified:
        return "nothing was verified here yet"
    if not any(_names(image, verified) for image in live):
        return "what runs is not the last verified release %s" % verified.get("version")
    return ""


def _names(reference: str, verified: Mapping[str, Any]) -> bool:
    """Whether a live image is that of the verified release; releases without images are told by their version."""
    images = verified.get("images") or []
    wanted = [str(image.get("digest") or image.get("newTag") or "") for image in images] or [
        str(verified.get("version"))
    ]
    return any(reference.endswith((":" + word, "@" + word)) for word in wanted if word)


def _health(facts: Mapping[str, Any], argocd: Mapping[str, Any], gate: Mapping[str, Any]) -> str:
    if facts.get("error") or not argocd or gate.get("verdict") in (None, "inconclusive"):
        return "unknown"
    return "healthy" if gate["verdict"] == "pass" else "unhealthy"


def _release(verified: Mapping[str, Any]) -> dict[str, Any]:
    if not verified:
        return {}
    kept = {name: verified.get(name) for name in ("version", "commit", "at", "images")}
    return {**kept, "age": _age(str(verified.get("at") or ""))}


def _age(at: str) -> int:
    """Return the seconds since a time of the queue's record."""
    try:
        begun = datetime.fromisoformat(at.replace("Z", "+00:00"))
    except ValueError:
        return 0
    return max(0, int((datetime.now(timezone.utc) - begun).total_seconds()))


def _entry(entry: Any) -> dict[str, Any]:
    names = (
        "id",
        "app",
        "version",
        "kind",
        "phase",
        "requested_by",
        "position",
        "age",
        "lease_remaining",
        "lease_lapsed",
    )
    return {name: entry[name] for name in names if name in entry} if entry else {}


def _urls(facts: Mapping[str, Any], argocd: Mapping[str, Any]) -> list[str]:
    """Return where the application is reached: as the inventory says, and as Ingresses and Services tell Argo CD."""
    return list(dict.fromkeys(url for url in [facts.get("url"), *(argocd.get("urls") or [])] if url))


def _deliveries(events: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give the deliveries that ended, oldest first, from the events of their entries."""
    begun: dict[str, dict[str, Any]] = {}
    for event in events:
        known = begun.setdefault(str(event.get("entry") or ""), {})
        data = event.get("data") or {}
        known.update(data.get("entry") or {})
        if event.get("entry") and event.get("after") in _ENDED and known.get("version"):
            yield {
                "app": known.get("app", ""),
                "version": known["version"],
                "kind": known.get("kind", "deploy"),
                "verdict": event["after"],
                "at": event.get("at", ""),
                "by": known.get("requested_by") or event.get("actor", ""),
                "seconds": round(_sum(data.get("measures")), 1),
                "reason": event.get("reason", ""),
            }


def _sum(measures: Any) -> float:
    """Add the seconds of all phases, of the way back too."""
    if isinstance(measures, Mapping):
        return sum(_sum(value) for value in measures.values())
    return float(measures) if isinstance(measures, (int, float)) else 0.0


class FilterModule:
    """Registers the filter with Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file by name."""
        return {"environment_status": environment_status}
