# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Use case of the module argocd_app_info (private to the collection)."""

from __future__ import annotations

from typing import Any, Mapping

from .._errors import InvalidInput
from .._kube.paths import APPLICATIONS, object_path
from .ports import Kube, about
from .redact import masked
from .spec import check_names, comparable
from .view import summary


def run(params: Mapping[str, Any], client: Kube) -> dict[str, Any]:
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
    for item in sorted(found, key=lambda app: str(app["metadata"]["name"])):
        entry = summary(item)
        if params.get("full"):
            # A list leaves kind and apiVersion out of its items.
            kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application"}
            entry["object"] = masked(dict(kind, **comparable(item)))
        applications.append(entry)
    return {"changed": False, "applications": applications}


def _is_wanted(app: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    return not params.get("project") or (app.get("spec") or {}).get("project") == params["project"]
