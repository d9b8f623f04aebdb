# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module registry_image_info: arguments, and the use case with real ports (private to the collection)."""

from __future__ import annotations

import random
from typing import Any, Mapping

from .._argspec import with_env
from .._clock import SystemClock
from .._context import Context, Entry
from .._http import HttpClient
from .._registry import service

ARGUMENT_SPEC = {
    "images": {"type": "list", "elements": "str", "required": True},
    "mirrors": {"type": "dict"},
    "registry": {"type": "str"},
    "username": with_env({"type": "str"}, "SLIPWAY_REGISTRY_USERNAME"),
    "password": with_env({"type": "str", "no_log": True}, "SLIPWAY_REGISTRY_PASSWORD"),
    "ca_cert": with_env({"type": "path"}, "SLIPWAY_REGISTRY_CA_CERT"),
    "validate_certs": {"type": "bool", "default": True},
    "platforms": {"type": "bool", "default": False},
    "must_exist": {"type": "bool", "default": True},
    "timeout": {"type": "float", "default": 30.0},
}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Ask the registries; raises as :func:`service.run` does."""
    clock = SystemClock()
    if not params["validate_certs"]:
        ctx.warn("The certificates of registries are not verified; set ca_cert instead.")
    web = HttpClient(clock, ctx.agent, params["ca_cert"] or "", params["validate_certs"])
    return service.run(params, service.Ports(web, clock, random.random), ctx)


ENTRY = Entry(
    name="registry_image_info",
    argument_spec=ARGUMENT_SPEC,
    run=run,
    has_plain_progress=True,
)
