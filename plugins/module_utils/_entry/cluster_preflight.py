# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module cluster_preflight: arguments, and the use case with real ports (private to the collection)."""

from __future__ import annotations

from contextlib import closing
from typing import Any, Mapping

from .._argspec import KUBE_AUTH, merge
from .._clock import SystemClock
from .._context import Context, Entry
from .._kube.auth import load_settings
from .._kube.client import connect
from .._preflight import service
from .._preflight.identity import Seen

_RIGHT = {
    "verb": {"type": "str", "required": True},
    "group": {"type": "str", "default": ""},
    "resource": {"type": "str", "required": True},
    "subresource": {"type": "str", "default": ""},
    "namespace": {"type": "str", "default": ""},
    "name": {"type": "str", "default": ""},
}
_KIND = {
    "group": {"type": "str", "default": ""},
    "version": {"type": "str", "required": True},
    "kind": {"type": "str"},
    "resource": {"type": "str"},
}
ARGUMENT_SPEC = merge(
    KUBE_AUTH,
    {
        "uid": {"type": "str"},
        "server": {"type": "str"},
        "require_pinned": {"type": "bool", "default": False},
        "namespace": {"type": "str"},
        "namespace_labels": {"type": "dict"},
        "access": {"type": "list", "elements": "dict", "options": _RIGHT},
        "kinds": {"type": "list", "elements": "dict", "options": _KIND},
        "fail_on_problems": {"type": "bool", "default": True},
        "timeout": {"type": "float", "default": 30.0},
    },
)


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Look at the cluster; raises as :func:`service.run` does. The kubeconfig is read once, at the start."""
    clock = SystemClock()
    settings = load_settings(params, ctx)
    with closing(connect(settings, clock, ctx.agent, params["timeout"])) as client:
        seen = Seen(settings.server, settings.context, settings.source)
        return service.run(params, service.Ports(client, seen, clock), ctx)


ENTRY = Entry(
    name="cluster_preflight",
    argument_spec=ARGUMENT_SPEC,
    run=run,
    libraries=(("yaml", "PyYAML"),),
    has_plain_progress=True,
)
