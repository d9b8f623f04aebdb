# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock that leases are measured with (private to the collection)."""

from __future__ import annotations

import time
from dataclasses import dataclass

from .._errors import PermanentError

BOOT_ID = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True)
class Reading:
    """Which boot of the machine this is, milliseconds since then, and seconds since the epoch."""

    boot: str
    since_boot_ms: int
    wall_s: float


class BootClock:
    """Time since the machine was started, suspended time included.

    A change of the wall clock cannot lengthen or shorten a lease, and a lease from before a
    restart is recognised by the id of its boot.
    """

    def read(self) -> Reading:
        """Return the time now. Raises PermanentError on a system without a boot id."""
        try:
            with open(BOOT_ID, encoding="ascii") as source:
                boot = source.read().strip()
            since = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        except (OSError, AttributeError) as error:
            raise PermanentError(
                "read",
                "the boot clock of this machine",
                str(error),
                "The embedded queue needs Linux. Run the play on a Linux controller.",
                code="no_boot_clock",
            ) from error
        return Reading(boot, since, time.time())
