# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claiming an environment (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional, Union

from .._errors import BusyError, NotFound, PermanentError, SlipwayError
from .intake import RESUME_HINT, held_because, settle, waiter_lease
from .model import CLAIMED, ORPHANED, QUEUED, SUPERSEDED, TERMINAL, Change, Entry, Environment, secret_hash, veto
from .order import head, in_order, is_ready
from .ports import Transaction


@dataclass(frozen=True)
class ClaimRequest:
    """Who wants which entry: its own by id, or, as a worker, the next detached one.

    ``fence_floor`` is the highest fence seen elsewhere, for a store that was begun anew.
    """

    environment: str
    entry_id: Optional[str]
    actor: str
    lease_ttl_s: int
    waiter_ttl_s: int
    claim_id: Optional[str] = None
    fence_floor: int = 0
    break_reason: Optional[str] = None


@dataclass(frozen=True)
class Grant:
    """The environment is ours under ``token``, which is nowhere else.

    ``recovery``: the entry's earlier holder vanished; observe how far it came before writing.
    ``reclaimed``: the answer to the same claim had been lost; the earlier fence is void.
    """

    entry: Entry
    token: str
    recovery: bool = False
    reclaimed: bool = False


@dataclass(frozen=True)
class Refusal:
    """Why not now. ``final``: waiting cannot help; ``error`` is set if asking again cannot either.

    ``changed``: the lease of the holder was broken all the same.
    """

    code: str
    message: str
    final: bool = False
    error: Optional[SlipwayError] = None
    position: int = 0
    holder: Optional[Entry] = None
    changed: bool = False


Outcome = Union[Grant, Refusal]


def claim(tx: Transaction, request: ClaimRequest) -> Outcome:
    """Grant the environment if it is free and it is the entry's turn, else say why not.

    An orphan is handed to whoever asks first, before anything new runs. Raises NotFound for
    an unknown entry.
    """
    environment = settle(tx, request.environment)
    own = _own(tx, request)
    if own is not None and own.state in TERMINAL:
        return _over(own)
    if own is not None and own.state == CLAIMED and _is_same_claim(own, request):
        return _grant(tx, environment, own, request)
    outcome = _outcome(tx, environment, own, request)
    if isinstance(outcome, Refusal) and own is not None and own.state == QUEUED and not own.detached:
        _keep_waiting(tx, own, request.waiter_ttl_s)
    return outcome


def _outcome(tx: Transaction, environment: Environment, own: Optional[Entry], request: ClaimRequest) -> Outcome:
    holder = tx.holder(environment.name)
    broken = request.break_reason is not None and holder is not None and holder.state == CLAIMED
    if broken and holder is not None:
        _break_lease(tx, environment, holder, request)
        environment = settle(tx, environment.name)
        holder = tx.holder(environment.name)
    refusal = _closed(environment, own)
    if refusal is not None:
        return replace(refusal, changed=broken)
    if holder is not None and holder.state == ORPHANED:
        return _grant(tx, environment, holder, request)
    waiting = tx.waiting(environment.name)
    if holder is not None:
        message = "%s is being delivered by %s" % (_named(holder), holder.owner)
        return Refusal("busy", message, position=_position(waiting, own, tx.now), holder=holder)
    return _next(tx, environment, own, waiting, request)


def _next(
    tx: Transaction, environment: Environment, own: Optional[Entry], waiting: list[Entry], request: ClaimRequest
) -> Outcome:
    """Grant the free environment to the entry whose turn it is, if that is the one asked for."""
    turn = head(waiting, tx.now, lambda entry: veto(environment, entry) is not None)
    if own is not None and not is_ready(own, tx.now):
        wait_s = (own.ready_at - tx.now) / 1000
        return Refusal("not_before", "it may begin in %.0f s" % wait_s, position=_position(waiting, own, tx.now))
    if turn is None:
        return Refusal("empty", "nothing waits that may run now")
    mine = turn.id == own.id if own is not None else turn.detached
    if mine:
        return _grant(tx, environment, turn, request)
    message = "%s is next (entry %s, requested by %s)" % (_named(turn), turn.id, turn.requested_by)
    return Refusal("waiting", message, position=_position(waiting, own, tx.now))


