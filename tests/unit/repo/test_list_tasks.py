# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of tasks and the tags that reach them, as an operator sees them with --list-tasks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Mapping

import pytest

from ansible_collections.slipway.gitops.tests.unit.repo import tree
from ansible_collections.slipway.gitops.tests.unit.repo.test_playbooks import PLAYBOOKS, ansible

GOLDEN = tree.ROOT / "tests/unit/fixtures/tasks"
#: SLIPWAY_TEST_WRITE=1 writes the files again; look at the difference before committing it.
WRITE = bool(os.environ.get("SLIPWAY_TEST_WRITE"))


@pytest.fixture(scope="module")
def listed() -> Mapping[str, str]:
    """Return what --list-tasks says of every playbook, in one run, without the lines that hold a path."""
    names = ["slipway.gitops." + name for name in PLAYBOOKS]
    done = ansible("ansible-playbook", "--list-tasks", "-i", "inventories/local/hosts", *names)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = {}
    for line in done.stdout.replace("\t", "  ").splitlines():
        if line.startswith("playbook:"):
            tasks = found[Path(line).stem] = []
        elif line.strip():
            tasks.append(line.rstrip())
    return {name: "\n".join(lines) + "\n" for name, lines in found.items()}


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_tasks_and_tags_are_the_recorded_ones(playbook: str, listed: Mapping[str, str]) -> None:
    golden = Path(GOLDEN / (playbook + ".txt"))
    found = listed[playbook]
    if WRITE:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8"), "SLIPWAY_TEST_WRITE=1 writes it again"


def test_nothing_else_is_recorded() -> None:
    assert sorted(path.stem for path in GOLDEN.iterdir()) == PLAYBOOKS


def test_the_guard_and_the_plan_come_before_the_transaction() -> None:
    text = (GOLDEN / "deploy_production.txt").read_text(encoding="utf-8")
    order = ["Refuse misspelt variables", "Guard", "Look at the Application", "Make the plan", "Have it confirmed",
             "Record what runs now as the baseline", "Take the slot", "Deliver the release", "Report"]  # fmt: skip
    assert [text.index(": " + name) for name in order] == sorted(text.index(": " + name) for name in order)
