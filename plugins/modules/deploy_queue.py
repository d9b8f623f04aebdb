#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_queue
short_description: Let one delivery at a time into an environment, in order, and record how it ended
version_added: "1.0.0"
description:
  - Keeps a queue of deliveries per environment. At most one entry holds an environment. The others wait by priority,
    and a waiting entry gains one point of priority every 30 seconds, so that none starves.
  - A claim gives a lease and a fence. The lease lapses when it is not renewed, so a vanished holder never blocks an
    environment for ever. The fence is a number that grows with every claim; what a delivery writes to carries it, so
    that a holder that was only slow cannot write into the turn of the next one.
  - The entry of a vanished holder becomes an orphan, which keeps the environment. The next claim gets the orphan first,
    with RV(recovery=true), to observe how far it came and to finish it.
  - Every step is an event with actor, reason and fence, each chained to the one before it. The last verified release of
    each app and all measures of deliveries are sums over these events.
  - The promise is at most one unfenced writer per environment, that an accepted entry survives C(SIGKILL) and power
    loss, and a bounded wait. Work may be begun more than once, so steps of a delivery must be repeatable.
author:
  - slipway.gitops contributors (@slipway-gitops)
extends_documentation_fragment:
  - slipway.gitops._attributes
  - slipway.gitops._attributes.actiongroup
  - slipway.gitops._lease
attributes:
  check_mode:
    support: full
    details:
      - Does the same on a copy of the queue in memory. It never waits and returns no lease.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - A wanted state that is reached already changes nothing. An entry is made anew by each call without
        O(idempotency_key), and V(requeued) and a claim happen once per lease.
