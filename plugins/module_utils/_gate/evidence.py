# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects events and log lines behind a verdict (private to the collection).

A diagnosis is help, not judgement: what the identity may not read, or what is gone, is
named in it and never changes the verdict.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional, Protocol, Sequence

from .._errors import SlipwayError
from .._kube.paths import EVENTS, PODS, object_path
from .diagnosis import Mask, has_logs, log_tail, report, telling_events
from .pods import Problem

MAX_OBJECTS = 3
# What the kubelet answers with status 200 when it has removed the container already.
_GONE = "unable to retrieve container logs"


class KubeReader(Protocol):
    """What is read of the Kubernetes API."""

    def get(self, path: str, query: Optional[Mapping[str, str]] = None) -> dict[str, Any]:
        """Return an object."""

    def list(self, path: str, label_selector: str = "", field_selector: str = "") -> dict[str, Any]:
        """Return a list object."""

    def get_text(self, path: str, query: Optional[Mapping[str, str]] = None) -> str:
        """Return text, for logs."""


class Investigator:
    """Reads what explains a problem; without ``kube`` it only words it.

    ``since`` is the start of the gate in seconds since the epoch.
    """

    def __init__(self, kube: Optional[KubeReader], since: float, log_lines: int, mask: Mask) -> None:
        self._kube = kube
        self._since = since
        self._log_lines = log_lines
        self._mask = mask

    def diagnose(self, problem: Problem, related: Sequence[str]) -> dict[str, Any]:
        """Return the diagnosis of ``problem``; ``related`` are uids whose events matter as well."""
        if self._kube is None or problem.kind not in ("Pod", "Deployment"):
            return report(problem, [], {}, self._mask)
        raw: list[Mapping[str, Any]] = []
        missing = ""
        for uid in list(dict.fromkeys(filter(None, [problem.uid, *related])))[:MAX_OBJECTS]:
            try:
                path = object_path(EVENTS, problem.namespace)
                raw += self._kube.list(path, field_selector="involvedObject.uid=" + uid)["items"]
            except SlipwayError as error:
                missing = "events could not be read: %s" % error.code
        found = report(
            problem, telling_events(raw, self._since, self._mask), self._log(self._kube, problem), self._mask
        )
        return dict(found, missing=missing) if missing else found

    def _log(self, kube: KubeReader, problem: Problem) -> dict[str, Any]:
        """Return the last lines of the life that ended, or of the one that goes on when none did.

        While a container is down, that is the current log; once it runs again, the previous.
        """
        if not self._log_lines or not has_logs(problem):
            return {}
        missing = "it is empty"
        for previous in _order(problem):
            query = {"container": problem.container, "tailLines": str(self._log_lines), "limitBytes": "262144"}
            query["previous"] = "true" if previous else ""
            try:
                text = kube.get_text(object_path(PODS, problem.namespace, problem.name, "log"), query)
            except SlipwayError as error:
                missing = error.code
                continue
            lines = [] if text.startswith(_GONE) else log_tail(text, self._log_lines, self._mask)
            if lines:
                return {"container": problem.container, "previous": previous, "lines": lines}
        return {"container": problem.container, "lines": [], "missing": "no log: %s" % missing}


def _order(problem: Problem) -> tuple[bool, ...]:
    """Return which logs to try, in this order: True stands for the one of the previous life."""
    if problem.crashes:
        return (False, True)
    return (True, False) if problem.restarts else (False,)
