# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of the delivery queue and the transitions they may make (private to the collection).

Pure values. Every change of a record is an :class:`Event`; the stored records are what the
events add up to, so that history, status and measures can never disagree.

Times: ``*_at`` texts are UTC wall time for people. Integers are milliseconds of the queue's
own clock, which never goes back and is unaffected by changes of the wall clock.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields, replace
from typing import Any, Mapping, Optional

QUEUED = "queued"
CLAIMED = "claimed"
ORPHANED = "orphaned"
SUCCEEDED = "succeeded"
FAILED = "failed"
ROLLED_BACK = "rolled_back"
CANCELLED = "cancelled"
EXPIRED = "expired"
SUPERSEDED = "superseded"

TERMINAL = frozenset({SUCCEEDED, FAILED, ROLLED_BACK, CANCELLED, EXPIRED, SUPERSEDED})

#: The only transitions there are. A claim that ended without its holder becomes an orphan: it
#: keeps the environment until the next holder has observed how far it came.
TRANSITIONS = frozenset(
    {
        ("", QUEUED),
        (QUEUED, SUPERSEDED),
        (QUEUED, EXPIRED),
        (QUEUED, CANCELLED),
        (QUEUED, CLAIMED),
        (CLAIMED, CLAIMED),  # phase noted, cancellation asked for, or the same claim handed out again
        (CLAIMED, SUCCEEDED),
        (CLAIMED, FAILED),
        (CLAIMED, CANCELLED),
        (CLAIMED, ROLLED_BACK),
        (CLAIMED, QUEUED),  # requeued by its holder
        (CLAIMED, ORPHANED),  # lease lapsed, or broken by a person
        (ORPHANED, ORPHANED),  # cancellation asked for
        (ORPHANED, CLAIMED),
        (ORPHANED, FAILED),  # attempts used up
    }
)

KINDS = ("deploy", "rollback", "adopt")
PHASES = ("pre_check", "git", "sync", "post_check", "rollback")
PRIORITIES = {"low": 20, "normal": 50, "high": 80, "emergency": 100}
HOLD_SCOPES = ("release", "environment")


@dataclass(frozen=True)
class Entry:
    """One wish to deliver, from the moment it is accepted to its end; it is never deleted."""

    id: str
    environment: str
    app: str
    version: str
    digest: str
    kind: str
    priority: int
    seq: int
    state: str
    requested_by: str
    source_url: str
    detached: bool
    idempotency_key: Optional[str]
    params_hash: str
    max_attempts: int
    enqueued_at: str
    ready_at: int
    expires_at: int = 0
    attempt: int = 0
    fence: int = 0
    owner: str = ""
    claimed_at: str = ""
    token_sha256: str = ""
    claim_sha256: str = ""
    phase: str = ""
    commit: str = ""
    cancel_requested: bool = False
    superseded_by: str = ""
    reason: str = ""
    error: str = ""
    error_class: str = ""
    finished_at: str = ""
    # Signs of life. They change every few seconds and are not history: no events.
    lease_boot: str = ""
    lease_until: int = 0
    waiter_boot: str = ""
    waiter_until: int = 0


ENTRY_FIELDS = tuple(item.name for item in fields(Entry))
SIGNS_OF_LIFE = ("lease_boot", "lease_until", "waiter_boot", "waiter_until")
_HIDDEN = frozenset({"token_sha256", "claim_sha256", "params_hash", "ready_at", "expires_at", *SIGNS_OF_LIFE})


@dataclass(frozen=True)
class Environment:
    """What is known of one environment. ``fence`` and ``seq`` only ever grow.

    ``pause`` is set by a person: ``by``, ``reason``, ``at``, ``until`` (queue time, 0 = open
    end). ``holds`` are set by rule after a failure: ``scope``, ``app``, ``version``,
    ``digest``, ``reason``, ``by``, ``at``, ``entry``.
    """

    name: str
    fence: int = 0
    seq: int = 0
    pause: Optional[Mapping[str, Any]] = None
    holds: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Release:
    """The last release of an app that passed its gate after the sync of its own commit.

    ``deployed_seq`` is the highest ``seq`` among the entries that succeeded for the app: an
    older wish is outdated.
    """

    environment: str
    app: str
    record: Mapping[str, Any]
    deployed_seq: int = 0


