# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Use case of the module deploy_queue (private to the collection)."""

from __future__ import annotations

from typing import Any, Callable, ContextManager, Mapping, Optional

from .._context import Context
from .claim import Refusal
from .control import Selection, cancel, hold, pause, resume
from .holder import Finish, Holder, finish, renew, requeue
from .intake import enqueue
from .model import Entry, Environment, entry_view, environment_view
from .ports import QueuePorts, Transaction
from .request import check, check_times, error_text, reason_text, release_of, wish_of
from .waiting import Claiming

ADDING = ("queued", "paused", "held")


def run(params: Mapping[str, Any], ports: QueuePorts, ctx: Context) -> dict[str, Any]:
    """Bring an entry or an environment of the queue to the wanted state.

    Every call is one transaction, but for a claim that waits. Check mode does the same on a
    copy in memory and forgets it. Raises InvalidInput for bad options before the store is
    touched, and the errors of the single operations.
    """
    environment = check(params)
    operation = Operation(params, ports, ctx, environment)
    state = params["state"]
    if state == "claimed":
        return operation.renew() if params.get("lease") else operation.claim()
    return operation.once(_STEPS[state])


class Operation:
    """One call of the module: its options, and the result it builds."""

    def __init__(self, params: Mapping[str, Any], ports: QueuePorts, ctx: Context, environment: str) -> None:
        self.params = params
        self.ports = ports
        self.ctx = ctx
        self.environment = environment
        self.actor: str = params["actor"]
        self.reason: str = reason_text(params.get("reason"))
        self.waiter_ttl_s: int = params.get("waiter_ttl") or 120
        adds = params["state"] in ("queued", "claimed") and params.get("app") and params.get("version")
        self.wish = wish_of(params, environment) if adds else None
        if self.wish is not None:
            check_times(self.wish, ports.clock.wall())

    def session(self, adds: bool) -> ContextManager[Transaction]:
        """Return the transaction to work in: only one that adds something makes a new store."""
        if self.ctx.check_mode or not (adds or self.ports.store.exists()):
            return self.ports.store.rehearse()
        return self.ports.store.write()

    def once(self, step: Callable[[Operation, Transaction], tuple[Optional[Entry], bool]]) -> dict[str, Any]:
        """Do one step in one transaction and return what it left."""
        with self.session(self.params["state"] in ADDING) as tx:
            before = self.view(tx)
            entry, changed = step(self, tx)
            return self.result(tx, entry, changed, before)

    def renew(self) -> dict[str, Any]:
        """Extend the lease of the caller and note phase and commit."""
        noted = (self.params.get("phase"), self.params.get("commit"))
        with self.session(adds=False) as tx:
            before = self.view(tx)
            was = tx.entry(self.params["lease"]["entry"])
            entry = renew(tx, self.holder(), *noted)
            changed = was is None or (was.phase, was.commit) != (entry.phase, entry.commit)
            result = self.result(tx, entry, changed, before)
        result.update(
            claimed=True, lease_remaining=self.params["lease"]["ttl"], cancel_requested=entry.cancel_requested
        )
        return result

    def claim(self) -> dict[str, Any]:
        """Claim the environment, waiting for it if asked to."""
        claiming = Claiming(self)
        outcome = claiming.run()
        result = claiming.result
        if isinstance(outcome, Refusal):
            blocked = {"code": outcome.code, "message": outcome.message}
            result.update(claimed=False, blocked=blocked, position=outcome.position)
            return result
        result.update(claimed=True, recovery=outcome.recovery, reclaimed=outcome.reclaimed)
        result["cancel_requested"] = outcome.entry.cancel_requested
        if not self.ctx.check_mode:
            result["lease"] = {
                "backend": "sqlite",
                "path": self.ports.store.path,
                "environment": outcome.entry.environment,
                "entry": outcome.entry.id,
                "fence": outcome.entry.fence,
                "token": outcome.token,
                "ttl": claiming.request.lease_ttl_s,
            }
        return result

    def holder(self) -> Holder:
        """Return the proof in the option lease."""
        lease = self.params["lease"]
        return Holder(lease["entry"], lease["fence"], lease["token"], lease["ttl"], self.actor)

    def how(self) -> Finish:
        """Return how the caller says that the delivery ended."""
        params = self.params
        return Finish(
            state=params["state"],
            release=release_of(params),
            measures=params.get("measures"),
            commit=params.get("commit") or "",
            reason=self.reason,
            error=error_text(params.get("error")),
            error_class=params.get("error_class") or "",
            hold_scope=params.get("hold_scope"),
        )

    def selection(self) -> Selection:
        """Return the release that the options name."""
        params = self.params
        return Selection(params.get("app") or "", params.get("version") or "", params.get("digest") or "")

    def result(
        self, tx: Transaction, entry: Optional[Entry], changed: bool, before: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the values that every state returns."""
        after = self.view(tx, entry)
        result: dict[str, Any] = {
            "changed": changed,
            "entry": entry_view(entry) if entry else None,
            "environment": after["environment"],
            "last_verified": last_verified(tx, self.environment),
        }
        if self.ctx.diff:
            result["diff"] = _diff(before, after, "queue of " + self.environment)
        return result

    def view(self, tx: Transaction, entry: Optional[Entry] = None) -> dict[str, Any]:
        """Return the environment and, for a diff, its live entries and ``entry``."""
        environment = tx.environment(self.environment) or Environment(self.environment)
        view: dict[str, Any] = {"environment": environment_view(environment)}
        if self.ctx.diff:
            holder = tx.holder(self.environment)
            live = [item for item in (holder, entry, *tx.waiting(self.environment)) if item is not None]
            view["entries"] = {item.id: entry_view(item) for item in live}
        return view


def _diff(before: Mapping[str, Any], after: Mapping[str, Any], header: str) -> dict[str, Any]:
    """Return a diff without the entries that are the same on both sides."""
    sides = []
    for side, other in ((before, after), (after, before)):
        entries = {key: item for key, item in side["entries"].items() if other["entries"].get(key) != item}
        sides.append({"environment": side["environment"], "entries": entries})
    return {"before": sides[0], "after": sides[1], "before_header": header, "after_header": header}


def last_verified(tx: Transaction, environment: str) -> dict[str, Any]:
    """Return the record of the last verified release of each app."""
    return {app: dict(release.record) for app, release in tx.releases(environment).items()}


def _queued(call: Operation, tx: Transaction) -> tuple[Optional[Entry], bool]:
    return enqueue(tx, wish_of(call.params, call.environment), call.actor, call.waiter_ttl_s, call.reason)


def _finished(call: Operation, tx: Transaction) -> tuple[Optional[Entry], bool]:
    return finish(tx, call.holder(), call.how())


def _requeued(call: Operation, tx: Transaction) -> tuple[Optional[Entry], bool]:
    return requeue(tx, call.holder(), call.how(), call.waiter_ttl_s, call.ports.random()), True


def _cancelled(call: Operation, tx: Transaction) -> tuple[Optional[Entry], bool]:
    if call.params.get("lease"):
        return _finished(call, tx)
    return cancel(tx, call.environment, call.params["entry"], call.actor, call.reason)


def _paused(call: Operation, tx: Transaction) -> tuple[Optional[Entry], bool]:
    return None, pause(tx, call.environment, call.actor, call.reason, call.params.get("expires_in") or 0)[1]


def _held(call: Operation, tx: Transaction) -> tuple[Optional[Entry], bool]:
    scope = call.params["hold_scope"]
    selection = call.selection() if scope == "release" else Selection()
    return None, hold(tx, call.environment, scope, selection, (call.actor, call.reason))[1]


def _resumed(call: Operation, tx: Transaction) -> tuple[Optional[Entry], bool]:
    return None, resume(tx, call.environment, call.selection(), call.actor, call.reason)[1]


_STEPS: Mapping[str, Callable[[Operation, Transaction], tuple[Optional[Entry], bool]]] = {
    "queued": _queued,
    "succeeded": _finished,
    "failed": _finished,
    "rolled_back": _finished,
    "requeued": _requeued,
    "cancelled": _cancelled,
    "paused": _paused,
    "held": _held,
    "resumed": _resumed,
}
