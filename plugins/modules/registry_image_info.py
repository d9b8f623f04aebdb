#!/usr/bin/python
# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_image_info
short_description: Ask container registries whether images exist, and for their digests
version_added: "1.0.0"
description:
  - Asks for the head of each image's manifest, which costs little and which registries do not count as a pull, and
    returns its digest. Nothing is downloaded, no container runtime is needed.
  - A digest that the registry does not tell is computed from the manifest. A manifest that is not the one asked for, or
    not the one that the registry claims, is refused.
  - Busy registries and broken connections are tried again within O(timeout).
  - An image that must exist and does not ends the task with C(error.code=not_found). A registry that asks who
    we are and does not like the answer gives V(auth), one that knows us and refuses V(forbidden).
author:
  - slipway.gitops contributors (@slipway-gitops)
extends_documentation_fragment:
  - slipway.gitops._attributes
  - slipway.gitops._attributes.actiongroup
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
  images:
    description:
      - References of images, as C([host[:port]/]path[:tag][@digest]). Short names are completed as a container runtime
        does it, V(nginx) is C(docker.io/library/nginx:latest). Where a digest is given it decides, not the tag.
    type: list
    elements: str
    required: true
  mirrors:
    description:
      - URLs that are asked instead of registries, by the host of the registry in the reference. V(docker.io) is the host
        of short names.
      - C(http://) is accepted for this machine only. A registry of this machine itself, such as V(localhost:5000), is
        asked by HTTP too, unless its mirror is given with C(https://).
    type: dict
  registry:
    description:
      - Host of the registry that O(username) and O(password) are for. The others are asked without.
      - Required with O(username) when the images are from more than one.
    type: str
  username:
    description:
      - User name, shown to the registry, or the mirror in its place, and to the token service that it names over HTTPS.
        It never follows a redirection to another host.
      - If the value is not specified in the task, the value of environment variable E(SLIPWAY_REGISTRY_USERNAME) is
        used instead.
    type: str
  password:
    description:
      - Password or access token of O(username).
      - If the value is not specified in the task, the value of environment variable E(SLIPWAY_REGISTRY_PASSWORD) is
        used instead.
    type: str
  ca_cert:
    description:
      - File with certificates of authorities that are trusted too, for a private authority.
      - If the value is not specified in the task, the value of environment variable E(SLIPWAY_REGISTRY_CA_CERT) is
        used instead.
    type: path
  validate_certs:
    description: Whether to verify certificates. For a private authority set O(ca_cert) instead of switching this off.
    type: bool
    default: true
  platforms:
    description: Whether to return the platforms of images for several of them too, by one more request each.
    type: bool
    default: false
  must_exist:
    description: Whether an image that does not exist ends the task. Otherwise RV(images[].exists) is false for it.
    type: bool
    default: true
  timeout:
    description: Seconds after which the task gives up, all images and attempts together.
    type: float
    default: 30.0
notes:
  - Proxies named in the environment are not used.
seealso:
  - module: slipway.gitops.kustomize_image
  - module: slipway.gitops.health_gate
"""

EXAMPLES = r"""
- name: Make sure that the release was built, and learn its digest
  slipway.gitops.registry_image_info:
    images:
      - registry.slipway.test/sample:2
    mirrors:
      registry.slipway.test: http://127.0.0.1:5001
  register: found

- name: Make sure that this very image is still there
  slipway.gitops.registry_image_info:
    images:
      - "registry.slipway.test/sample@{{ found.images[0].digest }}"
    mirrors:
      registry.slipway.test: http://127.0.0.1:5001

- name: See which of several versions exist
  slipway.gitops.registry_image_info:
    images:
      - registry.slipway.test/sample:1
      - registry.slipway.test/sample:not-built
    mirrors:
      registry.slipway.test: http://127.0.0.1:5001
    must_exist: false
  register: versions

- name: Ask a private registry behind a private certificate authority
  slipway.gitops.registry_image_info:
    images:
      - registry.example.com/shop/web:1.4.2
    username: robot
    password: "{{ registry_password }}"
    ca_cert: /etc/ssl/company-ca.pem
    platforms: true
"""

RETURN = r"""
images:
  description: What was found, in the order of O(images). A failure because an image does not exist returns it too.
  returned: success, and when an image does not exist
  type: list
  elements: dict
  contains:
    reference:
      description: The image as it was asked for.
      type: str
      sample: nginx:1.29
    registry:
      description: Host of the registry.
      type: str
      sample: docker.io
    repository:
      description: Path in the registry.
      type: str
      sample: library/nginx
    tag:
      description: Tag that was asked for, empty with only a digest.
      type: str
      sample: "1.29"
    digest:
      description: Digest of the manifest, or of the index of an image for several platforms. Empty when it does not exist.
      type: str
      sample: sha256:0f4eb2d6d8a1b5c1c1d1f6a5f3f0d4a7c9b1e2d3a4b5c6d7e8f9a0b1c2d3e4f5
    media_type:
      description: Type of the manifest. Empty when it does not exist.
      type: str
      sample: application/vnd.oci.image.index.v1+json
    exists:
      description: Whether it exists.
      type: bool
      sample: true
    platforms:
      description: Platforms of an image for several, empty for an image for one.
      returned: with O(platforms=true)
      type: list
      elements: str
      sample: [linux/amd64, linux/arm64/v8]
"""

from ansible_collections.slipway.gitops.plugins.module_utils._entry.registry_image_info import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ENTRY)


if __name__ == "__main__":
    main()
