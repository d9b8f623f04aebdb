# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry of the module port_forward (private to the collection)."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Any, Mapping

from .._argspec import with_env
from .._clock import SystemClock
from .._context import Context, Entry
from .._errors import InvalidInput
from .._forward.keeper import Keeper
from .._forward.model import Forward, Spec
from .._forward.service import Ports, absent, present
from .._world.host import Host
from .._world.processes import Processes

ARGUMENT_SPEC: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "forwards": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "resource": {"type": "str", "required": True},
            "address": {"type": "str", "default": "127.0.0.1"},
            "local_port": {"type": "int", "required": True},
            "remote_port": {"type": "int", "required": True},
        },
    },
    "kubectl": {"type": "str", "default": "kubectl"},
    "kubeconfig": with_env({"type": "path"}, "K8S_AUTH_KUBECONFIG"),
    "context": with_env({"type": "str"}, "K8S_AUTH_CONTEXT"),
    "wait_timeout": {"type": "int", "default": 30},
}

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_RESOURCE = re.compile(r"(pod|deployment|statefulset|replicaset|service)/[a-z0-9]([-.a-z0-9]*[a-z0-9])?\Z")


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Build the ports and bring the folder's port-forwards to the wanted state."""
    spec = _spec(params)
    ports = Ports(Host(ctx.env), Keeper(ctx.env), Processes(), SystemClock())
    return (present if params["state"] == "present" else absent)(spec, ports, ctx)


def _spec(params: Mapping[str, Any]) -> Spec:
    path = os.path.normpath(params["path"])
    if not os.path.isabs(path) or path.count("/") < 2:
        raise InvalidInput("path", "'%s' is not the absolute path of a folder" % params["path"])
    forwards = [_forward(item) for item in params["forwards"]]
    for kind in ("name", "endpoint"):
        values = [getattr(forward, kind) for forward in forwards]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise InvalidInput("forwards", "'%s' is given twice" % twice[0])
    if params["state"] == "present" and forwards and not (params["kubeconfig"] or params["context"]):
        hint = "Set it, or 'kubeconfig': the cluster is never the one that happens to be current."
        raise InvalidInput("context", "no cluster is named", hint)
    return Spec(
        path=path,
        forwards=forwards,
        kubectl=params["kubectl"],
        kubeconfig=os.path.abspath(params["kubeconfig"]) if params["kubeconfig"] else "",
        context=params["context"] or "",
        wait_timeout_s=float(params["wait_timeout"]),
    )


def _forward(item: Mapping[str, Any]) -> Forward:
    """Return one checked port-forward; every value becomes a word of a command line."""
    for option in ("name", "namespace"):
        if not _NAME.match(item[option]):
            raise InvalidInput(
                "forwards", "%s '%s' is not lower-case letters, digits and dashes" % (option, item[option])
            )
    if not _RESOURCE.match(item["resource"]):
        cause = "resource '%s' of %s is not KIND/NAME" % (item["resource"], item["name"])
        raise InvalidInput("forwards", cause, "Kinds: pod, deployment, statefulset, replicaset, service.")
    for option in ("local_port", "remote_port"):
        if not 0 < item[option] < 65536:
            raise InvalidInput("forwards", "%s %d of %s is no port" % (option, item[option], item["name"]))
    try:
        ipaddress.IPv4Address(item["address"])
    except ValueError as error:
        raise InvalidInput("forwards", "address of %s: %s" % (item["name"], error)) from None
    return Forward(**{name: item[name] for name in Forward.__dataclass_fields__})


ENTRY = Entry(name="port_forward", argument_spec=ARGUMENT_SPEC, run=run, has_plain_progress=True)
