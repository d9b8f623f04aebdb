# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs an entry and turns its outcome into module return values (private to the collection).

Both fronts, the module and the action plugin, go through :func:`execute`, so that a
failure looks the same on either path.
"""

from __future__ import annotations

import traceback
from typing import Any, Mapping

from ansible.module_utils.common.parameters import remove_values

from ._context import Context, Entry
from ._errors import SlipwayError

VERSION = "1.0.0"


def user_agent(module: str, path: str, pid: int) -> str:
    """Return the User-Agent that names module, path taken and process in server logs."""
    return "slipway.gitops/%s (%s; %s; pid=%d)" % (VERSION, module, path, pid)


def execute(entry: Entry, params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Run the use case of ``entry``; a failure becomes a result with ``failed: true``.

    Secrets which the run registered in ``ctx.secrets`` are masked in everything returned.
    """
    try:
        result = dict(entry.run(params, ctx))
    except SlipwayError as error:
        result = dict(error.as_result(), failed=True, msg=str(error))
    except Exception as error:  # a defect of ours: the operator gets a masked traceback
        result = {
            "failed": True,
            "msg": "Unexpected %s in %s: %s. Please report it." % (type(error).__name__, entry.name, error),
            "exception": traceback.format_exc(),
            "error_class": "permanent",
            "error": {"code": "defect"},
        }
    result.setdefault("changed", False)
    masked: dict[str, Any] = remove_values(result, ctx.secrets.values)
    return masked