options:
  state:
    description:
      - The state that an entry, or the environment, is to be in.
      - V(queued) is an entry that waits. V(claimed) is an entry that holds the environment; with O(lease) it keeps
        holding it, which renews the lease.
      - V(succeeded), V(failed) and V(rolled_back) are the ends of a delivery. They free the environment and need
        O(lease). V(succeeded) records O(release) as the last verified one of its app; V(rolled_back) says that the last
        verified one is live again.
      - V(requeued) gives the environment back and lets the entry wait again, after a pause that doubles with each
        attempt from 30 seconds to at most 15 minutes. It needs O(lease).
      - V(cancelled) ends an entry that waits. The holder of a running one is asked to stop, see RV(cancel_requested),
        and ends it itself with V(cancelled) and its O(lease).
      - V(paused) is an environment in which nothing new begins until somebody resumes it. What runs, runs on.
      - V(held) is an environment that refuses one release, or every one, because of a failure, see O(hold_scope).
      - V(resumed) is an environment that is neither paused nor held. With O(app), O(version) or O(digest) only the
        holds of that release are lifted.
    type: str
    required: true
    choices: [queued, claimed, succeeded, failed, rolled_back, requeued, cancelled, paused, resumed, held]
  environment:
    description:
      - Name of the environment, an RFC 1123 label. Upper and lower case are the same.
      - Required unless O(lease) says it.
    type: str
  environments:
    description: Names that O(environment) may have. A typing error then fails instead of making a new queue.
    type: list
    elements: str
  path:
    description:
      - File of the queue. It is made by the first entry, in a folder of mode 0700.
      - The folder must be on a local disk and private. Links, network file systems and files of others are refused.
      - Without it C($XDG_DATA_HOME/slipway-gitops/queue.db), or C(~/.local/share) in place of an unset
        C(XDG_DATA_HOME). In a container, with which that may vanish, a warning says so. A container is known by
        C(/.dockerenv), C(/run/.containerenv), E(KUBERNETES_SERVICE_HOST) and E(AWX_HOST).
      - E(SLIPWAY_QUEUE) is used when the option is not set.
    type: path
  backend:
    description: Kind of the store. Only V(sqlite), the embedded one, exists.
    type: str
    default: sqlite
  app:
    description: Application that is delivered. With O(version) it makes a new entry.
    type: str
  version:
    description: Version that is delivered. It is data and may hold any visible character but spaces.
    type: str
  digest:
    description: Digest of the delivered image. A hold of scope V(release) compares it where both sides have one.
    type: str
  kind:
    description:
      - V(deploy) becomes outdated when a newer entry of its app succeeds, V(rollback) never does.
      - V(adopt) records what is live already as the first verified release.
    type: str
    choices: [deploy, rollback, adopt]
    default: deploy
  priority:
    description:
      - V(low) (20), V(normal) (50), V(high) (80), V(emergency) (100) or a whole number from 0 to 100. Without it
        V(normal).
      - An emergency stays above all others; they reach at most 99 by waiting.
      - Before ansible-core 2.19 a template can only give a text, so use the names there.
    type: raw
  idempotency_key:
    description:
      - The same key in the same environment returns the entry it made first, also when that is over.
      - Used again for another app, version, digest or kind it fails with C(idempotency_conflict).
    type: str
  detached:
    description:
      - Whether the entry waits on without its client. Only a worker claims such entries, which is V(claimed) without
        O(entry) and O(app).
      - Any other entry expires O(waiter_ttl) seconds after its client was last heard of, so that it never blocks the
        others.
    type: bool
    default: false
  not_before:
    description: Time before which the entry does not run, in ISO 8601 with zone, for example V(2026-01-31T22:00:00Z).
    type: str
  expires_in:
    description: Seconds after which a waiting entry expires, or a pause is over. Without it they do not.
    type: int
  max_attempts:
    description:
      - How often the entry may be claimed, 1 to 100. When its last holder vanishes, it fails and the environment is
        paused.
    type: int
    default: 3
  source_url:
    description: Where the delivery was asked for, for example the page of a build.
    type: str
  waiter_ttl:
    description: Seconds for which a waiting entry outlives the last sign of its client, 5 to 3600.
    type: int
    default: 120
  entry:
    description: Entry to claim or to cancel.
    type: str
  wait_timeout:
    description:
      - Seconds to wait for the environment, at most 86400. 0 asks once, and a refusal is no failure, see RV(claimed).
      - With a wait, a refusal to the end fails, and the entry expires at once unless it is O(detached).
    type: int
    default: 0
  lease_ttl:
    description:
      - Length of the lease in seconds, 5 to 3600. It is renewed when a third of it is over; at two thirds its holder
        stops writing.
    type: int
    default: 120
  claim_id:
    description:
      - A random text of the caller's own. When the answer to a claim was lost, the same claim with the same text gets
        the entry again, under a new fence.
    type: str
  fence_floor:
    description:
      - Highest fence seen in Git or on the Application; that of the claim is higher. For a queue that was begun anew or
        restored.
    type: int
    default: 0
  force:
    description:
      - Whether to break the lease of the present holder. It is fenced off and its entry is handed out with
        RV(recovery=true). Needs O(reason).
    type: bool
    default: false
  phase:
    description: With a renewal, how far the delivery is; the one who recovers it reads this.
    type: str
    choices: [pre_check, git, sync, post_check, rollback]
  release:
    description:
      - The release that is live and verified, required for V(succeeded). C(version) and C(images), a list of
        C(name), C(newName), C(newTag) and C(digest) as in Git, are required in it; other keys are kept, such as the
        C(values) of a Helm application.
      - For V(rolled_back) it may be left out. If given, it must be the last verified one.
    type: dict
  measures:
    description: What the delivery measured, for example seconds per phase. Kept with the event, at most 64 KiB.
    type: dict
  commit:
    description: Full id of the commit that the entry pushed.
    type: str
  error:
    description: What went wrong. Shortened to 4096 characters.
    type: str
  error_class:
    description: Class of what went wrong.
    type: str
    choices: [transient, busy, fenced, permanent, unhealthy, corrupt]
  reason:
    description:
      - Why, in one line. It is kept with the event, for a new entry with its first one.
      - Required for V(paused) and V(held), and with O(force).
    type: str
  hold_scope:
    description:
      - V(release) refuses one release of one app, so that a fix can go forward. V(environment) refuses everything
        until somebody resumes it.
      - Required for V(held). With V(failed) and V(rolled_back) the hold begins in the same step that frees the
        environment.
    type: str
    choices: [release, environment]
  actor:
    description:
      - Who does this, for the record. Without it the user and the host.
      - E(SLIPWAY_ACTOR) is used when the option is not set.
    type: str
seealso:
  - module: slipway.gitops.deploy_queue_info
  - module: slipway.gitops.kustomize_image
  - module: slipway.gitops.argocd_app
  - module: slipway.gitops.health_gate
"""

EXAMPLES = r"""
- name: Wait for staging and take it
  slipway.gitops.deploy_queue:
    state: claimed
    environment: staging
    app: shop
    version: 1.4.2
    wait_timeout: 1800
  register: claim

- name: Say that the commit is pushed, and renew the lease
  slipway.gitops.deploy_queue:
    state: claimed
    lease: "{{ claim.lease }}"
    phase: sync
    commit: 3f786850e387550fdab836ed7e6dc881de23001b

- name: Record the verified release and free the environment
  slipway.gitops.deploy_queue:
    state: succeeded
    lease: "{{ claim.lease }}"
    release:
      version: 1.4.2
      images:
        - name: shop
          newTag: 1.4.2
      commit: 3f786850e387550fdab836ed7e6dc881de23001b
    measures:
      phases: {git: 1.2, sync: 4.8, gate: 13.1}

