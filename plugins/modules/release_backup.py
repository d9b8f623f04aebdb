#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_backup
short_description: Back up the live objects of a release, and bring it back
version_added: "1.0.0"
description:
  - A backup holds the live objects of a release as they can be applied again, the ConfigMaps, accounts and claims that
    they refer to, the namespace, the Argo CD Application with its project, values and manifest of Helm, the commit, and
    the images with the digests that really run. The data in volumes is no part of it.
  - It is a folder C(<app>/<environment>/<UTC time>-<release>) below O(path) with C(manifest.json) and C(SHA256SUMS), for its
    owner only. It appears with one rename after everything was written and synced, so there is never half a backup;
    what a killed run leaves is cleared by the next one.
  - Secrets are left out, and their names are noted, or are encrypted for O(recipients) by the program C(age) before they
    touch the disk.
  - Restoring applies the objects in the order in which they need each other, the Application last, after a server-side
    dry run of all of them. It brings each object exactly to what it was, and removes no object.
author:
  - slipway.gitops contributors (@slipway-gitops)
extends_documentation_fragment:
  - slipway.gitops._attributes
  - slipway.gitops._attributes.actiongroup
  - slipway.gitops._kube_auth
  - slipway.gitops._lease
attributes:
  check_mode:
    support: full
    details:
      - Reads the cluster and plans. No folder, no file and no object is made, changed or removed.
  diff_mode:
    support: full
    details:
      - With O(state=restored) shows every object that differs, of a Secret only the names of its keys.
  idempotent:
    support: partial
    details:
      - Every run with O(state=present) makes a backup. The other states change nothing the second time.
options:
  state:
    description:
      - V(present) makes a backup of what is live now. When nothing of the release is live, none is made.
      - V(restored) brings back the backup O(name).
      - V(absent) removes the backup O(name).
    type: str
    choices: [present, restored, absent]
    default: present
  app:
    description: Name of the application.
    type: str
    required: true
  environment:
    description: Name of the environment.
    type: str
    required: true
  name:
    description:
      - Which backup is meant, for O(state=restored) and O(state=absent); V(latest) for the newest.
      - The name of its folder. Paths are refused.
    type: str
  release:
    description: Version that is live, for O(state=present).
    type: str
  namespace:
    description:
      - Namespace that the release lives in. Without it the one that O(application) deploys to.
      - With O(state=restored) a backup of another namespace is refused.
    type: str
  application:
    description:
      - The Argo CD Application of the release. It is backed up itself, and unless O(resources) or O(label_selectors) is set,
        what it lists is what belongs to the release.
      - It must deploy to the cluster that Argo CD runs in.
    type: dict
    suboptions:
      name:
        description: Name of the Application.
        type: str
        required: true
      namespace:
        description: Namespace of the Application.
        type: str
        default: argocd
  label_selectors:
    description: What belongs to the release are the objects of the usual kinds in O(namespace) that match all of these selectors.
    type: list
    elements: str
  resources:
    description: What belongs to the release, by name.
    type: list
    elements: dict
    suboptions:
      group:
        description: API group, empty for the core's.
        type: str
        default: ""
      version:
        description: Version of the API.
        type: str
        default: v1
      kind:
        description: Kind, for example V(Deployment).
        type: str
        required: true
      name:
        description: Name of the object.
        type: str
        required: true
  commit:
    description: Commit of the deploy repository that is live. Without it the one that the Application is synced to.
    type: str
  images:
    description: References of images to note beside those that run.
    type: list
    elements: str
  secrets:
    description:
      - V(exclude) leaves Secrets out and does not even read them; their names are noted.
      - V(encrypt) encrypts those that the release lists or refers to for O(recipients). It needs the right to read them.
      - The Secrets of Argo CD with the credentials of repositories are never in a backup, only their names and addresses.
    type: str
    choices: [exclude, encrypt]
    default: exclude
  recipients:
    description: Public keys of age (C(age1...)) or SSH of those who may decrypt the Secrets.
    type: list
    elements: str
  keep_last:
    description:
      - Keep this many of the newest backups of this application in this environment.
      - A backup is removed, after a new one was made, when no rule keeps it. Without O(keep_last) and O(keep_days) none is.
    type: int
  keep_days:
    description: Keep backups that are younger than this many days. The newest is always kept.
    type: float
  allow_other_cluster:
    description: Restore into another cluster than the backup is of. The clusters are told apart by the UID of C(kube-system).
    type: bool
    default: false
  missing_secrets:
    description:
      - What to do when Secrets that the release needs are neither in the cluster nor in the backup.
      - V(fail) names them and restores nothing. V(warn) names them and restores the rest.
    type: str
    choices: [fail, warn]
    default: fail
  plan_hash:
    description: The RV(hash) that a run in check mode returned. The restore is refused when it would do anything else by now.
    type: str
  store:
    description: Kind of the store.
    type: str
    choices: [directory]
    default: directory
  path:
    description:
      - Folder of the store, for its owner only.
      - Without it C(slipway-gitops/backups) below E(XDG_STATE_HOME) or C(~/.local/state) is used; in a container, with which
        that would vanish, it is required. A container is known by C(/.dockerenv), C(/run/.containerenv),
        E(KUBERNETES_SERVICE_HOST) and E(AWX_HOST).
      - E(SLIPWAY_BACKUPS) is used when the option is not set.
    type: path
  identity_file:
    description: File with the private key of age, readable by its owner only, to restore encrypted Secrets.
    type: path
  age_binary:
    description:
      - The program C(age), by name or path.
      - E(SLIPWAY_AGE) is used when the option is not set.
    type: str
    default: age
