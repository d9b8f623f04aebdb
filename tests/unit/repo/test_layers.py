# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may import whom: the table of layers, held against the imports of every file."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Iterator, Optional

import pytest

from ansible_collections.slipway.gitops.tests.unit.repo import tree

#: File below plugins/ -> layer. The first pattern that fits counts. What no pattern names
#: is pure (L1), the strictest layer but one, so a new file must earn anything more.
LAYERS = (
    ("module_utils/_errors.py", "L0"),
    ("module_utils/_context.py", "L0"),
    ("module_utils/_entry/*", "L4"),
    ("module_utils/_argspec.py", "L4"),
    ("module_utils/_module.py", "front"),
    ("module_utils/_run.py", "L4"),
    # Use cases.
    ("module_utils/*/service.py", "L3"),
    ("module_utils/_kube/observe.py", "L2"),
    ("module_utils/_gate/targets.py", "L3"),
    ("module_utils/_tools/build.py", "L3"),
    ("module_utils/_tools/download.py", "L3"),
    ("module_utils/_registry/session.py", "L3"),
    ("module_utils/_backup/capture.py", "L3"),
    ("module_utils/_backup/cluster.py", "L3"),
    ("module_utils/_backup/reader.py", "L3"),
    ("module_utils/_backup/reading.py", "L3"),
    ("module_utils/_backup/restore.py", "L3"),
    # Ports: the only input and output.
    ("module_utils/_backup/age.py", "L2"),
    ("module_utils/_backup/files.py", "L2"),
    ("module_utils/_clock.py", "L2"),
    ("module_utils/_container.py", "L2"),
    ("module_utils/_git.py", "L2"),
    ("module_utils/_git_*.py", "L2"),
    ("module_utils/_git/*", "L2"),
    ("module_utils/_http.py", "L2"),
    ("module_utils/_manifests/chart.py", "L2"),
    ("module_utils/_plan/files.py", "L2"),
    ("module_utils/_plan/render.py", "L2"),
    ("module_utils/_process.py", "L2"),
    ("module_utils/_replace.py", "L2"),
    ("module_utils/_wire.py", "L2"),
    ("module_utils/_forward/keeper.py", "L2"),
    ("module_utils/_kube/auth.py", "L2"),
    ("module_utils/_kube/tls.py", "L2"),
    ("module_utils/_kube/client.py", "L2"),
    ("module_utils/_kube/transport.py", "L2"),
    ("module_utils/_queue/clock.py", "L2"),
    ("module_utils/_queue/files.py", "L2"),
    ("module_utils/_queue/schema.py", "L2"),
    ("module_utils/_queue/store.py", "L2"),
    ("module_utils/_queue/transaction.py", "L2"),
    ("module_utils/_tools/fetch.py", "L2"),
    ("module_utils/_tools/golang.py", "L2"),
    ("module_utils/_tools/machine.py", "L2"),
    ("module_utils/_tools/store.py", "L2"),
    ("module_utils/_world/host.py", "L2"),
    ("module_utils/_world/probe.py", "L2"),
    ("module_utils/_world/processes.py", "L2"),
    ("module_utils/_world/supervisor.py", "L2"),
    ("module_utils/*", "L1"),
    ("plugin_utils/*", "controller"),
    ("modules/*", "module"),
    ("action/*", "action"),
    ("filter/*", "controller"),
    ("lookup/*", "controller"),
    ("doc_fragments/*", "docs"),
)

#: Layer -> layers it may import. Types named only for the type checker are free below L4.
MAY = {
    "L0": {"L0"},
    "L1": {"L0", "L1"},
    "L2": {"L0", "L1", "L2"},
    "L3": {"L0", "L1", "L3"},
    "L4": {"L0", "L1", "L2", "L3", "L4"},
    "front": {"L0", "L1", "L4"},
    "controller": {"L0", "L1", "L2", "L3", "L4", "controller"},
    "module": {"L4", "front"},
    "action": {"L4", "controller"},
    "docs": set(),
}

