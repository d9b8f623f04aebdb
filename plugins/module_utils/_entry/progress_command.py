# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module progress_command: one long command with live progress (private to the collection)."""

from __future__ import annotations

import glob
import os
from typing import Any, Mapping, Optional, TextIO

from .._clock import SystemClock
from .._context import Context, Entry
from .._errors import InvalidInput, PermanentError
from .._process import Command, Completed, ProcessTimeout, run
from .._progress import Voice, last_lines

Params = Mapping[str, Any]

_KEPT_BYTES = 1024 * 1024
_LINE = 100

ARGUMENT_SPEC = {
    "argv": {"type": "list", "elements": "str", "required": True},
    "title": {"type": "str"},
    "chdir": {"type": "path"},
    "creates": {"type": "path"},
    "removes": {"type": "path"},
    "timeout": {"type": "int", "default": 3600},
    "log_path": {"type": "path"},
    "success_codes": {"type": "list", "elements": "int", "default": [0]},
}


def execute(params: Params, ctx: Context) -> dict[str, Any]:
    """Run the command, unless the files say that it need not run.

    Raises PermanentError (``command_failed``, ``command_timeout``) with return code and
    output as return values; InvalidInput; what the process port raises.
    """
    argv = params["argv"]
    if not argv or not argv[0]:
        raise InvalidInput("argv", "it names no program")
    if params["timeout"] <= 0:
        raise InvalidInput("timeout", "it must be greater than 0 seconds")
    reason = _needless(params)
    if reason or ctx.check_mode:
        said = "" if reason else "not run in check mode"
        return {"changed": not reason, "skipped": not reason, "cmd": argv, "rc": 0, "msg": reason or said}
    clock = SystemClock()
    voice = Voice(params["title"] or os.path.basename(argv[0]), ctx.progress, clock.monotonic)
    voice.say("started")
    done = _run_logged(params, ctx, voice)
    result = _result(argv, done, voice.elapsed_s)
    if done.returncode not in params["success_codes"]:
        raise PermanentError(
            "run",
            voice.title,
            "%s ended with %d" % (argv[0], done.returncode),
            _hint(params, done),
            code="command_failed",
            result=result,
        )
    voice.say("done in %.1f s" % voice.elapsed_s)
    return dict(result, changed=True)


def _needless(params: Params) -> str:
    """Return why the command need not run; paths are relative to chdir and may be patterns."""
    base = params["chdir"] or os.getcwd()
    creates, removes = (os.path.join(base, params[name] or "") for name in ("creates", "removes"))
    if params["creates"] and glob.glob(creates):
        return "Did not run command since '%s' exists" % params["creates"]
    if params["removes"] and not glob.glob(removes):
        return "Did not run command since '%s' does not exist" % params["removes"]
    return ""


def _run_logged(params: Params, ctx: Context, voice: Voice) -> Completed:
    command = Command(params["argv"], ctx.env, float(params["timeout"]), cwd=params["chdir"], max_bytes=_KEPT_BYTES)
    if not params["log_path"]:
        return _run(command, ctx, voice, None)
    try:
        # The output may hold secrets that only its reader should see.
        fd = os.open(params["log_path"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise InvalidInput("log_path", "%s cannot be written (%s)" % (params["log_path"], error.strerror)) from error
    with os.fdopen(fd, "w", encoding="utf-8", buffering=1) as log:
        return _run(command, ctx, voice, log)


def _run(command: Command, ctx: Context, voice: Voice, log: Optional[TextIO]) -> Completed:
    last = ""

    def on_line(line: str) -> None:
        nonlocal last
        last = line
        if log is not None:
            log.write(line + "\n")

    def on_tick(_elapsed_s: float) -> None:
        voice.beat(lambda: ctx.secrets.mask(last)[:_LINE] or "no output yet")

    try:
        return run(command, on_line, on_tick)
    except ProcessTimeout as error:
        cause = "it was stopped after %g s" % command.timeout_s
        hint = " ".join(("Raise option 'timeout' if it needs longer.", _said(error.completed)))
        result = _result(command.argv, error.completed, voice.elapsed_s)
        raise PermanentError("run", voice.title, cause, hint, "command_timeout", result) from error


def _hint(params: Params, done: Completed) -> str:
    where = "The whole output is in %s. " % params["log_path"] if params["log_path"] else ""
    return where + _said(done)


def _said(done: Completed) -> str:
    return last_lines(done.err.splitlines() or done.out.splitlines())


def _result(argv: Any, done: Completed, seconds: float) -> dict[str, Any]:
    out, err = done.out.rstrip("\r\n"), done.err.rstrip("\r\n")
    return {
        "failed": False,  # said aloud, because Ansible takes a return code without it for a failure
        "cmd": list(argv),
        "rc": done.returncode,
        "stdout": out,
        "stdout_lines": out.splitlines(),
        "stderr": err,
        "stderr_lines": err.splitlines(),
        "seconds": round(seconds, 3),
    }


ENTRY = Entry(name="progress_command", argument_spec=ARGUMENT_SPEC, run=execute)
