# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module's use case inside Ansible's worker process (private to the collection).

An ordinary module costs a fresh Python, an archive to unpack and some fifty files to
compile, about 200 ms per task. The strategy imports this file in the parent before it
forks, so that here a task costs little more than ``debug``. Whenever the task is not a
plain run on the controller, the ordinary module does the work: stock behaviour.
"""

from __future__ import annotations

# Codecs are loaded once in the parent, else again in every worker.
import encodings.ascii  # pylint: disable=unused-import
import encodings.idna  # noqa: F401  # pylint: disable=unused-import
import importlib.util
import json
import os
import re
import ssl
import sys
import tempfile
import traceback
from contextlib import contextmanager
from typing import Any, Iterator, Mapping, Optional

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action.normal import ActionModule as NormalActionModule
from ansible.utils.display import Display

from ..module_utils._context import Context, Entry, Redactor
from ..module_utils._run import execute, user_agent

_yaml_loader: Any = None
try:
    from yaml import CSafeLoader

    _yaml_loader = CSafeLoader
except ImportError:
    pass  # a missing library sends the task to the module, which names it

try:  # ansible-core 2.19 and newer
    from ansible.module_utils.common.json import Direction, get_module_encoder

    _ENCODER: dict[str, Any] = {"cls": get_module_encoder("legacy", Direction.CONTROLLER_TO_MODULE)}
except ImportError:
    from ansible.module_utils.common.json import AnsibleJSONEncoder

    _ENCODER = {"cls": AnsibleJSONEncoder, "vault_to_text": True}

_DISPLAY = Display()
_PLAYBOOK_PYTHON = re.compile(r"\{\{\s*ansible_playbook_python\s*\}\}")


def _prewarm() -> None:
    """Pay for first uses once in the parent; workers inherit them. No socket, no thread."""
    try:
        tempfile.gettempdir()  # finds a writable folder by writing a file, 0.5 ms in every worker
    except OSError:
        pass  # a task that needs one says so
    if _yaml_loader is not None:
        _yaml_loader("{}").get_single_data()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    hello = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
    try:
        hello.do_handshake()
    except ssl.SSLWantReadError:
        pass


_prewarm()


@contextmanager
def _surroundings(env: Mapping[str, str], folder: str) -> Iterator[None]:
    """Give the task the environment and the working folder that a module would have.

    Loop items share this process, so the change must not outlive the call, also on a task
    timeout.
    """
    before, at, temporary = dict(os.environ), os.getcwd(), tempfile.tempdir
    try:
        os.environ.update(env)
        if any(name in env for name in ("TMPDIR", "TEMP", "TMP")):
            tempfile.tempdir = None  # the answer that was found in the parent
        os.chdir(folder)
        yield
    finally:
        tempfile.tempdir = temporary
        os.chdir(at)
        for name in env:
            if name in before:
                os.environ[name] = before[name]
            else:
                os.environ.pop(name, None)


def _shows_invocation(task_vars: Mapping[str, Any]) -> bool:
    """Whether results carry their arguments: always before ansible-core 2.21, since then by a setting."""
    if not hasattr(constants, "INJECT_INVOCATION"):
        return True
    return bool(constants.config.get_config_value("INJECT_INVOCATION", variables=task_vars))


class InProcessAction(NormalActionModule):  # type: ignore[misc]
    """Front of one module: in this process when the task allows it, else as a module."""

    ENTRY: Entry

    def run(self, tmp: Any = None, task_vars: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        reason = self._needs_module(task_vars)
        if reason:
            _DISPLAY.vvv("%s: as a module, because %s" % (self._task.action, reason))
            module_result: dict[str, Any] = super().run(tmp, task_vars)
            return module_result
        _DISPLAY.vvv("%s: in-process in worker %d" % (self._task.action, os.getpid()))
        raw_env: dict[str, Any] = {}
        self._compute_environment_string(raw_env)
        env = {str(name): str(value) for name, value in raw_env.items()}
        with _surroundings(env, self._loader.get_basedir() or os.curdir):
            result = self._run_entry()
        if not _shows_invocation(task_vars):
            result.pop("invocation", None)
        return result

    def _needs_module(self, task_vars: Mapping[str, Any]) -> str:
        """Return why this task must run as an ordinary module, or nothing."""
        variables = task_vars
        if self._task.delegate_to:
            delegated = task_vars.get("ansible_delegated_vars") or {}
            variables = delegated.get(self._task.delegate_to) or {}
        if self._wish(task_vars) == "never":
            return "slipway_in_process is never"
        if self._connection.transport != "local":
            return "the connection is %s" % self._connection.transport
        if self._play_context.become:
            return "the task uses become"
        if self._task.async_val:
            return "the task is asynchronous"
        interpreter = self._interpreter(variables)
        if interpreter not in ("", "auto", "auto_legacy", "auto_silent", "auto_legacy_silent", sys.executable):
            return "ansible_python_interpreter is %s" % interpreter
        missing = [name for name, _package in self.ENTRY.libraries if importlib.util.find_spec(name) is None]
        return "the controller's Python lacks %s" % ", ".join(missing) if missing else ""

    def _interpreter(self, variables: Mapping[str, Any]) -> str:
        """Return the interpreter the task asks for; compared as text, because venvs are links to one base."""
        value = variables.get("ansible_python_interpreter") or constants.config.get_config_value("INTERPRETER_PYTHON")
        if _PLAYBOOK_PYTHON.fullmatch(str(value or "")):  # the usual setting; a template costs 5 ms in a fresh worker
            return str(variables.get("ansible_playbook_python") or sys.executable)
        return self._templated(value)

    def _wish(self, task_vars: Mapping[str, Any]) -> str:
        """Return "auto" or "never", as variable or environment say. Raises AnsibleActionFail for anything else."""
        value = task_vars.get("slipway_in_process")
        wish = self._templated(os.environ.get("SLIPWAY_IN_PROCESS") or "auto" if value is None else value)
        if wish not in ("auto", "never"):
            raise AnsibleActionFail("slipway_in_process is '%s': it must be 'auto' or 'never'" % wish)
        return wish

    def _templated(self, value: Any) -> str:
        """Return a variable as text. It is templated as it came: as plain text it would not be trusted."""
        if value is None:
            return ""
        return str(self._templar.template(value) if "{{" in str(value) else value)

    def _run_entry(self) -> dict[str, Any]:
        """Validate the arguments as a module would, run the use case, mask the result."""
        no_log: set[str] = set()
        params: Any = {}
        try:
            # Exactly what a module would receive: plain data, vaulted values decrypted.
            arguments = json.loads(json.dumps(dict(self._task.args), **_ENCODER))
            checked = ArgumentSpecValidator(self.ENTRY.argument_spec, **self.ENTRY.constraints).validate(arguments)
            no_log = set(checked._no_log_values)
            params = checked.validated_parameters
            warnings = ["Both option %(option)s and its alias %(alias)s are set." % item for item in checked._warnings]
            if checked.error_messages:
                message = self._argument_error(checked)
                result = {"failed": True, "changed": False, "msg": remove_values(message, no_log)}
            else:
                ctx = self._context(warnings, no_log)
                result = execute(self.ENTRY, params, ctx)
                no_log |= ctx.secrets.values
            if warnings:
                result["warnings"] = remove_values(warnings, no_log)
        except Exception as error:  # ours or Ansible's defect; its text may hold an argument
            result = {"failed": True, "changed": False, "msg": str(error), "exception": traceback.format_exc()}
            result = remove_values(result, no_log)
        result["invocation"] = {"module_args": remove_values(params, no_log)}
        return result

    def _argument_error(self, checked: Any) -> str:
        message = str(checked.errors.msg)
        if isinstance(checked.errors[0], UnsupportedError):
            return "Unsupported parameters for (%s) module: %s" % (self._task.action, message)
        return message

    def _context(self, warnings: list[str], no_log: set[str]) -> Context:
        prefix, secrets = self.ENTRY.name, Redactor()
        secrets.values.update(no_log)

        def show(message: str) -> None:
            if self.ENTRY.has_plain_progress or not self._task.no_log:
                _DISPLAY.display("    %s: %s" % (prefix, secrets.mask(message)))

        return Context(
            check_mode=bool(self._task.check_mode),
            diff=bool(self._task.diff),
            env=dict(os.environ),
            warn=warnings.append,
            progress=show,
            secrets=secrets,
            agent=user_agent(prefix, "in-process", os.getpid()),
        )
