# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking at a real pseudo terminal, on every ansible-core at hand, and never without one.

One run holds several questions, because the start of Ansible costs more than all of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterable, Mapping, Sequence

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._entry import confirm
from ansible_collections.slipway.gitops.tests.integration.world.both_ways import CORES
from ansible_collections.slipway.gitops.tests.integration.world.terminal import Terminal, unmarked

Task = Mapping[str, Any]
HERE = Path(sys.executable).parent
#: What is typed at a question, its time limit in seconds, and whether that confirms and is an answer.
TYPED: dict[str, tuple[bytes, int, tuple[bool, bool]]] = {
    "word": (b"yes\r", 60, (True, True)),
    "corrected": (b"yex\x7fs\r", 60, (True, True)),
    "no": (b"no\r", 60, (False, True)),
    "upper case": (b"YES\r", 60, (False, True)),
    "longer": (b"yes please\r", 60, (False, True)),
    "empty": (b"\r", 60, (False, True)),
    "end of input": (b"yes\x04", 60, (False, False)),
    "interrupt": (b"yes\x03", 60, (False, False)),
    "not entered in time": (b"yes", 1, (False, False)),
}


def questions(folder: Path, asked: Mapping[str, tuple[int, Mapping[str, Any]]]) -> list[Task]:
    """Return tasks that ask, each with its time limit and keywords of its own, and one that writes all answers."""
    tasks: list[Task] = []
    for number, (name, (timeout, keywords)) in enumerate(asked.items()):
        arguments = {"prompt": "QUESTION %s" % name, "timeout": timeout}
        tasks.append({"name": name, "slipway.gitops.confirm": arguments, "register": "answer_%d" % number, **keywords})
    content = "{{ [%s] | to_json }}" % ", ".join("answer_%d" % number for number in range(len(asked)))
    copy = {"dest": str(folder / "answers.json"), "content": content, "mode": "0600"}
    return [*tasks, {"name": "Tell", "ansible.builtin.copy": copy}]


def book(folder: Path, tasks: Sequence[Task], programs: Path = HERE) -> Sequence[str]:
    """Write a playbook and return the command that runs it."""
    play = {"name": "Ask", "hosts": "localhost", "connection": "local", "gather_facts": False}
    same = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    whole = [{**play, "vars": same, "tasks": tasks}]
    (folder / "book.yml").write_text(json.dumps(whole))
    return [str(programs / "ansible-playbook"), "-i", "localhost,", str(folder / "book.yml")]


def environment() -> dict[str, str]:
    """Return an environment with this collection and without a build server's marks."""
    return {**unmarked(os.environ), "ANSIBLE_COLLECTIONS_PATH": str(Path(confirm.__file__).parents[6]), "TERM": "dumb"}


def answers(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what each question gave."""
    return dict(zip(names, json.loads((folder / "answers.json").read_text())))


def outcome(found: Mapping[str, Any]) -> tuple[bool, bool, bool]:
    return found["confirmed"], found["interactive"], found["answer_given"]


@pytest.mark.parametrize("core", CORES)
def test_only_the_word_at_the_terminal_confirms(core: str, tmp_path: Path) -> None:
    tasks = questions(tmp_path, {name: (limit, {}) for name, (_keys, limit, _end) in TYPED.items()})
    terminal = Terminal(book(tmp_path, tasks, CORES[core]), environment())
    for name, (keys, _limit, _end) in TYPED.items():
        terminal.wait_for(b"QUESTION %s" % name.encode())
        terminal.wait_for(b"declines.")
        terminal.type(keys)
    assert terminal.end() == 0, terminal.text
    expected = {name: (confirmed, True, given) for name, (_keys, _limit, (confirmed, given)) in TYPED.items()}
    assert {name: outcome(found) for name, found in answers(tmp_path, TYPED).items()} == expected


def test_job_with_a_terminal_that_nobody_looks_at(tmp_path: Path) -> None:
    jobs: dict[str, dict[str, Any]] = {
        "awx_job_id": {"vars": {"awx_job_id": 7}},
        "tower_job_id": {"vars": {"tower_job_id": "7"}},
        "CI": {"environment": {"CI": "true"}},
        "JOB_ID": {"environment": {"JOB_ID": "7"}},
    }
    tasks = questions(tmp_path, {name: (900, mark) for name, mark in jobs.items()})
    terminal = Terminal(book(tmp_path, tasks), environment())
    assert terminal.end() == 0, terminal.text
    for name, found in answers(tmp_path, jobs).items():
        assert outcome(found) == (False, False, False)
        assert name in found["reason"]
    assert b"declines." not in terminal.seen


def test_without_a_terminal_nobody_is_waited_for(tmp_path: Path) -> None:
    settings: dict[str, dict[str, Any]] = {"plain": {}, "check": {"check_mode": True}, "other user": {"become": True}}
    tasks = questions(tmp_path, {name: (900, keywords) for name, keywords in settings.items()})
    done = subprocess.run(
        book(tmp_path, tasks), env=environment(), input="yes\n" * 3,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert [outcome(found) for found in answers(tmp_path, settings).values()] == [(False, False, False)] * 3
