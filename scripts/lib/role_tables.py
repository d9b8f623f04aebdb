# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the table of variables in a role's README from its argument specification.

``scripts/lib/run python -m lib.role_tables`` (from ``scripts/``) writes them; a test holds them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Mapping

import yaml

BEGIN, END = "<!-- variables: from meta/argument_specs.yml -->", "<!-- /variables -->"
ROLES = Path(__file__).resolve().parents[2] / "roles"


def plain(text: str) -> str:
    """Return a description without Ansible's markup, on one line, fit for a table cell."""
    text = re.sub(r"\b[CVOE]\(((?:[^()]|\\\))*)\)", r"`\1`", text)
    text = re.sub(r"\b[MP]\(([^()#]*)(?:#\w+)?\)", r"`\1`", text)
    return " ".join(text.split()).replace("|", "\\|")


def row(name: str, option: Mapping[str, Any]) -> str:
    """Return one line of the table."""
    descriptions = option["description"]
    meaning = plain(" ".join([descriptions] if isinstance(descriptions, str) else descriptions))
    kind = str(option.get("type", "str"))
    if option.get("choices"):
        kind = ", ".join("`%s`" % choice for choice in option["choices"])
    default = option.get("default")
    shown = "" if default in ("", None, []) else "`%s`" % " ".join(str(default).split()).replace("|", "\\|")
    if "lookup(" in str(default):
        shown = _looked_up(str(default))
    if isinstance(default, bool):
        shown = "`%s`" % str(default).lower()
    return "| `%s` | %s | %s | %s |" % (name, kind, shown, meaning)


def _looked_up(expression: str) -> str:
    """Return in words what an expression over the environment gives."""
    names = re.findall(r"env', '(SLIPWAY_\w+|K8S_\w+)'", expression)
    shown = " or ".join("`$%s`" % name for name in dict.fromkeys(names))
    # What a delivery uses comes before the environment.
    given = re.match(r"\W*(deploy_\w+)", expression)
    if given:
        shown = "`%s`, else `$%s`" % (given.group(1), names[-1])
    for folder in (".local/state", ".cache"):
        if folder in expression:
            shown += ", else below `~/%s/slipway-gitops`" % folder
    return shown


def table(role: Path) -> str:
    """Return the whole table of a role's main entry point."""
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    options = specs["argument_specs"]["main"]["options"]
    lines = ["| Variable | Type | Default | Meaning |", "| --- | --- | --- | --- |"]
    return "\n".join(lines + [row(name, option) for name, option in options.items()])


def rendered(role: Path) -> str:
    """Return the role's README with a fresh table. Raises ValueError when it has no place for one."""
    text = (role / "README.md").read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError("%s has no '%s' ... '%s'" % (role / "README.md", BEGIN, END))
    before, rest = text.split(BEGIN, 1)
    return "%s%s\n\n%s\n\n%s%s" % (before, BEGIN, table(role), END, rest.split(END, 1)[1])


def main() -> None:
    """Write the README of every role anew."""
    for role in sorted(path for path in ROLES.iterdir() if (path / "README.md").exists()):
        (role / "README.md").write_text(rendered(role), encoding="utf-8")


if __name__ == "__main__":
    main()
