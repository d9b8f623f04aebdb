# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wiring of the module kube_objects_info (private to the collection)."""

from __future__ import annotations

from contextlib import closing
from typing import Any, Mapping

from .._argspec import KUBE_AUTH, merge
from .._clock import SystemClock
from .._context import Context, Entry
from .._errors import InvalidInput, NotFound
from .._kube.auth import load_settings
from .._kube.client import KubeClient, connect
from .._kube.paths import object_path
from .._manifests.cluster import Cluster

_OPTIONS: dict[str, Any] = {
    "api_version": {"type": "str", "default": "v1"},
    "kind": {"type": "str", "required": True},
    "name": {"type": "str"},
    "namespace": {"type": "str"},
    "label_selectors": {"type": "list", "elements": "str"},
    "field_selectors": {"type": "list", "elements": "str"},
}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Connect and read."""
    with closing(connect(load_settings(params, ctx), SystemClock(), ctx.agent)) as client:
        return {"changed": False, "objects": _read(params, client)}


def _read(params: Mapping[str, Any], client: KubeClient) -> list[dict[str, Any]]:
    """Return the objects. Raises InvalidInput for a namespace that cannot be, NotFound ``unknown_kind``."""
    version, name = params["api_version"], params["name"]
    kind = Cluster(client, {}).kind(version, params["kind"])
    if kind is None:
        cause = "the cluster serves no %s in %s" % (params["kind"], version)
        raise NotFound("read", params["kind"], cause, "Check api_version and kind.", code="unknown_kind")
    if name and kind.is_namespaced and not params["namespace"]:
        raise InvalidInput("namespace", "one %s is in a namespace: name it" % params["kind"])
    where = params["namespace"] if kind.is_namespaced else ""
    path = object_path((version, kind.plural), where or "", name or "")
    if not name:
        labels, fields = (",".join(params[option] or ()) for option in ("label_selectors", "field_selectors"))
        common = {"apiVersion": version, "kind": params["kind"]}  # what a list leaves out of its items
        return [{**common, **item} for item in client.list(path, labels, fields).get("items") or []]
    try:
        return [client.get(path)]
    except NotFound:
        return []


ENTRY = Entry(
    name="kube_objects_info",
    argument_spec=merge(_OPTIONS, KUBE_AUTH),
    run=run,
    constraints={"mutually_exclusive": [["name", "label_selectors"], ["name", "field_selectors"]]},
    libraries=(("yaml", "PyYAML"),),
)
