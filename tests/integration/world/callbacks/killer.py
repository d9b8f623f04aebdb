# SPDX-License-Identifier: GPL-3.0-or-later
"""Test helper: ends the whole run with SIGKILL inside one chosen call, as a crash would."""

from __future__ import annotations

import functools
import importlib
import json
import os
import signal
from typing import Any, Callable

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: killer
type: notification
short_description: Kill the run inside one call
description:
  - Reads from SLIPWAY_TEST_KILL, as JSON, the C(module), the C(name) of a function in it, C(when) (before or after
    the call), C(nth), and C(match), text that the arguments of the call must show.
  - It replaces that function before workers are forked.
"""

_PACKAGE = "ansible_collections.slipway.gitops.plugins.module_utils."


class CallbackModule(CallbackBase):
    """Arms the one point when it is loaded, in the process that all workers come from."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "killer"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        point = json.loads(os.environ["SLIPWAY_TEST_KILL"])
        owner = importlib.import_module(_PACKAGE + point["module"])
        *path, name = point["name"].split(".")
        for part in path:
            owner = getattr(owner, part)
        setattr(owner, name, _armed(getattr(owner, name), point, os.getpgrp()))


def _armed(real: Callable[..., Any], point: dict[str, Any], group: int) -> Callable[..., Any]:
    @functools.wraps(real)
    def armed(*args: Any, **kwargs: Any) -> Any:
        due = point["match"] in repr((args, kwargs)) and _count(point["counter"]) == point["nth"]
        if due and point["when"] == "before":
            _end(group)
        result = real(*args, **kwargs)
        if due:
            _end(group)
        return result

    return armed


def _count(path: str) -> int:
    """Count a call; each task has a process of its own, so the count is kept in a file."""
    with open(path, "ab") as stream:
        stream.write(b".")
        return stream.tell()


def _end(group: int) -> None:
    """Kill Ansible first, which has no chance to react, then the worker that we are."""
    os.killpg(group, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
