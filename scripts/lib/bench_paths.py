# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows that a benchmark took the path whose name it carries.

Two witnesses that cannot agree by chance: Ansible's own -vvv output, which tells every command
that is run for a task, and the API server's audit log, whose User-Agent carries module, path and
process id of whoever asked.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterable, Mapping, Optional, Sequence

from . import env, world

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.integration.world.audit import AuditLog, Request  # the tests' own reader of the audit log

#: Ways a task can take. "worker" and "module" are Ansible's own, "ours ..." this collection's.
WORKER, MODULE, OURS_IN_PROCESS, OURS_AS_MODULE = "worker", "module", "ours in-process", "ours as a module"

#: How the Python client of Kubernetes, which kubernetes.core uses, names itself.
PEER = "OpenAPI-Generator/"
_AGENT = re.compile(r"slipway\.gitops/\S+ \((?P<module>\w+); (?P<path>[\w-]+); pid=(?P<pid>\d+)\)")


@dataclass(frozen=True)
class Case:
    """One kind of task: what it is, how often it is repeated, and the path it claims to take.

    ``requests`` is how many requests one task sends to the API server, all about ``subject``,
    the name of an object that nobody else asks for.
    """

    title: str
    action: str
    arguments: Mapping[str, Any]
    way: str
    count: int = 60
    requests: int = 0
    subject: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)

    def tasks(self, count: int) -> list[dict[str, Any]]:
        """Return ``count`` identical tasks; ``@`` in an argument becomes the number of the task."""
        return [{"name": "Task %d" % at, self.action: _numbered(self.arguments, at)} for at in range(count)]


def _numbered(arguments: Mapping[str, Any], at: int) -> dict[str, Any]:
    return {key: value.replace("@", str(at)) if isinstance(value, str) else value for key, value in arguments.items()}


@dataclass(frozen=True)
class Run:
    """One run of a playbook: seconds of its whole process, and what it printed."""

    seconds: float
    text: str


class Player:
    """Runs playbooks of one case on this machine, with an own folder for each run's files."""

    def __init__(self, tools: env.Environment) -> None:
        self._tools = tools
        self.audit = AuditLog(world.folder() / "logs" / "audit.log")
        self._variables = {
            **tools.variables,
            "ANSIBLE_ACTION_PLUGINS": str(Path(__file__).with_name("bench_plugins")),
            "ANSIBLE_NOCOLOR": "1",
        }

    def play(self, case: Optional[Case], count: int, *options: str) -> Run:
        """Run a playbook of ``count`` tasks of a case, or of none, and return its time and text."""
        with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
            book = Path(name) / "play.yml"
            book.write_text(_playbook(case, count, name), encoding="utf-8")
            command = [self._tools.program("ansible-playbook"), "-i", "localhost,", str(book), *options]
            started = time.perf_counter()
            done = subprocess.run(
                command, env=self._variables, cwd=name, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, timeout=600, check=False,
            )  # fmt: skip
            seconds = time.perf_counter() - started
        if done.returncode or (case and not re.search(r"\bok=%d\b" % count, done.stdout)):
            raise RuntimeError("%s did not run:\n%s" % (case.title if case else "nothing", done.stdout[-2000:]))
        return Run(seconds, done.stdout)

    def verify(self, case: Case, count: int = 2) -> list[str]:
        """Run a case once with both witnesses on; return what contradicts the path it claims."""
        self.audit.rewind()
        text = self.play(case, count, "-vvv").text
        return contradictions(case, count, text, self.audit.requests())

    def audited(self, case: Case, count: int) -> list[str]:
        """Return what the audit log says since its last rewind against the path a case claims."""
        if not case.requests:
            return []
        return ["%s: %s" % (case.title, line) for line in request_contradictions(case, count, self.audit.requests())]


def _playbook(case: Optional[Case], count: int, folder: str) -> str:
    """Return a playbook as JSON, which is YAML too; ``%`` in an argument becomes the run's own folder."""
    variables = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    play = {
        "name": "Measure",
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {**variables, **(case.variables if case else {})},
        "tasks": case.tasks(count) if case else [{"name": "Nothing", "ansible.builtin.meta": "noop"}],
    }
    return json.dumps([play]).replace("%FOLDER%", folder)


def contradictions(case: Case, count: int, text: str, requests: Sequence[Request]) -> list[str]:
    """Return what ``text`` (of -vvv) and the audit log say against the way that a case claims."""
    workers = re.findall(r"slipway\.gitops\.\w+: in-process in worker (\d+)", text)
    fallbacks = len(re.findall(r"slipway\.gitops\.\w+: as a module, because", text))
    commands = len(re.findall(r"^<localhost> EXEC ", text, re.MULTILINE))
    found = []
    if case.way in (WORKER, OURS_IN_PROCESS) and commands:
        found.append("%d commands were run for it, an in-process task runs none" % commands)
    if case.way in (MODULE, OURS_AS_MODULE) and commands < count:
        found.append("%d commands were run for %d modules" % (commands, count))
    expected = {OURS_IN_PROCESS: (count, 0), OURS_AS_MODULE: (0, count)}.get(case.way, (0, 0))
    if (len(workers), fallbacks) != expected:
        found.append(
            "%d tasks ran in-process and %d as our module, not %d and %d" % (len(workers), fallbacks, *expected)
        )
    found += request_contradictions(case, count, requests)
    asked = {str(pid) for pid in _pids(item for item in requests if case.subject in item.uri)}
    if case.way == OURS_IN_PROCESS and case.requests and asked != set(workers):
        found.append("the API server was asked by other processes than the workers")
    return ["%s: %s" % (case.title, line) for line in found]


def request_contradictions(case: Case, count: int, requests: Sequence[Request]) -> list[str]:
    """Return what the audit log alone says against the way that a case claims; cheap, for every run."""
    about = [item for item in requests if case.subject in item.uri]
    ours = [item for item in about if item.is_ours]
    seen = {path for _module, path in agents_of(ours)}
    expected = {OURS_IN_PROCESS: {"in-process"}, OURS_AS_MODULE: {"module"}}.get(case.way, set())
    if not case.requests:
        return []
    if not expected:
        others = [item for item in about if item.agent.startswith(PEER)]
        wrong = len(others) != count * case.requests
        return ["the API server saw %d requests, not %d" % (len(others), count * case.requests)] if wrong else []
    found = []
    if seen != expected:
        found.append("the API server saw %s" % (", ".join(sorted(seen)) or "nothing of ours"))
    if len(ours) != count * case.requests:
        found.append("the API server saw %d requests, not %d" % (len(ours), count * case.requests))
    if len(_pids(ours)) != count:
        found.append("%d processes sent them, not %d" % (len(_pids(ours)), count))
    return found


def agents_of(requests: Iterable[Request]) -> set[tuple[str, str]]:
    """Return module and path of those requests that this collection sent."""
    return {(match["module"], match["path"]) for item in requests if (match := _AGENT.match(item.agent))}


def _pids(requests: Iterable[Request]) -> set[int]:
    return {int(match["pid"]) for item in requests if (match := _AGENT.match(item.agent))}
