# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions of the role deploy that depend on time or on rare states: evaluated as Ansible evaluates them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.slipway.gitops.tests.unit.repo import tree
from ansible_collections.slipway.gitops.tests.unit.repo.test_playbooks import ansible

ROLE = tree.ROOT / "roles/deploy"


def decided(folder: Path, expression: str, **variables: Any) -> str:
    """Return the value of a variable of the role, or of an expression with some, as text."""
    defaults = tree.read_yaml(ROLE / "defaults/main.yml")
    tasks = [
        {"ansible.builtin.include_vars": {"file": str(ROLE / "vars/main.yml")}},
        {"ansible.builtin.copy": {"dest": str(folder / "answer"), "content": "{{ %s }}" % expression, "mode": "0600"}},
    ]
    play = {"hosts": "localhost", "gather_facts": False, "vars": {**defaults, **variables}, "tasks": tasks}
    (folder / "book.json").write_text(json.dumps([play]), encoding="utf-8")
    interpreter = "ansible_python_interpreter={{ ansible_playbook_python }}"
    done = ansible("ansible-playbook", "-i", "localhost,", "-c", "local", "-e", interpreter, str(folder / "book.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "answer").read_text(encoding="utf-8").strip()


def release(days: float) -> dict[str, Any]:
    """Return a release that was verified so many days ago."""
    at = datetime.now(timezone.utc) - timedelta(days=days)
    text = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"version": "1", "images": [{"name": "shop", "newTag": "1"}], "commit": "1" * 40, "at": text}


CASES = [
    ("deploy", 1.5, 0, "True"),  # no limit
    ("deploy", 1.5, 2, "True"),
    ("deploy", 2.5, 2, "False"),  # too old
    ("rollback", 0.1, 0, "False"),  # no rollback of a rollback
]


@pytest.mark.parametrize(("kind", "days", "limit", "goes"), CASES)
def test_whether_a_failed_release_is_taken_back(tmp_path: Path, kind: str, days: float, limit: int, goes: str) -> None:
    failure = {
        "commit": "2" * 40,
        "error_class": "unhealthy",
        "code": "error",
        "verdict": "fail",
        "message": "it crashed",
    }
    claim = {"entry": {"kind": kind}, "last_verified": {"shop": release(days)}}
    given = {
        "deploy_application": "shop",
        "deploy_rollback_max_age": limit,
        "__deploy_claim": claim,
        "__deploy_failure": failure,
        "__deploy_edit": {"after": [{"name": "shop", "newTag": "2"}]},
    }
    told = decided(
        tmp_path, "__deploy_must_go_back ~ ' ' ~ __deploy_why_it_stays ~ ' ' ~ __deploy_failure_hold_scope", **given
    )
    assert told.startswith(goes), told
    if kind == "rollback":
        assert "a rollback is not rolled back" in told
        assert told.endswith("environment")
    elif goes == "False":
        assert "was verified 2 days ago, and deploy_rollback_max_age is 2" in told


@pytest.mark.parametrize(("days", "force", "refused"), [(1.5, False, False), (9.5, False, True), (9.5, True, False)])
def test_a_rollback_to_an_old_release_needs_force(tmp_path: Path, days: float, force: bool, refused: bool) -> None:
    earlier = dict(release(days), verified=True, refused="")
    given = {"__deploy_earlier": earlier, "deploy_rollback_max_age": 7, "deploy_rollback_force": force}
    told = decided(tmp_path, "__deploy_refused_rollback", deploy_application="shop", **given)
    assert bool(told) == refused, told
    assert "rollback_force" in told or not refused
