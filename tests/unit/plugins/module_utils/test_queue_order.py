# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is next: priority, ageing, start times, refusals."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._queue.model import Entry
from ansible_collections.slipway.gitops.plugins.module_utils._queue.order import (
    AGEING_STEP_MS,
    back_off_ms,
    effective_priority,
    head,
    in_order,
)


def entry(name: str, priority: int, ready_at: int = 0, seq: int = 1, **more: Any) -> Entry:
    values: dict[str, Any] = {
        "id": name, "environment": "staging", "app": "shop", "version": name, "digest": "", "kind": "deploy",
        "priority": priority, "seq": seq, "state": "queued", "requested_by": "ci", "source_url": "", "detached": False,
        "idempotency_key": None, "params_hash": "", "max_attempts": 3, "enqueued_at": "", "ready_at": ready_at,
    }  # fmt: skip
    return Entry(**{**values, **more})


@pytest.mark.parametrize(
    "priority, waited_steps, expected",
    [
        (20, 0, 20),
        (20, 1, 21),
        (20, 79, 99),
        (20, 500, 99),  # never an emergency
        (99, 3, 99),
        (100, 0, 100),
        (100, 9, 100),
        (50, -4, 50),  # not ready yet: no credit, no debt
    ],
)
def test_effective_priority(priority: int, waited_steps: int, expected: int) -> None:
    assert effective_priority(entry("x", priority), waited_steps * AGEING_STEP_MS) == expected


@pytest.mark.parametrize(
    "entries, now, expected",
    [
        ([entry("low", 20), entry("normal", 50), entry("high", 80)], 0, ["high", "normal", "low"]),
        ([entry("b", 50, 10, 2), entry("a", 50, 5, 3)], 20, ["a", "b"]),
        ([entry("second", 50, 0, 2), entry("first", 50, 0, 1)], 0, ["first", "second"]),
        ([entry("old", 20, 0), entry("new", 80, 60 * AGEING_STEP_MS)], 60 * AGEING_STEP_MS, ["old", "new"]),
        ([entry("old-low", 20, 0), entry("urgent", 100, 10**9)], 10**9, ["urgent", "old-low"]),
        ([entry("later", 100, 100), entry("now", 20, 0)], 50, ["now", "later"]),
    ],
)  # fmt: skip
def test_order(entries: list[Entry], now: int, expected: list[str]) -> None:
    assert [item.id for item in in_order(entries, now)] == expected


def test_refused_and_unready_entries_block_nobody() -> None:
    entries = [entry("vetoed", 80), entry("later", 100, 100), entry("mine", 20)]
    chosen = head(entries, 0, lambda item: item.id == "vetoed")
    assert chosen is not None
    assert chosen.id == "mine"
    assert head(entries, 0, lambda item: True) is None


def test_low_entry_outlasts_a_stream_of_high_ones() -> None:
    """With a new high entry every second and one served per second, the low one runs within (99 - 20) steps."""
    low = entry("low", 20)
    for second in range(100 * AGEING_STEP_MS // 1000):
        now = second * 1000
        chosen = head([low, entry("high", 80, now, second + 2)], now, lambda item: False)
        if chosen is low:
            assert now <= 79 * AGEING_STEP_MS
            return
    raise AssertionError("the low entry starved")


@pytest.mark.parametrize(
    "attempt, random, expected",
    [(0, 0.0, 0), (0, 0.5, 15_000), (1, 0.5, 30_000), (4, 0.999, 479_520), (5, 0.5, 450_000), (60, 0.5, 450_000)],
)
def test_back_off(attempt: int, random: float, expected: int) -> None:
    assert back_off_ms(attempt, random) == expected
