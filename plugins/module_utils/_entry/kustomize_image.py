# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module kustomize_image: arguments, and the use case with real ports (private to the collection)."""

from __future__ import annotations

from typing import Any, Mapping

from .._argspec import GIT, GIT_COMMIT, IMAGE_EDIT, LEASE, merge, required
from .._context import Context, Entry
from .._kustomize.kustomization import kustomization
from ._git_edit import run_edit

ARGUMENT_SPEC = merge(
    GIT,
    LEASE,
    GIT_COMMIT,
    {"path": {"type": "str", "required": True}},
    required(IMAGE_EDIT, "images"),
)


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Set the images; raises as :func:`run_edit` does."""
    return run_edit(params, kustomization, ctx)


ENTRY = Entry(
    name="kustomize_image",
    argument_spec=ARGUMENT_SPEC,
    run=run,
    libraries=(("yaml", "PyYAML"),),
    has_plain_progress=True,
)
