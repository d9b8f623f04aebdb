# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the end of a delivery in a few lines."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: delivery_summary
short_description: Tell the end of a delivery in a few lines
version_added: 1.0.0
author: slipway.gitops contributors (@slipway-gitops)
description:
  - Takes C(deploy_result), which the role P(slipway.gitops.deploy#role) sets, and gives lines for people.
  - "They say: verdict, release, commit, seconds by phase, and after a failure its cause with the telling log lines."
options:
  _input:
    description: The value of C(deploy_result).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Tell the end of the delivery
  ansible.builtin.debug:
    msg: "{{ deploy_result | slipway.gitops.delivery_summary }}"
"""

RETURN = r"""
_value:
  description: Lines of text.
  type: list
  elements: str
  sample: ["shop 1.4.2 on staging: VERIFIED LIVE", "commit     2f7c1d90b1d2"]
"""

_ENDS = {
    "verified": "VERIFIED LIVE",
    "rolled_back": "ROLLED BACK to {release}, which is verified live",
    "superseded": "SUPERSEDED by a later commit, nothing was rolled back",
    "inconclusive": "INCONCLUSIVE, the evidence could not be had; nothing was rolled back",
    "timeout": "NOT READY IN TIME, nothing was rolled back",
    "failed": "FAILED",
    "stuck": "FAILED, and so did the way back to {release}: a person must look",
    "fenced": "FENCED OFF, another delivery took over; nothing more was written",
    "unrecorded": "{release} IS VERIFIED LIVE, but that could not be recorded: run it again",
    "cancelled": "CANCELLED, nothing was rolled back",
    "declined": "DECLINED, nothing was changed",
    "unconfirmed": "NOT CONFIRMED, nothing was written",
    "void": "VOID, the plan changed after it was confirmed; nothing was written",
    "held": "REFUSED, it is on hold; nothing was written",
    "paused": "REFUSED, the environment is paused; nothing was written",
    "window_closed": "REFUSED, a sync window is closed; nothing was written",
    "busy": "NOT BEGUN, the environment was busy; nothing was written",
}
_MOST_LOG_LINES = 8


def delivery_summary(result: Mapping[str, Any]) -> list[str]:
    """Return the lines: what was asked and became of it, commit, times, cause, log tail, hold."""
    if not isinstance(result, Mapping) or "verdict" not in result:
        raise AnsibleFilterError("delivery_summary takes the value of deploy_result")
    end = _ENDS.get(str(result["verdict"]), str(result["verdict"]).upper())
    lines = [
        "%s %s on %s: %s"
        % (result["application"], result["requested"], result["environment"], end.format(release=result.get("release")))
    ]
    if result.get("commit"):
        lines.append("commit     %s" % result["commit"])
    if result.get("backup"):
        lines.append("backup     %s" % result["backup"])
    if result["verdict"] == "verified":
        return lines + _times("seconds", result.get("measures"))
    lines += _times("forward", (result.get("failure") or {}).get("measures"))
    lines += _times("rollback", result.get("measures"))
    return lines + _cause(result)


def _times(title: str, measures: Any) -> list[str]:
    """Return one line with the seconds of each phase and their sum; none if nothing was measured."""
    seconds = {name: float(value) for name, value in (measures or {}).items()}
    if not any(seconds.values()):
        return []
    phases = ", ".join("%s %.1f" % item for item in seconds.items())
    return ["%-10s %s; %.1f s in all" % (title, phases, sum(seconds.values()))]


def _cause(result: Mapping[str, Any]) -> list[str]:
    """Return why it did not pass: the message, what to do, the container's last words."""
    failure = result.get("failure") or {}
    told = [str(text).strip() for text in (failure.get("message"), result.get("message")) if str(text or "").strip()]
    lines = ["%-10s %s" % pair for pair in zip(("why", "then"), dict.fromkeys(told))]
    if result.get("command"):
        lines.append("run        %s" % result["command"])
    if result.get("held"):
        lines.append("hold       it lasts until a person resumes it")
    diagnosis = failure.get("diagnosis") or {}
    if diagnosis.get("hint"):
        lines.append("hint       %s" % diagnosis["hint"])
    log = diagnosis.get("log") or {}
    if log.get("lines"):
        lines.append("log tail   of container %s:" % log.get("container"))
        lines += ["           | %s" % line for line in log["lines"][-_MOST_LOG_LINES:]]
    return lines


class FilterModule:
    """Registers the filter with Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file by name."""
        return {"delivery_summary": delivery_summary}
