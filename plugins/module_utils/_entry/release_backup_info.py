# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wiring of the module release_backup_info (private to the collection)."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import Any, Mapping

from .._argspec import KUBE_AUTH, merge
from .._backup.service import inform
from .._context import Context, Entry
from ._backup_ports import STORE, backup_ports

_OPTIONS: dict[str, Any] = {
    "app": {"type": "str"},
    "environment": {"type": "str"},
    "name": {"type": "str"},
    "verify": {"type": "str", "choices": ["none", "checksums", "cluster"], "default": "none"},
}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Build the ports and look at the backups."""
    with ExitStack() as opened:
        return inform(params, backup_ports(params, ctx, lambda client: opened.enter_context(closing(client))), ctx)


ENTRY = Entry(
    name="release_backup_info",
    argument_spec=merge(_OPTIONS, STORE, KUBE_AUTH),
    run=run,
    libraries=(("yaml", "PyYAML"),),
    has_plain_progress=True,
)
