# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds variables that look like ours and mean nothing."""

from __future__ import annotations

import difflib
from typing import Any, Callable, Iterable

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: unknown_variables
short_description: Find variables with a prefix of ours that no option has
version_added: 1.0.0
author: slipway.gitops contributors (@slipway-gitops)
description:
  - A misspelt variable is silently ignored by Ansible, so that a delivery would run with a default nobody wanted.
  - Returns one sentence for each name that is not known, with the nearest known name.
positional: known
options:
  _input:
    description: Names to check, for example from the lookup P(ansible.builtin.varnames#lookup).
    type: list
    elements: str
    required: true
  known:
    description: Names that have a meaning.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse a misspelt variable
  ansible.builtin.assert:
    that: unknown | length == 0
    fail_msg: "{{ unknown | join(' ') }}"
  vars:
    unknown: "{{ ['deploy_relese'] | slipway.gitops.unknown_variables(['deploy_release']) }}"
"""

RETURN = r"""
_value:
  description: One sentence for each unknown name, in the order of the names.
  type: list
  elements: str
  sample: ["'deploy_relese' is not a variable of this role; did you mean 'deploy_release'?"]
"""


def unknown_variables(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return one sentence for each of ``names`` that is not in ``known``."""
    if isinstance(names, str) or isinstance(known, str):
        raise AnsibleFilterError("unknown_variables takes two lists of names")
    choices = sorted(known)
    sentences = []
    for name in sorted(set(names) - set(choices)):
        near = difflib.get_close_matches(name, choices, 1, 0.6)
        hint = "; did you mean '%s'?" % near[0] if near else "."
        sentences.append("'%s' is not a variable of this role%s" % (name, hint))
    return sentences


class FilterModule:
    """Registers the filter with Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file by name."""
        return {"unknown_variables": unknown_variables}
