# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Use case of the module argocd_app_info (private to the collection)."""

from __future__ import annotations

from typing import Any, Mapping, Union

from .._context import Clock
from .._errors import Forbidden, InvalidInput, NotFound
from .._kube.paths import APPLICATIONS, object_path
from .operating import project_of
from .ports import Kube, Object, about
from .redact import masked
from .spec import check_names, comparable
from .view import View, summary


def run(params: Mapping[str, Any], client: Kube, clock: Clock) -> dict[str, Any]:
    """Return Applications of one namespace; one that does not exist is an empty list, not a failure."""
    check_names(params)
    selectors = params.get("label_selectors") or []
    for selector in selectors:
        if not selector.strip() or not selector.isprintable():
            raise InvalidInput("label_selectors", "%r is not a label selector" % selector)
    field = "metadata.name=%s" % params["name"] if params.get("name") else ""
    with about("Applications in namespace %s" % params["namespace"]):
        answer = client.list(object_path(APPLICATIONS, params["namespace"]), ",".join(selectors), field)
    found = [item for item in answer.get("items") or [] if _is_wanted(item, params)]
    applications = []
    windows = _Windows(client, clock, params["namespace"]) if params.get("windows") else None
    for item in sorted(found, key=lambda app: str(app["metadata"]["name"])):
        entry = summary(item)
        if params.get("full"):
            # A list leaves kind and apiVersion out of its items.
            kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application"}
            entry["object"] = masked(dict(kind, **comparable(item)))
        if windows is not None:
            entry["windows"] = windows.of(item)
        applications.append(entry)
    return {"changed": False, "applications": applications}


def _is_wanted(app: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    return not params.get("project") or (app.get("spec") or {}).get("project") == params["project"]


class _Windows:
    """The sync windows of Applications; each AppProject is read once."""

    def __init__(self, client: Kube, clock: Clock, namespace: str) -> None:
        self._client = client
        self._clock = clock
        self._namespace = namespace
        self._projects: dict[str, Union[Object, str]] = {}

    def of(self, app: Object) -> dict[str, Any]:
        """Return the windows about an Application, and whether they forbid the syncs that it gets."""
        from .windows import blocked, listed

        project = self._project(app)
        if isinstance(project, str):
            return {"known": False, "note": project, "blocked": "", "list": []}
        now = self._clock.wall()
        why = blocked(project, app, now, is_manual=not View(app).is_automated)
        return {"known": True, "note": "", "blocked": why, "list": listed(project, app, now)}

    def _project(self, app: Object) -> Union[Object, str]:
        """Return the AppProject, or why it cannot be read."""
        name = str((app.get("spec") or {}).get("project") or "")
        if name not in self._projects:
            try:
                self._projects[name] = project_of(app, self._namespace, self._client)
            except Forbidden as error:
                self._projects[name] = (
                    "%s may not be read: the right get appprojects.argoproj.io is missing" % error.resource
                )
            except NotFound as error:
                self._projects[name] = "%s does not exist" % error.resource
        return self._projects[name]
