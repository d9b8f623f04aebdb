# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds variables that look like options of a role of this collection and are none."""

from __future__ import annotations

DOCUMENTATION = r"""
name: unknown_variables
short_description: Find variables with the prefix of a role that are no option of it
version_added: 1.0.0
author: slipway.gitops contributors (@slipway-gitops)
description:
  - A misspelt variable is silently ignored by Ansible, so that a role would run with a default nobody wanted.
  - Looks at every variable of the present host that begins with the name of the role and an underscore. Known are the
    options of the role, its result (C(<role>_result)) and the hosts of its playbook (C(<role>_hosts)).
  - What begins with the longer name of another role, as C(registry_credentials_) does beside C(registry_), is of that
    role.
options:
  _terms:
    description: Names of roles of this collection.
    type: list
    elements: str
    required: true
  also:
    description: Further names that have a meaning, such as those of a playbook.
    type: list
    elements: str
    default: []
seealso:
  - plugin: slipway.gitops.unknown_variables
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Refuse misspelt variables
  ansible.builtin.assert:
    that: unknown | length == 0
    fail_msg: "{{ unknown | join(' ') }}"
  vars:
    unknown: "{{ query('slipway.gitops.unknown_variables', 'registry', 'argocd') }}"
"""

RETURN = r"""
_raw:
  description: One sentence for each unknown name, with the nearest option of its role.
  type: list
  elements: str
  sample: ["'argocd_namespce' is not a variable of this role; did you mean 'argocd_namespace'?"]
"""

from functools import cache
from pathlib import Path
from typing import Any, Iterable, Mapping, Optional

import yaml
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.slipway.gitops.plugins.filter.unknown_variables import unknown_variables

ROLES = Path(__file__).resolve().parents[2] / "roles"
#: Ansible's own loader notes where each value stands, which takes ten times as long.
_SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def options_of(role: str) -> tuple[str, ...]:
    """Return the options of a role, as its argument specification has them."""
    text = (ROLES / role / "meta/argument_specs.yml").read_text(encoding="utf-8")
    return tuple(yaml.load(text, Loader=_SafeLoader)["argument_specs"]["main"]["options"])  # noqa: S506


def names_of_role(names: Iterable[str], role: str, roles: Iterable[str]) -> list[str]:
    """Return those of ``names`` that begin as the options of ``role`` do and of no other of ``roles``."""
    longer = tuple(other + "_" for other in roles if other.startswith(role + "_"))
    return [name for name in names if name.startswith(role + "_") and not name.startswith(longer)]


class LookupModule(LookupBase):  # type: ignore[misc]
    """The lookup as Ansible calls it."""

    def run(
        self, terms: Iterable[str], variables: Optional[Mapping[str, Any]] = None, also: Iterable[str] = ()
    ) -> list[str]:
        """Return one sentence for each unknown name, role by role."""
        roles = [folder.name for folder in ROLES.iterdir()]
        sentences = []
        for role in terms:
            if role not in roles:
                raise AnsibleLookupError("slipway.gitops has no role '%s'" % role)
            known = [*options_of(role), role + "_result", role + "_hosts", *also]
            sentences += unknown_variables(names_of_role(variables or {}, role, roles), known)
        return sentences
