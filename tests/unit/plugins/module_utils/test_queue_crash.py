# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers that hammer one store and are killed with SIGKILL at random moments.

Every worker writes down what it begins and what it was told. After the storm the record must
explain all of it: nothing accepted is lost, nothing is there twice, nobody ever held the
environment beside another, fences only grew. Answers that died with their worker may have
happened or not. A storm in which too little happened proves nothing and fails.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any, Callable

from ansible_collections.slipway.gitops.plugins.module_utils._clock import SystemClock
from ansible_collections.slipway.gitops.plugins.module_utils._errors import BusyError, FencedError, SlipwayError
from ansible_collections.slipway.gitops.plugins.module_utils._queue.clock import BootClock, Reading
from ansible_collections.slipway.gitops.tests.size import FULL
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.queue_support import Queue, VolatileStore

#: The gate has a shorter storm: its kills are spread over the same operations.
WORKERS = int(os.environ.get("SLIPWAY_TEST_WORKERS", "8"))
EVENTS = int(os.environ.get("SLIPWAY_TEST_EVENTS", "600" if FULL else "300"))
CLAIMS = EVENTS // 10
KILLS = int(os.environ.get("SLIPWAY_TEST_KILLS", "30" if FULL else "12"))
TIME_LIMIT_S = 120.0


class HastyClock(SystemClock):
    """This machine's clocks; the one of leases runs 10 times as fast, so that 5 s lapse in 0.5 s."""

    def read(self) -> Reading:
        real = BootClock().read()
        return Reading(real.boot, real.since_boot_ms * 10, real.wall_s)


def open_queue(folder: Path) -> Queue:
    queue = Queue(folder, HastyClock())  # type: ignore[arg-type]
    queue.store = VolatileStore(str(queue.path), queue.clock)
    return queue


