# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names images as the cluster does."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: image_references
short_description: Turn image entries of a kustomization into image references
version_added: 1.0.0
author: slipway.gitops contributors (@slipway-gitops)
description:
  - Takes entries as M(slipway.gitops.kustomize_image) returns them and gives the references that kustomize renders,
    for example for the option O(slipway.gitops.health_gate#module:images).
  - An entry with neither tag nor digest says nothing about what runs and is left out.
options:
  _input:
    description:
      - Entries with C(name), and optionally C(newName), C(newTag), C(digest); also in the spelling of the module's option,
        C(new_name) and C(new_tag).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Judge what was just delivered
  slipway.gitops.health_gate:
    namespace: sample
    deployments: [sample]
    images: "{{ edit.after | slipway.gitops.image_references }}"
"""

RETURN = r"""
_value:
  description: Image references, in the order of the entries.
  type: list
  elements: str
  sample: ["registry.example.com/team/shop:1.4.2"]
"""


def image_references(images: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return ``name:tag`` or ``name@digest`` for each entry that pins one; the digest counts before the tag."""
    if isinstance(images, (str, Mapping)):
        raise AnsibleFilterError("image_references takes a list of image entries")
    references = []
    for image in images:
        name = image.get("newName") or image.get("new_name") or image["name"]
        tag = image.get("newTag") or image.get("new_tag")
        if image.get("digest"):
            references.append("%s@%s" % (name, image["digest"]))
        elif tag:
            references.append("%s:%s" % (name, tag))
    return references


class FilterModule:
    """Registers the filter with Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file by name."""
        return {"image_references": image_references}
