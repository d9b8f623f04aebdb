# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded store: private files, damage, versions, restarts, and death at every statement."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._errors import CorruptError, InvalidInput, TransientError
from ansible_collections.slipway.gitops.plugins.module_utils._queue import files, store, transaction
from ansible_collections.slipway.gitops.plugins.module_utils._queue.clock import BootClock
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.queue_support import RELEASE, Queue


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- place ---


def test_folder_and_file_are_private_whatever_the_umask(queue: Queue) -> None:
    before = os.umask(0)
    try:
        queue.enqueue()
    finally:
        os.umask(before)
    assert [mode(path) for path in (queue.path.parent, queue.path, Path(str(queue.path) + ".lock"))] == [
        0o700, 0o600, 0o600,
    ]  # fmt: skip
    assert sorted(path.name for path in queue.path.parent.iterdir()) == ["queue.db", "queue.db.lock"]


def link_file(queue: Queue) -> None:
    queue.path.symlink_to(queue.path.parent.parent / "elsewhere")


def link_lock(queue: Queue) -> None:
    Path(str(queue.path) + ".lock").symlink_to(queue.path.parent.parent / "elsewhere")


def link_folder(queue: Queue) -> None:
    queue.path.parent.rmdir()
    (queue.path.parent.parent / "real").mkdir(mode=0o700)
    queue.path.parent.symlink_to(queue.path.parent.parent / "real")


def hard_link(queue: Queue) -> None:
    other = queue.path.parent.parent / "other"
    other.touch(0o600)
    os.link(other, queue.path)


def others_write_file(queue: Queue) -> None:
    queue.path.touch()
    queue.path.chmod(0o666)


PLACES = {
    "a link as file": link_file,
    "a link as lock": link_lock,
    "a link as folder": link_folder,
    "a second name": hard_link,
    "a folder as file": lambda queue: queue.path.mkdir(),
    "a pipe as file": lambda queue: os.mkfifo(queue.path, 0o600),
    "others write the folder": lambda queue: queue.path.parent.chmod(0o777),
    "the group writes the folder": lambda queue: queue.path.parent.chmod(0o770),
    "others write the file": others_write_file,
}


@pytest.mark.parametrize("case", PLACES)
def test_unsafe_places_are_refused(queue: Queue, case: str) -> None:
    queue.path.parent.mkdir(mode=0o700)
    PLACES[case](queue)
    before = sorted(os.listdir(queue.path.parent))
    with pytest.raises(InvalidInput) as caught:
        queue.enqueue()
    assert caught.value.option == "path"
    assert sorted(os.listdir(queue.path.parent)) == before
    assert not (queue.path.parent.parent / "elsewhere").exists()


def test_files_of_others_are_refused(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.enqueue()
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(InvalidInput) as caught:
        queue.enqueue("2")
    assert "belongs to user" in str(caught.value)


@pytest.mark.parametrize(
    "folder, expected",
    [("/home/ci/queue", "nfs4"), ("/home/local/x", "ext4"), ("/mnt/my disk/x", "fuse.sshfs"), ("/var/lib", "btrfs")],
)
def test_file_system_is_that_of_the_nearest_mount(tmp_path: Path, folder: str, expected: str) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 0:20 / / rw,relatime shared:1 - btrfs /dev/vda1 rw\n"
        "30 22 0:41 / /home rw,nosuid shared:2 - nfs4 server:/home rw\n"
        "31 30 8:1 / /home/local rw - ext4 /dev/sda1 rw\n"
        "32 22 0:50 / /mnt/my\\040disk rw shared:9 master:3 - fuse.sshfs host: rw\n"
    )
    assert files.file_system_of(folder, str(table)) == expected


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "fuse.sshfs"])
def test_network_file_systems_are_refused(queue: Queue, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "file_system_of", lambda folder, table: kind)
    with pytest.raises(InvalidInput) as caught:
        queue.enqueue()
    assert kind in str(caught.value)


# --- damage and versions ---


def test_a_store_that_vanished_is_not_made_anew(queue: Queue) -> None:
    queue.enqueue()
    queue.path.unlink()
    for call in (queue.enqueue, queue.info):
        with pytest.raises(CorruptError) as caught:
            call()
        assert caught.value.code == "store_missing"
    assert not queue.path.exists()


def truncate(path: Path) -> None:
    os.truncate(path, 5000)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def overwrite_header(path: Path) -> None:
    with path.open("r+b") as target:
        target.write(b"not a database, sorry")


