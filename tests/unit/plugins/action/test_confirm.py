# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking at a real pseudo terminal, and never without one.

One run holds several questions, because the start of Ansible costs more than all of them.
"""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._context import Answer, Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry import confirm
from ansible_collections.slipway.gitops.plugins.module_utils._errors import InvalidInput

Task = Mapping[str, Any]
#: What is typed at a question. None: nothing more, the question has to end by itself.
TYPED: dict[str, tuple[bytes, int, dict[str, Any]]] = {
    "word": (b"yes\r", 60, {"confirmed": True, "answer_given": True}),
    "corrected": (b"yex\x7fs\r", 60, {"confirmed": True, "answer_given": True}),
    "no": (b"no\r", 60, {"confirmed": False, "answer_given": True}),
    "upper case": (b"YES\r", 60, {"confirmed": False, "answer_given": True}),
    "longer": (b"yes please\r", 60, {"confirmed": False, "answer_given": True}),
    "empty": (b"\r", 60, {"confirmed": False, "answer_given": True}),
    "end of input": (b"yes\x04", 60, {"confirmed": False, "answer_given": False}),
    "interrupt": (b"yes\x03", 60, {"confirmed": False, "answer_given": False}),
    "not entered in time": (b"yes", 1, {"confirmed": False, "answer_given": False}),
}


def question(name: str, timeout: int = 60, **more: Any) -> Task:
    """Return a task that asks."""
    arguments = {"prompt": "QUESTION %s" % name, "timeout": timeout}
    return {"name": name, "slipway.gitops.confirm": arguments, "register": "answer", **more}


def tell(name: str, folder: Path) -> Task:
    """Return a task that writes the last answer to a file."""
    content = "{{ answer | to_json }}"
    copy = {"dest": str(folder / (name + ".json")), "content": content, "mode": "0600"}
    return {"name": "Tell " + name, "ansible.builtin.copy": copy, "check_mode": False}


def book(folder: Path, tasks: Sequence[Task], **play: Any) -> Sequence[str]:
    """Write a playbook and return the command that runs it."""
    whole = [
        {"name": "Ask", "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks, **play}
    ]
    (folder / "book.yml").write_text(json.dumps(whole))
    program = Path(sys.executable).with_name("ansible-playbook")
    return [str(program), "-i", "localhost,", str(folder / "book.yml")]


def environment(**more: str) -> dict[str, str]:
    """Return an environment without a build server's marks."""
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "JOB_ID")}
    collections = Path(confirm.__file__).parents[6]
    interpreter = {"ANSIBLE_PYTHON_INTERPRETER": sys.executable, "TERM": "dumb"}
    return {**kept, "ANSIBLE_COLLECTIONS_PATH": str(collections), **interpreter, **more}


class Terminal:
    """A process at a pseudo terminal of its own, whose foreground it is."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self.seen = b""
        self._position = 0
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.execve(command[0], list(command), dict(env))  # noqa: S606  (no shell is wanted)

    def wait_for(self, text: bytes) -> None:
        """Read until ``text`` has come, after what was waited for before."""
        while text not in self.seen[self._position :]:
            assert self._read(), "it ended before %r: %s" % (text, self.seen.decode("utf-8", "replace"))
        self._position = self.seen.index(text, self._position) + len(text)

    def type(self, keys: bytes) -> None:
        """Press keys once the question reads them: raw mode, then what was typed before is thrown away."""
        while termios.tcgetattr(self._terminal)[3] & termios.ICANON:
            time.sleep(0.01)
        time.sleep(0.1)  # nothing shows that it was thrown away
        os.write(self._terminal, keys)

    def end(self) -> int:
        """Read to the end and return the exit status."""
        while self._read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _read(self) -> bool:
        ready, _write, _except = select.select([self._terminal], [], [], 20)
        assert ready, "it hangs: %s" % self.seen.decode("utf-8", "replace")
        try:
            chunk = os.read(self._terminal, 65536)
        except OSError:  # the other side is closed
            return False
        self.seen += chunk
        return bool(chunk)


def answers(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / (name + ".json")).read_text())
    return {key: found[key] for key in ("confirmed", "interactive", "answer_given")}


def test_only_the_word_at_the_terminal_confirms(tmp_path: Path) -> None:
    tasks = [
        task for name, (_keys, limit, _end) in TYPED.items() for task in (question(name, limit), tell(name, tmp_path))
    ]
    terminal = Terminal(book(tmp_path, tasks), environment())
    for name, (keys, _limit, _end) in TYPED.items():
        terminal.wait_for(b"QUESTION %s" % name.encode())
        terminal.wait_for(b"declines.")
        terminal.type(keys)
    assert terminal.end() == 0, terminal.seen.decode("utf-8", "replace")
    expected = {name: dict(end, interactive=True) for name, (_keys, _limit, end) in TYPED.items()}
    assert {name: answers(tmp_path, name) for name in TYPED} == expected


def test_job_with_a_terminal_that_nobody_looks_at(tmp_path: Path) -> None:
    jobs: dict[str, dict[str, Any]] = {
        "awx_job_id": {"vars": {"awx_job_id": 7}},
        "tower_job_id": {"vars": {"tower_job_id": "7"}},
        "CI": {"environment": {"CI": "true"}},
        "JOB_ID": {"environment": {"JOB_ID": "7"}},
    }
    tasks = [task for name, mark in jobs.items() for task in (question(name, 900, **mark), tell(name, tmp_path))]
    terminal = Terminal(book(tmp_path, tasks), environment())
    assert terminal.end() == 0, terminal.seen.decode("utf-8", "replace")
    for name in jobs:
        assert answers(tmp_path, name) == {"confirmed": False, "interactive": False, "answer_given": False}
        assert name in json.loads((tmp_path / (name + ".json")).read_text())["reason"]
    assert b"declines." not in terminal.seen


def test_without_a_terminal_nobody_is_waited_for(tmp_path: Path) -> None:
    settings: dict[str, dict[str, Any]] = {"plain": {}, "check": {"check_mode": True}, "other user": {"become": True}}
    tasks = [t for name, more in settings.items() for t in (question(name, 900, **more), tell(name, tmp_path))]
    done = subprocess.run(
        book(tmp_path, tasks), env=environment(), input="yes\n" * 3,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for name in settings:
        assert answers(tmp_path, name) == {"confirmed": False, "interactive": False, "answer_given": False}


def asked(check_mode: bool = False, env: Optional[Mapping[str, str]] = None, **params: Any) -> dict[str, Any]:
    """Run the entry with somebody who always enters the word."""
    ctx = Context(check_mode=check_mode, env=env or {}, ask=lambda prompt, timeout_s: Answer("yes"))
    return confirm.run({"prompt": "Go?", "word": "yes", "timeout": 900, **params}, ctx)


@pytest.mark.parametrize(
    "check_mode, env, confirmed",
    [(False, {}, True), (False, {"CI": "false"}, True), (True, {}, False), (False, {"CI": "1"}, False)],
)
def test_when_somebody_is_asked(check_mode: bool, env: dict[str, str], confirmed: bool) -> None:
    result = asked(check_mode, env)
    assert (result["confirmed"], result["interactive"], result["changed"]) == (confirmed, confirmed, False)


@pytest.mark.parametrize(
    "params", [{"word": ""}, {"word": " yes"}, {"word": "y\n"}, {"timeout": 0}, {"timeout": 86401}]
)
def test_impossible_question_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        asked(**params)


def test_plain_module_asks_nobody() -> None:
    assert confirm.run({"prompt": "Go?", "word": "yes", "timeout": 900}, Context())["interactive"] is False
