# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In-process front of the module confirm, which alone can ask."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Mapping, Optional

from ..module_utils._context import Context
from ..module_utils._entry.confirm import ENTRY
from ..plugin_utils._in_process import InProcessAction
from ..plugin_utils._terminal import ask


class ActionModule(InProcessAction):
    ENTRY = ENTRY

    def run(self, tmp: Any = None, task_vars: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
        self._variables = task_vars or {}
        return super().run(tmp, task_vars)

    def _needs_module(self, task_vars: Mapping[str, Any]) -> str:  # noqa: ARG002  (the signature is the base's)
        """Stay in this process: the person sits where Ansible runs, whatever the task's connection is."""
        return ""

    def _context(self, warnings: list[str], no_log: set[str]) -> Context:
        return replace(super()._context(warnings, no_log), ask=partial(ask, variables=self._variables))
