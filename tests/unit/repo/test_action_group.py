# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module is in the action group, has its front and its entry, and no stranger is there."""

from __future__ import annotations

import ast

import pytest
import yaml

from ansible_collections.slipway.gitops.tests.unit.repo import tree

MODULES = tree.modules()


def test_action_group_holds_exactly_the_modules() -> None:
    runtime = tree.read_yaml(tree.ROOT / "meta/runtime.yml")
    assert runtime["action_groups"]["gitops"] == MODULES


def test_floor_of_ansible_core_is_full() -> None:
    assert tree.read_yaml(tree.ROOT / "meta/runtime.yml")["requires_ansible"] == ">=2.16.0"


@pytest.mark.parametrize("module", MODULES)
def test_module_has_action_plugin_with_the_same_entry(module: str) -> None:
    action = tree.load("action/" + module).ActionModule
    entry = tree.load("module_utils/_entry/" + module).ENTRY
    assert action.ENTRY is entry
    assert entry.name == module


@pytest.mark.parametrize("module", MODULES)
def test_module_file_only_runs_its_entry(module: str) -> None:
    source = tree.parse(tree.PLUGINS / "modules" / (module + ".py"))
    functions = [node for node in ast.walk(source) if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in functions] == ["main"]
    assert len(functions[0].body) <= 2


@pytest.mark.parametrize("module", MODULES)
def test_documentation_names_the_action_group(module: str) -> None:
    documentation = yaml.safe_load(tree.load("modules/" + module).DOCUMENTATION)
    assert "slipway.gitops._attributes.actiongroup" in documentation["extends_documentation_fragment"]


def test_no_action_plugin_without_module() -> None:
    actions = sorted(path.stem for path in (tree.PLUGINS / "action").glob("*.py") if path.stem != "__init__")
    assert actions == MODULES