#: What pure code may use of the standard library: nothing that reads, writes, waits or asks
#: for the time. PyYAML and JMESPath work on text and data that they are given.
PURE = {
    "__future__", "abc", "ast", "base64", "binascii", "bisect", "collections", "contextlib", "copy", "dataclasses",
    "datetime", "difflib", "enum", "fnmatch", "functools", "hashlib", "heapq", "hmac", "importlib",
    "io", "ipaddress", "itertools", "jmespath", "json", "math", "operator", "os.path.basename", "os.path.dirname",
    "os.path.isabs", "os.path.join", "os.path.normpath", "os.path.relpath", "os.path.splitext", "os.sep",
    "posixpath", "re", "shlex", "string", "struct", "textwrap", "types", "typing", "unicodedata", "urllib.parse",
    "yaml", "zlib", "zoneinfo",
}  # fmt: skip

#: Names that no layer below L4 may take from anywhere.
NEVER_BELOW_L4 = ("ansible.module_utils.basic", "kubernetes", "requests")
#: Concurrency is the business of use cases too; waiting and time are not: they come from a Clock.
USE_CASE = PURE | {"queue", "random", "threading", "concurrent.futures", "traceback"}


@dataclass(frozen=True)
class Import:
    """One import of one name: where it stands and whether only the type checker sees it."""

    module: str
    line: int
    typing_only: bool


def layer_of(relative: str) -> Optional[str]:
    """Return the layer of a file, by its path below plugins/."""
    return next((layer for pattern, layer in LAYERS if fnmatchcase(relative, pattern)), None)


