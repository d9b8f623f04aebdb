# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claiming with patience (private to the collection)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .._context import Backoff
from .._errors import BusyError
from .claim import ClaimRequest, Outcome, Refusal, claim
from .intake import end, enqueue
from .model import EXPIRED, QUEUED, Entry, Environment, entry_view

if TYPE_CHECKING:
    from .ports import Transaction
    from .service import Operation

# Another process can end its delivery at any moment and has no way to tell us; a look at a
# local file is cheap.
FIRST_LOOK_S = 0.05
SLOWEST_LOOK_S = 0.5
REPORT_EVERY_S = 10.0
GAVE_UP = "its client waited in vain"


class Claiming:
    """One claim, asked again until it is granted, refused for good, or the time is over."""

    def __init__(self, call: Operation) -> None:
        params = call.params
        self._call = call
        self._timeout_s = 0 if call.ctx.check_mode else params.get("wait_timeout") or 0
        self._started = call.ports.clock.monotonic()
        self._reported = self._started - REPORT_EVERY_S
        self._enqueued = False
        self.result: dict[str, Any] = {}
        self.request = ClaimRequest(
            environment=call.environment,
            entry_id=params.get("entry"),
            actor=call.actor,
            lease_ttl_s=params.get("lease_ttl") or 120,
            waiter_ttl_s=call.waiter_ttl_s,
            claim_id=params.get("claim_id"),
            fence_floor=params.get("fence_floor") or 0,
            break_reason=call.reason if params.get("force") else None,
        )

    def run(self) -> Outcome:
        """Return the outcome. Raises BusyError when a wait was asked for and was in vain."""
        clock = self._call.ports.clock
        backoff = Backoff(FIRST_LOOK_S, SLOWEST_LOOK_S, self._call.ports.random)
        while True:
            outcome = self._ask()
            self.result["waited"] = round(clock.monotonic() - self._started, 3)
            if not isinstance(outcome, Refusal):
                return outcome
            if outcome.error is not None:
                outcome.error.result.update(self.result)
                raise outcome.error
            if not self._timeout_s:
                return outcome
            left_s = self._started + self._timeout_s - clock.monotonic()
            if outcome.final or left_s <= 0:
                raise self._in_vain(outcome)
            self._report(outcome)
            clock.sleep(min(backoff.delay(), max(0.0, left_s)))

    def _ask(self) -> Outcome:
        call = self._call
        with call.session(adds=call.wish is not None and self.request.entry_id is None) as tx:
            before = call.view(tx)
            if self.request.entry_id is None and call.wish is not None:
                own, self._enqueued = enqueue(
                    tx, call.wish, call.actor, call.waiter_ttl_s, "" if call.params.get("force") else call.reason
                )
                self.request = replace(self.request, entry_id=own.id)
            outcome = claim(tx, self.request)
            # A lease is broken once, with the first question; who comes next is not our quarry.
            self.request = replace(self.request, break_reason=None)
            own_now = tx.entry(self.request.entry_id) if self.request.entry_id else None
            refused = isinstance(outcome, Refusal)
            entry = own_now if isinstance(outcome, Refusal) else outcome.entry
            changed = self._enqueued or not refused or (isinstance(outcome, Refusal) and outcome.changed)
            self.result = call.result(tx, entry, changed, before)
            self.result["own_entry"] = entry_view(own_now) if own_now else None
            self.result["recovery"] = False
            return outcome

    def _in_vain(self, refusal: Refusal) -> BusyError:
        """Leave the queue, so that nobody waits behind a client that is gone, and say why."""
        call = self._call
        with call.session(adds=False) as tx:
            self._leave(tx)
        waited = self.result["waited"]
        self.result.update(claimed=False, blocked={"code": refusal.code, "message": refusal.message})
        return BusyError(
            "claim",
            "environment " + call.environment,
            "%s; waited %.0f s of %d s" % (refusal.message, waited, self._timeout_s),
            "Nothing was written.",
            code="busy" if refusal.code in ("waiting", "empty", "not_before") else refusal.code,
            result=self.result,
        )

    def _leave(self, tx: Transaction) -> None:
        own = tx.entry(self.request.entry_id) if self.request.entry_id else None
        if own is not None and own.state == QUEUED and not own.detached:
            environment = tx.environment(own.environment) or Environment(own.environment)
            gone = end(tx, environment, replace(own, state=EXPIRED, reason=GAVE_UP), self._call.actor)
            self.result["own_entry"] = self.result["entry"] = entry_view(gone)

    def _report(self, refusal: Refusal) -> None:
        now = self._call.ports.clock.monotonic()
        if now - self._reported < REPORT_EVERY_S:
            return
        self._reported = now
        place = "position %d, " % refusal.position if refusal.position else ""
        text = "waiting for %s: %s%s" % (self._call.environment, place, refusal.message)
        if refusal.holder is not None:
            text += " since %s%s" % (refusal.holder.claimed_at, _phase(refusal.holder))
        self._call.ctx.progress("%s; %.0f s of %d s" % (text, now - self._started, self._timeout_s))


def _phase(holder: Entry) -> str:
    return ", phase %s" % holder.phase if holder.phase else ""
