# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wiring of the module release_backup (private to the collection)."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import Any, Mapping

from .._argspec import KUBE_AUTH, LEASE, merge
from .._backup.request import check
from .._backup.service import run as serve
from .._context import Context, Entry
from ._backup_ports import STORE, backup_ports

_RESOURCE: dict[str, Any] = {
    "group": {"type": "str", "default": ""},
    "version": {"type": "str", "default": "v1"},
    "kind": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
}
_APPLICATION: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "default": "argocd"},
}
_OPTIONS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "restored", "absent"], "default": "present"},
    "app": {"type": "str", "required": True},
    "environment": {"type": "str", "required": True},
    "name": {"type": "str"},
    "release": {"type": "str"},
    "namespace": {"type": "str"},
    "application": {"type": "dict", "options": _APPLICATION},
    "label_selectors": {"type": "list", "elements": "str"},
    "resources": {"type": "list", "elements": "dict", "options": _RESOURCE},
    "commit": {"type": "str"},
    "images": {"type": "list", "elements": "str"},
    "secrets": {"type": "str", "choices": ["exclude", "encrypt"], "default": "exclude", "no_log": False},
    "recipients": {"type": "list", "elements": "str"},
    "keep_last": {"type": "int"},
    "keep_days": {"type": "float"},
    "allow_other_cluster": {"type": "bool", "default": False},
    "missing_secrets": {"type": "str", "choices": ["fail", "warn"], "default": "fail", "no_log": False},
    "plan_hash": {"type": "str"},
}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Build the ports and make, restore or remove a backup."""
    check(params)  # before anything is opened, read or sent
    with ExitStack() as opened:
        return serve(params, backup_ports(params, ctx, lambda client: opened.enter_context(closing(client))), ctx)


ENTRY = Entry(
    name="release_backup",
    argument_spec=merge(_OPTIONS, STORE, LEASE, KUBE_AUTH),
    run=run,
    constraints={"mutually_exclusive": [("label_selectors", "resources")]},
    libraries=(("yaml", "PyYAML"),),
    has_plain_progress=True,
)
