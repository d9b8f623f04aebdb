# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the person at the terminal from inside a worker (private to the collection).

The terminal belongs to Ansible's main process, which shows the question and reads the
answer for us, one question of one host at a time.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any, Mapping, Optional

from ansible.errors import AnsibleError, AnsiblePromptInterrupt, AnsiblePromptNoninteractive
from ansible.utils.display import Display

from ..module_utils._context import Answer, Context
from ._in_process import InProcessAction

#: AWX gives a job a terminal of which nobody is at the other end; these variables tell its jobs.
_JOB_VARIABLES = ("awx_job_id", "tower_job_id")
#: Ctrl-C and Ctrl-D: the terminal is in raw mode, so they come as characters.
_INTERRUPTS = (b"\x03", b"\x04")
_ENTER = (b"\r", b"\n")


def ask(prompt: str, timeout_s: int, variables: Mapping[str, Any]) -> Answer:
    """Show ``prompt`` and wait for one line. Whoever interrupts, or is too slow, has given no answer."""
    for name in _JOB_VARIABLES:
        if variables.get(name):
            return Answer(None, "the variable %s says that this is a job of AWX" % name)
    started = time.monotonic()
    try:
        typed = Display().prompt_until(
            prompt, seconds=timeout_s, interrupt_input=_INTERRUPTS, complete_input=_ENTER
        )  # fmt: skip
    except AnsiblePromptNoninteractive:
        return Answer(None, "standard input is no terminal in the foreground")
    except AnsiblePromptInterrupt:
        return Answer(None)
    except AnsibleError as error:  # such as a terminal that was closed meanwhile
        return Answer(None, "the terminal cannot be used (%s)" % error)
    # When time runs out, what was typed so far is returned as if Enter had followed.
    if time.monotonic() - started >= timeout_s:
        return Answer(None)
    return Answer(typed.decode("utf-8", "replace"))


class AskingAction(InProcessAction):
    """Front of a module that asks: always in this process, for a module has no terminal."""

    def run(self, tmp: Any = None, task_vars: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
        self._variables = task_vars or {}
        return super().run(tmp, task_vars)

    def _needs_module(self, task_vars: Mapping[str, Any]) -> str:  # noqa: ARG002  (the signature is the base's)
        """Stay: the person sits where Ansible runs, whatever connection and user the task has."""
        return ""

    def _context(self, warnings: list[str], no_log: set[str]) -> Context:
        return replace(super()._context(warnings, no_log), ask=partial(ask, variables=self._variables))