def forge_event(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TRIGGER events_are_final")
        connection.execute("UPDATE events SET reason = 'nothing to see here' WHERE seq = (SELECT max(seq) FROM events)")
    connection.close()


def other_database(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE entries (id)")
    connection.close()
    path.chmod(0o600)


@pytest.mark.parametrize("damage", [truncate, empty, overwrite_header, forge_event, other_database])
def test_a_damaged_store_is_refused_and_kept(queue: Queue, damage: Any) -> None:
    for version in range(30):
        queue.enqueue(str(version))
    damage(queue.path)
    content = queue.path.read_bytes()
    with pytest.raises(CorruptError) as caught:
        queue.enqueue("x")
    assert str(queue.path) in str(caught.value) or "event" in str(caught.value)
    assert "backup" in str(caught.value)
    assert queue.path.read_bytes() == content


def test_every_edit_behind_our_back_is_found(queue: Queue) -> None:
    queue.deliver("1")
    queue.enqueue("2")
    edits = (
        "UPDATE entries SET priority = 99 WHERE state = 'queued'",
        "UPDATE environments SET fence = 0",
        'UPDATE releases SET record = \'{"version": "0"}\'',
        "DELETE FROM entries WHERE state = 'queued'",
        "INSERT INTO releases VALUES ('staging', 'ghost', '{}', 0)",
        "DROP TRIGGER events_stay; DELETE FROM events WHERE seq = 1",
        "DROP TRIGGER events_are_final; UPDATE events SET actor = 'nobody' WHERE seq = 2",
    )
    original = queue.path.read_bytes()
    assert queue.info(verify=True)["verified"] == {"ok": True, "events": 4, "violations": []}
    for edit in edits:
        queue.path.write_bytes(original)
        connection = sqlite3.connect(queue.path)
        connection.executescript(edit)
        connection.close()
        assert queue.info(verify=True)["verified"]["ok"] is False, edit


def test_a_newer_schema_can_be_read_and_not_written(queue: Queue) -> None:
    queue.enqueue()
    connection = sqlite3.connect(queue.path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    content = queue.path.read_bytes()
    with pytest.raises(CorruptError) as caught:
        queue.enqueue("2")
    assert caught.value.code == "schema_version"
    assert "version 2" in str(caught.value)
    assert queue.path.read_bytes() == content
    assert queue.info()["store"]["schema_version"] == 2


def test_an_old_sqlite_is_named(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "OLDEST_SQLITE", (99, 0, 0))
    with pytest.raises(Exception, match=r"3\.34 is the oldest"):
        queue.enqueue()


def test_events_cannot_be_changed_through_sql(queue: Queue) -> None:
    queue.enqueue()
    connection = sqlite3.connect(queue.path)
    for statement in ("UPDATE events SET actor = 'x'", "DELETE FROM events"):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
    connection.close()


def test_two_holders_cannot_be_stored(queue: Queue) -> None:
    """The second line of defence, should the code above it ever be wrong."""
    queue.claim("1")
    waiting = queue.enqueue("2")
    connection = sqlite3.connect(queue.path)
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("UPDATE entries SET state = 'claimed' WHERE id = ?", (waiting["id"],))
    connection.close()


def test_durability_settings(queue: Queue) -> None:
    queue.enqueue()
    connection = queue.store._connect("rw")
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 3  # EXTRA
    connection.close()


def test_write_ahead_logging_switched_on_by_somebody_is_switched_off(queue: Queue) -> None:
    queue.enqueue()
    connection = sqlite3.connect(queue.path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    queue.enqueue("2")
    connection = sqlite3.connect(queue.path)
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    connection.close()


# --- locks and faults ---


def test_a_held_lock_ends_in_a_clear_error_and_is_let_go(queue: Queue) -> None:
    queue.enqueue()
    impatient = Queue(queue.path.parent.parent, queue.clock)
    impatient.store = store.Store(str(queue.path), queue.clock, lock_timeout_s=0.2)
    descriptor = os.open(str(queue.path) + ".lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    started = time.monotonic()
    with pytest.raises(TransientError) as caught:
        impatient.enqueue("2")
    assert caught.value.code == "store_busy"
    assert 0.2 <= time.monotonic() - started < 3
    os.close(descriptor)
    queue.enqueue("3")  # the abandoned waiter does not keep the lock


def test_waiters_get_the_lock_one_after_the_other(queue: Queue) -> None:
    queue.enqueue()
    threads = [threading.Thread(target=queue.enqueue, args=(str(number),)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(queue.staging()["waiting"]) == 21
    queue.assert_sound()


def test_disk_full_is_a_storage_error_and_leaves_the_record_whole(queue: Queue) -> None:
    lease = queue.claim()["lease"]

    class FullDiskStore(store.Store):
        """A real store whose file may not grow, which is how SQLite sees a full disk."""

        def _connect(self, mode: str) -> sqlite3.Connection:
            connection = super()._connect(mode)
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute("PRAGMA max_page_count = %d" % pages)
            return connection

    full = Queue(queue.path.parent.parent, queue.clock)
    full.store = FullDiskStore(str(queue.path), queue.clock)
    with pytest.raises(TransientError) as caught:
        full.call("succeeded", lease=lease, release=RELEASE, measures={"x": "x" * 50_000})
    assert caught.value.code == "storage"
    assert queue.entry(lease["entry"]).state == "claimed"
    queue.assert_sound()


def test_an_unreadable_folder_is_a_storage_error(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: Any, **kwargs: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "makedirs", fails)
    with pytest.raises(TransientError) as caught:
        queue.enqueue()
    assert (caught.value.code, "Input/output error" in str(caught.value)) == ("storage", True)


# --- death ---


class MortalStore(store.Store):
    """A real store whose process is killed right before its n-th statement."""

    left = 0

    def _connect(self, mode: str) -> sqlite3.Connection:
        connection = super()._connect(mode)
        connection.execute("PRAGMA cache_size = 2")  # pages reach the file before the commit
        connection.set_trace_callback(self.step)
        return connection

    def step(self, statement: str) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def die_at(queue: Queue, options: dict[str, Any], statement: int) -> bool:
    """Run one operation in a process that dies before its n-th statement; tell whether it did."""
    child = os.fork()
    if child == 0:
        mortal = MortalStore(str(queue.path), queue.clock)
        mortal.left = statement
        queue.store = mortal
        try:
            queue.call(**options)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


OPERATIONS = ("queued", "claimed", "renewed", "succeeded", "requeued", "paused", "recovery")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_killed_before_any_statement_an_operation_happened_fully_or_not(tmp_path: Path, operation: str) -> None:
    """The journal of the dead process is rolled back by the next one; nothing is ever half done."""
    died = 0
    for statement in range(1, 40):
        queue = Queue(tmp_path / str(statement))
        lease = queue.claim("1")["lease"]
        queue.enqueue("2")
        if operation == "recovery":
            queue.clock.restart()
        options: dict[str, Any] = {
            "queued": {"state": "queued", "app": "shop", "version": "3"},
            "claimed": {"state": "claimed", "app": "shop", "version": "3", "force": True, "reason": "x"},
            "renewed": {"state": "claimed", "lease": lease, "phase": "sync"},
            "succeeded": {"state": "succeeded", "lease": lease, "release": RELEASE, "measures": {"x": "y" * 20_000}},
            "requeued": {"state": "requeued", "lease": lease},
            "paused": {"state": "paused", "reason": "x"},
            "recovery": {"state": "claimed", "app": "shop", "version": "3"},
        }[operation]
        with queue.store.read() as tx:
            events_before = [event.hash for event in tx.events()]
        if not die_at(queue, options, statement):
            break
        died += 1
        queue.call("resumed")  # a writer comes by: SQLite rolls the dead one's journal back
        queue.assert_sound()
        with queue.store.read() as tx:
            events_after = [event.hash for event in tx.events()]
        assert events_after[: len(events_before)] == events_before
    else:
        raise AssertionError("the operation never came to its end")
    assert died >= 5


def test_a_reader_meets_the_journal_of_a_dead_writer(tmp_path: Path) -> None:
    """SQLite has to put old pages back before anyone can read; a reader and check mode do it in a copy."""
    queue = Queue(tmp_path)
    lease = queue.claim("1")["lease"]
    options = {"state": "succeeded", "lease": lease, "release": RELEASE, "measures": {"x": "y" * 60_000}}
    journal = Path(lease["path"] + "-journal")
    healed = 0
    for statement in range(1, 40):
        if not die_at(queue, options, statement):
            break
        if journal.exists():
            before = (queue.path.read_bytes(), journal.read_bytes())
            queue.assert_sound()
            assert queue.call("paused", check=True, reason="x")["changed"]
            assert (queue.path.read_bytes(), journal.read_bytes()) == before
            healed += 1
    assert healed >= 2
    assert queue.entry(lease["entry"]).state == "succeeded"


def test_half_made_store_of_a_dead_process_is_replaced(queue: Queue) -> None:
    queue.path.parent.mkdir(mode=0o700)
    Path(str(queue.path) + ".new").write_bytes(b"half")
    Path(str(queue.path) + ".new-journal").write_bytes(b"half")
    queue.enqueue()
    queue.assert_sound()


# --- clock and ids ---


def test_boot_clock_reads_this_boot() -> None:
    first = BootClock().read()
    second = BootClock().read()
    assert first.boot == second.boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert 0 < first.since_boot_ms <= second.since_boot_ms


def test_a_system_without_boot_id_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.slipway.gitops.plugins.module_utils._queue import clock

    monkeypatch.setattr(clock, "BOOT_ID", "/nonexistent/boot_id")
    with pytest.raises(Exception, match="needs Linux"):
        BootClock().read()


def test_ids_are_ulids_in_the_order_of_time(queue: Queue) -> None:
    ids = []
    for number in range(20):
        ids.append(queue.enqueue(str(number))["id"])
        queue.clock.advance(0.002)
    assert ids == sorted(ids)
    assert len(set(ids)) == 20
    assert all(len(item) == 26 and set(item) <= set(transaction._BASE32) for item in ids)
