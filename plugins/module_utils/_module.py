# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ordinary module front (private to the collection)."""

from __future__ import annotations

import importlib.util
import os
from copy import deepcopy
from typing import NoReturn

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ._context import Context, Entry
from ._run import execute, user_agent


def run_module(entry: Entry) -> NoReturn:
    """Run ``entry`` as an Ansible module: arguments from Ansible, result to standard output."""
    module = AnsibleModule(
        argument_spec=deepcopy(dict(entry.argument_spec)), supports_check_mode=True, **entry.constraints
    )
    for import_name, package in entry.libraries:
        if importlib.util.find_spec(import_name) is None:
            module.fail_json(
                msg=missing_required_lib(package), error_class="permanent", error={"code": "missing_library"}
            )
    ctx = Context(
        check_mode=module.check_mode,
        diff=module._diff,
        env=dict(os.environ),
        warn=module.warn,
        agent=user_agent(entry.name, "module", os.getpid()),
    )
    result = execute(entry, module.params, ctx)
    module.no_log_values.update(ctx.secrets.values)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)
    raise AssertionError("exit_json ends the process")
