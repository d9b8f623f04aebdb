# SPDX-License-Identifier: GPL-3.0-or-later
"""The two sizes of the tests: the gate tries one row of each rule, the full size every row."""

from __future__ import annotations

import os
from typing import Sequence, TypeVar

T = TypeVar("T")

#: Whether this is the full size, which releases are tested at.
FULL = os.environ.get("SLIPWAY_TEST_SIZE") == "full"


def rows(gate: Sequence[T], full: Sequence[T] = ()) -> list[T]:
    """Return those that every run tries, and at full size those that show the same rule once more."""
    return [*gate, *full] if FULL else [*gate]
