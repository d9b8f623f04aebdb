# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module health_gate: arguments, and the use case with real ports (private to the collection)."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import Any, Callable, Mapping

from .._argspec import KUBE_AUTH, LEASE, merge
from .._clock import SystemClock
from .._context import Context, Entry
from .._gate import service
from ._lease import lease_of

_VERDICTS = ["fail", "inconclusive", "timeout"]
_HTTP = {
    "url": {"type": "str", "required": True},
    "status": {"type": "list", "elements": "int", "default": [200]},
    "version": {"type": "str"},
    "version_path": {"type": "str", "default": "version"},
    "match": {"type": "dict"},
    "successes": {"type": "int", "default": 3},
    "interval": {"type": "float", "default": 0.5},
    "timeout": {"type": "float", "default": 5.0},
    "wait_timeout": {"type": "float", "default": 60.0},
    "headers": {"type": "dict", "no_log": True},
    "ca_cert": {"type": "path"},
}
ARGUMENT_SPEC = merge(
    KUBE_AUTH,
    LEASE,
    {
        "namespace": {"type": "str"},
        "deployments": {"type": "list", "elements": "str"},
        "label_selectors": {"type": "list", "elements": "str"},
        "application": {
            "type": "dict",
            "options": {
                "name": {"type": "str", "required": True},
                "namespace": {"type": "str", "default": "argocd"},
            },
        },
        "images": {"type": "list", "elements": "str"},
        "http": {"type": "list", "elements": "dict", "options": _HTTP},
        "stable_for": {"type": "float", "default": 10.0},
        "wait_timeout": {"type": "float", "default": 300.0},
        "max_restarts": {"type": "int", "default": 2},
        "allow_paused": {"type": "bool", "default": False},
        "allow_zero_replicas": {"type": "bool", "default": False},
        "fail_on": {"type": "list", "elements": "str", "choices": _VERDICTS, "default": _VERDICTS},
        "log_lines": {"type": "int", "default": 20},
    },
)


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Judge the release that the parameters describe; raises as :func:`service.run` does."""
    clock = SystemClock()
    with ExitStack() as opened:

        def connect_kube() -> Any:
            from .._kube.auth import load_settings
            from .._kube.client import connect

            client = connect(load_settings(params, ctx), clock, ctx.agent, params["wait_timeout"])
            return opened.enter_context(closing(client))

        ports = service.Ports(connect_kube, _observer(clock), _asker(clock, ctx), clock, lease_of(params, ctx))
        return service.run(params, ports, ctx)


def _observer(clock: SystemClock) -> Callable[[Any, list[Any]], Any]:

    def observe(kube: Any, streams: list[Any]) -> Any:
        from .._kube.observe import Observer

        return Observer(kube, streams, clock)

    return observe


def _asker(clock: SystemClock, ctx: Context) -> Callable[[Any], Any]:
    def ask(check: Any) -> Any:
        from .._http import HttpProbe

        return HttpProbe(clock, ctx.agent).ask(check)

    return ask


ENTRY = Entry(
    name="health_gate",
    argument_spec=ARGUMENT_SPEC,
    run=run,
    constraints={"mutually_exclusive": [("deployments", "label_selectors", "application")]},
    has_plain_progress=True,
)
