# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One transaction on the embedded store (private to the collection)."""

from __future__ import annotations

import os
import secrets
import sqlite3
from datetime import datetime, timezone
from typing import Any, Iterator, Optional

from .._errors import CorruptError
from .clock import Reading
from .model import ENTRY_FIELDS, GENESIS, SIGNS_OF_LIFE, Change, Entry, Environment, Event, Release, canonical, event_of
from .schema import (
    INSERT_ENTRY,
    INSERT_EVENT,
    SELECT_ENTRY,
    SELECT_EVENT,
    UPDATE_ENTRY,
    entry_of,
    entry_row,
    environment_of,
    environment_row,
    event_of_row,
    event_row,
    release_of,
)

_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_AT_WORK = "state IN ('claimed', 'orphaned')"


class Transaction:
    """Reads and changes records; nothing of it is seen by others before it ends well.

    ``now`` is the queue's time in milliseconds. It goes on through restarts of the machine
    and never back: within one boot by the boot clock, across boots by the wall clock, if
    that went forward. ``boot`` is the id of this boot, ``wall_s`` and ``at`` are wall time.
    """

    def __init__(self, connection: sqlite3.Connection, reading: Reading, writable: bool) -> None:
        self._connection = connection
        self._last = self._last_event()
        self.boot = reading.boot
        self.wall_s = reading.wall_s
        self.at = iso_time(reading.wall_s)
        self.now = self._queue_time(reading, writable)

    # --- reading ---

    def environment(self, name: str) -> Optional[Environment]:
        """Return the environment, or None if nothing was ever recorded of it."""
        row = self._one("SELECT name, fence, seq, pause, holds FROM environments WHERE name = ?", name)
        return environment_of(row) if row else None

    def environments(self) -> list[Environment]:
        """Return all environments by name."""
        rows = self._connection.execute("SELECT name, fence, seq, pause, holds FROM environments ORDER BY name")
        return [environment_of(row) for row in rows]

    def entry(self, entry_id: str) -> Optional[Entry]:
        """Return one entry."""
        row = self._one(SELECT_ENTRY + " WHERE id = ?", entry_id)
        return entry_of(row) if row else None

    def entry_by_key(self, environment: str, key: str) -> Optional[Entry]:
        """Return the entry that was made under an idempotency key."""
        query = SELECT_ENTRY + " WHERE environment = ? AND idempotency_key = ?"
        row = self._one(query, environment, key)
        return entry_of(row) if row else None

    def holder(self, environment: str) -> Optional[Entry]:
        """Return the entry that holds the environment: claimed or orphaned."""
        row = self._one(SELECT_ENTRY + " WHERE environment = ? AND " + _AT_WORK, environment)
        return entry_of(row) if row else None

    def waiting(self, environment: str) -> list[Entry]:
        """Return the queued entries, in no order."""
        query = SELECT_ENTRY + " WHERE environment = ? AND state = 'queued'"
        return [entry_of(row) for row in self._connection.execute(query, (environment,))]

    def entries(self) -> Iterator[Entry]:
        """Yield every entry there ever was."""
        return map(entry_of, self._connection.execute(SELECT_ENTRY))

    def releases(self, environment: str) -> dict[str, Release]:
        """Return the last verified release of each app."""
        query = "SELECT environment, app, record, deployed_seq FROM releases WHERE environment = ? ORDER BY app"
        return {row[1]: release_of(row) for row in self._connection.execute(query, (environment,))}

    def events(self) -> Iterator[Event]:
        """Yield all events in their order."""
        return map(event_of_row, self._connection.execute(SELECT_EVENT + " ORDER BY seq"))

    def latest_events(self, environment: str, limit: int) -> list[Event]:
        """Return the last ``limit`` events of one environment, oldest first."""
        query = SELECT_EVENT + " WHERE environment = ? ORDER BY seq DESC LIMIT ?"
        return [event_of_row(row) for row in self._connection.execute(query, (environment, limit))][::-1]

    def problems(self) -> list[str]:
        """Return what SQLite's own check of the file finds."""
        found = [row[0] for row in self._connection.execute("PRAGMA integrity_check(20)")]
        return [] if found == ["ok"] else found

    # --- writing ---

    def record(self, change: Change) -> None:
        """Append the event of ``change`` and bring the records up to it."""
        last = self._last
        event = event_of(change, last.seq + 1 if last else 1, self.at, self.now, last.hash if last else GENESIS)
        self._connection.execute(INSERT_EVENT, event_row(event))
        self._last = event
        if change.environment != change.environment_was:
            self._connection.execute(
                "INSERT OR REPLACE INTO environments VALUES (?, ?, ?, ?, ?)", environment_row(change.environment)
            )
        if change.entry is not None:
            self._put_entry(change.entry_was, change.entry)
        if change.release is not None:
            release = change.release
            self._connection.execute(
                "INSERT OR REPLACE INTO releases VALUES (?, ?, ?, ?)",
                (release.environment, release.app, canonical(release.record), release.deployed_seq),
            )

    def touch(self, entry: Entry) -> None:
        """Store the signs of life of an entry; they are not history, so there is no event."""
        self._update(entry.id, {name: getattr(entry, name) for name in SIGNS_OF_LIFE})

    def new_id(self) -> str:
        """Return a new ULID: sorts by time, unique by chance."""
        number = (int(self.wall_s * 1000) & (2**48 - 1)) << 80 | int.from_bytes(os.urandom(10), "big")
        return "".join(_BASE32[number >> shift & 31] for shift in range(125, -5, -5))

    def new_token(self) -> str:
        """Return a new secret of 128 bits."""
        return secrets.token_hex(16)

    def _put_entry(self, was: Optional[Entry], now: Entry) -> None:
        if was is None:
            self._connection.execute(INSERT_ENTRY, entry_row(now))
            return
        self._update(
            now.id,
            {name: getattr(now, name) for name in ENTRY_FIELDS if getattr(now, name) != getattr(was, name)},
        )

    def _update(self, entry_id: str, values: dict[str, Any]) -> None:
        if values:
            columns = ", ".join('"%s" = ?' % name for name in values)
            self._connection.execute(UPDATE_ENTRY % columns, (*values.values(), entry_id))

    def _one(self, query: str, *values: Any) -> Any:
        return self._connection.execute(query, values).fetchone()

    def _last_event(self) -> Optional[Event]:
        row = self._one(SELECT_EVENT + " ORDER BY seq DESC LIMIT 1")
        if row is None:
            return None
        event = event_of_row(row)
        if event.hash != event.digest():
            raise CorruptError(
                "trust", "the queue", "event %d does not match its hash" % event.seq, "Restore the store from a backup."
            )
        return event

    def _queue_time(self, reading: Reading, writable: bool) -> int:
        """Return the queue's time; a writer that is the first of its boot notes the offset."""
        known = dict(self._connection.execute("SELECT key, value FROM meta WHERE key IN ('boot', 'offset_ms')"))
        if known.get("boot") == reading.boot:
            return reading.since_boot_ms + int(known["offset_ms"])
        now = 1000  # so that 0 can mean never
        if self._last:
            away_s = reading.wall_s - datetime.fromisoformat(self._last.at.replace("Z", "+00:00")).timestamp()
            now = self._last.queue_time + max(0, int(away_s * 1000))
        if writable:
            self._connection.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)",
                [("boot", reading.boot), ("offset_ms", str(now - reading.since_boot_ms))],
            )
        return now


def iso_time(wall_s: float) -> str:
    """Return wall time as text, in UTC with milliseconds."""
    text = datetime.fromtimestamp(wall_s, timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
