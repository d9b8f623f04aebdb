# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue against its model under random operations, and against seeded defects.

Every defect in MUTANTS breaks one promise in the code; the machine must notice each. A promise
whose defect goes unnoticed is not tested.
"""

from __future__ import annotations

import inspect
import tempfile
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Iterator, Optional

import pytest
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
from ansible_collections.slipway.gitops.plugins.module_utils._queue import claim, control, holder, intake, model, order
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
        self.queue.clock.restart()
        with self.queue.store.read() as tx:
            self.model.now += tx.now - before
        assert tx.now >= before or not self.queue.path.exists()
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


def quick(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def test_queue_does_what_the_model_says() -> None:
    run_state_machine_as_test(QueueMachine, settings=quick(60))


#: What is broken, in which file, and how: text of the code and what takes its place.
MUTANTS: dict[str, tuple[ModuleType, str, str]] = {
    "the token is not checked": (holder, "entry.token_sha256 == secret_hash(holder.token)", "True"),
    "the fence is not checked": (holder, "entry.fence == holder.fence and entry.token", "entry.token"),
    "a finished entry can be finished again": (holder, "(again and entry.state == again)", "again"),
    "a claim gets no new fence": (claim, "request.fence_floor) + 1", "request.fence_floor)"),
    "a broken lease keeps its fence": (claim, "fence=environment.fence + 1)", "fence=environment.fence)"),
    "a claim counts no attempt": (claim, "(0 if reclaimed else 1)", "0"),
    "an orphan is not handed out": (claim, "holder.state == ORPHANED:", "False:"),
    "an orphan is handed out as a fresh entry": (claim, "recovery=entry.state == ORPHANED", "recovery=False"),
    "a pause is ignored": (claim, "if environment.pause is not None:", "if False:"),
    "a held release may run": (claim, "lambda entry: veto(environment, entry) is not None", "lambda entry: False"),
    "a held environment takes entries": (model, 'hold["scope"] == "environment" or', "False or"),
    "anybody may go first": (claim, "turn.id == own.id if own is not None", "True if own is not None"),
    "a worker takes what has a client": (claim, "else turn.detached", "else True"),
    "leases never lapse": (intake, "boot != tx.boot or until <= tx.now", "boot != tx.boot"),
    "leases outlive a restart": (intake, "boot != tx.boot or until <= tx.now", "until <= tx.now"),
    "attempts have no end": (intake, "holder.attempt >= holder.max_attempts", "False"),
    "entries outlive their client": (intake, "not entry.detached and is_lapsed", "False and is_lapsed"),
    "detached entries expire": (intake, "not entry.detached and is_lapsed", "is_lapsed"),
    "outdated entries may run": (intake, 'entry.kind == "deploy" and entry.app in releases', "False"),
    "rollbacks become outdated": (intake, 'entry.kind == "deploy" and entry.app', "entry.app"),
    "priority counts for nothing": (order, "return (-effective_priority(entry, now), ", "return (0.0, "),
    "waiting earns nothing": (order, "max(0, now - entry.ready_at) / AGEING_STEP_MS", "0"),
    "ageing reaches emergencies": (order, "float(CEILING))", "1000.0)"),
    "late entries may begin early": (order, "return entry.ready_at <= now", "return True"),
    "a requeued entry does not back off": (holder, "back_off_ms(entry.attempt, random)", "0"),
    "attempts are not checked at requeue": (holder, "entry.attempt >= entry.max_attempts", "False"),
    "a renewal does not extend": (holder, "lease_until=tx.now + holder.ttl_s * 1000", "lease_until=entry.lease_until"),
    "the hold of a failure is forgotten": (holder, "if how.hold_scope:", "if False:"),
    "adoption outdates what waits": (holder, 'and entry.kind != "adopt"', ""),
    "a cancelled claim is over at once": (control, "if entry.state == QUEUED:", "if True:"),
    "resume forgets the pause": (
        control,
        "environment.pause if selection != Selection() else None",
        "environment.pause",
    ),
}


@contextmanager
def mutated(module: ModuleType, text: str, replacement: str) -> Iterator[None]:
    """Swap the code of the module's functions for that of its changed source."""
    source = inspect.getsource(module)
    assert source.count(text) == 1, "%r occurs %d times" % (text, source.count(text))
    changed: dict[str, Any] = {"__name__": module.__name__, "__package__": module.__package__}
    exec(compile(source.replace(text, replacement), str(module.__file__), "exec"), changed)  # noqa: S102
    functions = [item for item in vars(module).values() if isinstance(item, FunctionType)]
    own = [item for item in functions if item.__module__ == module.__name__ and item.__name__ in changed]
    before = [(item, item.__code__) for item in own]
    for item in own:
        item.__code__ = changed[item.__name__].__code__
    try:
        yield
    finally:
        for item, code in before:
            item.__code__ = code


@pytest.mark.parametrize("defect", MUTANTS)
def test_the_machine_notices(defect: str) -> None:
    noticed = None
    with mutated(*MUTANTS[defect]):
        try:
            run_state_machine_as_test(QueueMachine, settings=quick(100))
        except Exception as error:
            noticed = error
    assert noticed is not None


@pytest.mark.parametrize("module", [claim, control, holder, intake, order])
def test_swapping_code_for_the_same_code_is_not_noticed(module: ModuleType) -> None:
    """Else the mutants above would be noticed for being swapped, not for being wrong."""
    with mutated(module, "from __future__ import annotations", "from __future__ import annotations  # same"):
        run_state_machine_as_test(QueueMachine, settings=quick(5))
