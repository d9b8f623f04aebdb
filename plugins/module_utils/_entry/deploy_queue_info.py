# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry of the module deploy_queue_info (private to the collection)."""

from __future__ import annotations

from typing import Any, Mapping

from .._argspec import merge, with_env
from .._context import Context, Entry
from .._queue.info import run as serve
from ._queue_ports import queue_ports

ARGUMENT_SPEC = merge(
    {
        "environment": {"type": "str"},
        "environments": {"type": "list", "elements": "str"},
        "path": with_env({"type": "path"}, "SLIPWAY_QUEUE"),
        "backend": {"type": "str", "default": "sqlite"},
        "app": {"type": "str"},
        "events": {"type": "int", "default": 20},
        "verify": {"type": "bool", "default": False},
    },
)


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Run deploy_queue_info on the store that the options name."""
    return serve(params, queue_ports(params, ctx), ctx)


ENTRY = Entry(name="deploy_queue_info", argument_spec=ARGUMENT_SPEC, run=run)
