# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping the lease of a delivery alive from inside a long task (private to the collection).

No process renews a lease in the background: one that outlives its playbook would keep an
environment occupied for ever. A task that waits or writes gets a :class:`Lease` instead and
calls it in its loop; a task without the option ``lease`` gets :class:`NoLease`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional, Protocol

from ._context import Clock
from ._errors import FencedError, TransientError

# The holder stops writing by itself at two thirds of the lease: a clock that runs at half the
# speed of the store's cannot make it write into somebody else's turn.
RENEW_AT = 1.0 / 3.0
STOP_AT = 2.0 / 3.0
RETRY_AT = 1.0 / 30.0


@dataclass(frozen=True)
class Renewal:
    """What the store answered: seconds the lease is good for, and whether to stop early."""

    remaining_s: float
    cancel_requested: bool = False


class Lease(Protocol):
    """The right to write, as use cases see it."""

    fence: int
    entry: str
    cancel_requested: bool

    def renew_if_due(self) -> None:
        """Renew when a third of the lease is used up; call it about once a second.

        Raises FencedError when the lease is lost: stop at once and write nothing.
        """

    def require(self, seconds: float) -> None:
        """Make sure that a write which takes up to ``seconds`` ends within the lease.

        Call it right before each write. Raises FencedError when it cannot be promised.
        """


class NoLease:
    """Stands for the lease of a task that was given none: asks nothing, promises nothing."""

    fence = 0
    entry = ""
    cancel_requested = False

    def renew_if_due(self) -> None:
        return None

    def require(self, seconds: float) -> None:  # noqa: ARG002  (the signature is the protocol's)
        return None


class LeaseKeeper:
    """Renews one lease through ``renew``, a call to the store that holds it.

    ``ttl_s`` is the length of the lease in seconds. Nothing is assumed about its age when
    the task begins, so the first call always renews.
    """

    def __init__(self, fence: int, entry: str, ttl_s: float, renew: Callable[[], Renewal], clock: Clock) -> None:
        self.fence = fence
        self.entry = entry
        self.cancel_requested = False
        self._ttl_s = ttl_s
        self._renew_port = renew
        self._clock = clock
        self._renewed_at: Optional[float] = None
        self._due_at = clock.monotonic()

    def renew_if_due(self) -> None:
        """Renew when due. A store that does not answer is asked again until two thirds are gone."""
        if self._clock.monotonic() >= self._due_at:
            self._renew()

    def require(self, seconds: float) -> None:
        """Raise FencedError unless ``seconds`` are left before the holder has to stop."""
        self.renew_if_due()
        if self._left() < seconds:
            self._renew()
        if self._left() < seconds:
            raise FencedError(
                "begin a write under",
                "the lease of entry %s" % self.entry,
                "it may take %.0f s and only %.0f s are safe to use" % (seconds, max(0.0, self._left())),
                "Nothing was written. Use a longer lease_ttl if this happens with a fresh lease.",
                code="lease_short",
            )

    def _left(self) -> float:
        if self._renewed_at is None:
            return 0.0
        return self._renewed_at + self._ttl_s * STOP_AT - self._clock.monotonic()

    def _renew(self) -> None:
        asked_at = self._clock.monotonic()  # before the call: a slow answer must not lengthen the lease
        try:
            renewal = self._renew_port()
        except TransientError as error:
            self._due_at = asked_at + self._ttl_s * RETRY_AT
            if self._left() > 0:
                return
            raise FencedError(
                "renew",
                "the lease of entry %s" % self.entry,
                "the store did not answer in time (%s)" % error,
                "Nothing more is written; the next delivery observes what was done.",
                code="lease_lost",
            ) from error
        self._renewed_at = asked_at
        self._due_at = asked_at + self._ttl_s * RENEW_AT
        self.cancel_requested = renewal.cancel_requested
