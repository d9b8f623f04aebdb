# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of what every module of the collection supports (private to the collection)."""

from __future__ import annotations


class ModuleDocFragment:
    """One documentation fragment, read by ansible-doc."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
"""
    ACTIONGROUP = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/slipway.gitops.gitops) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - slipway.gitops.gitops
"""
