# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entering the queue, and what time does to it (private to the collection)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping

from .._errors import BusyError, PermanentError
from .model import CLAIMED, EXPIRED, FAILED, ORPHANED, QUEUED, SUPERSEDED, Change, Entry, Environment, veto
from .ports import Transaction
from .request import Wish

MAX_WAITING = 10_000
OURSELVES = "slipway.gitops"


def enqueue(tx: Transaction, wish: Wish, actor: str, waiter_ttl_s: int, reason: str = "") -> tuple[Entry, bool]:
    """Return the entry of ``wish`` and whether it is new; ``reason`` is kept in its first event.

    The same idempotency key returns the first entry again. Raises PermanentError
    (idempotency_conflict) if the key was used for another wish, BusyError (held, queue_full)
    if the environment refuses it.
    """
    environment = settle(tx, wish.environment)
    if wish.idempotency_key is not None:
        known = tx.entry_by_key(wish.environment, wish.idempotency_key)
        if known is not None:
            return _known(tx, known, wish, waiter_ttl_s), False
    entry = _new_entry(tx, environment, wish, actor, waiter_ttl_s)
    hold = veto(environment, entry)
    if hold is not None:
        raise BusyError("enqueue", _named(entry), held_because(hold), RESUME_HINT, code="held")
    if len(tx.waiting(wish.environment)) >= MAX_WAITING:
        raise BusyError("enqueue", _named(entry), "%d entries are waiting" % MAX_WAITING, code="queue_full")
    tx.record(Change(environment, replace(environment, seq=entry.seq), actor, reason, entry=entry))
    return entry, True


RESUME_HINT = "When its cause is gone, run deploy_queue with state: resumed."


def held_because(hold: Mapping[str, Any]) -> str:
    """Return who holds what and why, in words."""
    what = "the environment"
    if hold["scope"] == "release":
        what = "%s %s" % (hold["app"], hold["version"] or hold["digest"])
    return "%s is held since %s (%s)" % (what, hold["at"], hold["reason"])


def settle(tx: Transaction, name: str) -> Environment:
    """Do what time has made due in an environment; return it as it is then.

    A pause ends; a claim whose lease lapsed becomes an orphan, one that used up its attempts
    fails and pauses the environment; waiting entries whose client is gone or whose time is
    over expire, and those older than what was delivered since are superseded.
    """
    environment = tx.environment(name) or Environment(name)
    if environment.pause and 0 < environment.pause["until"] <= tx.now:
        running = replace(environment, pause=None)
        tx.record(Change(environment, running, OURSELVES, "the pause was over", label="resumed"))
        environment = running
    environment = _settle_holder(tx, environment)
    releases = tx.releases(name)
    for entry in tx.waiting(name):
        reason = _why_over(tx, entry)
        if reason:
            end(tx, environment, replace(entry, state=EXPIRED, reason=reason), OURSELVES)
        elif entry.kind == "deploy" and entry.app in releases and entry.seq < releases[entry.app].deployed_seq:
            newer = str(releases[entry.app].record["entry"])
            over = replace(entry, state=SUPERSEDED, superseded_by=newer, reason="a newer release was delivered")
            end(tx, environment, over, OURSELVES)
    return environment


def end(tx: Transaction, environment: Environment, over: Entry, actor: str) -> Entry:
    """Record ``over``, an entry in its final state and with its reason; return it."""
    over = replace(over, finished_at=tx.at)
    tx.record(Change(environment, environment, actor, over.reason, tx.entry(over.id), over))
    return over


def is_lapsed(boot: str, until: int, tx: Transaction) -> bool:
    """Tell whether a lease is over: its time is, or the machine was restarted since."""
    return boot != tx.boot or until <= tx.now


def waiter_lease(tx: Transaction, entry: Entry, ttl_s: int) -> Entry:
    """Return ``entry`` with the lease of its waiting client renewed."""
    return replace(entry, waiter_boot=tx.boot, waiter_until=max(tx.now, entry.ready_at) + ttl_s * 1000)


def _known(tx: Transaction, known: Entry, wish: Wish, waiter_ttl_s: int) -> Entry:
    if known.params_hash != wish.params_hash():
        raise PermanentError(
            "enqueue",
            "%s %s in %s" % (wish.app, wish.version, wish.environment),
            "its idempotency_key was used for %s %s (entry %s)" % (known.app, known.version, known.id),
            "One key stands for one delivery: use another.",
            code="idempotency_conflict",
        )
    if known.state == QUEUED and not known.detached:
        known = waiter_lease(tx, known, waiter_ttl_s)
        tx.touch(known)
    return known


def _new_entry(tx: Transaction, environment: Environment, wish: Wish, actor: str, waiter_ttl_s: int) -> Entry:
    delay_ms = max(0, int((wish.not_before - tx.wall_s) * 1000)) if wish.not_before else 0
    entry = Entry(
        id=tx.new_id(),
        environment=wish.environment,
        app=wish.app,
        version=wish.version,
        digest=wish.digest,
        kind=wish.kind,
        priority=wish.priority,
        seq=environment.seq + 1,
        state=QUEUED,
        requested_by=actor,
        source_url=wish.source_url,
        detached=wish.detached,
        idempotency_key=wish.idempotency_key,
        params_hash=wish.params_hash(),
        max_attempts=wish.max_attempts,
        enqueued_at=tx.at,
        ready_at=tx.now + delay_ms,
        expires_at=tx.now + wish.expires_in_s * 1000 if wish.expires_in_s else 0,
    )
    return entry if entry.detached else waiter_lease(tx, entry, waiter_ttl_s)


def _settle_holder(tx: Transaction, environment: Environment) -> Environment:
    holder = tx.holder(environment.name)
    if holder is None:
        return environment
    if holder.state == CLAIMED and is_lapsed(holder.lease_boot, holder.lease_until, tx):
        reason = "the lease lapsed" if holder.lease_boot == tx.boot else "the machine was restarted"
        orphan = replace(holder, state=ORPHANED)
        tx.record(Change(environment, environment, OURSELVES, reason, holder, orphan))
        holder = orphan
    if holder.state == ORPHANED and holder.attempt >= holder.max_attempts:
        reason = "entry %s lost its holder in each of its %d attempts" % (holder.id, holder.attempt)
        paused = replace(environment, pause=new_pause(tx, OURSELVES, reason, 0))
        over = replace(holder, state=FAILED, reason=reason, finished_at=tx.at)
        tx.record(Change(environment, paused, OURSELVES, reason, holder, over))
        return paused
    return environment


def new_pause(tx: Transaction, actor: str, reason: str, expires_in_s: int) -> dict[str, object]:
    """Return the record of a pause that begins now."""
    until = tx.now + expires_in_s * 1000 if expires_in_s else 0
    return {"by": actor, "reason": reason, "at": tx.at, "expires_in": expires_in_s, "until": until}


def _why_over(tx: Transaction, entry: Entry) -> str:
    if entry.expires_at and entry.expires_at <= tx.now:
        return "it was not claimed in time"
    if not entry.detached and is_lapsed(entry.waiter_boot, entry.waiter_until, tx):
        return "its client stopped waiting for it"
    return ""


def _named(entry: Entry) -> str:
    return "%s %s in %s" % (entry.app, entry.version, entry.environment)
