# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In-process front of the module kube_objects_info."""

from __future__ import annotations

from ..module_utils._entry.kube_objects_info import ENTRY
from ..plugin_utils._in_process import InProcessAction


class ActionModule(InProcessAction):
    ENTRY = ENTRY
