# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options in KUBE_AUTH of module_utils/_argspec.py (private to the collection)."""

from __future__ import annotations


class ModuleDocFragment:
    """One documentation fragment, read by ansible-doc."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of the kubeconfig file.
      - Without it, and without O(host), E(KUBECONFIG), then C(~/.kube/config), then the service
        account of the pod that Ansible runs in are tried, in this order.
      - E(K8S_AUTH_KUBECONFIG) is used when the option is not set.
    type: path
  context:
    description:
      - Context of the kubeconfig to use, instead of its current one. The file is never changed.
      - E(K8S_AUTH_CONTEXT) is used when the option is not set.
    type: str
  host:
    description:
      - URL of the API server, instead of the one in the kubeconfig.
      - E(K8S_AUTH_HOST) is used when the option is not set.
    type: str
  api_key:
    description:
      - Bearer token, instead of the credentials in the kubeconfig.
      - E(K8S_AUTH_API_KEY) is used when the option is not set.
    type: str
  validate_certs:
    description:
      - Whether to verify the certificate of the API server. For a private certificate authority
        set O(ca_cert) instead of switching this off.
      - Unset means what the kubeconfig says, and to verify where it says nothing.
      - E(K8S_AUTH_VERIFY_SSL) is used when the option is not set.
    type: bool
    aliases: [verify_ssl]
  ca_cert:
    description:
      - Path of a file with the certificate authorities to trust for the API server.
      - E(K8S_AUTH_SSL_CA_CERT) is used when the option is not set.
    type: path
    aliases: [ssl_ca_cert]
  client_cert:
    description:
      - Path of a client certificate; goes with O(client_key).
      - E(K8S_AUTH_CERT_FILE) is used when the option is not set.
    type: path
    aliases: [cert_file]
  client_key:
    description:
      - Path of the key of O(client_cert).
      - E(K8S_AUTH_KEY_FILE) is used when the option is not set.
    type: path
    aliases: [key_file]
  allow_exec_auth:
    description:
      - Whether a kubeconfig may name a program that is run to get credentials, as those of
        managed clusters do.
      - Off by default, because such a file runs code; switch it on for a kubeconfig you trust.
      - E(SLIPWAY_ALLOW_EXEC_AUTH) is used when the option is not set.
    type: bool
    default: false
"""
    # The same beside the options of Git, which has a ca_cert and a key_file of its own.
    # With its type, because the linter of documentation takes every bare assignment for a text.
    BESIDE_GIT: str = (
        DOCUMENTATION.replace("\n  ca_cert:", "\n  kube_ca_cert:")
        .replace("O(ca_cert)", "O(kube_ca_cert)")
        .replace("    aliases: [ssl_ca_cert]\n", "")
        .replace("    aliases: [key_file]\n", "")
    )
