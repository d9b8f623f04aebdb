# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of variables in a role's README is what its argument specification says."""

from __future__ import annotations

import sys

import pytest

from ansible_collections.slipway.gitops.tests.unit.repo import tree

sys.path.insert(0, str(tree.ROOT / "scripts"))
from lib import role_tables


@pytest.mark.parametrize("role", tree.roles())
def test_table_is_fresh(role: str) -> None:
    folder = tree.ROOT / "roles" / role
    assert role_tables.rendered(folder) == (folder / "README.md").read_text(encoding="utf-8"), (
        "write it again: cd scripts && lib/run python -m lib.role_tables"
    )


def test_a_changed_option_changes_the_table() -> None:
    option = {"type": "str", "default": "a|b", "choices": ["a|b", "c"], "description": ["See O(r_x).", "C(y)"]}
    assert role_tables.row("r_a", option) == "| `r_a` | `a|b`, `c` | `a\\|b` | See `r_x`. `y` |"
