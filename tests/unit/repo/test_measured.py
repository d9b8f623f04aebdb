# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures in the README come from a recorded run of the command they name, and from nowhere else."""

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
BLOCK = re.compile(r"<!-- measured: (?P<command>\S+) -->\n(?P<body>.*?)<!-- /measured -->", re.DOTALL)
#: A number with a unit of time, or a ratio.
FIGURE = re.compile(
    r"(?<![\w.])\d+(?:[.,]\d+)?[\s-]*"
    r"(?:(?:[mµn]s|s|secs?|seconds?|mins?|minutes?|h|hours?|times|x)\b|×|%)"
)  # fmt: skip


def recorded() -> dict[str, Any]:
    """Return the recorded run."""
    document: dict[str, Any] = json.loads(measures.RECORD.read_text(encoding="utf-8"))
    return document


def loose_figures(text: str) -> list[str]:
    """Return the figures of a text that stand outside the blocks a command made."""
    return [match.group() for match in FIGURE.finditer(BLOCK.sub("", text))]


def block_problems(text: str, expected: str) -> list[str]:
    """Return what is wrong with the measured blocks of a text."""
    blocks = [(match["command"], match["body"]) for match in BLOCK.finditer(text)]
    commands = [command for command, _body in blocks]
    if commands != ["scripts/bench"]:
        return ["the README needs one block measured by scripts/bench and no other: %s" % commands]
    return [] if blocks[0][1] == expected else ["the block differs from docs/measured.json: run scripts/bench --record"]


def test_readme_shows_the_recorded_run() -> None:
    assert block_problems(README.read_text(encoding="utf-8"), measures.markdown(recorded())) == []


def test_readme_has_no_other_figures() -> None:
    assert loose_figures(README.read_text(encoding="utf-8")) == []


def test_record_is_whole() -> None:
    document = recorded()
    assert document["command"] == measures.COMMAND
    assert set(document["parts"]) == {"task", "delivery", "queue"}
    for part in document["parts"].values():
        assert all(row["low"] <= row["median"] <= row["high"] and row["rounds"] >= 5 for row in part["rows"])


def test_record_meets_the_targets_that_decide() -> None:
    targets = [row for part in recorded()["parts"].values() for row in part["targets"] if row["gates"]]
    assert len(targets) >= 3
    assert [row["text"] for row in targets if not row["met"]] == []


@pytest.mark.parametrize("name", ["machine", "versions", "date"])
def test_record_says_where_and_when(name: str) -> None:
    assert recorded()[name]


def test_record_names_no_machine() -> None:
    text = measures.RECORD.read_text(encoding="utf-8")
    assert not re.search(r"/(root|home|tmp|var)/|hostname", text)


PLANTED = ["in 25 ms", "21.5 s", "a 5-minute read", "20 × faster", "22 times faster", "12x", "takes 3 seconds", "30 %"]


@pytest.mark.parametrize("text", PLANTED)
def test_planted_figure_is_found(text: str) -> None:
    assert loose_figures("It is done %s." % text) != []


@pytest.mark.parametrize("text", ["Python 3.11 or newer", "ansible-core 2.16", "up to 100 Applications", "ports 30080"])
def test_other_numbers_are_no_figures(text: str) -> None:
    assert loose_figures(text) == []


def test_planted_block_is_found() -> None:
    good = "a\n<!-- measured: scripts/bench -->\n25 ms\n<!-- /measured -->\n"
    assert loose_figures(good) == []
    assert block_problems(good, "25 ms\n") == []
    assert block_problems(good, "26 ms\n") != []
    assert block_problems(good.replace("scripts/bench", "scripts/none"), "25 ms\n") != []
    assert block_problems("no block", "") != []


def test_block_is_made_from_a_record() -> None:
    series = [measures.Series("a task", "ms", [20.04, 30.0, 25.06])]
    targets = [measures.Target("fast", "25.1 ms", True, True)]
    part = measures.Findings("Tasks", "as is", series, targets).as_part()
    document = measures.record({"task": {**part, "others_percent": measures.Load().percent()}}, {"Python": "3.11"})
    text = measures.with_figures("x\n<!-- measured: scripts/bench -->\nold\n<!-- /measured -->\ny\n", document)
    assert "| a task | 25.1 ms | 20 ms | 30 ms |" in text
    assert "old" not in text and text.startswith("x\n") and text.endswith("\ny\n")
    assert block_problems(text, measures.markdown(document)) == []
