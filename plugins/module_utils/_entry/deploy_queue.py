# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry of the module deploy_queue (private to the collection)."""

from __future__ import annotations

from typing import Any, Mapping

from .._argspec import LEASE, merge, with_env
from .._context import Context, Entry
from .._queue.service import run as serve
from ._queue_ports import actor_of, queue_ports

QUEUE: dict[str, Any] = {
    "environment": {"type": "str"},
    "environments": {"type": "list", "elements": "str"},
    "path": with_env({"type": "path"}, "SLIPWAY_QUEUE"),
    "backend": {"type": "str", "default": "sqlite"},
}

ARGUMENT_SPEC = merge(
    {
        "state": {
            "type": "str",
            "required": True,
            "choices": [
                "queued",
                "claimed",
                "succeeded",
                "failed",
                "rolled_back",
                "requeued",
                "cancelled",
                "paused",
                "resumed",
                "held",
            ],
        },
    },
    QUEUE,
    {
        "app": {"type": "str"},
        "version": {"type": "str"},
        "digest": {"type": "str"},
        "kind": {"type": "str", "choices": ["deploy", "rollback", "adopt"], "default": "deploy"},
        "priority": {"type": "raw"},
        "idempotency_key": {"type": "str", "no_log": False},
        "detached": {"type": "bool", "default": False},
        "not_before": {"type": "str"},
        "expires_in": {"type": "int"},
        "max_attempts": {"type": "int", "default": 3},
        "source_url": {"type": "str"},
        "waiter_ttl": {"type": "int", "default": 120},
        "entry": {"type": "str"},
        "wait_timeout": {"type": "int", "default": 0},
        "lease_ttl": {"type": "int", "default": 120},
        "claim_id": {"type": "str"},
        "fence_floor": {"type": "int", "default": 0},
        "force": {"type": "bool", "default": False},
        "phase": {"type": "str", "choices": ["pre_check", "git", "sync", "post_check", "rollback"]},
        "release": {"type": "dict"},
        "measures": {"type": "dict"},
        "commit": {"type": "str"},
        "error": {"type": "str"},
        "error_class": {
            "type": "str",
            "choices": ["transient", "busy", "fenced", "permanent", "unhealthy", "corrupt"],
        },
        "reason": {"type": "str"},
        "hold_scope": {"type": "str", "choices": ["release", "environment"]},
        "actor": with_env({"type": "str"}, "SLIPWAY_ACTOR"),
    },
    LEASE,
)


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Run deploy_queue on the store that the options name."""
    ports = queue_ports(params, ctx)
    actor = actor_of(ctx.env) if params.get("actor") is None else params["actor"]
    return serve(dict(params, actor=actor), ports, ctx)


ENTRY = Entry(
    name="deploy_queue",
    argument_spec=ARGUMENT_SPEC,
    run=run,
    constraints={"mutually_exclusive": [("entry", "lease")]},
)
