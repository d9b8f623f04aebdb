# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In-process front of the module service_account_kubeconfig."""

from __future__ import annotations

from ..module_utils._entry.service_account_kubeconfig import ENTRY
from ..plugin_utils._in_process import InProcessAction


class ActionModule(InProcessAction):
    ENTRY = ENTRY
