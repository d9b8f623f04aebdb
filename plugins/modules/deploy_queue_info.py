#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_queue_info
short_description: Show what runs, what waits, what is held and what was verified last
version_added: "1.0.0"
description:
  - Returns the state of the delivery queue that M(slipway.gitops.deploy_queue) keeps, without changing it.
  - A lapsed lease is reported as such; it is declared an orphan only by the next claim.
author:
  - slipway.gitops contributors (@slipway-gitops)
extends_documentation_fragment:
  - slipway.gitops._attributes
  - slipway.gitops._attributes.actiongroup
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - Changes nothing.
  idempotent:
    support: full
options:
  environment:
    description: Environment to show. Without it all that were ever used.
    type: str
  environments:
    description:
      - Names that O(environment) may have. One of them that was never used is shown as empty; without this list such a
        name fails.
    type: list
    elements: str
  path:
    description:
      - File of the queue, as for M(slipway.gitops.deploy_queue).
      - E(SLIPWAY_QUEUE) is used when the option is not set.
    type: path
  backend:
    description: Kind of the store. Only V(sqlite), the embedded one, exists.
    type: str
    default: sqlite
  app:
    description: Show only the entries and the last verified release of this application.
    type: str
  events:
    description: How many of the latest events of each environment to show, at most 10000.
    type: int
    default: 20
  verify:
    description:
      - Whether to check the file, the chain of all events, and that the records are what the events add up to.
      - What does not hold is listed in RV(verified); it is no failure of the task.
    type: bool
    default: false
seealso:
  - module: slipway.gitops.deploy_queue
"""

EXAMPLES = r"""
- name: Show the queue of staging
  slipway.gitops.deploy_queue_info:
    environment: staging
    environments: [staging, production]
  register: queue

- name: Show the last verified release of every app everywhere
  slipway.gitops.deploy_queue_info:
    events: 0
  register: queues

- name: Make sure that the record can be trusted
  slipway.gitops.deploy_queue_info:
    verify: true
  register: queue
  failed_when: not queue.verified.ok
"""

RETURN = r"""
environments:
  description:
    - One item for each environment, with C(name), C(fence), C(paused), C(holds), C(running), C(waiting),
      C(last_verified) and C(events).
    - C(running) is the entry that holds the environment, with C(lease_remaining) in seconds and C(lease_lapsed).
    - C(waiting) is in the order in which the entries will run, each with C(position), C(effective_priority),
      C(ready_in) in seconds, C(waiter_gone) (its client is not heard of any more) and C(held_by).
    - C(events) are the latest ones, oldest first; C(data) holds what changed and what was measured.
  returned: success
  type: list
  elements: dict
  sample:
    - name: staging
      fence: 12
      paused:
      holds: []
      running: {app: shop, version: 1.4.2, state: claimed, owner: ci@runner-7, lease_remaining: 97.2}
      waiting:
        - {app: shop, version: 1.4.3, position: 1, effective_priority: 51.2, ready_in: 0.0, waiter_gone: false}
      last_verified:
        shop: {app: shop, version: 1.4.1, images: [{name: shop, newTag: 1.4.1}]}
      events:
        - {seq: 41, at: "2026-01-31T09:30:02.120Z", before: queued, after: claimed, fence: 12, actor: ci@runner-7}
store:
  description: The file, whether it exists, and the version of its tables.
  returned: success
  type: dict
  sample: {path: /home/ci/.local/share/slipway-gitops/queue.db, exists: true, schema_version: 1}
verified:
  description: Whether everything held, how many events there are, and what did not hold.
  returned: when O(verify=true)
  type: dict
  sample: {ok: true, events: 41, violations: []}
"""

from ansible_collections.slipway.gitops.plugins.module_utils._entry.deploy_queue_info import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ENTRY)


if __name__ == "__main__":
    main()
