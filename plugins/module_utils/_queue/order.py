# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is next (private to the collection).

Priority with ageing: a waiting entry gains one point per :data:`AGEING_STEP_MS`, up to 99,
so that a stream of urgent entries cannot starve a low one. Only an emergency stays above.
Equal entries go by the time they became ready, then by the order of arrival.
"""

from __future__ import annotations

from typing import Callable, Iterable, Optional

from .model import Entry

AGEING_STEP_MS = 30_000
CEILING = 99
EMERGENCY = 100


def effective_priority(entry: Entry, now: int) -> float:
    """Return the priority of ``entry`` at queue time ``now`` (milliseconds), 0 to 100."""
    if entry.priority >= EMERGENCY:
        return float(EMERGENCY)
    return min(entry.priority + max(0, now - entry.ready_at) / AGEING_STEP_MS, float(CEILING))


def rank(entry: Entry, now: int) -> tuple[float, int, int]:
    """Return the sort key of ``entry``; the smallest goes first."""
    return (-effective_priority(entry, now), entry.ready_at, entry.seq)


def is_ready(entry: Entry, now: int) -> bool:
    """Tell whether the entry may run yet, after a back-off or a start time."""
    return entry.ready_at <= now


def in_order(entries: Iterable[Entry], now: int) -> list[Entry]:
    """Return ``entries`` as they would run: those that are ready first."""
    return sorted(entries, key=lambda entry: (not is_ready(entry, now), rank(entry, now)))


def head(entries: Iterable[Entry], now: int, refused: Callable[[Entry], bool]) -> Optional[Entry]:
    """Return the entry whose turn it is. One that is ``refused`` blocks nobody else."""
    eligible = [entry for entry in entries if is_ready(entry, now) and not refused(entry)]
    return min(eligible, key=lambda entry: rank(entry, now), default=None)


def back_off_ms(attempt: int, random: float) -> int:
    """Return the delay before attempt number ``attempt + 1``; ``random`` is in [0, 1).

    Full jitter over 30 s, 60 s, 120 s ... at most 15 minutes.
    """
    return int(random * min(30_000 * 2 ** min(attempt, 10), 900_000))
