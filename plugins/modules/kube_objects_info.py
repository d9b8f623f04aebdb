#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_objects_info
short_description: Read objects of one kind from a cluster
version_added: "1.0.0"
description:
  - Reads one object by its name, or all objects of a kind, of one namespace or of all.
  - Needs no other library than PyYAML, and no time to discover what the cluster serves beside the one API version.
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
  api_version:
    description: API version that serves the kind.
    type: str
    default: v1
  kind:
    description: Kind, such as V(Service).
    type: str
    required: true
  name:
    description: Name of one object. One that does not exist is no failure, the list is empty then.
    type: str
  namespace:
    description: Namespace to read. All of them without it. Ignored for kinds without namespaces.
    type: str
  label_selectors:
    description: Selectors by label that all have to fit.
    type: list
    elements: str
  field_selectors:
    description: Selectors by field that all have to fit.
    type: list
    elements: str
seealso:
  - module: kubernetes.core.k8s_info
"""

EXAMPLES = r"""
- name: Read the nodes
  slipway.gitops.kube_objects_info:
    kind: Node
  register: nodes

- name: Show their addresses
  ansible.builtin.debug:
    msg: "{{ nodes.objects | map(attribute='status.addresses') | flatten | map(attribute='address') }}"

- name: Read what runs of one application
  slipway.gitops.kube_objects_info:
    api_version: apps/v1
    kind: Deployment
    namespace: default
    label_selectors: [app.kubernetes.io/name=sample]

- name: Read one object, which may be missing
  slipway.gitops.kube_objects_info:
    kind: ConfigMap
    namespace: default
    name: settings
  register: settings
"""

RETURN = r"""
objects:
  description: The objects, as the API server has them.
  returned: success
  type: list
  elements: dict
  sample:
    - {apiVersion: v1, kind: Node, metadata: {name: slipway}}
"""

from ansible_collections.slipway.gitops.plugins.module_utils._entry.kube_objects_info import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ENTRY)


if __name__ == "__main__":
    main()
