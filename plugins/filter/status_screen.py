# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the status of an environment on one screen."""

from __future__ import annotations

from typing import Any, Callable, Iterator, Mapping

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: status_screen
short_description: Show the status of an environment on one screen
version_added: 1.0.0
author: slipway.gitops contributors (@slipway-gitops)
description:
  - Takes the value of P(slipway.gitops.environment_status#filter) and gives lines for people.
options:
  _input:
    description: The status of one environment.
    type: dict
    required: true
seealso:
  - plugin: slipway.gitops.environment_status
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show the state
  ansible.builtin.debug:
    msg: "{{ deploy_status | slipway.gitops.status_screen }}"
"""

RETURN = r"""
_value:
  description: Lines of text.
  type: list
  elements: str
  sample: ["shop on staging: HEALTHY", "release    1.4.2, verified 2 h ago, commit 2f7c1d90b1d2"]
"""

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))
_VERDICTS = {"succeeded": "verified", "rolled_back": "rolled back"}


def status_screen(status: Mapping[str, Any]) -> list[str]:
    """Return the lines: health first, then release, Argo CD, pods, queue, last deliveries, addresses."""
    if not isinstance(status, Mapping) or "release" not in status:
        raise AnsibleFilterError("status_screen takes the value of environment_status")
    health = status["health"].upper() if status["ok"] else "%s, LOOK" % status["health"].upper()
    lines = ["%s on %s: %s" % (status["application"], status["environment"], health)]
    if status["reason"]:
        lines.append("why        %s" % status["reason"])
    lines.append("release    %s" % _release(status["release"]))
    argocd = status["argocd"]
    lines.append("argo cd    %s, %s at %s" % (argocd["sync"], argocd["health"], argocd["revision"][:12] or "no commit"))
    lines += ["           %s" % item.get("message", item) for item in argocd["conditions"]]
    return [*lines, *_live(status["live"]), *_queue(status["queue"]), *_deliveries(status), *_urls(status)]


def duration(seconds: float) -> str:
    """Return a length of time as people say it: its largest unit, rounded down."""
    for length, unit in _UNITS:
        if seconds >= length:
            return "%d %s" % (seconds // length, unit)
    return "%d s" % seconds


def _release(release: Mapping[str, Any]) -> str:
    if not release:
        return "nothing was verified here yet"
    commit = str(release.get("commit") or "")[:12]
    return "%s, verified %s ago, commit %s" % (release["version"], duration(release["age"]), commit or "unknown")


def _live(live: Mapping[str, Any]) -> Iterator[str]:
    for item in live["deployments"]:
        told = "%s %d/%d ready, %s" % (item["name"], item["ready"], item["desired"], ", ".join(item["images"]))
        restarts = item.get("restarts")
        yield "pods       %s%s" % (told, ", %d restarts" % restarts if restarts else "")
    others = ["%s/%s" % (item["kind"], item["name"]) for item in live["resources"] if item["kind"] != "Deployment"]
    if others:
        yield "with       %s" % ", ".join(others)


def _queue(queue: Mapping[str, Any]) -> Iterator[str]:
    running = queue["running"]
    if running:
        lapsed = " (its runner is gone: the next delivery settles it)" if running.get("lease_lapsed") else ""
        yield "delivering %s %s by %s%s" % (
            running["app"],
            running["version"],
            running.get("requested_by", "?"),
            lapsed,
        )
    for entry in queue["waiting"]:
        yield "waiting    %s %s by %s" % (entry["app"], entry["version"], entry.get("requested_by", "?"))
    if queue["paused"]:
        until = queue["paused"].get("expires_at")
        yield "paused     %s%s" % (
            queue["paused"].get("reason") or "no reason given",
            " until %s" % until if until else "",
        )
    for hold in queue["holds"]:
        what = "everything" if hold.get("scope") == "environment" else "%s %s" % (hold.get("app"), hold.get("version"))
        yield "hold       %s: %s" % (what, hold.get("reason") or "no reason given")


def _deliveries(status: Mapping[str, Any]) -> Iterator[str]:
    title = "last"
    for item in status["deliveries"]:
        verdict = _VERDICTS.get(item["verdict"], item["verdict"])
        if item["kind"] != "deploy":
            verdict = "%s (%s)" % (verdict, item["kind"])
        reason = ": %s" % item["reason"] if item["verdict"] != "succeeded" and item["reason"] else ""
        yield "%-10s %s  %-10s %s, %.1f s%s" % (
            title, item["at"][:16].replace("T", " "), item["version"], verdict, item["seconds"], reason,
        )  # fmt: skip
        title = ""


def _urls(status: Mapping[str, Any]) -> Iterator[str]:
    for number, url in enumerate(status["urls"]):
        yield "%-10s %s" % ("" if number else "address", url)


class FilterModule:
    """Registers the filter with Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file by name."""
        return {"status_screen": status_screen}
