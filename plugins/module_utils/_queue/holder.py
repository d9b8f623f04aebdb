# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the holder of a lease may do with its entry (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Mapping, Optional

from .._errors import FencedError, InvalidInput, PermanentError
from .intake import waiter_lease
from .model import CLAIMED, QUEUED, ROLLED_BACK, SUCCEEDED, TERMINAL, Change, Entry, Environment, Release, secret_hash
from .order import back_off_ms
from .ports import Transaction
from .request import images_of


@dataclass(frozen=True)
class Holder:
    """Proof of a claim, as the option ``lease`` carries it."""

    entry_id: str
    fence: int
    token: str
    ttl_s: int
    actor: str


@dataclass(frozen=True)
class Finish:
    """How a delivery ended."""

    state: str
    release: Optional[Mapping[str, Any]] = None
    measures: Optional[Mapping[str, Any]] = None
    commit: str = ""
    reason: str = ""
    error: str = ""
    error_class: str = ""
    hold_scope: Optional[str] = None


def renew(tx: Transaction, holder: Holder, phase: Optional[str] = None, commit: Optional[str] = None) -> Entry:
    """Extend the lease and note how far the delivery is; return the entry.

    A late renewal counts as long as nobody has declared the entry an orphan. Raises
    FencedError when it is not ours any more.
    """
    entry = held(tx, holder)
    renewed = replace(
        entry,
        lease_boot=tx.boot,
        lease_until=tx.now + holder.ttl_s * 1000,
        phase=entry.phase if phase is None else phase,
        commit=entry.commit if commit is None else commit,
    )
    if (renewed.phase, renewed.commit) == (entry.phase, entry.commit):
        tx.touch(renewed)
    else:
        environment = _environment(tx, entry)
        tx.record(Change(environment, environment, holder.actor, "", entry, renewed))
    return renewed


def finish(tx: Transaction, holder: Holder, how: Finish) -> tuple[Entry, bool]:
    """End the delivery and free the environment; return the entry and whether this call did it.

    Success and rollback record the verified release, and a hold begins, in the same step.
    Saying the same again changes nothing. Raises FencedError when the entry is not ours.
    """
    entry = held(tx, holder, again=how.state)
    if entry.state == how.state:
        return entry, False
    environment = _environment(tx, entry)
    release = _verified(tx, entry, how)
    over = replace(
        entry,
        state=how.state,
        commit=how.commit or entry.commit,
        reason=how.reason,
        error=how.error,
        error_class=how.error_class,
        finished_at=tx.at,
    )
    after = environment
    if how.hold_scope:
        after = with_hold(environment, new_hold(tx, over, how.hold_scope, holder.actor, how.reason))
    tx.record(Change(environment, after, holder.actor, how.reason, entry, over, release, dict(how.measures or {})))
    return over, True


def requeue(tx: Transaction, holder: Holder, how: Finish, waiter_ttl_s: int, random: float) -> Entry:
    """Give the environment back and let the entry wait again, at the tail of its priority.

    Raises PermanentError (attempts_used_up) after the last attempt, FencedError when the
    entry is not ours.
    """
    entry = held(tx, holder)
    if entry.attempt >= entry.max_attempts:
        raise PermanentError(
            "requeue",
            "entry " + entry.id,
            "it used up its %d attempts" % entry.max_attempts,
            "Finish it as failed.",
            code="attempts_used_up",
        )
    waiting = replace(
        entry,
        state=QUEUED,
        ready_at=tx.now + back_off_ms(entry.attempt, random),
        phase="",
        commit="",
        owner="",
        reason=how.reason,
        error=how.error,
        error_class=how.error_class,
        lease_boot="",
        lease_until=0,
    )
    if not entry.detached:
        waiting = waiter_lease(tx, waiting, waiter_ttl_s)
    environment = _environment(tx, entry)
    tx.record(
        Change(environment, environment, holder.actor, how.reason, entry, waiting, None, dict(how.measures or {}))
    )
    return waiting


def held(tx: Transaction, holder: Holder, again: str = "") -> Entry:
    """Return the entry if ``holder`` holds it, or ended it as ``again``; else raise FencedError."""
    entry = tx.entry(holder.entry_id)
    resource = "the lease of entry " + holder.entry_id
    if entry is None:
        raise FencedError("use", resource, "the store does not know the entry", "Is it the same store?")
    proven = entry.fence == holder.fence and entry.token_sha256 == secret_hash(holder.token)
    if proven and (entry.state == CLAIMED or (again and entry.state == again)):
        return entry
    if proven and entry.state in TERMINAL:
        raise FencedError("use", resource, "the entry is over, it is %s" % entry.state, code="not_running")
    cause = "the entry is %s under fence %d, and ours is %d" % (entry.state, entry.fence, holder.fence)
    if entry.fence == holder.fence:
        cause = "the entry is %s%s" % (entry.state, "" if proven else " and the token is wrong")
    raise FencedError("use", resource, cause, "Stop: nothing more may be written under it.")


def new_hold(tx: Transaction, entry: Entry, scope: str, actor: str, reason: str) -> dict[str, Any]:
    """Return the record of a hold because of ``entry``."""
    return {
        "scope": scope,
        "app": entry.app,
        "version": entry.version,
        "digest": entry.digest,
        "reason": reason or entry.error[:1024] or "it ended as " + entry.state,
        "by": actor,
        "at": tx.at,
        "entry": entry.id,
    }


def with_hold(environment: Environment, hold: Mapping[str, Any]) -> Environment:
    """Return ``environment`` with one more hold, unless the same thing is held already."""
    key = ("scope", "app", "version", "digest")
    if any(all(known[name] == hold[name] for name in key) for known in environment.holds):
        return environment
    return replace(environment, holds=(*environment.holds, hold))


def _verified(tx: Transaction, entry: Entry, how: Finish) -> Optional[Release]:
    """Return what is recorded as the last verified release; None if nothing was verified."""
    if how.state not in (SUCCEEDED, ROLLED_BACK):
        return None
    known = tx.releases(entry.environment).get(entry.app)
    if how.state == ROLLED_BACK:
        record = _restored(entry, known, how)
    else:
        record = dict(how.release or {})
        if record["version"] != entry.version:
            raise InvalidInput(
                "release", "version %r is not that of the entry, %r" % (record["version"], entry.version)
            )
    commit = how.commit or record.get("commit") or entry.commit
    record.update(app=entry.app, commit=commit, at=tx.at, entry=entry.id, fence=entry.fence)
    deployed_seq = known.deployed_seq if known else 0
    if how.state == SUCCEEDED and entry.kind != "adopt":
        deployed_seq = max(deployed_seq, entry.seq)
    return Release(entry.environment, entry.app, record, deployed_seq)


def _restored(entry: Entry, known: Optional[Release], how: Finish) -> dict[str, Any]:
    """Return the record of the release that a rollback brought back: the last verified one."""
    if known is None:
        raise PermanentError(
            "finish",
            "entry %s as rolled_back" % entry.id,
            "no release of %s was ever verified in %s" % (entry.app, entry.environment),
            "Finish it as failed.",
            code="no_verified_release",
        )
    if how.release is not None:
        same = how.release["version"] == known.record["version"] and images_of(how.release) == images_of(known.record)
        if not same:
            raise InvalidInput("release", "is not the last verified one, %s" % known.record["version"])
        return dict(how.release)
    return {name: value for name, value in known.record.items() if name != "commit"}


def _environment(tx: Transaction, entry: Entry) -> Environment:
    return tx.environment(entry.environment) or Environment(entry.environment)
