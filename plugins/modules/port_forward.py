#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: port_forward
short_description: Keep port-forwards into a cluster, and end no others
version_added: 1.0.0
description:
  - Has exactly the given port-forwards of one folder. Each is a C(kubectl port-forward) that lives on after the run.
  - A process is known by a mark in its environment, by its process id and by its start time, never by its name, so
    that port-forwards of other people, and a process that got a reused id, are not touched.
  - A port-forward whose process has ended, that no longer answers, or that a run which was cut short has left is begun
    again. One that runs as wanted is left alone.
author:
  - slipway.gitops contributors (@slipway-gitops)
extends_documentation_fragment:
  - slipway.gitops._attributes
  - slipway.gitops._attributes.actiongroup
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - kubectl
  - Linux on the machine that the module runs on
options:
  path:
    description:
      - Folder for a record and a log of each port-forward, readable by its owner only. It belongs to the module.
      - Runs on the same folder go one after the other.
    type: path
    required: true
  state:
    description:
      - V(present) begins what O(forwards) names and does not run, and ends what else was begun in O(path).
      - V(absent) ends everything that was begun in O(path).
    type: str
    choices: [present, absent]
    default: present
  forwards:
    description: The port-forwards.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What to call it. Unique in O(path).
        type: str
        required: true
      namespace:
        description: Namespace of O(forwards[].resource).
        type: str
        required: true
      resource:
        description: Where it leads, as C(KIND/NAME). The kind is pod, deployment, statefulset, replicaset or service.
        type: str
        required: true
      address:
        description: IPv4 address of this machine to listen on. Anybody who reaches it can use the port-forward.
        type: str
        default: 127.0.0.1
      local_port:
        description: Port of this machine. One that somebody else listens on is refused before anything is changed.
        type: int
        required: true
      remote_port:
        description: Port of the service or pod.
        type: int
        required: true
  kubectl:
    description: Program C(kubectl), as a name or a path.
    type: str
    default: kubectl
  kubeconfig:
    description:
      - Path of the kubeconfig file. The file is never changed.
      - This or O(context) is needed, so that the cluster is never the one that happens to be current.
      - E(K8S_AUTH_KUBECONFIG) is used when the option is not set.
    type: path
  context:
    description:
      - Context of the kubeconfig to use.
      - E(K8S_AUTH_CONTEXT) is used when the option is not set.
    type: str
  wait_timeout:
    description: How long to wait until all of them listen, in seconds.
    type: int
    default: 30
seealso:
  - name: kubectl port-forward
    description: What the processes are.
    link: https://kubernetes.io/docs/reference/kubectl/generated/kubectl_port-forward/
"""

EXAMPLES = r"""
- name: Reach Argo CD and the sample application from this machine
  slipway.gitops.port_forward:
    path: ~/.local/state/slipway-gitops/access/shop
    kubeconfig: ~/.kube/config
    forwards:
      - {name: argocd, namespace: argocd, resource: service/argocd-server, local_port: 8443, remote_port: 443}
      - {name: sample, namespace: sample, resource: deployment/sample, local_port: 8080, remote_port: 8080}

- name: Keep only the one to Argo CD
  slipway.gitops.port_forward:
    path: ~/.local/state/slipway-gitops/access/shop
    kubeconfig: ~/.kube/config
    forwards:
      - {name: argocd, namespace: argocd, resource: service/argocd-server, local_port: 8443, remote_port: 443}

- name: End what was begun, and nothing else
  slipway.gitops.port_forward:
    path: ~/.local/state/slipway-gitops/access/shop
    state: absent
"""

RETURN = r"""
changes:
  description: What was begun and ended, each with its reason.
  returned: success
  type: list
  elements: str
  sample: ["begin argocd 127.0.0.1:8443 -> argocd/service/argocd-server:443: its process has ended"]
forwards:
  description: The port-forwards that run, in the order of O(forwards).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: What it is called.
      type: str
    address:
      description: Where it listens.
      type: str
    port:
      description: The port it listens on.
      type: int
    pid:
      description: Its process id. None in check mode.
      type: int
  sample:
    - {name: argocd, address: 127.0.0.1, port: 8443, pid: 4711}
error:
  description: >-
    The failure in parts, for example C(error.code) V(port_taken), V(not_forwarded), V(command_not_found),
    V(invalid_input) or V(busy).
  returned: failure
  type: dict
  sample:
    code: port_taken
    resource: port 127.0.0.1:8443 (argocd)
"""

from ansible_collections.slipway.gitops.plugins.module_utils._entry.port_forward import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ENTRY)


if __name__ == "__main__":
    main()
