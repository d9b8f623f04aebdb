#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: argocd_tree_info
short_description: Follow Applications to their children and judge them before they are applied
version_added: 1.0.0
description:
  - Takes Applications that are going to be applied, reads the folders that app-of-apps parents among them follow, and returns
    all Applications that come of it.
  - Says what would be wrong with them, so that nothing has to be applied to find out. A repository, destination or namespace
    that the project does not allow; an Application with two owners, who would undo each other; an unknown field.
  - Judges projects as Argo CD does, with C(*), C(**), braces and leading C(!).
  - Follows folders of plain manifests, with C(recurse), C(include) and C(exclude). Parents that are rendered by Kustomize or
    Helm are not followed.
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
requirements:
  - git
  - PyYAML
options:
  namespace:
    description: Namespace of Argo CD.
    type: str
    default: argocd
  applications:
    description: The Applications that are asked for directly.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the Application.
        type: str
        required: true
      namespace:
        description: Its namespace, without one that of Argo CD.
        type: str
      spec:
        description: Its specification, in Argo CD's own spelling.
        type: dict
        required: true
  projects:
    description: The projects that the Applications may belong to. A project that is not among them is a problem.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the project.
        type: str
        required: true
      spec:
        description: Its specification, in Argo CD's own spelling.
        type: dict
        required: true
  repositories:
    description: How to read the repositories that parents follow.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description: Address, spelt as in the parent's source.
        type: str
        required: true
      key_file:
        description: Private key for SSH.
        type: path
      known_hosts:
        description: File with the host keys to accept for SSH. An unknown one is refused.
        type: path
      username:
        description: User for HTTPS.
        type: str
      password:
        description: Password or token for HTTPS.
        type: str
      ca_cert:
        description: File with the certificate authorities to trust for HTTPS.
        type: path
  allow_file_urls:
    description: Whether repositories of this machine may be read, for tests.
    type: bool
    default: false
  fail_on_problems:
    description: Whether to fail when there are problems, or only return them.
    type: bool
    default: true
  timeout:
    description: Longest time of the task, in seconds.
    type: float
    default: 60.0
seealso:
  - module: slipway.gitops.argocd_app
  - module: slipway.gitops.argocd_app_info
"""

EXAMPLES = r"""
- name: Look where an app-of-apps parent leads
  slipway.gitops.argocd_tree_info:
    applications:
      - name: environments
        spec: &parent
          project: sample
          source:
            repoURL: ssh://slipway-git@10.244.0.1:2222/sample.git
            targetRevision: main
            path: argocd
            directory: {recurse: true}
          destination: {server: https://kubernetes.default.svc, namespace: argocd}
    projects:
      - name: sample
        spec: &project
          sourceRepos: [ssh://slipway-git@10.244.0.1:2222/sample.git]
          destinations:
            - {server: https://kubernetes.default.svc, namespace: argocd}
            - {server: https://kubernetes.default.svc, namespace: sample-*}
    repositories: &repositories
      - url: ssh://slipway-git@10.244.0.1:2222/sample.git
        key_file: "{{ world }}/git-client/argocd_ed25519"
        known_hosts: "{{ world }}/git-client/known_hosts"
  register: tree

- name: Do the same without failing, to show what is wrong
  slipway.gitops.argocd_tree_info:
    applications: [{name: environments, spec: *parent}]
    projects: [{name: sample, spec: *project}]
    repositories: *repositories
    fail_on_problems: false

- name: Judge one ordinary Application
  slipway.gitops.argocd_tree_info:
    applications:
      - name: shop
        spec:
          project: team
          source: {repoURL: https://git.example.com/team/deploy.git, targetRevision: main, path: apps/shop}
          destination: {server: https://kubernetes.default.svc, namespace: shop}
    projects:
      - name: team
        spec:
          sourceRepos: [https://git.example.com/team/*]
          destinations: [{server: https://kubernetes.default.svc, namespace: shop}]
"""

RETURN = r"""
applications:
  description: The Applications asked for, then their children, level by level.
  returned: when they could be followed
  type: list
  elements: dict
  contains:
    name:
      description: Name of the Application.
      type: str
    namespace:
      description: Its namespace.
      type: str
    project:
      description: Its project.
      type: str
    parent:
      description: Namespace and name of the parent that it comes through; empty when it is asked for directly.
      type: str
    origin:
      description: Where it is defined.
      type: str
  sample:
    - name: shop-staging
      namespace: argocd
      project: team
      parent: argocd/environments
      origin: argocd/staging.yaml of ssh://git@git.example.com/team/deploy.git
problems:
  description: What has to be put right.
  returned: when they could be followed
  type: list
  elements: dict
  contains:
    code:
      description: >-
        V(source_not_allowed), V(destination_not_allowed), V(namespace_not_allowed), V(project_unknown), V(owned_twice),
        V(owned_by_other) or V(unknown_field).
      type: str
    application:
      description: Namespace and name of the Application.
      type: str
    message:
      description: What is wrong, for people.
      type: str
  sample: []
error:
  description: The failure in parts, for example C(error.code) V(problems), V(invalid_manifest), V(invalid_input) or V(auth).
  returned: failure
  type: dict
  sample:
    code: problems
    resource: 3 Applications
"""

from ansible_collections.slipway.gitops.plugins.module_utils._entry.argocd_tree_info import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ENTRY)


if __name__ == "__main__":
    main()
