# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module confirm: a question to the person at the terminal (private to the collection)."""

from __future__ import annotations

from typing import Any, Mapping

from .._context import Answer, Context, Entry
from .._errors import InvalidInput

ARGUMENT_SPEC: dict[str, Any] = {
    "prompt": {"type": "str", "required": True},
    "word": {"type": "str", "default": "yes"},
    "timeout": {"type": "int", "default": 900},
}
_LONGEST_S = 86400
#: Set by the usual build servers. Some of them give a job a terminal that nobody looks at.
_MARKERS = ("CI", "JOB_ID")
_UNSET = ("", "0", "false", "no")


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Ask, and return whether exactly the word was entered. Raises InvalidInput only."""
    word, timeout_s = params["word"], params["timeout"]
    if not word or not word.isprintable() or word != word.strip():
        raise InvalidInput("word", "%r cannot be typed as one line" % word[:80], "Use a short printable word.")
    if not 1 <= timeout_s <= _LONGEST_S:
        raise InvalidInput("timeout", "%d is not between 1 and %d seconds" % (timeout_s, _LONGEST_S))
    answer = _answer(params, ctx)
    confirmed = answer.line == word
    return {
        "changed": False,
        "confirmed": confirmed,
        "interactive": not answer.trouble,
        "answer_given": answer.line is not None,
        "reason": _reason(answer, word, confirmed),
    }


def _answer(params: Mapping[str, Any], ctx: Context) -> Answer:
    """Ask where that makes sense, and never where it could only hang."""
    if ctx.check_mode:
        return Answer(None, "nothing is asked in check mode")
    for name in _MARKERS:
        if ctx.env.get(name, "").lower() not in _UNSET:
            return Answer(None, "the environment variable %s says that this is an unattended job" % name)
    return ctx.ask(_question(params), params["timeout"])


def _question(params: Mapping[str, Any]) -> str:
    minutes, seconds = divmod(params["timeout"], 60)
    limit = "%d s" % seconds if not minutes else "%d min" % minutes + (" %d s" % seconds if seconds else "")
    return "%s\nType '%s' and Enter to go on. Anything else, or no answer within %s, declines." % (
        params["prompt"].rstrip(), params["word"], limit,
    )  # fmt: skip


def _reason(answer: Answer, word: str, confirmed: bool) -> str:
    if answer.trouble:
        return "Nobody was asked: %s." % answer.trouble
    if confirmed:
        return "'%s' was entered." % word
    return "Something else than '%s' was entered." % word if answer.line is not None else "No answer was given."


ENTRY = Entry(name="confirm", argument_spec=ARGUMENT_SPEC, run=run)