- name: Stop deliveries to production for an hour
  slipway.gitops.deploy_queue:
    state: paused
    environment: production
    reason: database maintenance
    expires_in: 3600

- name: Refuse a release that is known to be bad
  slipway.gitops.deploy_queue:
    state: held
    environment: staging
    hold_scope: release
    app: shop
    version: 1.4.1
    reason: corrupts baskets

- name: Deliver again after a hold or a pause
  slipway.gitops.deploy_queue:
    state: resumed
    environment: staging
    reason: fixed in 1.4.3
"""

RETURN = r"""
entry:
  description:
    - The entry that was made, claimed, or changed. For a claim with RV(recovery=true) it is the orphan.
  returned: when an entry is concerned
  type: dict
  sample:
    id: 01J9Z3NDEKTSV4RRFFQ69G5FAV
    environment: staging
    app: shop
    version: 1.4.2
    digest: ""
    kind: deploy
    priority: 50
    seq: 17
    state: claimed
    attempt: 1
    max_attempts: 3
    fence: 12
    owner: ci@runner-7
    claimed_at: "2026-01-31T09:30:02.120Z"
    phase: git
    commit: ""
    cancel_requested: false
own_entry:
  description: The caller's own entry; differs from RV(entry) when an orphan has to be settled first.
  returned: when O(state=claimed) without O(lease)
  type: dict
  sample: {id: 01J9Z3NDEKTSV4RRFFQ69G5FAV, state: queued}
claimed:
  description: Whether the caller holds the environment now.
  returned: when O(state=claimed)
  type: bool
  sample: true
recovery:
  description:
    - Whether an earlier holder of RV(entry) vanished. Observe Git and the Application before writing anything, finish
      the entry with its lease, then claim RV(own_entry) again.
  returned: when O(state=claimed) without O(lease)
  type: bool
  sample: false
reclaimed:
  description: Whether this claim had been granted before and its answer was lost, see O(claim_id).
  returned: when RV(claimed=true)
  type: bool
  sample: false
lease:
  description: What O(lease) of this and the other modules takes. The token is in no other place.
  returned: when this call claimed the environment
  type: dict
  sample:
    backend: sqlite
    path: /home/ci/.local/share/slipway-gitops/queue.db
    environment: staging
    entry: 01J9Z3NDEKTSV4RRFFQ69G5FAV
    fence: 12
    token: 32 hexadecimal digits
    ttl: 120
blocked:
  description:
    - Why the claim was refused. C(code) is V(busy), V(waiting), V(paused), V(held), V(not_before), V(empty),
      C(superseded) or C(not_running).
  returned: when the claim was refused
  type: dict
  sample: {code: busy, message: shop 1.4.1 is being delivered by ci@runner-3}
position:
  description: Place of the entry among those that wait, 1 for the next one, 0 if it does not wait.
  returned: when the claim was refused
  type: int
  sample: 2
waited:
  description: Seconds that the claim took.
  returned: when O(state=claimed) without O(lease)
  type: float
  sample: 31.4
cancel_requested:
  description: Whether somebody asked the holder to stop.
  returned: when RV(claimed=true)
  type: bool
  sample: false
lease_remaining:
  description: Seconds for which the renewed lease is good.
  returned: when a lease was renewed
  type: int
  sample: 120
last_verified:
  description: The last verified release of each app of the environment, as it was recorded.
  returned: success
  type: dict
  sample:
    shop:
      app: shop
      version: 1.4.1
      images: [{name: shop, newTag: 1.4.1}]
      commit: 89e6c98d92887913cadf06b2adb97f26cde4849b
      at: "2026-01-30T17:02:44.031Z"
      entry: 01J9Z2M3V4RRFFQ69G5FAVSNDE
      fence: 11
environment:
  description: The environment afterwards.
  returned: success
  type: dict
  sample:
    name: staging
    fence: 12
    paused:
    holds: []
error_class:
  description: Class of the failure, V(busy) when the wait was in vain, V(fenced) when the lease is not ours any more.
  returned: failure
  type: str
  sample: busy
error:
  description:
    - The failure in parts; C(code) is for programs, for example C(busy), C(paused), C(held), C(superseded),
      C(fenced), C(not_running), C(idempotency_conflict), C(queue_full), C(storage), C(store_missing).
  returned: failure
  type: dict
  sample: {code: busy, resource: environment staging, hint: Nothing was written.}
"""

from ansible_collections.slipway.gitops.plugins.module_utils._entry.deploy_queue import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ENTRY)


if __name__ == "__main__":
    main()
