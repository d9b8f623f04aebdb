# SPDX-License-Identifier: GPL-3.0-or-later
"""Defaults of a role and its argument specification say the same, and say it fully."""

from __future__ import annotations

import re
from typing import Any, Mapping

import pytest

from ansible_collections.slipway.gitops.tests.unit.repo import tree

_TYPES = {
    "str": (str,),
    "path": (str,),
    "raw": (object,),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "list": (list,),
    "dict": (dict,),
}
_SECRET = re.compile(r"(^|_)(password|passphrase|token|secret|private_key|api_key)($|_)")
#: Names that hold a word of a secret but tell only where one lies or how long it lives.
_NOT_SECRET = re.compile(r"_(file|path|folder|name|names|namespace|ttl|timeout|size|days|user)$")


def problems(role: str, defaults: Mapping[str, Any], spec: Mapping[str, Any]) -> list[str]:
    """Return where defaults and the options of a specification differ or are incomplete."""
    options = spec.get("options") or {}
    found = ["%s: in defaults, not in the specification" % name for name in sorted(set(defaults) - set(options))]
    for name, option in sorted(options.items()):
        found += _option_problems(role, name, option)
        if option.get("required"):
            found += ["%s: required, yet it has a default" % name] if name in defaults else []
        elif name not in defaults:
            found.append("%s: in the specification, not in defaults" % name)
        else:
            found += _default_problems(name, option, defaults[name])
    return found


def _option_problems(role: str, name: str, option: Mapping[str, Any]) -> list[str]:
    found = []
    if not name.startswith(role + "_"):
        found.append("%s: does not begin with %s_" % (name, role))
    if "type" not in option:
        found.append("%s: no type" % name)
    if not option.get("description"):
        found.append("%s: no description" % name)
    if option.get("type") == "list" and "elements" not in option:
        found.append("%s: a list without elements" % name)
    if _is_secret(name, option) and not option.get("no_log"):
        found.append("%s: looks like a secret and has no no_log" % name)
    for child, inner in sorted((option.get("options") or {}).items()):
        found += ["%s.%s" % (name, line) for line in _option_problems("", "_" + child, inner)]
    return found


def _is_secret(name: str, option: Mapping[str, Any]) -> bool:
    return bool(option.get("type") != "bool" and _SECRET.search(name) and not _NOT_SECRET.search(name))


def _default_problems(name: str, option: Mapping[str, Any], value: Any) -> list[str]:
    if "default" not in option:
        return ["%s: the specification gives no default, defaults give %r" % (name, value)]
    if option["default"] != value or type(option["default"]) is not type(value):
        return ["%s: default %r in the specification, %r in defaults" % (name, option["default"], value)]
    if isinstance(value, str) and "{{" in value:
        return []
    fitting = isinstance(value, _TYPES.get(str(option.get("type")), ()))
    if not fitting or (isinstance(value, bool) and option.get("type") in ("int", "float")):
        return ["%s: default %r is no %s" % (name, value, option.get("type"))]
    chosen = value if isinstance(value, list) else [value]
    if "choices" in option and not all(item in option["choices"] for item in chosen):
        return ["%s: default %r is no choice" % (name, value)]
    return []


@pytest.mark.parametrize("role", tree.roles())
def test_defaults_equal_specification(role: str) -> None:
    folder = tree.ROOT / "roles" / role
    defaults_file = folder / "defaults/main.yml"
    defaults = tree.read_yaml(defaults_file) if defaults_file.exists() else {}
    specs = tree.read_yaml(folder / "meta/argument_specs.yml")["argument_specs"]
    assert problems(role, defaults or {}, specs["main"]) == []


@pytest.mark.parametrize("role", tree.roles())
def test_every_entry_point_is_described(role: str) -> None:
    specs = tree.read_yaml(tree.ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]
    for name, spec in specs.items():
        assert spec.get("short_description"), name
        assert (tree.ROOT / "roles" / role / "tasks" / (name + ".yml")).exists(), name
        # Other entry points share the defaults, so their options must be known to main.
        assert set(spec.get("options") or {}) <= set(specs["main"].get("options") or {}) or name == "main", name


@pytest.mark.parametrize("role", tree.roles())
def test_role_has_readme_and_main_tasks(role: str) -> None:
    folder = tree.ROOT / "roles" / role
    assert (folder / "tasks/main.yml").exists()
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert "slipway.gitops.%s" % role in readme, "README.md shows no play that uses the role"


def test_there_are_roles() -> None:
    assert tree.roles()


@pytest.mark.parametrize(
    "defaults, options, told",
    [
        ({"r_a": 1}, {}, "not in the specification"),
        ({}, {"r_a": {"type": "int", "description": "x", "default": 1}}, "not in defaults"),
        ({"r_a": 2}, {"r_a": {"type": "int", "description": "x", "default": 1}}, "default 1 in the specification"),
        ({"r_a": True}, {"r_a": {"type": "bool", "description": "x", "default": "true"}}, "in defaults"),
        ({"r_a": "x"}, {"r_a": {"type": "int", "description": "x", "default": "x"}}, "is no int"),
        ({"r_a": []}, {"r_a": {"type": "list", "description": "x", "default": []}}, "without elements"),
        ({"r_a": "c"}, {"r_a": {"type": "str", "description": "x", "default": "c", "choices": ["b"]}}, "no choice"),
        (
            {"r_a": ["c"]},
            {"r_a": {"type": "list", "elements": "str", "description": "x", "default": ["c"], "choices": ["b"]}},
            "no choice",
        ),
        ({"r_password": ""}, {"r_password": {"type": "str", "description": "x", "default": ""}}, "looks like a secret"),
        ({"a": ""}, {"a": {"type": "str", "description": "x", "default": ""}}, "does not begin with r_"),
        ({"r_a": ""}, {"r_a": {"type": "str", "description": "x", "default": "", "required": True}}, "required"),
        ({"r_a": ""}, {"r_a": {"type": "str", "default": ""}}, "no description"),
    ],
)
def test_planted_problem_is_found(defaults: dict[str, Any], options: dict[str, Any], told: str) -> None:
    assert any(told in line for line in problems("r", defaults, {"options": options}))


def test_equal_pair_passes() -> None:
    option = {"type": "list", "elements": "str", "description": "x", "default": ["a"]}
    assert problems("r", {"r_a": ["a"]}, {"options": {"r_a": option}}) == []
