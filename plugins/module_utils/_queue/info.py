# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Use case of the module deploy_queue_info (private to the collection)."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from .._context import Context
from .._errors import InvalidInput, NotFound
from .model import CLAIMED, Entry, Environment, Event, entry_view, environment_view, values_of, veto, visible
from .order import effective_priority, in_order, is_ready
from .ports import QueuePorts, Transaction
from .replay import Replay
from .request import SUBDOMAIN, check_limits, environment_of


def run(params: Mapping[str, Any], ports: QueuePorts, ctx: Context) -> dict[str, Any]:
    """Return what the queue knows, and whether it can be trusted; change nothing.

    Raises InvalidInput for bad options, NotFound for an environment that is in none of the
    records, CorruptError for a store that cannot be read.
    """
    del ctx
    check_limits(params)
    name = environment_of(params) if params.get("environment") is not None else None
    app = params.get("app")
    if app is not None and not SUBDOMAIN.fullmatch(app):
        raise InvalidInput("app", "%r is not a name of letters, digits, dashes and dots, in lower case" % app[:80])
    limit = 20 if params.get("events") is None else params["events"]
    store = ports.store
    exists = store.exists()
    with store.read() as tx:
        environments = [_chosen(tx, name, params)] if name is not None else tx.environments()
        result: dict[str, Any] = {
            "changed": False,
            "environments": [_view(tx, environment, app, limit) for environment in environments],
        }
        if params.get("verify"):
            result["verified"] = verify(tx)
    version = store.schema_version() if exists else None
    result["store"] = {"path": store.path, "exists": exists, "schema_version": version}
    return result


def verify(tx: Transaction) -> dict[str, Any]:
    """Return whether the file, the chain of events and the records hold together."""
    violations = tx.problems()
    replay = Replay()
    for event in tx.events():
        replay.apply(event)
    environments = tx.environments()
    releases = [release for item in environments for release in tx.releases(item.name).values()]
    violations += replay.compare(environments, tx.entries(), releases)
    return {"ok": not violations, "events": replay.count, "violations": violations}


def _chosen(tx: Transaction, name: str, params: Mapping[str, Any]) -> Environment:
    """Return the environment; one that is allowed and has no record yet is an empty one."""
    found = tx.environment(name)
    if found is not None:
        return found
    if params.get("environments") is not None:
        return Environment(name)
    known = ", ".join(item.name for item in tx.environments())
    raise NotFound(
        "read", "environment " + name, "nothing was ever queued for it", "Known are: %s." % (known or "none")
    )


def _view(tx: Transaction, environment: Environment, app: Optional[str], limit: int) -> dict[str, Any]:
    holder = tx.holder(environment.name)
    waiting = in_order(tx.waiting(environment.name), tx.now)
    shown = [(place, entry) for place, entry in enumerate(waiting, start=1) if app in (None, entry.app)]
    releases = tx.releases(environment.name)
    view = environment_view(environment)
    view.update(
        running=_holder_view(tx, holder) if holder and app in (None, holder.app) else None,
        waiting=[_waiting_view(tx, environment, place, entry) for place, entry in shown],
        last_verified={name: dict(release.record) for name, release in releases.items() if app in (None, name)},
        events=[event_view(event) for event in tx.latest_events(environment.name, limit)],
    )
    return view


def _holder_view(tx: Transaction, holder: Entry) -> dict[str, Any]:
    """Return the entry that holds the environment; only a writing operation declares it an orphan."""
    remaining_s = (holder.lease_until - tx.now) / 1000 if holder.lease_boot == tx.boot else 0.0
    view = entry_view(holder)
    view["lease_remaining"] = round(max(0.0, remaining_s), 1) if holder.state == CLAIMED else 0.0
    view["lease_lapsed"] = holder.state != CLAIMED or remaining_s <= 0
    return view


def _waiting_view(tx: Transaction, environment: Environment, place: int, entry: Entry) -> dict[str, Any]:
    view = entry_view(entry)
    hold = veto(environment, entry)
    gone = not entry.detached and (entry.waiter_boot != tx.boot or entry.waiter_until <= tx.now)
    view.update(
        position=place,
        effective_priority=round(effective_priority(entry, tx.now), 2),
        ready_in=0.0 if is_ready(entry, tx.now) else round((entry.ready_at - tx.now) / 1000, 1),
        waiter_gone=gone,
        held_by=dict(hold) if hold else None,
    )
    return view


def event_view(event: Event) -> dict[str, Any]:
    """Return an event for people: what happened, without hashes."""
    view = values_of(event)
    for name in ("prev_hash", "hash", "queue_time"):
        del view[name]
    if "entry" in event.data:
        view["data"] = dict(event.data, entry=visible(event.data["entry"]))
    return view
