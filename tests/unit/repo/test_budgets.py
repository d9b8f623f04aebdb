# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes and typing of the code: files, functions, parameters, docstrings, the whole."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path
from typing import Iterator, Union

import pytest

from ansible_collections.slipway.gitops.tests.unit.repo import tree

FILE_LINES = 320
#: Without blanks and comments.
TASK_FILE_LINES = 100
FUNCTION_LINES = 50
PARAMETERS = 5
#: Lines of code, without blanks, comments and docstrings, that one module brings along: an
#: ordinary module compiles all of it in a fresh process, every time.
MODULE_CODE_LINES = 4000
#: The base error has six fields, all optional but one.
MANY_PARAMETERS = {"plugins/module_utils/_errors.py:SlipwayError.__init__"}

HEADER = (
    "# Copyright (c) 2026, slipway.gitops contributors",
    "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)",
    "# SPDX-License-Identifier: GPL-3.0-or-later",
)
Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]
CODE = tree.python_files("plugins", "scripts", "roles")
PLUGINS = tree.python_files("plugins")


def functions(source: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Yield every function of a file with its qualified name."""
    for node in ast.iter_child_nodes(source):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield prefix + node.name, node
            yield from functions(node, prefix + node.name + ".")
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, prefix + node.name + ".")
        else:
            yield from functions(node, prefix)


def size_problems(name: str, source: ast.Module, lines: int, documentation: int = 0) -> list[str]:
    """Return what is larger than the budget; ``documentation`` lines of a module do not count."""
    found = []
    if lines - documentation > FILE_LINES:
        found.append("%s: %d lines, more than %d" % (name, lines - documentation, FILE_LINES))
    for function, node in functions(source):
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > FUNCTION_LINES:
            found.append("%s:%s: %d lines, more than %d" % (name, function, length, FUNCTION_LINES))
        given = [item.arg for item in (*node.args.posonlyargs, *node.args.args) if item.arg not in ("self", "cls")]
        if len(given) > PARAMETERS and "%s:%s" % (name, function) not in MANY_PARAMETERS:
            found.append("%s:%s: %d parameters, more than %d" % (name, function, len(given), PARAMETERS))
    return found


def typing_problems(name: str, source: ast.Module) -> list[str]:
    """Return functions whose parameters or result carry no annotation."""
    found = []
    for function, node in functions(source):
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        bare = [item.arg for item in arguments if item.annotation is None and item.arg not in ("self", "cls")]
        if bare or node.returns is None:
            found.append("%s:%s: not fully annotated %s" % (name, function, " ".join(bare)))
    return found


def docstring_problems(name: str, source: ast.Module) -> list[str]:
    """Return public classes and functions of a file, and the file itself, without docstring."""
    found = [] if ast.get_docstring(source) else ["%s: no docstring" % name]
    for node in source.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            found += [] if ast.get_docstring(node) else ["%s:%s: no docstring" % (name, node.name)]
    return found


def documentation_lines(source: ast.Module) -> int:
    """Return how many lines a module spends on DOCUMENTATION, EXAMPLES and RETURN."""
    constants = [node.value for node in source.body if isinstance(node, ast.Assign)]
    texts = [node for node in constants if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in texts)


def code_lines(text: str) -> int:
    """Return the number of lines that hold code, not counting comments, docstrings and blanks."""
    source = ast.parse(text)
    docstrings = set()
    for node in ast.walk(source):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            docstrings |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    empty = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in empty:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


@pytest.mark.parametrize("path", CODE, ids=tree.short)
def test_size(path: Path) -> None:
    source = tree.parse(path)
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert size_problems(tree.short(path), source, lines, documentation_lines(source)) == []


@pytest.mark.parametrize("path", CODE, ids=tree.short)
def test_everything_is_annotated(path: Path) -> None:
    assert typing_problems(tree.short(path), tree.parse(path)) == []


@pytest.mark.parametrize("path", tree.python_files("plugins/module_utils", "plugins/plugin_utils"), ids=tree.short)
def test_public_names_have_docstrings(path: Path) -> None:
    if path.name != "__init__.py":
        assert docstring_problems(tree.short(path), tree.parse(path)) == []


@pytest.mark.parametrize("path", PLUGINS, ids=tree.short)
def test_plugin_has_license_header(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    if lines:
        start = 1 if lines[0].startswith("#!") else 0
        assert tuple(lines[start : start + 3]) == HEADER


@pytest.mark.parametrize("path", tree.python_files("scripts", "tests", "roles"), ids=tree.short)
def test_other_files_name_the_license(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not text or HEADER[2] in text.splitlines()[:3]


def imported_at_once(source: ast.AST) -> Iterator[ast.ImportFrom]:
    """Yield the imports that run when a file is imported, not those that wait inside functions."""
    for node in ast.iter_child_nodes(source):
        if isinstance(node, ast.ImportFrom):
            yield node
        elif isinstance(node, (ast.If, ast.Try)) and "TYPE_CHECKING" not in ast.unparse(node):
            yield from imported_at_once(node)


def closure(path: Path) -> set[Path]:
    """Return the files of the collection that a file brings along at once, itself included."""
    pending, seen = [path], {path}
    while pending:
        current = pending.pop()
        package = ".".join((tree.PACKAGE, *current.relative_to(tree.ROOT).parent.parts))
        for node in imported_at_once(tree.parse(current)):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            names = [module, *("%s.%s" % (module, alias.name) for alias in node.names)]
            found = {tree.ROOT / (name[len(tree.PACKAGE) + 1 :].replace(".", "/") + ".py") for name in names}
            fresh = {file for file in found if file.is_file()} - seen
            seen |= fresh
            pending += fresh
    return seen


@pytest.mark.parametrize("module", tree.modules())
def test_module_brings_little_code_along(module: str) -> None:
    files = closure(tree.PLUGINS / "modules" / (module + ".py"))
    assert tree.PLUGINS / "module_utils/_module.py" in files
    shared = [path.read_text(encoding="utf-8") for path in files if "module_utils" in path.parts]
    assert sum(map(code_lines, shared)) <= MODULE_CODE_LINES


@pytest.mark.parametrize(
    "path",
    [path for path in tree.files() if path.suffix == ".yml" and {"tasks", "handlers"} & set(path.parts)],
    ids=tree.short,
)
def test_task_files_are_short(path: Path) -> None:
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    assert len([line for line in lines if line and not line.startswith("#")]) <= TASK_FILE_LINES


def test_planted_violations_are_found() -> None:
    long = "def f(a, b, c, d, e, g):\n" + "    a += 1\n" * 60
    source = ast.parse(long)
    assert len(size_problems("x.py", source, 400)) == 3
    assert len(typing_problems("x.py", source)) == 1
    assert len(docstring_problems("x.py", source)) == 2
    assert code_lines('"""Text."""\n\n# note\nx = 1\n') == 1
