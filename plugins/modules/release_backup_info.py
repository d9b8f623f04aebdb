#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_backup_info
short_description: List backups of releases, and prove that they can be restored
version_added: "1.0.0"
description:
  - Lists the backups that M(slipway.gitops.release_backup) made, the newest first.
  - Proves them as far as asked, from the presence of all files to a server-side dry run of every object.
  - Reads only. A backup that cannot be trusted is listed with what is wrong, and never repaired.
author:
  - slipway.gitops contributors (@slipway-gitops)
extends_documentation_fragment:
  - slipway.gitops._attributes
  - slipway.gitops._attributes.actiongroup
  - slipway.gitops._kube_auth
attributes:
  check_mode:
    support: full
    details:
      - Reads only, so it does the same.
  diff_mode:
    support: none
    details:
      - Changes nothing.
  idempotent:
    support: full
options:
  app:
    description: Only backups of this application.
    type: str
  environment:
    description: Only backups of this environment.
    type: str
  name:
    description: Only this backup; V(latest) for the newest of each application and environment.
    type: str
  verify:
    description:
      - V(none) reads the manifest, its checksum, and whether all files are there.
      - V(checksums) reads every file, compares its checksum and parses it.
      - V(cluster) also has the API server judge every object by a dry run, in the cluster that the backup is of. With
        O(identity_file) the Secrets, too. What lies in a namespace that does not exist cannot be tried; a note says so.
    type: str
    choices: [none, checksums, cluster]
    default: none
  store:
    description: Kind of the store.
    type: str
    choices: [directory]
    default: directory
  path:
    description:
      - Folder of the store. The default is that of M(slipway.gitops.release_backup).
      - E(SLIPWAY_BACKUPS) is used when the option is not set.
    type: path
  identity_file:
    description: File with the private key of age, to prove encrypted Secrets as well.
    type: path
  age_binary:
    description:
      - The program C(age), by name or path.
      - E(SLIPWAY_AGE) is used when the option is not set.
    type: str
    default: age
seealso:
  - module: slipway.gitops.release_backup
"""

EXAMPLES = r"""
- name: List the backups of an application
  slipway.gitops.release_backup_info:
    app: sample
    environment: production
    path: "{{ backups }}"
  register: found

- name: Prove that all of them are whole
  slipway.gitops.release_backup_info:
    verify: checksums
    path: "{{ backups }}"
  register: checked
  failed_when: checked.backups | rejectattr('complete') | list | length > 0

- name: Prove that the newest one could be restored now
  slipway.gitops.release_backup_info:
    app: sample
    environment: production
    name: latest
    verify: cluster
    path: "{{ backups }}"
  register: proved
  failed_when: not proved.backups[0].complete
"""

RETURN = r"""
backups:
  description: The backups, the newest first.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Name of its folder.
      type: str
      sample: 20261121T114500Z-1.4.2
    app:
      description: Application.
      type: str
      sample: sample
    environment:
      description: Environment.
      type: str
      sample: production
    path:
      description: Its folder.
      type: str
      sample: /var/backups/slipway/sample/production/20261121T114500Z-1.4.2
    complete:
      description: Whether nothing was found to be wrong, as far as O(verify) looks, and nothing is missing that might not be read.
      type: bool
      sample: true
    problems:
      description: What is wrong with it.
      type: list
      elements: str
      sample: []
    notes:
      description: What could not be tried.
      type: list
      elements: str
      sample: []
    release:
      description: Version that was live. This and what follows is missing where the manifest cannot be trusted.
      type: str
      sample: 1.4.2
    at:
      description: When it was made, in UTC.
      type: str
      sample: "2026-11-21T11:45:00.123Z"
    commit:
      description: Commit of the deploy repository that was live.
      type: str
      sample: 5e21f7b9e0c5d9c9f8a9f0f7ef21a4c0d3b7a111
    images:
      description: Images of the running containers, with the digests that the nodes reported.
      type: list
      elements: dict
      sample: [{image: registry.example.com/sample:1.4.2, digest: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}]
    objects:
      description: Live objects in it, besides Secrets.
      type: list
      elements: dict
      sample: [{apiVersion: apps/v1, kind: Deployment, namespace: sample, name: sample}]
    secrets:
      description: Whether Secrets are V(excluded) or V(encrypted), for whom, and their names.
      type: dict
      sample: {mode: excluded, recipients: [], names: []}
    unread:
      description: What is not in it because it might not be read when it was made. Each is one of the C(problems), too.
      type: list
      elements: str
      sample: []
    files:
      description: Names of its files besides manifest and checksums.
      type: list
      elements: str
      sample: [argocd.json, live.json]
"""

from ..module_utils._entry.release_backup_info import ENTRY
from ..module_utils._module import run_module


def main() -> None:
    """Run the module."""
    run_module(ENTRY)


if __name__ == "__main__":
    main()