def imports(source: ast.Module, package: str) -> Iterator[Import]:
    """Yield every import of a file; relative ones as full names."""
    guarded = {
        id(child)
        for node in ast.walk(source)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(source):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names = used_of_os(source) if alias.name == "os" and not alias.asname else [alias.name]
                for name in names:
                    yield Import(name, node.lineno, id(node) in guarded)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
            module = ".".join(part for part in (base if node.level else "", node.module or "") if part)
            for alias in node.names:
                yield Import("%s.%s" % (module, alias.name), node.lineno, id(node) in guarded)


def used_of_os(source: ast.Module) -> list[str]:
    """Return what a file uses of ``os``, in full: joining paths is pure, opening files is not."""
    chains = [node for node in ast.walk(source) if isinstance(node, ast.Attribute)]
    inner = {id(node.value) for node in chains}
    names = {ast.unparse(node) for node in chains if id(node) not in inner}
    used = sorted(name for name in names if name.startswith("os."))
    return used or ["os"]


def violations(relative: str, source: ast.Module, known: frozenset[str]) -> list[str]:
    """Return what a file imports against the table; ``known`` are the files below plugins/."""
    layer = layer_of(relative)
    if layer is None:
        return ["%s: no layer names this file" % relative]
    package = "%s.plugins.%s" % (tree.PACKAGE, relative[: -len(".py")].replace("/", ".").rpartition(".")[0])
    found = []
    for item in imports(source, package):
        problem = _problem(layer, item, known)
        if problem:
            found.append("%s:%d: %s (%s) %s" % (relative, item.line, layer, item.module, problem))
    return found


def _problem(layer: str, item: Import, known: frozenset[str]) -> str:
    if item.module.startswith(tree.PACKAGE + "."):
        target = _file_of(item.module, known)
        if target is None:
            return "is no file of the collection's plugins"
        wanted = layer_of(target) or ""
        if wanted in MAY[layer] or (item.typing_only and wanted in ("L0", "L1", "L2", "L3")):
            return ""
        return "belongs to %s, which %s may not import" % (wanted, layer)
    if item.module.startswith("ansible_collections."):
        return "is another collection's private code"
    return _foreign_problem(layer, item)


def _foreign_problem(layer: str, item: Import) -> str:
    """Judge an import of the standard library, of Ansible or of a library."""
    if layer in ("L0", "L1", "L2", "L3") and any(_within(item.module, name) for name in NEVER_BELOW_L4):
        return "is not for this layer"
    if "AnsibleModule" in item.module and layer != "front":
        return "belongs into _module.py alone"
    if layer in ("L0", "L1") and not any(_within(item.module, name) for name in PURE):
        return "does input, output, time or Ansible: pure code may not"
    if layer == "L3" and not any(_within(item.module, name) for name in USE_CASE):
        return "is the business of a port"
    if layer == "L2" and item.module.startswith("ansible.") and not item.module.startswith("ansible.module_utils."):
        return "is Ansible's controller"
    return ""


def _within(module: str, name: str) -> bool:
    return module == name or module.startswith(name + ".")


def _file_of(module: str, known: frozenset[str]) -> Optional[str]:
    """Return the file that a full name lies in; the last part may be a name inside it."""
    path = module[len(tree.PACKAGE + ".plugins.") :].replace(".", "/")
    for candidate in (path, path.rpartition("/")[0]):
        for suffix in (".py", "/__init__.py"):
            if candidate + suffix in known:
                return candidate + suffix
    return None


def plugin_files() -> list[Path]:
    return tree.python_files("plugins")


@cache
def known_files() -> frozenset[str]:
    return frozenset(str(path.relative_to(tree.PLUGINS)) for path in plugin_files())


@pytest.mark.parametrize("path", plugin_files(), ids=tree.short)
def test_file_imports_only_what_its_layer_may(path: Path) -> None:
    relative = str(path.relative_to(tree.PLUGINS))
    assert violations(relative, tree.parse(path), known_files()) == []


@pytest.mark.parametrize(
    "relative, source",
    [
        ("module_utils/_queue/order.py", "import time"),
        ("module_utils/_queue/order.py", "from os import environ"),
        ("module_utils/_queue/order.py", "import os\nos.path.exists('x')"),
        ("module_utils/_queue/order.py", "from . import store"),
        ("module_utils/_queue/order.py", "def late():\n    import socket"),
        ("module_utils/_errors.py", "from ._kube import paths"),
        ("module_utils/_gate/service.py", "from .._kube.client import KubeClient"),
        ("module_utils/_gate/service.py", "import time"),
        ("module_utils/_kube/client.py", "from ansible.module_utils.basic import AnsibleModule"),
        ("module_utils/_kube/client.py", "from .._gate import service"),
        ("module_utils/_kube/client.py", "from kubernetes import client"),
        ("module_utils/_entry/health_gate.py", "from ansible.module_utils.basic import AnsibleModule"),
        ("modules/health_gate.py", "from ..module_utils._kube.client import KubeClient"),
        ("action/health_gate.py", "from ..modules.health_gate import main"),
        ("modules/health_gate.py", "from ansible_collections.kubernetes.core.plugins.module_utils import common"),
        ("inventory/release.py", "import re"),
    ],
)
def test_planted_violation_is_found(relative: str, source: str) -> None:
    known = known_files() | {"module_utils/_queue/store.py", "module_utils/_gate/service.py", "modules/health_gate.py"}
    assert violations(relative, ast.parse(source), known)


@pytest.mark.parametrize(
    "relative, source",
    [
        ("module_utils/_queue/order.py", "from .._errors import SlipwayError\nimport re"),
        ("module_utils/_queue/order.py", "import os\nos.path.join('a', 'b')"),
        ("module_utils/_gate/service.py", "if TYPE_CHECKING:\n    from .._kube.client import KubeClient"),
        ("module_utils/_kube/client.py", "import http.client\nfrom .paths import with_query"),
        ("plugin_utils/_in_process.py", "from ..module_utils._context import Entry"),
    ],
)
def test_allowed_import_passes(relative: str, source: str) -> None:
    assert violations(relative, ast.parse(source), known_files()) == []
