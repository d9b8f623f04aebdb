# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of the embedded store, and how records become rows (private to the collection)."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from .model import ENTRY_FIELDS, Entry, Environment, Event, Release, canonical, values_of

APPLICATION_ID = 0x534C5751  # "SLWQ": tells our file from any other SQLite database
SCHEMA_VERSION = 1

#: The partial unique index is a second line of defence: whatever the code above it does, two
#: entries can never hold one environment.
SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE environments (
    name TEXT PRIMARY KEY, fence INTEGER NOT NULL, seq INTEGER NOT NULL, pause TEXT, holds TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE entries (
    id TEXT PRIMARY KEY, environment TEXT NOT NULL REFERENCES environments (name), app TEXT NOT NULL,
    version TEXT NOT NULL, digest TEXT NOT NULL, kind TEXT NOT NULL,
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 100), seq INTEGER NOT NULL, state TEXT NOT NULL,
    requested_by TEXT NOT NULL, source_url TEXT NOT NULL, detached INTEGER NOT NULL, idempotency_key TEXT,
    params_hash TEXT NOT NULL, max_attempts INTEGER NOT NULL, enqueued_at TEXT NOT NULL, ready_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL, attempt INTEGER NOT NULL CHECK (attempt <= max_attempts), fence INTEGER NOT NULL,
    owner TEXT NOT NULL, claimed_at TEXT NOT NULL, token_sha256 TEXT NOT NULL, claim_sha256 TEXT NOT NULL,
    phase TEXT NOT NULL, "commit" TEXT NOT NULL, cancel_requested INTEGER NOT NULL, superseded_by TEXT NOT NULL,
    reason TEXT NOT NULL, error TEXT NOT NULL, error_class TEXT NOT NULL, finished_at TEXT NOT NULL,
    lease_boot TEXT NOT NULL, lease_until INTEGER NOT NULL, waiter_boot TEXT NOT NULL, waiter_until INTEGER NOT NULL,
    UNIQUE (environment, seq), UNIQUE (environment, idempotency_key)
) WITHOUT ROWID;
CREATE UNIQUE INDEX one_holder ON entries (environment) WHERE state IN ('claimed', 'orphaned');
CREATE INDEX waiting ON entries (environment) WHERE state = 'queued';
CREATE TABLE releases (
    environment TEXT NOT NULL, app TEXT NOT NULL, record TEXT NOT NULL, deployed_seq INTEGER NOT NULL,
    PRIMARY KEY (environment, app)
) WITHOUT ROWID;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, at TEXT NOT NULL, queue_time INTEGER NOT NULL, environment TEXT NOT NULL,
    entry TEXT NOT NULL, "before" TEXT NOT NULL, "after" TEXT NOT NULL, fence INTEGER NOT NULL, actor TEXT NOT NULL,
    reason TEXT NOT NULL, data TEXT NOT NULL, prev_hash TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE INDEX events_by_environment ON events (environment, seq);
CREATE TRIGGER events_are_final BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_stay BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
"""

EVENT_COLUMNS = (
    'seq, at, queue_time, environment, entry, "before", "after", fence, actor, reason, data, prev_hash, hash'
)
ENTRY_COLUMNS = ", ".join('"%s"' % name for name in ENTRY_FIELDS)
_BOOLEANS = tuple(ENTRY_FIELDS.index(name) for name in ("detached", "cancel_requested"))

# Column names are constants of this file; every value is a parameter.
SELECT_ENTRY = "SELECT %s FROM entries" % ENTRY_COLUMNS  # noqa: S608
SELECT_EVENT = "SELECT %s FROM events" % EVENT_COLUMNS  # noqa: S608
INSERT_ENTRY = "INSERT INTO entries (%s) VALUES (%s)" % (ENTRY_COLUMNS, ", ".join("?" * len(ENTRY_FIELDS)))  # noqa: S608
INSERT_EVENT = "INSERT INTO events (%s) VALUES (%s)" % (EVENT_COLUMNS, ", ".join("?" * 13))  # noqa: S608
UPDATE_ENTRY = "UPDATE entries SET %s WHERE id = ?"


def entry_of(row: tuple[Any, ...]) -> Entry:
    """Return the entry in a row of ENTRY_COLUMNS."""
    values = list(row)
    for index in _BOOLEANS:
        values[index] = bool(values[index])
    return Entry(*values)


def entry_row(entry: Entry) -> tuple[Any, ...]:
    """Return a row of ENTRY_COLUMNS."""
    return tuple(values_of(entry).values())


def environment_of(row: tuple[Any, ...]) -> Environment:
    """Return the environment in a row of the table environments."""
    name, fence, seq, pause, holds = row
    return Environment(name, fence, seq, json.loads(pause) if pause else None, tuple(json.loads(holds)))


def environment_row(environment: Environment) -> tuple[Any, ...]:
    """Return a row of the table environments."""
    pause = None if environment.pause is None else canonical(environment.pause)
    return (environment.name, environment.fence, environment.seq, pause, canonical(list(environment.holds)))


def event_of_row(row: tuple[Any, ...]) -> Event:
    """Return the event in a row of EVENT_COLUMNS."""
    values = list(row)
    values[10] = json.loads(values[10])
    return Event(*values)


def event_row(event: Event) -> tuple[Any, ...]:
    """Return a row of EVENT_COLUMNS."""
    values = values_of(event)
    values["data"] = canonical(values["data"])
    return tuple(values.values())


def release_of(row: tuple[Any, ...]) -> Release:
    """Return the release in a row of the table releases."""
    return Release(row[0], row[1], json.loads(row[2]), row[3])


def create(connection: sqlite3.Connection) -> None:
    """Make an empty store."""
    connection.executescript(
        "BEGIN IMMEDIATE; PRAGMA application_id = %d; PRAGMA user_version = %d; %s COMMIT;"
        % (APPLICATION_ID, SCHEMA_VERSION, SCHEMA)
    )
