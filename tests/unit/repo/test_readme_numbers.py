# SPDX-License-Identifier: GPL-3.0-or-later
"""No figure in the README that a command did not print: measured ones come from a recorded run."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import pytest

from ansible_collections.slipway.gitops.tests.unit.repo import tree

sys.path.insert(0, str(tree.ROOT / "scripts"))

from lib import measures

README = tree.ROOT / "README.md"
#: A number with a unit of time, speed or size, or a factor.
_MEASUREMENT = re.compile(
    r"\b\d+(?:[.,]\d+)?\s*(?:ms|milliseconds?|s|secs?|seconds?|min|minutes?|[KMG]i?B|%|×|(?:x|times)\s+(?:faster|slower))(?![\w-])"
    r"|\b\d+(?:[.,]\d+)?\s?×|×\s?\d"
)


def loose_figures(text: str) -> list[str]:
    """Return measurement-like figures outside of the measured block."""
    before, found, rest = text.partition(measures.BEGIN)
    outside = before + rest.partition(measures.END)[2] if found else text
    return [line.strip() for line in outside.splitlines() if _MEASUREMENT.search(line)]


def block_problems(text: str, document: dict[str, Any]) -> list[str]:
    """Return how the measured block of a text differs from a recorded run."""
    if measures.BEGIN not in text or measures.END not in text:
        return ["no measured block"]
    return [] if measures.with_figures(text, document) == text else ["the block is not what the record gives"]


def test_figures_are_those_of_the_recorded_run() -> None:
    document = json.loads(measures.RECORD.read_text(encoding="utf-8"))
    assert block_problems(README.read_text(encoding="utf-8"), document) == []
    assert "`%s`" % document["command"] in README.read_text(encoding="utf-8")


def test_no_figure_stands_elsewhere() -> None:
    assert loose_figures(README.read_text(encoding="utf-8")) == []


def test_the_command_that_printed_them_exists() -> None:
    document = json.loads(measures.RECORD.read_text(encoding="utf-8"))
    assert (tree.ROOT / document["command"].split()[0]).exists()
    assert document["parts"]


@pytest.mark.parametrize(
    "text",
    ["a task takes 23 ms", "up in 15 s.", "20 × faster", "30x faster", "saves 40 % of it", "after 2.5 seconds", "×22"],
)
def test_planted_figure_is_found(text: str) -> None:
    assert loose_figures("# Title\n" + text + "\n") == [text]
    assert loose_figures("%s\n%s\n%s\n" % (measures.BEGIN, text, measures.END)) == []


@pytest.mark.parametrize("text", ["Python 3.11 or newer", "ansible-core 2.16 to 2.21", "3 apps", "port 30080"])
def test_plain_number_is_no_figure(text: str) -> None:
    assert loose_figures(text) == []


def test_changed_block_is_found() -> None:
    machine = {"processors": 2, "processor": "x", "memory_gib": 4, "system": "y"}
    row = {"title": "task", "unit": "ms", "median": 23.1, "low": 20.0, "high": 25.0, "rounds": 5}
    part = {"title": "Tasks", "how": "how", "rows": [row], "targets": []}
    document = {"command": "c", "date": "d", "machine": machine, "versions": {"core": "1"}, "parts": {"t": part}}
    text = measures.with_figures("# T\n%s\n%s\n" % (measures.BEGIN, measures.END), document)
    assert block_problems(text, document) == []
    assert block_problems(text.replace("23.1", "13.1"), document) != []
    assert block_problems("# T\n", document) != []
