# SPDX-License-Identifier: GPL-3.0-or-later
"""What must never be in the tree: secrets, this or that machine, dangerous calls, loose ends."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, Iterator

import pytest

from ansible_collections.slipway.gitops.tests.unit.repo import tree

#: This file holds the patterns, as do pins of other people's text.
_OWN = {"tests/unit/repo/test_hygiene.py", "LICENSE"}
_GENERATED = re.compile(r"(^requirements/.*\.txt|/go\.(mod|sum))$")
TEXT = [
    path
    for path in tree.files()
    if tree.short(path) not in _OWN
    and not _GENERATED.search(tree.short(path))
    and b"\0" not in path.read_bytes()[:4096]
]

#: Pattern -> what is wrong with it. Matched line by line.
FORBIDDEN = {
    r"(?<![\w.~}/-])/(work|farm)/\w": "a path of one machine",
    r"(?<![\w.~}/-])/root/(?!\.ssh\b)\w": "a path of one machine",
    r"\b(deb|security|snapshot)\.debian\.org\b": "the host of a package registry",
    r"\b(pypi\.org|files\.pythonhosted\.org|proxy\.golang\.org|sum\.golang\.org)\b": "the host of a package registry",
    r"\b(registry\.npmjs\.org|static\.crates\.io|index\.crates\.io|repo1?\.maven\.)": "the host of a package registry",
    r"\b(TODO|FIXME|XXX|HACK)\b": "a loose end",
    r"<<<<<<< |>>>>>>> ": "a merge conflict",
    r"[ \t]+$": "white space at the end of a line",
}

#: Shapes of secrets. A key of a test is made by the test, not kept in the tree.
SECRETS = {
    r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s*[A-Za-z0-9+/=]{16}": "a private key",
    r"\bAKIA[0-9A-Z]{16}\b": "an AWS access key",
    r"\bgh[pousr]_[A-Za-z0-9]{36}\b": "a GitHub token",
    r"\bglpat-[A-Za-z0-9_-]{20}\b": "a GitLab token",
    r"\bxox[abpr]-[A-Za-z0-9-]{20,}": "a Slack token",
    r"\beyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}": "a JSON web token",
    r"\bAGE-SECRET-KEY-1[0-9A-Z]{58}\b": "an age key",
    r"https?://[^\s/:@{}<>\"']+:[^\s/@{}<>\"'*]{4,}@(?!127\.|localhost|\[?::1)": "a password inside a URL",
}
_URL_FIXTURE = re.compile(r"example|invalid|\.test\b|user:|%s|hunter2")

#: Call -> what is wrong with it.
CALLS = {
    "eval": "runs text as code",
    "exec": "runs text as code",
    "pickle.load": "runs what it reads",
    "pickle.loads": "runs what it reads",
    "os.system": "goes through a shell",
    "os.popen": "goes through a shell",
    "tempfile.mktemp": "is a race",
}


def text_problems(name: str, text: str) -> list[str]:
    """Return forbidden lines and secrets of a text."""
    found = []
    for pattern, what in FORBIDDEN.items():
        for match in re.finditer(pattern, text, re.MULTILINE):
            found.append("%s:%d: %s" % (name, text.count("\n", 0, match.start()) + 1, what))
    for pattern, what in SECRETS.items():
        for match in re.finditer(pattern, text):
            line = text[text.rfind("\n", 0, match.start()) + 1 : match.end() + 40]
            if not ("URL" in what and _URL_FIXTURE.search(line)):
                found.append("%s:%d: %s" % (name, text.count("\n", 0, match.start()) + 1, what))
    return found


def call_problems(name: str, source: ast.AST, in_plugin: bool = True) -> list[str]:
    """Return dangerous calls of a file; in plugins also sleeps that no clock gives."""
    found = []
    for node in (item for item in ast.walk(source) if isinstance(item, ast.Call)):
        what = _call_problem(node, in_plugin)
        if what:
            found.append("%s:%d: %s %s" % (name, node.lineno, ast.unparse(node.func), what))
    return found


def _call_problem(node: ast.Call, in_plugin: bool) -> str:
    function = ast.unparse(node.func)
    if function in CALLS:
        return CALLS[function]
    if any(word.arg == "shell" and ast.unparse(word.value) != "False" for word in node.keywords):
        return "goes through a shell"
    if function in ("yaml.load", "yaml.load_all"):
        loaders = [ast.unparse(word.value) for word in node.keywords if word.arg == "Loader"]
        loaders += [ast.unparse(word) for word in node.args[1:]]
        return "" if loaders and all("Safe" in name or "safe" in name for name in loaders) else "may build any object"
    if function == "time.sleep" and in_plugin:
        return "is a fixed wait: ask a Clock"
    return ""


def task_problems(name: str, tasks: Any) -> list[str]:
    """Return tasks that hide a failure or wait for a fixed time."""
    found = []
    for task in walk_tasks(tasks):
        label = "%s: %s" % (name, task.get("name", "a task without name"))
        if task.get("ignore_errors"):
            found.append("%s: ignore_errors hides a failure" % label)
        if task.get("failed_when") is False:
            found.append("%s: failed_when: false hides a failure" % label)
        if {"ansible.builtin.pause", "pause"} & set(task):
            found.append("%s: a fixed wait" % label)
        command = next((str(task[key]) for key in task if key.endswith((".shell", ".command"))), "")
        if re.search(r"\|\|\s*true\b", command):
            found.append("%s: '|| true' hides a failure" % label)
        if re.search(r"\bsleep\s+[\d{]", command):
            found.append("%s: a fixed wait" % label)
    return found


def walk_tasks(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every task of a task file or playbook, inside plays and blocks too."""
    for item in node if isinstance(node, list) else []:
        if isinstance(item, dict):
            yield item
            for key in ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"):
                yield from walk_tasks(item.get(key))


