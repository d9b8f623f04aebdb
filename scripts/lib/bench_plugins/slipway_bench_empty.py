# SPDX-License-Identifier: GPL-3.0-or-later
"""An action that does nothing: what Ansible itself costs per task, measured beside ours."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Returns at once, from inside the worker."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Return an unchanged result."""
        del tmp, task_vars
        return {"changed": False}
