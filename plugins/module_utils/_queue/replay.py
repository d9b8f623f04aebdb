# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds events up to records, and checks what must hold of them (private to the collection)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Iterable, Mapping

from .model import (
    CLAIMED,
    GENESIS,
    ORPHANED,
    QUEUED,
    ROLLED_BACK,
    SIGNS_OF_LIFE,
    SUCCEEDED,
    SUPERSEDED,
    TRANSITIONS,
    Entry,
    Environment,
    Event,
    Release,
)

_AT_WORK = (CLAIMED, ORPHANED)


class Replay:
    """The records that the events so far add up to, and every rule they broke.

    Held here: events are whole and in order, only known transitions occur, one entry at a
    time holds an environment, fences grow with each claim, attempts are counted and bounded,
    idempotency keys are unique, and the last verified release is that of the last entry
    which verified one.
    """

    def __init__(self) -> None:
        self.environments: dict[str, Environment] = {}
        self.entries: dict[str, Entry] = {}
        self.releases: dict[tuple[str, str], Release] = {}
        self.violations: list[str] = []
        self._holders: dict[str, str] = {}
        self._claims: dict[str, int] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._last_hash = GENESIS
        self._last_seq = 0

    @property
    def count(self) -> int:
        """Return the number of the last event."""
        return self._last_seq

    def apply(self, event: Event) -> None:
        """Add one event; one that cannot be added is a broken rule too."""
        self._check_chain(event)
        try:
            self._add(event)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            self._expect(False, event, "it cannot be replayed (%s)" % error)

    def _add(self, event: Event) -> None:
        old = self.environments.get(event.environment, Environment(event.environment))
        new = replace(old, **_environment_fields(event.data.get("environment", {})))
        self._expect(new.fence >= old.fence and new.seq >= old.seq, event, "fence or sequence went back")
        self.environments[event.environment] = new
        if event.entry:
            self._apply_entry(event, old, new)
        verifies = event.after in (SUCCEEDED, ROLLED_BACK)
        self._expect(verifies == ("release" in event.data), event, "success and a verified release go together")
        if "release" in event.data:
            self._apply_release(event)

    def compare(
        self, environments: Iterable[Environment], entries: Iterable[Entry], releases: Iterable[Release]
    ) -> list[str]:
        """Return the broken rules, and each stored record that is not what its events add up to."""
        found = list(self.violations)
        stored_entries = {entry.id: _without_signs_of_life(entry) for entry in entries}
        ours = {entry_id: _without_signs_of_life(entry) for entry_id, entry in self.entries.items()}
        found += _differences("entry", ours, stored_entries)
        found += _differences("environment", self.environments, {item.name: item for item in environments})
        found += _differences("release", self.releases, {(item.environment, item.app): item for item in releases})
        for entry in self.entries.values():
            found += self._dangling(entry)
        return found

    def _check_chain(self, event: Event) -> None:
        self._expect(event.prev_hash == self._last_hash, event, "it does not follow the event before it")
        self._expect(event.hash == event.digest(), event, "its content was changed")
        self._expect(event.seq == self._last_seq + 1, event, "an event before it is missing")
        self._last_hash, self._last_seq = event.hash, event.seq

    def _apply_entry(self, event: Event, old: Environment, new: Environment) -> None:
        was = self.entries.get(event.entry)
        now = replace(was, **event.data["entry"]) if was else Entry(**event.data["entry"])
        before = was.state if was else ""
        self.entries[event.entry] = now
        self._expect((before, now.state) in TRANSITIONS, event, "%r to %r is no transition" % (before, now.state))
        self._expect((before, now.state) == (event.before, event.after), event, "its states are not those of the entry")
        if now.idempotency_key is not None:
            owner = self._keys.setdefault((now.environment, now.idempotency_key), now.id)
            self._expect(owner == now.id, event, "its idempotency key belongs to entry %s" % owner)
        self._check_slot(event, now)
        self._check_fence(event, was, now, old, new)

    def _check_slot(self, event: Event, now: Entry) -> None:
        holder = self._holders.get(now.environment)
        if now.state in _AT_WORK:
            self._expect(holder in (None, now.id), event, "entry %s holds the environment" % holder)
            self._holders[now.environment] = now.id
        elif holder == now.id:
            del self._holders[now.environment]

    def _check_fence(self, event: Event, was: Any, now: Entry, old: Environment, new: Environment) -> None:
        grant = now.state == CLAIMED and was is not None and was.state in (QUEUED, ORPHANED)
        if grant:
            self._claims[now.id] = self._claims.get(now.id, 0) + 1
        if grant or (was is not None and was.token_sha256 != now.token_sha256):
            self._expect(now.fence > old.fence and now.fence == new.fence, event, "a claim needs a new fence")
        elif was is not None and was.fence != now.fence:
            self._expect(now.fence > was.fence, event, "the fence of the entry went back")
        self._expect(now.attempt == self._claims.get(now.id, 0), event, "attempts and claims differ")
        self._expect(now.attempt <= now.max_attempts, event, "more attempts than allowed")

    def _apply_release(self, event: Event) -> None:
        release = Release(**event.data["release"])
        self.releases[(release.environment, release.app)] = release
        entry = self.entries.get(event.entry)
        verified = entry is not None and entry.app == release.app and release.record.get("entry") == entry.id
        self._expect(verified, event, "a release is recorded that its entry did not verify")
        if entry is not None and entry.state == SUCCEEDED:
            same = release.record.get("version") == entry.version
            self._expect(same, event, "the recorded release is not that of the entry")

    def _dangling(self, entry: Entry) -> list[str]:
        if entry.state != SUPERSEDED:
            return []
        successor = self.entries.get(entry.superseded_by)
        if successor and successor.app == entry.app and successor.seq > entry.seq:
            return []
        return ["entry %s is superseded by no newer entry of its app" % entry.id]

    def _expect(self, holds: bool, event: Event, problem: str) -> None:
        if not holds:
            self.violations.append("event %d: %s" % (event.seq, problem))


def _environment_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return environment fields as they are in a record; JSON turned the tuple into a list."""
    return {name: tuple(value) if name == "holds" else value for name, value in data.items()}


def _without_signs_of_life(entry: Entry) -> Entry:
    blank: dict[str, Any] = {name: 0 if name.endswith("until") else "" for name in SIGNS_OF_LIFE}
    return replace(entry, **blank)


def _differences(kind: str, ours: Mapping[Any, Any], stored: Mapping[Any, Any]) -> list[str]:
    return [
        "%s %s is stored otherwise than its events say" % (kind, key)
        for key in sorted(set(ours) | set(stored), key=str)
        if ours.get(key) != stored.get(key)
    ]
