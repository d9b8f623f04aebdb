# SPDX-License-Identifier: GPL-3.0-or-later
"""The checkout as the rule tests see it: its files, its modules and its YAML."""

from __future__ import annotations

import ast
import importlib
import subprocess
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = "ansible_collections.slipway.gitops"
PLUGINS = ROOT / "plugins"


@cache
def files() -> tuple[Path, ...]:
    """Return every file that Git tracks or would track; outside Git, every file."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode == 0:
        found = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    else:
        found = [path for path in ROOT.rglob("*") if "__pycache__" not in path.parts]
    return tuple(sorted(path for path in found if path.is_file() and not path.is_symlink()))


def python_files(*folders: str) -> list[Path]:
    """Return the Python files under some folders of the checkout, commands without suffix included."""
    roots = tuple(ROOT / folder for folder in folders)
    return [path for path in files() if any(root in path.parents for root in roots) and is_python(path)]


def is_python(path: Path) -> bool:
    """Whether a file is Python, by its name or its first line."""
    if path.suffix:
        return path.suffix == ".py"
    with path.open("rb") as stream:
        return b"python" in stream.readline(80)


@cache
def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a file, to be read only."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def short(path: Path) -> str:
    """Return a path as messages show it."""
    return str(path.relative_to(ROOT)) if ROOT in path.parents else str(path)


def modules() -> list[str]:
    """Return the names of the collection's modules."""
    return sorted(path.stem for path in (PLUGINS / "modules").glob("*.py"))


def roles() -> list[str]:
    """Return the names of the collection's roles."""
    return sorted(path.parents[1].name for path in (ROOT / "roles").glob("*/meta/main.yml"))


def load(relative: str) -> ModuleType:
    """Import a module of the collection by its path below plugins, without suffix."""
    return importlib.import_module("%s.plugins.%s" % (PACKAGE, relative.replace("/", ".")))


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file that holds plain data."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


class _AnsibleLoader(yaml.SafeLoader):
    """Reads YAML with Ansible's tags, values of which become plain text."""


_AnsibleLoader.add_multi_constructor("!", lambda loader, suffix, node: loader.construct_scalar(node))


def read_ansible(path: Path) -> Any:
    """Return the content of a YAML file that may hold !vault and !unsafe values."""
    loader = _AnsibleLoader(path.read_text(encoding="utf-8"))
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()
