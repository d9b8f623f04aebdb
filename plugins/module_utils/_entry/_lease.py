# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the lease of a task from its option ``lease`` (private to the collection)."""

from __future__ import annotations

from typing import Any, Mapping

from .._clock import SystemClock
from .._context import Context
from .._lease import Lease, LeaseKeeper, NoLease, Renewal


def lease_of(params: Mapping[str, Any], ctx: Context) -> Lease:
    """Return the lease that ``params['lease']`` describes, or one that asks nothing.

    Check mode writes nothing, so it neither needs nor renews a lease. The store is opened at
    the first use, not here.
    """
    options = params.get("lease")
    if not options or ctx.check_mode:
        return NoLease()

    def renew() -> Renewal:
        from ._queue_ports import renew_lease  # SQLite is loaded only by tasks that hold a lease

        return renew_lease(options, ctx)

    return LeaseKeeper(options["fence"], options["entry"], options["ttl"], renew, SystemClock())
