# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options in GIT of module_utils/_argspec.py (private to the collection)."""

from __future__ import annotations


class ModuleDocFragment:
    """One documentation fragment, read by ansible-doc."""

    DOCUMENTATION = r"""
options:
  repo:
    description:
      - Address of the repository, as C(https://host/path), C(ssh://user@host/path) or C(user@host:path).
      - Credentials inside the address are refused, because they show in process lists and logs. C(http://) is
        accepted for this machine only.
    type: str
    required: true
  branch:
    description: Short name of an existing branch.
    type: str
    default: main
  key_file:
    description:
      - Private key for SSH, readable by its owner only. No agent and no other key is tried.
      - Without it the keys at their usual places in the user's home are tried.
      - If the value is not specified in the task, the value of environment variable E(SLIPWAY_GIT_KEY_FILE) is used
        instead.
    type: path
  known_hosts:
    description:
      - File with the SSH host keys that are trusted. An unknown or changed host key is always refused.
      - Without it the user's and the system's own C(known_hosts) are used.
      - If the value is not specified in the task, the value of environment variable E(SLIPWAY_GIT_KNOWN_HOSTS) is
        used instead.
    type: path
  username:
    description:
      - User name for HTTPS; C(git) when only O(password) is given.
      - If the value is not specified in the task, the value of environment variable E(SLIPWAY_GIT_USERNAME) is used
        instead.
    type: str
  password:
    description:
      - Password or access token for HTTPS. It is handed to git through a pipe and given to the host of O(repo) only,
        never after a redirection.
      - If the value is not specified in the task, the value of environment variable E(SLIPWAY_GIT_PASSWORD) is used
        instead.
    type: str
  ca_cert:
    description:
      - File with the certificates of the authorities that are trusted for HTTPS, for a private authority.
        Verification cannot be switched off.
      - If the value is not specified in the task, the value of environment variable E(SLIPWAY_GIT_CA_CERT) is used
        instead.
    type: path
  author_name:
    description:
      - Name of author and committer.
      - If the value is not specified in the task, the value of environment variable E(SLIPWAY_GIT_AUTHOR_NAME) is
        used instead.
    type: str
    default: slipway.gitops
  author_email:
    description:
      - Mail address of author and committer.
      - If the value is not specified in the task, the value of environment variable E(SLIPWAY_GIT_AUTHOR_EMAIL) is
        used instead.
    type: str
    default: slipway-gitops@localhost
  allow_file_urls:
    description: Accept C(file://) addresses and absolute paths in O(repo) too, for tests and mirrors on this machine.
    type: bool
    default: false
  timeout:
    description: Seconds after which the task gives up, all attempts together.
    type: float
    default: 60.0
"""
