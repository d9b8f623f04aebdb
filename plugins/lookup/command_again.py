# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells how to run the present playbook once more, or another one next, with other variables."""

from __future__ import annotations

DOCUMENTATION = r"""
name: command_again
short_description: Tell how to run this playbook once more, or another one next, with other variables
version_added: 1.0.0
author: slipway.gitops contributors (@slipway-gitops)
description:
  - Returns the command line of this run of C(ansible-playbook), with the variables that are given added to it, or put
    in the place of what they were. A variable that is V(null) is left out.
  - What looks like a secret in the variables of the command line is replaced by C(...), and variables in files are
    named by their file.
options:
  _terms:
    description:
      - Another playbook, which is to be run next with the inventory and the variables of this run. Hosts and tags that
        this run was limited to are not for it.
"""

EXAMPLES = r"""
- name: Tell how the plan is confirmed
  ansible.builtin.debug:
    msg: "{{ lookup('slipway.gitops.command_again', deploy_confirm='9f86d081884c7d65') }}"

- name: Tell how deliveries are resumed
  ansible.builtin.debug:
    msg: "{{ lookup('slipway.gitops.command_again', 'slipway.gitops.resume', deploy_release=none, deploy_hosts='a') }}"
"""

RETURN = r"""
_raw:
  description: One command line.
  type: list
  elements: str
  sample:
    - ansible-playbook slipway.gitops.deploy_production -i inventories/production -e deploy_confirm=9f86d0
"""

import json
import re
import shlex
from typing import Any, Iterable, Mapping, Optional

from ansible import context
from ansible.plugins.lookup import LookupBase

_SECRET = re.compile(r"(password|passphrase|token|secret|private_key|api_key)$", re.IGNORECASE)
_MASKED = "..."


def command_again(arguments: Mapping[str, Any], changes: Mapping[str, Any], playbook: str = "") -> str:
    """Return the command for ``arguments``, the parsed command line, with the variables ``changes``.

    With ``playbook`` it is for that one, without the limits of this run. A variable that is None is left out.
    """
    words = ["ansible-playbook", *([playbook] if playbook else arguments.get("args") or [])]
    for source in arguments.get("inventory") or []:
        words += ["-i", str(source)]
    if not playbook:
        words += _limits(arguments)
    for given in arguments.get("extra_vars") or []:
        kept = _kept(str(given), changes)
        words += ["-e", kept] if kept else []
    for name, value in changes.items():
        words += [] if value is None else ["-e", "%s=%s" % (name, value)]
    return " ".join(shlex.quote(word) for word in words)


def _limits(arguments: Mapping[str, Any]) -> list[str]:
    """Return the options that narrow a run to hosts and tags."""
    tags = [tag for tag in arguments.get("tags") or [] if tag != "all"]
    words = ["-l", str(arguments["subset"])] if arguments.get("subset") else []
    return words + (["--tags", ",".join(tags)] if tags else [])


def _kept(given: str, changes: Mapping[str, Any]) -> str:
    """Return one ``-e`` without the variables that change and without secrets; nothing if it is empty then."""
    if given.startswith("@"):
        return given
    if given.lstrip().startswith(("{", "[")):
        try:
            values = json.loads(given)
        except ValueError:
            return _MASKED  # YAML that we cannot take apart may hold anything
        kept = {name: _open(name, value) for name, value in values.items() if name not in changes}
        return json.dumps(kept) if kept else ""
    try:
        pairs = [word.partition("=") for word in shlex.split(given)]
    except ValueError:
        return _MASKED
    return " ".join(
        "%s=%s" % (name, shlex.quote(_open(name, value))) for name, _is, value in pairs if name not in changes
    )


def _open(name: str, value: Any) -> Any:
    return _MASKED if _SECRET.search(name) else value


class LookupModule(LookupBase):  # type: ignore[misc]
    """The lookup as Ansible calls it."""

    def run(self, terms: Iterable[str], variables: Optional[Mapping[str, Any]] = None, **changes: Any) -> list[str]:
        """Return the one command."""
        del variables
        return [command_again(dict(context.CLIARGS), changes, next(iter(terms), ""))]
