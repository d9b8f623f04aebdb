# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of old commands: no row empty, and nothing named that does not exist."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Iterator, Mapping

import pytest

from ansible_collections.slipway.gitops.tests.unit.repo import tree

PAGE = tree.ROOT / "docs/reference-commands.md"
NOWHERE = {"later", "not offered"}
_HERE = re.compile(r"`\w+\.yml`|(?:module|role) `\w+`")
_CODE = re.compile(r"(module|role)? ?`([^`]+)`")
#: Sub-commands and options that people bring along. What is missing here may be forgotten in the page.
COMMANDS = """
--skip-libraries --libraries-only --dry-run --help deploy status delete rollback DRY_RUN SKIP_BACKUP --app --tag --env
--repo-url --branch --git-user-name --git-user-email --push-retries --workdir --skip-push --steps --force enqueue worker
execute clear monitor report collect test-alert diff manifest refresh resources set-image promote backup restore health
events metrics sync staging stg stage production prod
"""


def rows(text: str) -> Iterator[tuple[str, ...]]:
    """Yield the cells of every row of every table, without heads and rules."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    for line in lines:
        cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
        if cells[0] not in ("you typed", "you had") and not set(cells[0]) <= set("-: "):
            yield cells


@cache
def names() -> Mapping[str, frozenset[str]]:
    """Return what may be named: playbooks, modules, roles, and variables with tags."""
    playbooks = sorted((tree.ROOT / "playbooks").glob("*.yml"))
    variables: set[str] = {"deploy_result"}
    for role in tree.roles():
        entries: Mapping[str, Any] = tree.read_yaml(tree.ROOT / "roles" / role / "meta/argument_specs.yml")[
            "argument_specs"
        ]
        variables |= {name for entry in entries.values() for name in entry.get("options") or {}}
        for path in sorted((tree.ROOT / "roles" / role / "tasks").glob("*.yml")):
            variables |= set(re.findall(r"\b%s_[a-z_]+\b" % role, " ".join(_tags(path.read_text(encoding="utf-8")))))
    for path in playbooks:
        variables |= set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", path.read_text(encoding="utf-8")))
    return {
        "playbook": frozenset(path.name for path in playbooks),
        "module": frozenset(tree.modules()),
        "role": frozenset(tree.roles()),
        "variable": frozenset(variables),
    }


def _tags(text: str) -> list[str]:
    return re.findall(r"tags: \[([^\]]*)\]", text)


@cache
def _options(module: str) -> frozenset[str]:
    return frozenset(tree.load("module_utils/_entry/" + module).ENTRY.argument_spec)


def problems(row: tuple[str, ...]) -> list[str]:
    """Return what is wrong with one row."""
    if len(row) != 3 or not all(row):
        return ["it has not three filled cells"]
    _typed, here, how = row
    found = [] if here in NOWHERE or _HERE.fullmatch(here) else ["'%s' is no place" % here]
    if here == "not offered" and not how.startswith("because "):
        found.append("no reason is given")
    modules = names()["module"] & set(re.findall(r"module `(\w+)`", here + how))
    options = frozenset(name for module in modules for name in _options(module))
    for kind, text in _CODE.findall(here + " " + how):
        found += _unknown(kind, text, options)
    return found


def _unknown(kind: str, text: str, options: frozenset[str]) -> list[str]:
    known = names()
    if kind:
        return [] if text in known[kind] else ["%s %s does not exist" % (kind, text)]
    if text.endswith(".yml"):
        return [] if text in known["playbook"] else ["playbook %s does not exist" % text]
    tokens = re.findall(r"-e (\w+)=|--tags (\w+)", text)
    wanted = [name for pair in tokens for name in pair if name]
    if re.fullmatch(r"[a-z_0-9]+", text):
        wanted.append(text)
    return ["variable %s does not exist" % name for name in wanted if name not in known["variable"] | options]


ROWS = list(rows(PAGE.read_text(encoding="utf-8")))


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:60] for row in ROWS])
def test_row_is_filled_and_names_what_exists(row: tuple[str, ...]) -> None:
    assert problems(row) == []


@pytest.mark.parametrize("command", COMMANDS.split())
def test_command_has_a_row(command: str) -> None:
    typed = [word for row in ROWS for code in re.findall(r"`([^`]+)`", row[0]) for word in code.split()]
    assert command in typed


@pytest.mark.parametrize(
    "row, told",
    [
        (("`deploy`", "`deploy_staging.yml`", ""), "three filled cells"),
        (("`deploy`", "`deploy_stagin.yml`", "`deploy_release`"), "playbook deploy_stagin.yml does not exist"),
        (("`deploy`", "`deploy_staging.yml`", "`deploy_relese`"), "variable deploy_relese does not exist"),
        (("`deploy`", "`deploy_staging.yml`", "`-e deploy_relese=1`"), "variable deploy_relese does not exist"),
        (("`deploy`", "module `no_module`", "`spec`"), "module no_module does not exist"),
        (("`deploy`", "module `argocd_app`", "`sepc`"), "variable sepc does not exist"),
        (("`deploy`", "somewhere", "`deploy_release`"), "is no place"),
        (("`deploy`", "not offered", "it is hard"), "no reason is given"),
    ],
)
def test_planted_row_is_found(row: tuple[str, ...], told: str) -> None:
    assert any(told in problem for problem in problems(row))
