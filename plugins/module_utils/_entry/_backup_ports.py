# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds what the modules about backups work with (private to the collection)."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional

from .._argspec import with_env
from .._backup.age import Age
from .._backup.files import DirectoryStore, folder_of
from .._backup.ports import Ports
from .._clock import SystemClock
from .._context import Context
from .._kube.auth import load_settings
from .._kube.client import KubeClient, connect
from ._lease import lease_of

#: Where the backups are, and how their Secrets are read.
STORE: dict[str, Any] = {
    "store": {"type": "str", "choices": ["directory"], "default": "directory"},
    "path": with_env({"type": "path"}, "SLIPWAY_BACKUPS"),
    "identity_file": {"type": "path"},
    "age_binary": with_env({"type": "str", "default": "age"}, "SLIPWAY_AGE"),
}


def backup_ports(params: Mapping[str, Any], ctx: Context, keep: Callable[[KubeClient], KubeClient]) -> Ports:
    """Return the real ports. ``keep`` sees to it that a client is closed in the end.

    Raises InvalidInput for a store that would not outlive this run.
    """
    clock, lease = SystemClock(), lease_of(params, ctx)
    client: Optional[KubeClient] = None

    def opened() -> KubeClient:
        nonlocal client
        if client is None:
            client = keep(connect(load_settings(params, ctx), clock, ctx.agent))
        return client

    store = DirectoryStore(folder_of(params.get("path") or "", ctx.env))
    cipher = Age(params["age_binary"], ctx.env, lambda _seconds: lease.renew_if_due())
    return Ports(opened, lambda: opened().settings.server, store, cipher, clock, lease)
