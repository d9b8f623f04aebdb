# SPDX-License-Identifier: GPL-3.0-or-later
"""Role registry_credentials: what holds a password hides it, and what is shown holds none."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, Mapping

import pytest
import yaml

ROLE = Path(__file__).parents[3] / "roles/registry_credentials"
#: Variables that hold a password, or are made from one.
OPEN = ("_content", "_object", "_login", "_password", "_given", "_existing.objects")
#: Modules that answer with what an object holds.
READERS = ("kubernetes.core.k8s_info", "slipway.gitops.kube_objects_info")


def tasks(entries: list[Any]) -> Iterator[Mapping[str, Any]]:
    """Yield every task, those in blocks included."""
    for entry in entries:
        yield entry
        for part in ("block", "rescue", "always"):
            yield from tasks(entry.get(part) or [])


def all_tasks() -> list[Mapping[str, Any]]:
    files = sorted((ROLE / "tasks").glob("*.yml"))
    return [task for file in files for task in tasks(yaml.safe_load(file.read_text(encoding="utf-8")))]


def holds_a_password(task: Mapping[str, Any]) -> bool:
    """Whether a task sends or receives one; a block is judged by its parts."""
    said = str({key: value for key, value in task.items() if key not in ("block", "rescue", "always", "failed_when")})
    reads = any((task.get(module) or {}).get("kind") == "Secret" for module in READERS)
    return reads or any("__registry_credentials" + name in said for name in OPEN)


def test_g73_every_task_that_holds_a_password_hides_it() -> None:
    holding = [task for task in all_tasks() if holds_a_password(task)]
    assert len(holding) >= 4
    assert [task["name"] for task in holding if task.get("no_log") is not True] == []


@pytest.mark.parametrize("task", [task for task in all_tasks() if "loop" in task], ids=lambda task: task["name"])
def test_g73_no_loop_goes_over_passwords(task: Mapping[str, Any]) -> None:
    assert task["loop"] != "{{ registry_credentials_secrets }}"
    assert "__registry_credentials_object" not in task["loop"]


def test_planted_open_task_is_found() -> None:
    assert holds_a_password({"name": "x", "debug": {"var": "__registry_credentials_content"}})
    for module in READERS:
        assert holds_a_password({"name": "x", module: {"kind": "Secret"}})
        assert not holds_a_password({"name": "x", module: {"kind": "Pod"}})


def test_g72_no_password_is_a_default() -> None:
    assert (
        yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))["registry_credentials_secrets"] == []
    )


def test_order_is_try_then_write_then_attach() -> None:
    names = [task["name"] for task in all_tasks()]
    assert names.index("Try the content by a pull") < names.index("Have the Secret")
    install = ROLE / "tasks/install.yml"
    assert [task["name"] for task in yaml.safe_load(install.read_text(encoding="utf-8"))] == [
        "Keep each pull secret",
        "Attach each pull secret",
    ]