def _own(tx: Transaction, request: ClaimRequest) -> Optional[Entry]:
    if request.entry_id is None:
        return None
    own = tx.entry(request.entry_id)
    if own is None or own.environment != request.environment:
        raise NotFound("claim", "entry %s of %s" % (request.entry_id, request.environment), "there is no such entry")
    return own


def _over(own: Entry) -> Refusal:
    resource = "entry %s (%s)" % (own.id, _named(own))
    cause = "it is %s%s" % (own.state, " (%s)" % own.reason if own.reason else "")
    if own.state == SUPERSEDED:
        error: SlipwayError = BusyError("claim", resource, cause, "Nothing was written.", code="superseded")
    else:
        error = PermanentError("claim", resource, cause, "Enqueue it anew, with another key.", code="not_running")
    return Refusal(error.code, cause, True, error)


def _closed(environment: Environment, own: Optional[Entry]) -> Optional[Refusal]:
    if environment.pause is not None:
        pause = environment.pause
        return Refusal("paused", "%s paused %s (%s)" % (pause["by"], environment.name, pause["reason"]))
    for hold in environment.holds:
        if hold["scope"] == "environment":
            return Refusal("held", "%s. %s" % (held_because(hold), RESUME_HINT), final=True)
    hold_of_own = veto(environment, own) if own is not None else None
    if hold_of_own is not None:
        return Refusal("held", "%s. %s" % (held_because(hold_of_own), RESUME_HINT), final=True)
    return None


def _is_same_claim(own: Entry, request: ClaimRequest) -> bool:
    return request.claim_id is not None and own.claim_sha256 == secret_hash(request.claim_id)


def _break_lease(tx: Transaction, environment: Environment, holder: Entry, request: ClaimRequest) -> None:
    """Fence the holder off: a person vouches that it is gone, or wants it to stop."""
    fenced = replace(environment, fence=environment.fence + 1)
    orphan = replace(holder, state=ORPHANED, fence=fenced.fence)
    tx.record(Change(environment, fenced, request.actor, "lease broken: %s" % request.break_reason, holder, orphan))


def _grant(tx: Transaction, environment: Environment, entry: Entry, request: ClaimRequest) -> Grant:
    reclaimed = entry.state == CLAIMED
    token = tx.new_token()
    fenced = replace(environment, fence=max(environment.fence, request.fence_floor) + 1)
    claimed = replace(
        entry,
        state=CLAIMED,
        attempt=entry.attempt + (0 if reclaimed else 1),
        fence=fenced.fence,
        owner=request.actor,
        claimed_at=tx.at,
        token_sha256=secret_hash(token),
        claim_sha256=secret_hash(request.claim_id) if request.claim_id else "",
        lease_boot=tx.boot,
        lease_until=tx.now + request.lease_ttl_s * 1000,
        waiter_boot="",
        waiter_until=0,
    )
    reason = "reclaimed" if reclaimed else ""
    tx.record(Change(environment, fenced, request.actor, reason, entry, claimed))
    return Grant(claimed, token, recovery=entry.state == ORPHANED, reclaimed=reclaimed)


def _keep_waiting(tx: Transaction, own: Entry, ttl_s: int) -> None:
    renewed = waiter_lease(tx, own, ttl_s)
    if renewed.waiter_until - own.waiter_until >= ttl_s * 1000 // 3 or own.waiter_boot != tx.boot:
        tx.touch(renewed)


def _position(waiting: list[Entry], own: Optional[Entry], now: int) -> int:
    """Return the place of ``own`` among those that wait, 1 for the first, 0 if it does not."""
    order = [entry.id for entry in in_order(waiting, now)]
    return order.index(own.id) + 1 if own is not None and own.id in order else 0


def _named(entry: Entry) -> str:
    return "%s %s" % (entry.app, entry.version)
