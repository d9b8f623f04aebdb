# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue against its model under random operations."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Optional

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ansible_collections.slipway.gitops.plugins.module_utils._errors import SlipwayError
from ansible_collections.slipway.gitops.tests.size import FULL
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.queue_model import Model
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.queue_support import Queue, VolatileStore

WISH = st.fixed_dictionaries(
    {
        "app": st.sampled_from(["shop", "cart"]),
        "version": st.sampled_from(["1", "2", "3"]),
        "kind": st.sampled_from(["deploy", "deploy", "rollback", "adopt"]),
        "priority": st.sampled_from([20, 50, 80, 100]),
        "detached": st.booleans(),
    }
)
PICK = st.integers(min_value=0, max_value=10**6)
HOLD = st.sampled_from([None, None, "release", "environment"])


class QueueMachine(RuleBasedStateMachine):
    """Does the same to the queue and to the model, and compares what is said and what is stored."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="slipway-machine-")
        self.queue = Queue(Path(self.folder.name))
        self.queue.store = VolatileStore(str(self.queue.path), self.queue.clock)
        self.model = Model()
        self.ids: list[str] = []
        self.leases: list[dict[str, Any]] = []
        self.fences: list[int] = []

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            try:
                self.queue.assert_sound()
            finally:
                self.folder.cleanup()

    # --- what callers do ---

    def told(self, state: str, **options: Any) -> tuple[str, dict[str, Any]]:
        """Call the queue; return its answer as one word, and the result."""
        self._tick()
        try:
            result = self.queue.call(state, **options)
        except SlipwayError as error:
            code = error.code
            if state in ("succeeded", "failed", "rolled_back", "requeued", "claimed") and "lease" in options:
                code = "fenced" if code == "not_running" else code
            return code, dict(error.result)
        return ("ok" if result["changed"] else "same"), result

    def _tick(self) -> None:
        """Every operation has its own millisecond, so that the order of events is one order."""
        self.queue.clock.advance(0.001)
        self.model.now += 1

    @rule(wish=WISH)
    def enqueue(self, wish: dict[str, Any]) -> None:
        code, result = self.told("queued", max_attempts=2, **wish)
        name = result["entry"]["id"] if result.get("entry") else "refused"
        assert code == self.model.enqueue(name, wish)
        if code == "ok":
            self.ids.append(name)

    @precondition(lambda self: self.ids)
    @rule(pick=PICK, force=st.sampled_from([False, False, True]))
    def claim_own(self, pick: int, force: bool) -> None:
        entry_id = self.ids[pick % len(self.ids)]
        more = {"force": True, "reason": "test"} if force else {}
        self._claimed(self.told("claimed", entry=entry_id, **more), self.model.claim(entry_id, force))

    @rule()
    def claim_as_worker(self) -> None:
        self._claimed(self.told("claimed"), self.model.claim(None))

    def _claimed(self, told: tuple[str, dict[str, Any]], expected: tuple[str, Any]) -> None:
        code, result = told
        if result.get("claimed"):
            assert expected[0] == ("recovery" if result["recovery"] else "ok")
            assert result["entry"]["id"] == expected[1].name
            self.leases.append(result["lease"])
            self.fences.append(result["lease"]["fence"])
        else:
            assert result.get("blocked", {}).get("code", code) == expected[0]

    @precondition(lambda self: self.leases)
    @rule(pick=PICK, phase=st.sampled_from([None, "git", "sync"]))
    def renew(self, pick: int, phase: Optional[str]) -> None:
        lease = self._lease(pick)
        code = self.told("claimed", lease=lease, **({"phase": phase} if phase else {}))[0]
        assert code.replace("same", "ok") == self.model.renew(lease["entry"], lease["fence"])

    @precondition(lambda self: self.leases)
    @rule(pick=PICK, state=st.sampled_from(["succeeded", "succeeded", "failed", "rolled_back", "cancelled"]), hold=HOLD)
    def finish(self, pick: int, state: str, hold: Optional[str]) -> None:
        lease = self._lease(pick)
        hold = hold if state in ("failed", "rolled_back") else None
        options: dict[str, Any] = {"hold_scope": hold} if hold else {}
        if state == "succeeded":
            version = self.model.items[lease["entry"]].version
            options["release"] = {"version": version, "images": [{"name": "x"}]}
        code = self.told(state, lease=lease, **options)[0]
        code = "fenced" if code == "not_running" else code
        assert code == self.model.finish(lease["entry"], lease["fence"], state, hold)

    @precondition(lambda self: self.leases)
    @rule(pick=PICK)
    def requeue(self, pick: int) -> None:
        lease = self._lease(pick)
        assert self.told("requeued", lease=lease)[0] == self.model.requeue(lease["entry"], lease["fence"])

    @precondition(lambda self: self.leases)
    @rule(pick=PICK, forged=st.sampled_from([("token", "0" * 32), ("fence", 1_000_000)]))
    def forge(self, pick: int, forged: tuple[str, Any]) -> None:
        lease = dict(self._lease(pick), **dict([forged]))
        for state in ("failed", "claimed", "requeued"):
            assert self.told(state, lease=lease)[0] == "fenced"

    def _lease(self, pick: int) -> dict[str, Any]:
        """Mostly the newest lease, at times one of long ago."""
        return self.leases[-1 if pick % 3 else pick % len(self.leases)]

    @precondition(lambda self: self.ids)
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        entry_id = self.ids[pick % len(self.ids)]
        assert self.told("cancelled", entry=entry_id)[0] == self.model.cancel(entry_id)

    @rule()
    def pause(self) -> None:
        self.told("paused", reason="test")
        self.model.settle()
        self.model.paused = True

    @rule()
    def resume(self) -> None:
        self.told("resumed")
        self.model.resume()

    # --- what happens to them ---

    @rule(seconds=st.sampled_from([1, 20, 45, 100, 121, 2000]))
    def time_passes(self, seconds: int) -> None:
        self.queue.clock.advance(seconds)
        self.model.now += seconds * 1000

    @rule(hours=st.sampled_from([-25, -1, 1, 25]))
    def wall_clock_jumps(self, hours: int) -> None:
        self.queue.clock.wall_s += hours * 3600

    @rule()
    def machine_restarts(self) -> None:
        with self.queue.store.read() as tx:
            before = tx.now
            last = tx.latest_events("staging", 1)
        self.queue.clock.restart()
        with self.queue.store.read() as tx:
            self.model.now += tx.now - before
        # Time that passed without an event is forgotten if the wall clock was set back meanwhile.
        assert not last or tx.now >= last[0].queue_time
        self.model.restart()

    # --- what must hold after every step ---

    @invariant()
    def records_are_those_of_the_model(self) -> None:
        if not hasattr(self, "queue"):
            return
        with self.queue.store.read() as tx:
            stored = {entry.id: (entry.state, entry.attempt, entry.fence) for entry in tx.entries()}
            verified = {app: release.record["version"] for app, release in tx.releases("staging").items()}
        expected = {item.name: (item.state, item.attempt, item.fence) for item in self.model.items.values()}
        assert stored == expected
        assert verified == self.model.verified

    @invariant()
    def fences_grow(self) -> None:
        fences = getattr(self, "fences", [])
        assert fences == sorted(set(fences))


def test_queue_does_what_the_model_says() -> None:
    chosen = settings(
        max_examples=600 if FULL else 60,
        stateful_step_count=40,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(QueueMachine, settings=chosen)
