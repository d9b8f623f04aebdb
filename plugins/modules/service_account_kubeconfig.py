#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_account_kubeconfig
short_description: Keep a kubeconfig for a service account, with a token that ends by itself
version_added: 1.0.0
description:
  - Asks the API server for a token of a service account that is bound to a time, and writes a kubeconfig with it that only its
    owner can read. The token is never returned nor shown.
  - A file whose token is still good for a while is left alone.
  - Needs the right to C(create) C(serviceaccounts/token) in the namespace.
author:
  - slipway.gitops contributors (@slipway-gitops)
extends_documentation_fragment:
  - slipway.gitops._attributes
  - slipway.gitops._attributes.actiongroup
  - slipway.gitops._kube_auth
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - All that differs is a secret.
  idempotent:
    support: partial
    details:
      - A token that ends soon is replaced, which is a change.
requirements:
  - PyYAML
options:
  name:
    description: Name of the service account.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    required: true
  path:
    description: The file, with mode 0600.
    type: path
    required: true
  state:
    description: V(absent) removes the file. A token that was given stays good until it ends, or until the account is removed.
    type: str
    choices: [present, absent]
    default: present
  ttl:
    description:
      - How long a token is good, in seconds. At least 600.
      - The API server may be set up to give less.
    type: int
    default: 28800
  renew_before:
    description: A token that ends within this many seconds is replaced. Without it, half of O(ttl).
    type: int
  timeout:
    description: Longest time of the task, in seconds.
    type: float
    default: 30.0
seealso:
  - name: TokenRequest
    description: Where the token comes from.
    link: https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
"""

EXAMPLES = r"""
- name: Have credentials for deliveries to staging that end with the working day
  slipway.gitops.service_account_kubeconfig:
    name: default
    namespace: sample
    path: ~/.kube/staging-deploy.yml
    ttl: 28800

- name: Replace them only when less than ten minutes are left
  slipway.gitops.service_account_kubeconfig:
    name: default
    namespace: sample
    path: ~/.kube/staging-deploy.yml
    ttl: 28800
    renew_before: 600

- name: Remove them
  slipway.gitops.service_account_kubeconfig:
    name: default
    namespace: sample
    path: ~/.kube/staging-deploy.yml
    state: absent
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
  sample: /home/ops/.kube/staging-deploy.yml
user:
  description: The name that the API server knows the account by.
  returned: with O(state=present)
  type: str
  sample: system:serviceaccount:slipway:deploy-staging
expires:
  description: When the token ends, in UTC. In check mode of a change, when it would about end.
  returned: with O(state=present)
  type: str
  sample: "2026-11-21T18:30:00Z"
error:
  description: The failure in parts, for example C(error.code) V(not_found), V(forbidden) or V(invalid_input).
  returned: failure
  type: dict
  sample:
    code: not_found
    resource: ServiceAccount slipway/deploy-staging
"""

from ansible_collections.slipway.gitops.plugins.module_utils._entry.service_account_kubeconfig import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ENTRY)


if __name__ == "__main__":
    main()
