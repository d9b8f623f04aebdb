# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeded defects of the queue: the comparison with the model must notice each.

Every one breaks one promise in the code, and has a few operations that show it: with them the
queue does what the model says, and does not once it is broken. A promise whose defect goes
unnoticed is not tested.
"""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any, Iterator, Optional

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._queue import claim as claiming
from ansible_collections.slipway.gitops.plugins.module_utils._queue import control, holder, intake, model, order
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.test_queue_machine import QueueMachine

#: An operation of the machine and its options.
Step = tuple[str, dict[str, Any]]


def E(  # noqa: N802  (as short as the rows below need it)
    app: str = "shop", version: str = "1", kind: str = "deploy", priority: int = 50, detached: bool = True
) -> Step:
    """Enqueue."""
    wish = {"app": app, "version": version, "kind": kind, "priority": priority, "detached": detached}
    return "enqueue", {"wish": wish}


def claim(number: int, force: bool = False) -> Step:
    """Claim the entry that was enqueued as number ``number``, from 0."""
    return "claim_own", {"pick": number, "force": force}


def done(state: str = "succeeded", hold: Optional[str] = None) -> Step:
    """Finish the newest claim."""
    return "finish", {"pick": 1, "state": state, "hold": hold}


def passes(seconds: int) -> Step:
    return "time_passes", {"seconds": seconds}


CLAIM = claim(0)
WORKER: Step = ("claim_as_worker", {})
REQUEUE: Step = ("requeue", {"pick": 1})

#: What is broken, in which file, and how: text of the code and what takes its place.
MUTANTS: dict[str, tuple[ModuleType, str, str]] = {
    "the token is not checked": (holder, "entry.token_sha256 == secret_hash(holder.token)", "True"),
    "the fence is not checked": (holder, "entry.fence == holder.fence and entry.token", "entry.token"),
    "a finished entry can be finished again": (holder, "(again and entry.state == again)", "again"),
    "a claim gets no new fence": (claiming, "request.fence_floor) + 1", "request.fence_floor)"),
    "a broken lease keeps its fence": (claiming, "fence=environment.fence + 1)", "fence=environment.fence)"),
    "a claim counts no attempt": (claiming, "(0 if reclaimed else 1)", "0"),
    "an orphan is not handed out": (claiming, "holder.state == ORPHANED:", "False:"),
    "an orphan is handed out as a fresh entry": (claiming, "recovery=entry.state == ORPHANED", "recovery=False"),
    "a pause is ignored": (claiming, "if environment.pause is not None:", "if False:"),
    "a held release may run": (claiming, "lambda entry: veto(environment, entry) is not None", "lambda entry: False"),
    "a held environment takes entries": (model, 'hold["scope"] == "environment" or', "False or"),
    "anybody may go first": (claiming, "turn.id == own.id if own is not None", "True if own is not None"),
    "a worker takes what has a client": (claiming, "else turn.detached", "else True"),
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


#: Defect -> what to do until it shows.
SHOWN_BY: dict[str, list[Step]] = {
    "the token is not checked": [E(), CLAIM, ("forge", {"pick": 1, "forged": ("token", "0" * 32)})],
    "the fence is not checked": [E(), CLAIM, ("forge", {"pick": 1, "forged": ("fence", 1_000_000)})],
    "a finished entry can be finished again": [E(), CLAIM, done(), done("rolled_back")],
    "a claim gets no new fence": [E(), CLAIM],
    "a broken lease keeps its fence": [E(), CLAIM, claim(0, force=True)],
    "a claim counts no attempt": [E(), CLAIM],
    "an orphan is not handed out": [E(), CLAIM, passes(2000), WORKER],
    "an orphan is handed out as a fresh entry": [E(), CLAIM, claim(0, force=True)],
    "a pause is ignored": [("pause", {}), WORKER],
    "a held release may run": [E(), E(), CLAIM, done("failed", "release"), WORKER],
    "a held environment takes entries": [E(), CLAIM, done("failed", "environment"), E(app="cart")],
    "anybody may go first": [E(), E(app="cart"), claim(1)],
    "a worker takes what has a client": [E(detached=False), WORKER],
    "leases never lapse": [E(), CLAIM, passes(121), E(app="cart")],
    "leases outlive a restart": [E(), CLAIM, ("machine_restarts", {}), E(app="cart")],
    "attempts have no end": [E(), CLAIM, claim(0, force=True), passes(121), CLAIM],
    "entries outlive their client": [E(detached=False), passes(121), E(app="cart")],
    "detached entries expire": [E(), passes(121), E(app="cart")],
    "outdated entries may run": [E(), E(version="2", priority=80), claim(1), done(), CLAIM],
    "rollbacks become outdated": [E(kind="rollback"), E(version="2", priority=80), claim(1), done(), CLAIM],
    "priority counts for nothing": [E(priority=20), E(priority=80), claim(1)],
    "waiting earns nothing": [E(priority=20), passes(2000), E(priority=50), CLAIM],
    "ageing reaches emergencies": [E(priority=80), passes(2000), E(app="cart", priority=100), claim(1)],
    "late entries may begin early": [E(), CLAIM, REQUEUE, CLAIM],
    "a requeued entry does not back off": [E(), CLAIM, REQUEUE, CLAIM],
    "attempts are not checked at requeue": [E(), CLAIM, claim(0, force=True), REQUEUE],
    "a renewal does not extend": [
        E(),
        CLAIM,
        passes(100),
        ("renew", {"pick": 1, "phase": None}),
        passes(45),
        E(),
        claim(1),
    ],
    "the hold of a failure is forgotten": [E(), E(app="cart"), CLAIM, done("failed", "environment"), claim(1)],
    "adoption outdates what waits": [E(), E(version="2", kind="adopt", priority=80), claim(1), done(), CLAIM],
    "a cancelled claim is over at once": [E(), CLAIM, ("cancel", {"pick": 0})],
    "resume forgets the pause": [E(), ("pause", {}), ("resume", {}), CLAIM],
}


def play(steps: list[Step]) -> None:
    """Do the same to the queue and to the model, and compare after each step."""
    machine = QueueMachine()
    machine.begin()
    try:
        for name, options in steps:
            getattr(machine, name)(**options)
            machine.records_are_those_of_the_model()
            machine.fences_grow()
    finally:
        machine.teardown()


@pytest.mark.parametrize("defect", MUTANTS)
def test_defect_is_noticed(defect: str) -> None:
    play(SHOWN_BY[defect])  # else it would be noticed for something else
    with mutated(*MUTANTS[defect]):
        noticed = None
        try:
            play(SHOWN_BY[defect])
        except Exception as error:  # a queue that breaks on the defect has noticed it too
            noticed = error
    assert noticed is not None


@pytest.mark.parametrize("module", [claiming, control, holder, intake, order])
def test_swapping_code_for_the_same_code_is_not_noticed(module: ModuleType) -> None:
    """Else the defects above would be noticed for being swapped in, not for being wrong."""
    with mutated(module, "from __future__ import annotations", "from __future__ import annotations  # same"):
        for steps in SHOWN_BY.values():
            play(steps)
