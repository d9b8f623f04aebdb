# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of every module: complete, and its examples use options that exist."""

from __future__ import annotations

from typing import Any, Iterator, Mapping

import pytest
import yaml

from ansible_collections.slipway.gitops.tests.unit.repo import tree

MODULES = tree.modules()
ATTRIBUTES = {"check_mode", "diff_mode", "action_group"}


def documented(module: str) -> dict[str, Any]:
    documentation: dict[str, Any] = yaml.safe_load(tree.load("modules/" + module).DOCUMENTATION)
    return documentation


def attributes_of(module: str) -> set[str]:
    """Return the attributes that a module documents, its own and those of its fragments."""
    own = documented(module)
    names = set(own.get("attributes") or {})
    for fragment in own.get("extends_documentation_fragment") or []:
        if fragment.startswith("slipway.gitops."):
            file, _dot, variant = fragment[len("slipway.gitops.") :].partition(".")
            text = getattr(tree.load("doc_fragments/" + file).ModuleDocFragment, (variant or "documentation").upper())
            names |= set((yaml.safe_load(text) or {}).get("attributes") or {})
    return names


def example_tasks(module: str) -> Iterator[Mapping[str, Any]]:
    """Yield every task of the examples that calls the module, those inside blocks too."""
    pending = list(yaml.safe_load(tree.load("modules/" + module).EXAMPLES) or [])
    while pending:
        task = pending.pop(0)
        for key in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks"):
            pending += task.get(key) or []
        if "slipway.gitops." + module in task:
            yield task


def option_problems(where: str, given: Any, spec: Mapping[str, Any]) -> list[str]:
    """Return options of an example that the argument specification does not know, at any depth."""
    known = set(spec) | {alias for option in spec.values() for alias in option.get("aliases", ())}
    found = ["%s.%s does not exist" % (where, name) for name in given if name not in known]
    for name, option in spec.items():
        inner = option.get("options")
        values = given.get(name) if inner else None
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, Mapping):
                found += option_problems("%s.%s" % (where, name), value, inner or {})
        if option.get("required") and name not in given and not set(option.get("aliases", ())) & set(given):
            found.append("%s.%s is required and missing" % (where, name))
    return found


@pytest.mark.parametrize("module", MODULES)
def test_attributes_are_documented(module: str) -> None:
    assert attributes_of(module) >= ATTRIBUTES


@pytest.mark.parametrize("module", MODULES)
def test_examples_are_tasks_with_existing_options(module: str) -> None:
    spec = tree.load("module_utils/_entry/" + module).ENTRY.argument_spec
    tasks = list(example_tasks(module))
    assert len(tasks) >= 3, "fewer than three examples"
    for task in tasks:
        assert task.get("name"), task
        arguments = task["slipway.gitops." + module] or {}
        # Options may come from the action group's defaults, which an example play then shows.
        found = [line for line in option_problems(module, arguments, spec) if "is required" not in line]
        assert found == []


@pytest.mark.parametrize("module", MODULES)
def test_options_are_described(module: str) -> None:
    spec = tree.load("module_utils/_entry/" + module).ENTRY.argument_spec
    for name, option in (documented(module).get("options") or {}).items():
        assert name in spec, name
        assert option.get("description"), name


@pytest.mark.parametrize("module", MODULES)
def test_return_values_have_samples(module: str) -> None:
    values = yaml.safe_load(tree.load("modules/" + module).RETURN)
    assert values
    for name, value in values.items():
        assert value.get("returned"), name
        assert value.get("description"), name
        assert "sample" in value or "contains" in value, name


@pytest.mark.parametrize("module", MODULES)
def test_module_points_to_related_ones(module: str) -> None:
    assert documented(module).get("seealso"), "no seealso"
    assert documented(module).get("version_added")


def test_there_are_modules() -> None:
    assert MODULES


@pytest.mark.parametrize(
    "given, told",
    [
        ({"nmae": "x"}, "m.nmae does not exist"),
        ({"name": "x", "images": [{"tga": "1"}]}, "m.images.tga does not exist"),
        ({}, "m.name is required"),
    ],
)
def test_planted_option_is_found(given: dict[str, Any], told: str) -> None:
    spec = {"name": {"required": True}, "images": {"type": "list", "options": {"tag": {}}}}
    assert any(told in line for line in option_problems("m", given, spec))
