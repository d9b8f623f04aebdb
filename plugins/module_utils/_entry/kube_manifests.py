# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wiring of the module kube_manifests (private to the collection)."""

from __future__ import annotations

from contextlib import closing
from typing import Any, Mapping

from .._argspec import KUBE_AUTH, merge
from .._clock import SystemClock
from .._context import Context, Entry
from .._errors import InvalidInput
from .._kube.auth import load_settings
from .._kube.client import connect
from .._manifests.chart import render
from .._manifests.cluster import Ports
from .._manifests.document import ManifestError, Object, read_yaml
from .._manifests.patch import patched
from .._manifests.service import run as keep

_OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "accepted", "absent"], "default": "present"},
    "src": {"type": "list", "elements": "path"},
    "chart": {
        "type": "dict",
        "options": {
            "path": {"type": "path", "required": True},
            "values": {"type": "str", "no_log": True},
            "kube_version": {"type": "str"},
            "helm": {"type": "path", "default": "helm"},
        },
    },
    "definitions": {"type": "list", "elements": "dict"},
    "patches": {"type": "list", "elements": "dict"},
    "ignore_kinds": {"type": "list", "elements": "str"},
    "version": {"type": "str"},
    "ignore_fields": {"type": "list", "elements": "str"},
    "force_conflicts": {"type": "bool", "default": False},
    "custom_resources": {"type": "str", "choices": ["refuse", "remove"], "default": "refuse"},
    "configurations": {"type": "list", "elements": "str"},
    "derived_kinds": {"type": "list", "elements": "str"},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 300},
}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Read the manifests, connect and bring the cluster to what they say."""
    documents = _documents(params, ctx) if params["state"] != "absent" else []
    clock = SystemClock()
    with closing(connect(load_settings(params, ctx), clock, ctx.agent, params["wait_timeout"])) as client:
        return keep(params, documents, Ports(client, clock), ctx)


def _documents(params: Mapping[str, Any], ctx: Context) -> list[Object]:
    """Return the objects of all manifests. Raises InvalidInput naming the option, and as :func:`render` does."""
    found: list[Object] = []
    for path in params["src"] or ():
        try:
            with open(path, encoding="utf-8-sig") as file:
                found += read_yaml(file.read())
        except OSError as error:
            raise InvalidInput("src", "%s cannot be read (%s)" % (path, error.strerror)) from error
        except (ManifestError, UnicodeDecodeError) as error:
            raise InvalidInput("src", "%s: %s" % (path, error)) from error
    found += _rendered(params, ctx)
    ignored = params["ignore_kinds"] or ()
    try:
        found = patched([item for item in found if item.get("kind") not in ignored], params["patches"] or ())
    except ManifestError as error:
        raise InvalidInput("patches", str(error)) from error
    return found + list(params["definitions"] or ())


def _rendered(params: Mapping[str, Any], ctx: Context) -> list[Object]:
    chart = params["chart"]
    if not chart:
        return []
    release = (params["name"], params["namespace"])
    try:
        return read_yaml(render(chart, release, ctx.env, params["wait_timeout"]))
    except ManifestError as error:
        raise InvalidInput("chart", "what Helm made of %s: %s" % (chart["path"], error)) from error


_SOURCES = ["src", "chart", "definitions"]
ENTRY = Entry(
    name="kube_manifests",
    argument_spec=merge(_OPTIONS, KUBE_AUTH),
    run=run,
    constraints={"required_if": [("state", state, _SOURCES, True) for state in ("present", "accepted")]},
    libraries=(("yaml", "PyYAML"),),
)
