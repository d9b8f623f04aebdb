# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options in LEASE of module_utils/_argspec.py (private to the collection)."""

from __future__ import annotations


class ModuleDocFragment:
    """One documentation fragment, read by ansible-doc."""

    DOCUMENTATION = r"""
options:
  lease:
    description:
      - The lease of the delivery that this task is part of, as M(slipway.gitops.deploy_queue)
        returned it when the entry was claimed. Pass it on unchanged.
      - With it the task renews the lease while it works, and refuses to begin a write when the
        lease is lost or too little of it is left. Then it fails with C(error_class=fenced)
        and has written nothing.
      - Without it nothing keeps two deliveries of one environment apart.
    type: dict
    suboptions:
      backend:
        description: Kind of the store that holds the lease.
        type: str
        choices: [sqlite]
        default: sqlite
      path:
        description: Path of the store.
        type: path
        required: true
      environment:
        description: Environment that is leased.
        type: str
        required: true
      entry:
        description: Entry of the queue that holds the lease.
        type: str
        required: true
      fence:
        description: Number that grows with every claim of the environment.
        type: int
        required: true
      token:
        description: Secret of the holder. It is returned once, by the claim, and stored only as a hash.
        type: str
        required: true
      ttl:
        description: Length of the lease in seconds.
        type: int
        default: 120
"""
