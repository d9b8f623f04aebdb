#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: argocd_app_info
short_description: Read Argo CD Applications
version_added: "1.0.0"
description:
  - Returns a compact view of one Application, or of all of a namespace, by one request to the Kubernetes API.
  - An Application that does not exist gives an empty list. An Argo CD that is not installed is an error.
  - Secrets are never returned. Values under keys that name a secret are masked, and messages about Secrets withheld.
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
      - The module only reads.
  diff_mode:
    support: none
    details:
      - The module only reads.
  idempotent:
    support: full
options:
  name:
    description: Name of one Application. Without it, all that the other options let through.
    type: str
  namespace:
    description: Namespace of the Applications.
    type: str
    default: argocd
  label_selectors:
    description: Label selectors, all of which must hold.
    type: list
    elements: str
  project:
    description: Only Applications of this AppProject.
    type: str
  full:
    description: Whether to return each Application itself as well, without its status, secrets masked.
    type: bool
    default: false
  windows:
    description:
      - Whether to read the AppProject of each Application too, and return its sync windows.
    type: bool
    default: false
notes:
  - Needs the right C(list) for C(applications.argoproj.io), and C(get) for C(appprojects.argoproj.io) with
    O(windows=true). Without the second the rest is returned all the same, and RV(applications) say so.
seealso:
  - module: slipway.gitops.argocd_app
"""

EXAMPLES = r"""
- name: Read one Application
  slipway.gitops.argocd_app_info:
    name: sample
  register: found

- name: Show what it is synced to
  ansible.builtin.debug:
    msg: "{{ found.applications[0].sync.revision if found.applications else 'there is none' }}"

- name: Read all Applications of one project
  slipway.gitops.argocd_app_info:
    project: default
    full: true

- name: Read whether it may be synced now
  slipway.gitops.argocd_app_info:
    name: sample
    windows: true

- name: Read the Applications of one team
  slipway.gitops.argocd_app_info:
    label_selectors:
      - team in (web, shop)
      - "!experimental"
"""

RETURN = r"""
applications:
  description: The Applications, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: sample
    namespace:
      description: Namespace.
      type: str
      sample: argocd
    project:
      description: AppProject it belongs to.
      type: str
      sample: default
    automated:
      description: Whether Argo CD syncs it by itself.
      type: bool
      sample: true
    multi_source:
      description:
        - Whether it has C(spec.sources), even with one entry. Such an Application has no single revision to wait for.
      type: bool
      sample: false
    sources:
      description:
        - What it follows, one or several.
        - Where options for Helm are set, also C(value_files), from the top of the repository, and C(parameters), the names
          of the values that are set in the Application itself and win over those files.
      type: list
      elements: dict
      sample: [{repo: "ssh://git@git.example.com/sample.git", path: overlays/staging, chart: "", target_revision: main}]
    destination:
      description: Cluster and namespace it deploys to.
      type: dict
      sample: {server: "https://kubernetes.default.svc", namespace: sample}
    images:
      description: Images of everything it runs now, also of pods that are being replaced.
      type: list
      elements: str
      sample: ["registry.example.com/sample:2"]
    urls:
      description: Addresses that Argo CD read from Ingresses and load balancers of the Application.
      type: list
      elements: str
      sample: ["https://sample.example.com"]
    resources:
      description: What the Application manages, each with RV(ignore:sync) and RV(ignore:health) as Argo CD judges them.
      type: list
      elements: dict
      sample:
        - {group: apps, kind: Deployment, namespace: sample, name: sample, sync: Synced, health: Healthy}
    sync:
      description: The comparison, and the operation that runs or ran last, as in RV(slipway.gitops.argocd_app#module:sync).
      type: dict
      sample:
        status: Synced
        revision: 3f2a6ad1c0b54a1f9d0c7f4b6f0a7c1e2d3b4a59
        operation: {phase: Succeeded, revision: 3f2a6ad1c0b54a1f9d0c7f4b6f0a7c1e2d3b4a59, automated: true}
    health:
      description: Health as Argo CD reports it.
      type: str
      sample: Healthy
    conditions:
      description: Conditions, each with type and message.
      type: list
      elements: dict
      sample: []
    object:
      description: The Application without its status, with O(full=true).
      type: dict
      sample: {apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: sample}, spec: {project: default}}
    windows:
      description:
        - The sync windows that are about this Application, with O(windows=true).
        - C(blocked) tells why no sync can begin now, and is empty when one can. It is judged for automated syncs where
          Argo CD syncs by itself, otherwise for those that somebody asks for.
        - C(known) is false when the AppProject could not be read, and C(note) says why.
        - C(list) has the windows as the AppProject spells them. C(is_active) tells whether one is open now, and is
          V(null) where its schedule cannot be read.
      type: dict
      sample:
        known: true
        note: ''
        blocked: "a deny window is open ('0 22 * * *' for 8h)"
        list:
          - {kind: deny, schedule: 0 22 * * *, duration: 8h, timeZone: Europe/Berlin, manualSync: false, is_active: true}
"""

from ansible_collections.slipway.gitops.plugins.module_utils._entry.argocd_app_info import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ENTRY)


if __name__ == "__main__":
    main()