seealso:
  - module: slipway.gitops.release_backup_info
  - module: slipway.gitops.argocd_app
  - module: slipway.gitops.health_gate
"""

EXAMPLES = r"""
- name: Back up what is live before a delivery, its Secrets encrypted
  slipway.gitops.release_backup:
    app: sample
    environment: production
    release: "1.4.2"
    application:
      name: sample
    secrets: encrypt
    recipients: "{{ backup_recipients }}"
    age_binary: "{{ age }}"
    keep_last: 10
    keep_days: 30
    path: "{{ backups }}"

- name: Look what bringing back the newest backup would change
  slipway.gitops.release_backup:
    state: restored
    app: sample
    environment: production
    name: latest
    missing_secrets: warn
    path: "{{ backups }}"
  check_mode: true
  diff: true
  register: plan

- name: Bring it back, if nothing has changed since
  slipway.gitops.release_backup:
    state: restored
    app: sample
    environment: production
    name: "{{ plan.backup.name }}"
    plan_hash: "{{ plan.hash }}"
    identity_file: "{{ backup_identity }}"
    age_binary: "{{ age }}"
    path: "{{ backups }}"

- name: Remove a backup
  slipway.gitops.release_backup:
    state: absent
    app: sample
    environment: production
    name: latest
    path: "{{ backups }}"
"""

RETURN = r"""
backup:
  description: The backup that was made, restored or removed; empty when there was nothing to back up.
  type: dict
  returned: success
  contains:
    name:
      description: Name of its folder.
      type: str
      sample: 20261121T114500Z-1.4.2
    path:
      description: Its folder.
      type: str
      sample: /var/backups/slipway/sample/production/20261121T114500Z-1.4.2
    at:
      description: When it was made, in UTC.
      type: str
      sample: "2026-11-21T11:45:00.123Z"
    release:
      description: Version that was live.
      type: str
      sample: 1.4.2
    commit:
      description: Commit of the deploy repository that was live.
      type: str
      sample: 5e21f7b9e0c5d9c9f8a9f0f7ef21a4c0d3b7a111
    images:
      description: Images of the running containers, with the digests that the nodes report.
      type: list
      elements: dict
      sample: [{image: registry.example.com/sample:1.4.2, digest: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}]
    objects:
      description: Live objects in it, besides Secrets.
      type: list
      elements: dict
      sample: [{apiVersion: apps/v1, kind: Deployment, namespace: sample, name: sample}]
    secrets:
      description: Whether Secrets are V(excluded) or V(encrypted), for whom, and the name, need and users of each.
      type: dict
      sample: {mode: excluded, recipients: [], names: [{name: sample, required: true, used_by: [Deployment sample/sample]}]}
    left_out:
      description: What belongs to the release and is not in the backup, and why.
      type: list
      elements: dict
      sample: []
    unread:
      description: What of this makes the backup incomplete, because it might not be read. A warning names it, here and in a restore.
      type: list
      elements: str
      sample: [ConfigMap sample/settings]
    cluster:
      description: UID and address of the cluster.
      type: dict
      sample: {uid: 0f5a2c9e-6a5f-4a8e-9d0a-1f2e3d4c5b6a, server: "https://127.0.0.1:6443"}
    namespace:
      description: Namespace of the release.
      type: str
      sample: sample
    application:
      description: Name and namespace of the Application.
      type: dict
      sample: {name: sample, namespace: argocd}
    repositories:
      description: Which Secrets of Argo CD hold the credentials of the Application's repositories. They are not in the backup.
      type: list
      elements: dict
      sample: [{namespace: argocd, name: repo-sample, url: "ssh://git@git.example.com/deploy.git"}]
    files:
      description: Names of its files besides manifest and checksums.
      type: list
      elements: str
      sample: [argocd.json, live.json, secrets.age]
pruned:
  description: Names of the backups that were removed, because no rule keeps them.
  type: list
  elements: str
  returned: success
  sample: []
restored:
  description: Every object of the backup and whether it is C(created), C(changed) or C(unchanged).
  type: list
  elements: dict
  returned: with O(state=restored), and on failure as far as it got
  sample: [{apiVersion: apps/v1, kind: Deployment, namespace: sample, name: sample, action: created}]
missing_secrets:
  description: Secrets that the release needs and that are not there.
  type: list
  elements: str
  returned: with O(state=restored)
  sample: ["sample/sample (needed by Deployment sample/sample)"]
differences:
  description: What is changed, as a unified diff without the values of Secrets.
  type: str
  returned: with O(state=restored)
  sample: |-
    @@ -12,3 +12,3 @@
       "spec": {
    -    "replicas": 0,
    +    "replicas": 2,
hash:
  description: Hash over the backup and what restoring it changes in this cluster, for O(plan_hash).
  type: str
  returned: with O(state=restored)
  sample: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
"""

from ..module_utils._entry.release_backup import ENTRY
from ..module_utils._module import run_module


def main() -> None:
    """Run the module."""
    run_module(ENTRY)


if __name__ == "__main__":
    main()
