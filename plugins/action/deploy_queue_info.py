# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Front of deploy_queue_info: in Ansible's own process where the task allows it."""

from __future__ import annotations

from ansible_collections.slipway.gitops.plugins.module_utils._entry.deploy_queue_info import ENTRY
from ansible_collections.slipway.gitops.plugins.plugin_utils._in_process import InProcessAction


class ActionModule(InProcessAction):
    """Runs deploy_queue_info in-process, or as an ordinary module."""

    ENTRY = ENTRY