def task_files() -> list[Path]:
    folders = {"tasks", "handlers", "playbooks", "molecule"}
    return [path for path in tree.files() if path.suffix == ".yml" and folders & set(path.parts)]


@pytest.mark.parametrize("path", TEXT, ids=tree.short)
def test_text_is_clean(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text_problems(tree.short(path), text) == []
    assert not text or text.endswith("\n"), "no newline at the end"


@pytest.mark.parametrize("path", tree.python_files("plugins", "roles", "scripts"), ids=tree.short)
def test_calls_are_safe(path: Path) -> None:
    name = tree.short(path)
    in_plugin = name.startswith("plugins/") and name not in (
        "plugins/module_utils/_clock.py",
        "plugins/module_utils/_process.py",
    )
    assert call_problems(name, tree.parse(path), in_plugin) == []


@pytest.mark.parametrize("path", task_files(), ids=tree.short)
def test_tasks_hide_nothing(path: Path) -> None:
    assert task_problems(tree.short(path), tree.read_ansible(path)) == []


def test_planted_text_is_found() -> None:
    planted = [
        "path: /wor" + "k/main",
        "deb http://deb." + "debian.org/debian",
        "# TO" + "DO later",
        "-----BEGIN OPENSSH PRIVATE" + " KEY-----\nb3BlbnNzaC1rZXktdjEAAAA",
        "token: gh" + "p_" + "a" * 36,
        "url: https://bob:" + "s3cret@git.company.org/x",
        "x = 1 ",
    ]
    for text in planted:
        assert len(text_problems("x", text)) == 1, text


def test_planted_calls_are_found() -> None:
    planted = ["eval(x)", "subprocess.run(x, shell=True)", "yaml.load(x)", "time.sleep(3)", "pickle.loads(x)"]
    for text in planted:
        assert len(call_problems("x", ast.parse(text))) == 1, text
    assert call_problems("x", ast.parse("yaml.load(x, Loader=CSafeLoader)\nsubprocess.run(x)")) == []


def test_planted_tasks_are_found() -> None:
    planted = [
        {"name": "a", "ignore_errors": True},
        {"name": "b", "failed_when": False},
        {"name": "c", "ansible.builtin.pause": {"seconds": 3}},
        {"name": "d", "ansible.builtin.shell": "false || true"},
        {"name": "e", "ansible.builtin.shell": {"cmd": "sleep 5"}},
    ]
    assert len(task_problems("x", [{"block": planted}])) == len(planted)