@dataclass(frozen=True)
class Change:
    """One step to record: the records before and after it, and who wanted it why."""

    environment_was: Environment
    environment: Environment
    actor: str
    reason: str = ""
    entry_was: Optional[Entry] = None
    entry: Optional[Entry] = None
    release: Optional[Release] = None
    measures: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""  # what happened to an environment; for an entry it is its new state


@dataclass(frozen=True)
class Event:
    """One recorded step. ``hash`` covers everything else and the event before it."""

    seq: int
    at: str
    queue_time: int
    environment: str
    entry: str
    before: str
    after: str
    fence: int
    actor: str
    reason: str
    data: Mapping[str, Any]
    prev_hash: str
    hash: str = ""

    def digest(self) -> str:
        """Return what ``hash`` has to be."""
        content = values_of(self)
        del content["hash"]
        return hashlib.sha256(canonical(content).encode()).hexdigest()


GENESIS = "0" * 64


def values_of(record: Any) -> dict[str, Any]:
    """Return the fields of a record; unlike dataclasses.asdict it copies nothing, so it is far faster."""
    return dict(vars(record))


def canonical(value: Any) -> str:
    """Return the one JSON text of ``value``."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def secret_hash(secret: str) -> str:
    """Return what the store keeps of a token."""
    return hashlib.sha256(secret.encode()).hexdigest()


def event_of(change: Change, seq: int, at: str, queue_time: int, prev_hash: str) -> Event:
    """Return the event that records ``change``: only what is different goes into it."""
    data: dict[str, Any] = {}
    if change.entry is not None:
        data["entry"] = _different(change.entry_was, change.entry, SIGNS_OF_LIFE)
    environment = _different(change.environment_was, change.environment, ("name",))
    if environment:
        data["environment"] = environment
    if change.release is not None:
        data["release"] = values_of(change.release)
    if change.measures:
        data["measures"] = dict(change.measures)
    event = Event(
        seq=seq,
        at=at,
        queue_time=queue_time,
        environment=change.environment.name,
        entry=change.entry.id if change.entry else "",
        before=change.entry_was.state if change.entry_was else "",
        after=change.entry.state if change.entry else change.label,
        fence=change.entry.fence if change.entry else change.environment.fence,
        actor=change.actor,
        reason=change.reason,
        data=data,
        prev_hash=prev_hash,
    )
    return replace(event, hash=event.digest())


def _different(was: Any, now: Any, ignored: tuple[str, ...]) -> dict[str, Any]:
    old = values_of(was) if was is not None else {}
    return {
        name: value
        for name, value in values_of(now).items()
        if name not in ignored and old.get(name, _NOTHING) != value
    }


_NOTHING = object()


def entry_view(entry: Entry) -> dict[str, Any]:
    """Return what people may see of an entry."""
    return visible(values_of(entry))


def visible(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of an entry without hashes of secrets and without clock readings."""
    return {name: value for name, value in values.items() if name not in _HIDDEN}


def environment_view(environment: Environment) -> dict[str, Any]:
    """Return what people may see of an environment."""
    return {
        "name": environment.name,
        "fence": environment.fence,
        "paused": pause_view(environment),
        "holds": [dict(hold) for hold in environment.holds],
    }


def pause_view(environment: Environment) -> Optional[dict[str, Any]]:
    """Return owner, reason, time and planned end of a pause, or None."""
    if environment.pause is None:
        return None
    return {name: value for name, value in environment.pause.items() if name != "until"}


def veto(environment: Environment, entry: Entry) -> Optional[Mapping[str, Any]]:
    """Return the hold that refuses ``entry``, or None.

    A hold of scope ``release`` refuses one release of one app, so that a fix goes forward;
    one of scope ``environment`` refuses everything until a person resumes it.
    """
    for hold in environment.holds:
        if hold["scope"] == "environment" or same_release(hold, entry):
            return hold
    return None


def same_release(hold: Mapping[str, Any], entry: Entry) -> bool:
    """Tell whether a hold names this release: by digest where both have one, else by version."""
    if hold["app"] != entry.app:
        return False
    if hold["digest"] and entry.digest:
        return bool(hold["digest"] == entry.digest)
    return bool(hold["version"] and hold["version"] == entry.version)
