# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In-process front of the module confirm, which alone can ask."""

from __future__ import annotations

from ..module_utils._entry.confirm import ENTRY
from ..plugin_utils._terminal import AskingAction


class ActionModule(AskingAction):
    ENTRY = ENTRY
