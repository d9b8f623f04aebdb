#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_preflight
short_description: Prove which cluster this is and what it offers, before anything is delivered to it
version_added: "1.0.0"
description:
  - Tells which cluster the kubeconfig leads to, by facts instead of names, and refuses any other than the pinned one.
    The name of a context proves nothing, C(nonprod) holds C(prod).
  - Asks the API server for each right that will be needed, and names those that are missing together with the rule
    that grants them.
  - Looks at the namespace, its labels and quotas, and at the kinds that must be served.
  - The server is compared with its pin before a single byte is sent, the UID is the first question. On the wrong
    cluster nothing else is asked. All questions go over one connection, with credentials that were read once.
  - A used up quota and a quota that must not be read are warnings.
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
  uid:
    description:
      - UID of the namespace C(kube-system) that the cluster must have. It is made with the cluster and cannot be chosen.
      - Another one ends the task with C(error.code=cluster_mismatch), whatever O(fail_on_problems) says.
    type: str
  server:
    description:
      - URL of the API server that the kubeconfig must lead to. Case of the host, a default port and a slash at the end
        make no difference.
      - Another one ends the task with C(error.code=cluster_mismatch) before anything is sent to it.
    type: str
  require_pinned:
    description:
      - Whether both O(uid) and O(server) have to be given, as for production. Otherwise the task ends with
        C(error.code=cluster_unpinned), and the message holds the two lines to add to the inventory.
    type: bool
    default: false
  namespace:
    description: Namespace that must exist. Its labels and quotas are returned.
    type: str
  namespace_labels:
    description: Labels that O(namespace) must have, with these values.
    type: dict
  access:
    description: Rights that are needed.
    type: list
    elements: dict
    suboptions:
      verb:
        description: What is to be done, such as V(get), V(list), V(watch), V(create), V(patch) or V(delete).
        type: str
        required: true
      group:
        description: API group of the resource. Empty for the core group.
        type: str
        default: ""
      resource:
        description: Plural of the resource, such as V(deployments).
        type: str
        required: true
      subresource:
        description: Subresource, such as V(log) of V(pods).
        type: str
        default: ""
      namespace:
        description: Namespace that the right is needed in. Empty for all namespaces, and for resources without one.
        type: str
        default: ""
      name:
        description: Name of one object. Empty for all of them.
        type: str
        default: ""
  kinds:
    description: Kinds that the cluster must serve, by O(kinds[].kind) or O(kinds[].resource).
    type: list
    elements: dict
    suboptions:
      group:
        description: API group. Empty for the core group.
        type: str
        default: ""
      version:
        description: Version of the group, such as V(v1).
        type: str
        required: true
      kind:
        description: Name of the kind, such as V(Application).
        type: str
      resource:
        description: Its plural, such as V(applications).
        type: str
  fail_on_problems:
    description:
      - Whether problems end the task. Otherwise they are only returned.
      - A cluster that is not the pinned one, or not pinned although it has to be, always ends it.
    type: bool
    default: true
  timeout:
    description: Seconds after which the task gives up.
    type: float
    default: 30.0
notes:
  - Needs the right to get the namespace C(kube-system), which tells clusters apart. Where it is missing and a pin is
    given or required, the task fails and says so. Without pins it warns, and RV(cluster.uid) is empty.
  - Needs the rights to get O(namespace) and to list C(resourcequotas) in it. Every authenticated identity may ask for
    its own rights.
seealso:
  - module: slipway.gitops.health_gate
  - module: slipway.gitops.registry_image_info
"""

EXAMPLES = r"""
- name: See which cluster this is
  slipway.gitops.cluster_preflight:
  register: seen

- name: Show what the inventory has to say to pin it
  ansible.builtin.debug:
    msg:
      deploy_cluster_uid: "{{ seen.cluster.uid }}"
      deploy_cluster_server: "{{ seen.cluster.server }}"

- name: Make sure that it is the pinned one and that a delivery can succeed
  slipway.gitops.cluster_preflight:
    uid: "{{ deploy_cluster_uid }}"
    server: "{{ deploy_cluster_server }}"
    require_pinned: true
    namespace: sample
    namespace_labels:
      kubernetes.io/metadata.name: sample
    kinds:
      - {group: argoproj.io, version: v1alpha1, kind: Application}
      - {group: apps, version: v1, resource: deployments}
    access:
      - {verb: patch, group: argoproj.io, resource: applications, namespace: argocd, name: sample}
      - {verb: watch, group: apps, resource: deployments, namespace: sample}
      - {verb: get, resource: pods, subresource: log, namespace: sample}

- name: Report what is missing without a failure
  slipway.gitops.cluster_preflight:
    namespace: not-there-yet
    fail_on_problems: false
  register: report
"""

RETURN = r"""
cluster:
  description: The cluster. Of one that is not the pinned one, only what tells it from others.
  returned: success, and when problems were found
  type: dict
  contains:
    uid:
      description: UID of the namespace C(kube-system). Empty when the identity must not read it.
      type: str
      sample: 6f1c2b1e-5a0f-4d53-9b62-0e6a8b4d7c11
    server:
      description: URL of the API server.
      type: str
      sample: https://10.0.0.1:6443
    context:
      description: Context of the kubeconfig. It informs only.
      type: str
      sample: production
    version:
      description: Version of Kubernetes. Empty when the identity must not ask for it.
      type: str
      sample: v1.36.3
    namespace:
      description: The namespace that was asked for.
      type: str
      sample: sample
    namespace_labels:
      description: Its labels.
      type: dict
      sample: {kubernetes.io/metadata.name: sample, environment: production}
access:
  description: The rights in the order asked for, each as it was given, with the answer.
  returned: success, and when problems were found
  type: list
  elements: dict
  contains:
    allowed:
      description: Whether the identity has the right.
      type: bool
      sample: true
    reason:
      description: What the API server says about it, often nothing.
      type: str
      sample: ""
quotas:
  description: Resource quotas of the namespace, by name.
  returned: success, and when problems were found
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: compute
    used:
      description: What is used, in Kubernetes' own notation.
      type: dict
      sample: {pods: "4", requests.cpu: 400m}
    hard:
      description: What there is.
      type: dict
      sample: {pods: "10", requests.cpu: "2"}
problems:
  description: What is not as it must be. Also returned by a failure.
  returned: success, and when problems were found
  type: list
  elements: dict
  contains:
    code:
      description:
        - One of V(forbidden), V(not_found), V(namespace_label) and V(namespace_terminating). The first one is the
          C(error.code) of the failure.
      type: str
      sample: forbidden
    message:
      description: What it is about.
      type: str
      sample: "ci-robot may not patch applications.argoproj.io 'sample' in namespace argocd"
"""

from ansible_collections.slipway.gitops.plugins.module_utils._entry.cluster_preflight import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ENTRY)


if __name__ == "__main__":
    main()
