# SPDX-License-Identifier: GPL-3.0-or-later
"""Test helper: writes every task result that a callback sees, one JSON document a line."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record
type: notification
short_description: Write task results as JSON lines
description: Writes what callbacks get, so what a user may see, to the file SLIPWAY_TEST_RECORD.
"""


class CallbackModule(CallbackBase):
    """Records results in the shape that every output of Ansible is made from."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "record"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, kind: str, result: Any) -> None:
        outcome = getattr(result, "result", None) or result._result
        task = getattr(result, "task", None) or result._task
        line = {"kind": kind, "task": task.get_name(), "result": json.loads(self._dump_results(outcome))}
        with open(os.environ["SLIPWAY_TEST_RECORD"], "a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._write("failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._write("unreachable", result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._write("item ok", result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._write("item failed", result)
