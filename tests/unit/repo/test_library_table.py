# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of libraries in the documentation says what the roles install, and every digest is pinned."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.slipway.gitops.tests.unit.repo import tree

#: Library as the table names it -> its role.
ROLES = {"MetalLB": "metallb", "cert-manager": "cert_manager", "Jenkins": "jenkins"}
INSTALLED = {name: role for name, role in ROLES.items() if (tree.ROOT / "roles" / role / "vars/main.yml").exists()}
each = pytest.mark.parametrize(("name", "role"), sorted(INSTALLED.items()))


def table() -> dict[str, list[str]]:
    """Return the cells of each line of the table, by the first one."""
    text = (tree.ROOT / "docs/libraries.md").read_text(encoding="utf-8")
    part = text.split("## What was really run in tests", 1)[1].split("\n## ", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    return {row[0]: row[1:] for row in rows[2:]}


def data(role: str, file: str) -> dict[str, Any]:
    found: dict[str, Any] = tree.read_yaml(tree.ROOT / "roles" / role / file)
    return found


def test_table_has_the_libraries_of_the_playbook() -> None:
    (play,) = tree.read_yaml(tree.ROOT / "playbooks/libraries.yml")
    assert sorted(ROLES.values()) == sorted(play["vars"]["libraries_layers"])
    assert sorted(table()) == sorted(ROLES)


@each
def test_version_is_the_one_that_the_role_installs(name: str, role: str) -> None:
    assert table()[name][0] == str(data(role, "defaults/main.yml")[role + "_version"])


@each
def test_known_versions_are_those_of_the_table(name: str, role: str) -> None:
    current, previous = table()[name][:2]
    known = [str(version) for version in data(role, "vars/main.yml").get("__%s_versions" % role, [])]
    assert (known or [current]) == [version for version in (current, previous) if version != "-"]


@each
def test_every_digest_is_pinned(name: str, role: str) -> None:
    for known in data(role, "vars/main.yml").get("__%s_versions" % role, {}).values():
        assert known["files"]
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in known["files"].values())


@each
def test_claim_is_one_of_the_words_that_are_explained(name: str, role: str) -> None:
    assert re.match(r"(real|upstream's code under our own main|stand-in)\b", table()[name][3])


@pytest.mark.parametrize("version", ["0.16.1", "0.15.3"])
def test_modules_of_metallb_pin_the_version_of_their_folder(version: str) -> None:
    folder = tree.ROOT / "roles/metallb/files/go" / version
    text = (folder / "go.mod").read_text()
    assert re.search(r"^\s*go\.universe\.tf/metallb v%s\b" % re.escape(version), text, re.MULTILINE)
    assert "\ttool " not in text and "\ntoolchain " not in text
    for program in ("controller", "speaker"):
        assert "\tgo.universe.tf/metallb/%s\n" % program in text
    assert (folder / "go.sum").stat().st_size > 0
