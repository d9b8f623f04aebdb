# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options in GIT_COMMIT of module_utils/_argspec.py (private to the collection)."""

from __future__ import annotations


class ModuleDocFragment:
    """One documentation fragment, read by ansible-doc."""

    DOCUMENTATION = r"""
options:
  kind:
    description: Why the commit is made. V(rollback) restores a recorded state, such as RV(before) and RV(after) are.
    type: str
    choices: [deploy, rollback]
    default: deploy
  environment:
    description:
      - Environment whose fence is read, when there is no O(lease) to name it.
      - A queue that was begun anew takes RV(fence) as its floor.
    type: str
  app:
    description: Application that is delivered, for the commit message and the fence file.
    type: str
  version:
    description: Version that is delivered, for the commit message and the fence file.
    type: str
  commit_message:
    description:
      - Subject of the commit, and after an empty line more text. By default the subject names O(app) and O(version), or
        what is set.
      - Lines that look like one of our trailers are quoted.
    type: str
  trailers:
    description: More trailers for the commit message, such as C(Source-Commit). Names with C(Deploy-) are reserved.
    type: dict
"""
