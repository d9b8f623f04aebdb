# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded store of the queue: one SQLite file on a local disk (private to the collection).

Every operation is one transaction, durable when it returns: rollback journal with
``synchronous=EXTRA`` (write-ahead logging has lost data between processes up to SQLite
3.51.2), begun with BEGIN IMMEDIATE behind a lock file that queues its waiters.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import ExitStack, closing, contextmanager
from typing import Iterator
from urllib.parse import quote

from .._errors import CorruptError, PermanentError, SlipwayError, TransientError
from . import files, schema
from .clock import BootClock
from .transaction import Transaction

_MARK = b"initialised\n"
_STORAGE = ("disk is full", "disk i/o error", "readonly", "unable to open", "unable to write", "too big")
OLDEST_SQLITE = (3, 34, 0)


class Store:
    """Opens the file ``path`` for one transaction at a time.

    A missing file is made by the first operation that adds something. A file that vanished,
    is damaged or is of a newer version is never replaced: the operation fails with
    CorruptError and says what to do. Faults of the disk are TransientError ``storage``.
    """

    def __init__(self, path: str, clock: BootClock, lock_timeout_s: float = 30.0) -> None:
        self.path = path
        self._lock_path = path + ".lock"
        self._clock = clock
        self._timeout_s = lock_timeout_s

    def exists(self) -> bool:
        """Tell whether there is a store. Raises CorruptError if there was one and it is gone."""
        with self._faults():
            if files.check_file(self.path):
                return True
            if files.check_file(self._lock_path) and self._was_initialised():
                raise CorruptError(
                    "open",
                    "store " + self.path,
                    "it was there before and is gone",
                    "Restore it from a backup. To begin anew, remove %s and pass fence_floor." % self._lock_path,
                    code="store_missing",
                )
        return False

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Yield a transaction that is committed at the end, and rolled back by an exception."""
        with self._faults():
            files.check_folder(self.path, create=True)
            files.check_file(self.path)
            files.check_file(self._lock_path)
            with files.locked(self._lock_path, self._timeout_s) as lock:
                if not self.exists():
                    self._create(lock)
                with closing(self._connect("rw")) as connection:
                    connection.execute("BEGIN IMMEDIATE")
                    self._check_version(connection, writing=True)
                    try:
                        yield Transaction(connection, self._clock.read(), writable=True)
                        connection.execute("COMMIT")
                    finally:
                        if connection.in_transaction:
                            connection.execute("ROLLBACK")

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Yield a transaction that sees one moment and can change nothing, as if empty without a store."""
        with self._reading() as connection:
            yield Transaction(connection, self._clock.read(), writable=False)

    @contextmanager
    def rehearse(self) -> Iterator[Transaction]:
        """Yield a transaction on a copy in memory: what is written to it is forgotten."""
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
            with self._reading() as connection:
                connection.backup(copy)
            with self._faults():
                yield Transaction(copy, self._clock.read(), writable=True)

    def schema_version(self) -> int:
        """Return the version of the file's tables."""
        with self._reading() as connection:
            return int(connection.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection for reading. Readers queue too: SQLite would let busy writers starve them."""
        with self._faults(), ExitStack() as stack:
            if not self.exists():
                connection = stack.enter_context(closing(sqlite3.connect(":memory:", isolation_level=None)))
                schema.create(connection)
            else:
                stack.enter_context(files.locked(self._lock_path, self._timeout_s))
                connection = stack.enter_context(closing(self._open_to_read()))
            yield connection

    def _open_to_read(self) -> sqlite3.Connection:
        connection = self._connect("ro")
        try:
            self._check_version(connection, writing=False)
            return connection
        except sqlite3.OperationalError as error:
            connection.close()
            if "readonly" in str(error):
                return self._healed_copy()
            raise
        except BaseException:
            connection.close()
            raise

    def _healed_copy(self) -> sqlite3.Connection:
        """Return a copy in memory of a store whose last writer died while it committed.

        SQLite puts the old pages back when the next writer comes. A reader must not, so it
        lets that happen to a copy.
        """
        with ExitStack() as stack:
            copy = stack.enter_context(files.private_copy(self.path, "-journal"))
            connection = stack.enter_context(closing(sqlite3.connect(copy, isolation_level=None)))
            self._check_version(connection, writing=False)
            healed = sqlite3.connect(":memory:", isolation_level=None)
            connection.backup(healed)
            return healed

    def _connect(self, mode: str) -> sqlite3.Connection:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            cause = "the SQLite library is %s and 3.34 is the oldest that will do" % sqlite3.sqlite_version
            raise PermanentError("open", "store " + self.path, cause, code="old_sqlite")
        connection = sqlite3.connect(
            "file:%s?mode=%s" % (quote(self.path), mode), uri=True, isolation_level=None, timeout=self._timeout_s
        )
        if mode == "rw":
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute("PRAGMA trusted_schema = OFF")
        return connection

    def _check_version(self, connection: sqlite3.Connection, writing: bool) -> None:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if application != schema.APPLICATION_ID:
            raise self._damaged("it is not a slipway.gitops queue")
        if (writing and version > schema.SCHEMA_VERSION) or version < 1:
            raise CorruptError(
                "write to" if writing else "read",
                "store " + self.path,
                "its tables have version %d and this collection knows %d" % (version, schema.SCHEMA_VERSION),
                "Use the newer slipway.gitops that wrote it." if version else "Restore it from a backup.",
                code="schema_version",
            )

    def _create(self, lock: int) -> None:
        """Make the store under another name and move it into place: it is never seen half made."""
        files.check_file_system(os.path.dirname(self.path))
        half_made = self.path + ".new"
        for leftover in (half_made, half_made + "-journal"):
            if os.path.lexists(leftover):
                os.unlink(leftover)
        os.close(os.open(half_made, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600))
        with closing(sqlite3.connect(half_made, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = EXTRA")
            schema.create(connection)
        os.rename(half_made, self.path)
        folder = os.open(os.path.dirname(self.path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        os.pwrite(lock, _MARK, 0)
        os.fsync(lock)

    def _was_initialised(self) -> bool:
        with open(self._lock_path, "rb") as mark:
            return mark.read(len(_MARK)) == _MARK

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn faults of SQLite and of the disk into errors with a class."""
        try:
            yield
        except SlipwayError:
            raise
        except sqlite3.DatabaseError as error:
            raise self._database_fault(error) from error
        except json.JSONDecodeError as error:
            raise self._damaged("a record cannot be read (%s)" % error) from error
        except OSError as error:
            raise self._storage_fault(str(error)) from error

    def _database_fault(self, error: sqlite3.DatabaseError) -> SlipwayError:
        text = str(error)
        if "locked" in text or "busy" in text:
            return TransientError("open", "store " + self.path, text, "Another process is using it.", code="store_busy")
        if isinstance(error, sqlite3.OperationalError) and any(part in text.lower() for part in _STORAGE):
            return self._storage_fault(text)
        return self._damaged(text)

    def _storage_fault(self, cause: str) -> SlipwayError:
        hint = "Nothing was changed. Check the disk and the rights of its folder."
        return TransientError("use", "store " + self.path, cause, hint, code="storage")

    def _damaged(self, cause: str) -> CorruptError:
        return CorruptError(
            "open",
            "store " + self.path,
            cause,
            "Nothing was changed. Keep the file, check it with deploy_queue_info (verify: true) and restore a backup.",
        )
