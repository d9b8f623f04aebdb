# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a cluster to what the manifests of a release say, or removes the release (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Sequence

from .._context import Context
from .._errors import Forbidden, InvalidInput, NotFound, PermanentError, SlipwayError, TransientError
from .._kube.applied import is_applied
from .._progress import Voice
from .cluster import Cluster, Ports
from .document import (
    DEFINITION,
    MANAGER,
    NAMESPACES,
    RUNNING,
    WORKLOADS,
    Id,
    Inventory,
    ManifestError,
    Object,
    comparable,
    defined_kinds,
    identify,
    removal_order,
    without,
)
from .outcome import CHANGING, Changes, Webhooks
from .readiness import lingering, pods_say, waits_for
from .stuck import StuckPods

_POLL_S = 0.5
_NAMED = 8


@dataclass(frozen=True)
class Planned:
    """One object of the manifests."""

    id: Id
    body: Object


def run(params: Mapping[str, Any], documents: Sequence[Object], ports: Ports, ctx: Context) -> dict[str, Any]:
    """Apply the release, or remove it. Raises the typed errors of ``_errors``.

    ``documents`` are the objects of the manifests, as read.
    """
    bodies = [without(item, params["ignore_fields"] or ()) for item in documents]
    cluster = Cluster(ports.client, defined_kinds(bodies), bool(params["force_conflicts"]))
    release = _Release(params, cluster, ports, ctx)
    if params["state"] == "accepted":
        return release.accepted(bodies)
    return release.present(bodies) if params["state"] == "present" else release.absent()