class Worker:
    """Delivers in a loop; its log is one line before and one after each operation."""

    def __init__(self, folder: Path, number: int) -> None:
        self.queue = open_queue(folder)
        self.queue.random = 0.0  # no back-off
        self.number = number
        self.log = os.open(str(folder / ("log-%d" % number)), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.random = random.Random(number)  # noqa: S311  (it has to be repeatable, not secret)
        self.count = 0

    def note(self, **line: Any) -> None:
        os.write(self.log, json.dumps(line).encode() + b"\n")

    def run(self) -> None:
        while True:
            self.deliver()

    def deliver(self) -> None:
        self.count += 1
        key = "%d-%d-%d" % (self.number, os.getpid(), self.count)
        self.note(begin="enqueue", key=key)
        detached = self.random.random() < 0.1
        entry = self.queue.enqueue(key, idempotency_key=key, kind="rollback", waiter_ttl=5, detached=detached)
        self.note(done="enqueue", key=key, entry=entry["id"])
        for _turn in range(15):
            if self.claim(entry["id"]):
                return
        try:
            self.queue.call("cancelled", entry=entry["id"])
        except SlipwayError as error:
            self.note(done="refused", entry=entry["id"], code=error.code)

    def claim(self, entry_id: str) -> bool:
        """Claim, at times as a worker, and settle what we got; tell whether our own entry is over."""
        try:
            options = {"force": True, "reason": "storm"} if self.random.random() < 0.02 else {}
            if self.random.random() < 0.6:
                options["entry"] = entry_id
            got = self.queue.call("claimed", lease_ttl=5, **options)
        except SlipwayError:
            return True
        if not got["claimed"]:
            time.sleep(self.random.random() * 0.02)
            return False
        lease = got["lease"]
        self.note(done="claim", entry=lease["entry"], fence=lease["fence"])
        state = self.random.choice(["failed", "failed", "cancelled", "requeued", "renew"])
        try:
            if state == "renew":
                self.queue.call("claimed", lease=lease, phase="sync")
                state = "failed"
            self.note(begin=state, entry=lease["entry"], fence=lease["fence"])
            self.queue.call(state, lease=lease)
            self.note(done=state, entry=lease["entry"], fence=lease["fence"])
        except (FencedError, BusyError) as error:
            self.note(done="refused", entry=lease["entry"], code=error.code)
        except SlipwayError as error:
            if error.code != "attempts_used_up":
                raise
            self.queue.call("failed", lease=lease)
        return bool(lease["entry"] == entry_id) and state != "requeued"


def spawn(folder: Path, number: int) -> int:
    child = os.fork()
    if child == 0:
        try:
            Worker(folder, number).run()
        except BaseException as error:
            (folder / ("broken-%d" % os.getpid())).write_text(repr(error))
        os._exit(1)
    return child


def is_enough(queue: Queue) -> bool:
    """Tell whether so much happened that the storm can prove something."""
    with queue.store.read() as tx:
        last = tx.latest_events("staging", 1)
        environment = tx.environment("staging")
    return bool(last and last[0].seq >= EVENTS and environment and environment.fence >= CLAIMS)


def storm(folder: Path, queue: Queue) -> dict[str, int]:
    """Keep WORKERS alive, kill one at random KILLS times, until enough happened."""
    chance = random.Random(7)  # noqa: S311
    workers = {number: spawn(folder, number) for number in range(WORKERS)}
    killed = 0
    started = time.monotonic()
    try:
        while killed < KILLS or not is_enough(queue):
            assert time.monotonic() - started < TIME_LIMIT_S, "too little happened"
            assert not list(folder.glob("broken-*")), [path.read_text() for path in folder.glob("broken-*")]
            time.sleep(chance.random() * 0.2)
            queue.call("resumed", reason="attempts used up pause the environment")
            if killed >= KILLS:
                continue
            number = chance.choice(sorted(workers))
            os.kill(workers[number], signal.SIGKILL)
            os.waitpid(workers[number], 0)
            killed += 1
            workers[number] = spawn(folder, number)
    finally:
        for child in workers.values():
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return {"kills": killed, "seconds": round(time.monotonic() - started)}


def logged(folder: Path) -> list[dict[str, Any]]:
    lines = []
    for path in folder.glob("log-*"):
        for line in path.read_text().splitlines():
            lines.append(json.loads(line))
    return lines


def test_storm(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    queue = open_queue(tmp_path)
    figures = storm(tmp_path, queue)
    queue.assert_sound()  # one holder at a time, fences grow, only known transitions, chain whole
    with queue.store.read() as tx:
        entries = {entry.id: entry for entry in tx.entries()}
        events = list(tx.events())
    lines = logged(tmp_path)

    accepted = {line["key"]: line["entry"] for line in lines if line.get("done") == "enqueue"}
    begun = {line["key"] for line in lines if line.get("begin") == "enqueue"}
    by_key = {entry.idempotency_key: entry.id for entry in entries.values() if entry.idempotency_key}
    assert len(by_key) == len(entries)  # nothing twice
    assert accepted.items() <= by_key.items()  # nothing lost
    assert set(by_key) <= begun  # nothing from nowhere

    grants = [event for event in events if event.after == "claimed" and event.before in ("queued", "orphaned")]
    told = [(line["fence"], line["entry"]) for line in lines if line.get("done") == "claim"]
    assert len(told) == len(set(told))  # no grant was given to two
    assert set(told) <= {(event.fence, event.entry) for event in grants}
    assert [event.fence for event in grants] == sorted({event.fence for event in grants})

    ends = {(event.fence, event.entry): event.after for event in events if event.before == "claimed"}
    for line in lines:
        if line.get("done") in ("failed", "cancelled", "requeued"):
            said = "queued" if line["done"] == "requeued" else line["done"]
            assert ends[line["fence"], line["entry"]] == said  # an answer is never taken back
    assert figures["kills"] >= KILLS
    assert len(events) >= EVENTS
    assert len(told) >= CLAIMS / 2
    record_property("storm", dict(figures, events=len(events), claims=len(grants)))
