# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks and inventories as a user, ansible-playbook and AWX will meet them."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

from ansible_collections.slipway.gitops.tests.unit.repo import tree

PLAYBOOKS = sorted(path.stem for path in (tree.ROOT / "playbooks").glob("*.yml"))
INVENTORIES = sorted(path.parent.name for path in (tree.ROOT / "inventories").glob("*/hosts"))
_SECRET_NAME = re.compile(r"(password|passphrase|token|secret|private_key|api_key)$")


def ansible(program: str, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run one of Ansible's programs next to this Python, with this checkout as the collection."""
    package = importlib.import_module(tree.PACKAGE)
    root = Path(next(iter(package.__path__))).parents[2]
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.environ.get("HOME", "/"),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(root),
        "ANSIBLE_CONFIG": str(tree.ROOT / "scripts/lib/ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        **extra,
    }
    command = [str(Path(sys.executable).parent / program), *arguments]
    return subprocess.run(
        command, env=environment, cwd=tree.ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def plain(path: Path) -> Any:
    """Return a YAML file as plain data, vaulted values as text."""
    return tree.read_ansible(path)


def test_playbooks_pass_the_syntax_check_by_their_full_names() -> None:
    names = ["slipway.gitops." + name for name in PLAYBOOKS]
    done = ansible("ansible-playbook", "--syntax-check", "-i", "localhost,", *names)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [Path(line).stem for line in done.stdout.splitlines() if line.startswith("playbook: ")] == PLAYBOOKS


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_playbook_lets_the_caller_choose_hosts(playbook: str) -> None:
    plays = plain(tree.ROOT / "playbooks" / (playbook + ".yml"))
    for play in plays:
        if "ansible.builtin.import_playbook" not in play:
            assert play.get("name")
            assert "{{" in str(play["hosts"]) or play["hosts"] == "localhost", play["hosts"]


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_playbook_holds_no_logic(playbook: str) -> None:
    for play in plain(tree.ROOT / "playbooks" / (playbook + ".yml")):
        tasks = [task for key in ("pre_tasks", "tasks", "post_tasks") for task in play.get(key) or []]
        used = {key for task in tasks for key in task if key.count(".") == 2}
        assert not used & {"ansible.builtin.shell", "ansible.builtin.command", "ansible.builtin.set_fact"}


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_inventory_parses_and_has_hosts(inventory: str) -> None:
    done = ansible("ansible-inventory", "--list", "-i", "inventories/%s/hosts" % inventory)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    hosts = [host for group in json.loads(done.stdout).values() for host in group.get("hosts", [])]
    assert hosts


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_inventory_holds_no_secret_in_the_clear(inventory: str) -> None:
    for path in sorted((tree.ROOT / "inventories" / inventory).rglob("*")):
        if path.is_file() and not path.read_bytes().startswith(b"$ANSIBLE_VAULT"):
            assert list(open_secrets(plain(path))) == [], path


def open_secrets(node: Any) -> Iterator[str]:
    """Yield names of variables that hold a secret as plain text."""
    if isinstance(node, dict):
        for name, value in node.items():
            vaulted = isinstance(value, str) and (not value or "{{" in value or value.startswith("$ANSIBLE_VAULT"))
            if _SECRET_NAME.search(str(name)) and isinstance(value, str) and not vaulted:
                yield str(name)
            yield from open_secrets(value)
    elif isinstance(node, list):
        for item in node:
            yield from open_secrets(item)


def test_inventories_are_found_by_awx() -> None:
    """AWX offers extensionless files called hosts, and takes a hosts.yml for a playbook."""
    assert set(INVENTORIES) >= {"local", "staging", "production"}
    assert not list((tree.ROOT / "inventories").glob("*/hosts.*"))


def tags_of(node: Any) -> Iterator[str]:
    """Yield every tag of plays, blocks and tasks."""
    if isinstance(node, dict):
        tags = node.get("tags") or []
        yield from [tags] if isinstance(tags, str) else tags
        node = [value for key, value in node.items() if key in ("block", "rescue", "always", "tasks", "roles", "apply")]
    for item in node if isinstance(node, list) else []:
        yield from tags_of(item)


@pytest.mark.parametrize("role", tree.roles())
def test_tags_carry_the_name_of_their_role(role: str) -> None:
    tags = {tag for path in (tree.ROOT / "roles" / role / "tasks").glob("*.yml") for tag in tags_of(plain(path))}
    assert {tag for tag in tags if tag not in (role, "always", "never") and not tag.startswith(role + "_")} == set()


@pytest.mark.parametrize("role", tree.roles())
def test_role_reaches_into_no_other_folder(role: str) -> None:
    for path in (tree.ROOT / "roles" / role).rglob("*.yml"):
        # The name of a role may begin with that of another one.
        text = path.read_text(encoding="utf-8").replace("__%s_" % role, "")
        assert "../../" not in text, path
        others = set(re.findall(r"\b__([a-z][a-z_]*?)_", text))
        private = {name for name in tree.roles() if name != role and re.search(r"\b__%s_" % name, text)}
        assert not private, (path, others)


def test_planted_secret_is_found() -> None:
    assert list(open_secrets({"a": [{"deploy_git_password": "hunter2"}]})) == ["deploy_git_password"]
    assert not list(open_secrets({"deploy_git_password": "{{ vault_password }}"}))