class _Release:
    """One release during one run of the module."""

    def __init__(self, params: Mapping[str, Any], cluster: Cluster, ports: Ports, ctx: Context) -> None:
        self._params = params
        self._cluster = cluster
        self._clock = ports.clock
        self._ctx = ctx
        self._deadline = ports.clock.monotonic() + params["wait_timeout"]
        self._voice = Voice(params["name"], ctx.progress, ports.clock.monotonic)
        self._changes = Changes()
        self._webhooks = Webhooks()
        self._stuck = StuckPods(cluster, self._voice.say)
        self._configured: set[tuple[str, str, str, str]] = set()
        self._map = self._map_of(params["name"])

    # Accepted

    def accepted(self, bodies: Sequence[Object]) -> dict[str, Any]:
        for one in sorted(self._identified(bodies), key=lambda one: one.id.stage):
            self._asked(one, None)
        return self._result(Inventory(), Inventory())

    # Present

    def present(self, bodies: Sequence[Object]) -> dict[str, Any]:
        planned = sorted(self._identified(bodies), key=lambda one: one.id.stage)
        before = self._recorded()
        after = Inventory(self._params["version"] or "", tuple(one.id for one in planned))
        lacking = after.lacking(before)
        surplus = [item for item in lacking if not item.outlives_its_release]
        self._refuse_orphans([item for item in surplus if item.kind == DEFINITION])
        for stage in sorted({one.id.stage for one in planned} | {NAMESPACES}):
            self._apply_stage([one for one in planned if one.id.stage == stage])
            if stage == NAMESPACES:
                # Recorded before it is made: a run that is cut short leaves nothing unknown.
                self._record(after.joined(before))
        self._remove(surplus)
        self._keep_claims([item for item in lacking if item.is_claim])
        self._record(after)
        if self._params["wait"] and not self._ctx.check_mode:
            self._wait_ready([one.id for one in planned if one.id.kind in WORKLOADS])
        return self._result(before, after)

    def _identified(self, bodies: Sequence[Object]) -> list[Planned]:
        found: dict[Any, Planned] = {}
        for body in bodies:
            try:
                kind = self._cluster.kind(str(body.get("apiVersion")), str(body.get("kind")))
                item = identify(body, kind.is_namespaced if kind else None, self._params["namespace"])
            except ManifestError as error:
                raise InvalidInput("src", str(error)) from error
            if item.key in found:
                raise InvalidInput("src", "%s is in it twice" % (item,))
            meta = {**body["metadata"], **({"namespace": item.namespace} if item.namespace else {})}
            found[item.key] = Planned(item, {**body, "metadata": meta})
        if not found:
            raise InvalidInput("src", "there is no object in the manifests")
        return list(found.values())

    def _apply_stage(self, planned: Sequence[Planned]) -> None:
        """Ask the server about every object of a stage, then write those that differ."""
        due = []
        for one in planned:
            before = self._cluster.find(one.id)
            # A dry run of a large definition takes seconds.
            if one.id.kind == DEFINITION and is_applied(before, without(one.body, ["status"]), MANAGER):
                continue
            after = self._asked(one, before)
            if comparable(before) != comparable(after):
                self._changes.note(one.id, before, after)
                due.append(one)
        if self._ctx.check_mode:
            return
        for one in due:
            self._cluster.apply(one.id, one.body, dry_run=False)
        if due and planned[0].id.kind == DEFINITION:
            self._wait_ready([one.id for one in planned])

    def _asked(self, one: Planned, before: Optional[Object]) -> Object:
        """Return the object as the server would store it; wait for webhooks that do not answer yet."""
        started = self._clock.monotonic()
        try:
            while True:
                try:
                    return self._cluster.apply(one.id, one.body, dry_run=True)
                except NotFound:
                    # Its namespace or its kind comes only with a run that writes.
                    if self._ctx.check_mode and before is None:
                        return one.body
                    raise
                except Forbidden as error:
                    if "denied the request" in error.cause:
                        raise PermanentError(error.what, error.resource, error.cause, code="denied") from error
                    raise
                except TransientError as error:
                    self._bear(error)
        finally:
            if self._webhooks.refusals:
                self._webhooks.seconds += self._clock.monotonic() - started

    def _bear(self, error: TransientError) -> None:
        """Note a refusal that may pass and wait a moment. Raises it when the time is over."""
        if self._ctx.check_mode or error.code == "unreachable" or self._clock.monotonic() > self._deadline:
            error.hint = "It was asked for %d s." % self._voice.elapsed_s
            raise error
        told = "not accepted yet: %s" % error.cause[:400]
        if not self._webhooks.refusals:
            self._voice.say(told)
        self._voice.beat(lambda: told)
        self._webhooks.refusals += 1
        self._webhooks.first_refusal = self._webhooks.first_refusal or error.cause
        self._clock.sleep(_POLL_S)

    # Inventory

    def _map_of(self, name: str) -> Id:
        return Id("v1", "ConfigMap", self._params["namespace"], "slipway-" + name)

    def _recorded(self, config_map: Optional[Id] = None) -> Inventory:
        which = config_map or self._map
        try:
            return Inventory.of(self._cluster.find(which))
        except ManifestError as error:
            raise PermanentError("read", str(which), str(error), code="damaged_inventory") from error

    def _record(self, inventory: Inventory) -> None:
        """Write the inventory where it differs."""
        if not self._ctx.check_mode and self._recorded().differs(inventory):
            body = inventory.config_map(self._map.name, self._map.namespace)
            self._cluster.apply(self._map, body, dry_run=False)

    # Absent

    def absent(self) -> dict[str, Any]:
        before = self._recorded()
        doomed = removal_order(before.ids)
        definitions = [item for item in doomed if item.kind == DEFINITION]
        configured = {self._map_of(name): Inventory() for name in self._params["configurations"] or ()}
        for config_map in configured:
            configured[config_map] = self._recorded(config_map)
        self._configured = {item.key for inventory in configured.values() for item in inventory.ids}
        self._refuse_orphans(definitions)
        # Their controllers still run, so that their finalizers are answered.
        for config_map, inventory in configured.items():
            self._remove([*removal_order(inventory.ids), *([config_map] if inventory.ids else [])])
        self._remove([one for definition in definitions for one in self._customs(definition)])
        self._remove([item for item in doomed if item.stage >= RUNNING])
        self._remove([item for item in doomed if NAMESPACES < item.stage < RUNNING])
        if before.ids and not self._ctx.check_mode:
            self._cluster.delete(self._map)
        self._remove([item for item in doomed if item.stage == NAMESPACES])
        return self._result(before, Inventory())

    def _customs(self, definition: Id) -> list[Id]:
        """Return the objects of a definition that people made, not the library itself nor its configuration."""
        derived = self._params["derived_kinds"] or ()
        found = self._cluster.custom_resources(definition)
        return [item for item in found if item.kind not in derived and item.key not in self._configured]

    def _refuse_orphans(self, definitions: Sequence[Id]) -> None:
        """Refuse to remove definitions, and with them everybody's objects, unless told so."""
        if self._params["custom_resources"] == "remove":
            return
        found = [item for definition in definitions for item in self._customs(definition)]
        if found:
            names = ", ".join(map(str, found[:_NAMED])) + (" and more" if len(found) > _NAMED else "")
            cause = "%d custom resources would go with it: %s" % (len(found), names)
            hint = "Remove them first, or set custom_resources to remove."
            raise PermanentError("remove", self._params["name"], cause, hint, code="custom_resources")

    def _remove(self, items: Sequence[Id]) -> None:
        """Remove objects and wait until they are gone."""
        found = [(item, self._cluster.find(item)) for item in items]
        gone = [(item, body) for item, body in found if body is not None]
        for item, body in gone:
            self._changes.note(item, body, None)
            if not self._ctx.check_mode:
                self._cluster.delete(item, "Foreground" if item.stage == RUNNING else "Background")
        if not self._ctx.check_mode:
            self._wait([item for item, _body in gone], "be gone", lingering)

    def _keep_claims(self, claims: Sequence[Id]) -> None:
        """Tell of claims that the release had. What they hold is nobody's to throw away but its owner's."""
        for item in claims:
            if self._cluster.find(item) is not None:
                self._changes.kept.append(item)
                told = "%s is no longer part of release %s and stays with its data. Remove it when nobody needs it."
                self._ctx.warn(told % (item, self._params["name"]))

    # Waiting

    def _wait_ready(self, items: Sequence[Id]) -> None:
        self._wait(items, "be ready", self._unready)

    def _unready(self, body: Optional[Object]) -> str:
        if body is None:
            return "to exist"
        why = waits_for(body)
        if why:
            self._stuck.look(body)
        return why

    def _wait(self, items: Sequence[Id], what: str, reason: Callable[[Optional[Object]], str]) -> None:
        """Wait until no object has a reason any more. Raises TransientError ``timeout`` that tells it."""
        open_ = list(items)
        while True:
            reasons = {item: (reason(body), body) for item in open_ for body in [self._cluster.find(item)]}
            open_ = [item for item in open_ if reasons[item][0]]
            if not open_:
                return
            first = open_[0]
            why = "%s waits for %s" % (first, reasons[first][0])
            if self._clock.monotonic() > self._deadline:
                raise self._late(what, why, reasons[first][1])
            self._voice.beat(lambda why=why: why)  # type: ignore[misc]
            self._clock.sleep(_POLL_S)

    def _late(self, what: str, why: str, body: Optional[Object]) -> SlipwayError:
        said = ""
        if body and (body.get("spec") or {}).get("template") and what == "be ready":
            said = pods_say(self._cluster.pods_of(body))
        cause = "after %d s %s%s" % (self._voice.elapsed_s, why, "; " + said if said else "")
        hint = self._stuck.hint or "Raise wait_timeout if it needs longer."
        return TransientError("wait for", "%s to %s" % (self._params["name"], what), cause, hint, code="timeout")

    def _result(self, before: Inventory, after: Inventory) -> dict[str, Any]:
        changes = self._changes.as_result(self._stuck.replaced)
        result: dict[str, Any] = {
            "changed": any(changes[done] for done in CHANGING) or before.differs(after),
            **changes,
            "version": after.version,
            "previous_version": before.version,
            "webhook": self._webhooks.as_result(),
            "seconds": round(self._voice.elapsed_s, 3),
        }
        if self._ctx.diff:
            result["diff"] = self._changes.as_diff(self._params["name"])
        return result
