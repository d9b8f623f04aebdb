# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wiring of the module argocd_app_info (private to the collection)."""

from __future__ import annotations

from contextlib import closing
from typing import Any, Mapping

from .._argocd.info import run as read
from .._argspec import KUBE_AUTH, merge
from .._clock import SystemClock
from .._context import Context, Entry
from .._kube.auth import load_settings
from .._kube.client import connect

_OPTIONS: dict[str, Any] = {
    "name": {"type": "str"},
    "namespace": {"type": "str", "default": "argocd"},
    "label_selectors": {"type": "list", "elements": "str"},
    "project": {"type": "str"},
    "full": {"type": "bool", "default": False},
    "windows": {"type": "bool", "default": False},
}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Connect and read."""
    clock = SystemClock()
    with closing(connect(load_settings(params, ctx), clock, ctx.agent)) as client:
        return read(params, client, clock)


ENTRY = Entry(
    name="argocd_app_info",
    argument_spec=merge(_OPTIONS, KUBE_AUTH),
    run=run,
    libraries=(("yaml", "PyYAML"),),
)
