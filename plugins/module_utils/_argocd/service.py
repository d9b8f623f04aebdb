# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Use cases of the module argocd_app (private to the collection)."""

from __future__ import annotations

import json
from typing import Any, Mapping

from .._context import Context
from .._errors import InvalidInput, NotFound, PermanentError, SlipwayError, TransientError
from .._kube.applied import is_applied, owned
from .._progress import Voice
from .ports import Object, Ports, Target, about, find, is_argocd_missing
from .redact import masked
from .schema import application_schema, unknown_fields
from .spec import MANAGER, build, comparable, finalizers_for, validate
from .state import Wanted
from .syncing import Goal, Syncing
from .view import View, summary, sync_result

_OPENAPI = "/openapi/v3/apis/argoproj.io/v1alpha1"
_WRITE_S = 30.0


def run(params: Mapping[str, Any], ports: Ports, ctx: Context) -> dict[str, Any]:
    """Bring an Application to ``params['state']``. Raises the typed errors of ``_errors``."""
    validate(params)
    target = Target(params["namespace"], params["name"])
    state = {"present": _present, "absent": _absent, "synced": _synced}[params["state"]]
    result = state(target, params, ports, ctx)
    if params.get("return_object") and result.get("object") is not None:
        result["object"] = masked(result["object"])
    else:
        result.pop("object", None)
    return result


def _present(target: Target, params: Mapping[str, Any], ports: Ports, ctx: Context) -> dict[str, Any]:
    with about(target):
        before = find(ports.client, target)
    if before is not None and View(before).is_deleting:
        hint = "Wait until it is gone (state 'absent'), then create it again."
        raise PermanentError("apply", str(target), "it is being deleted", hint, code="deleting")
    body = build(params)
    after = (
        before if before is not None and is_applied(before, body, MANAGER) else _apply(target, body, params, ports, ctx)
    )
    changed = (comparable(before), owned(before, MANAGER)) != (comparable(after), owned(after, MANAGER))
    result = _outcome(changed, after)
    if ctx.diff:
        result["diff"] = _diff(target, comparable(before), comparable(after))
    if params.get("wait") and not ctx.check_mode:
        goal = Goal(Wanted(), params["wait_timeout"], may_operate=False)
        syncing = Syncing(target, goal, ports, ctx)
        try:
            syncing.run(after)
        except SlipwayError as error:
            error.result["changed"] = changed
            raise
        result.update(syncing.result(), object=syncing.app)
    return result


def _apply(target: Target, body: Object, params: Mapping[str, Any], ports: Ports, ctx: Context) -> Object:
    """Let the API server decide: it merges, so nothing that changed since the look is overwritten unseen."""
    if not ctx.check_mode:
        ports.lease.require(_WRITE_S)
    force = bool(params.get("force_conflicts"))
    try:
        with about(target):
            return ports.client.apply(target.path, body, MANAGER, force=force, dry_run=ctx.check_mode)
    except PermanentError as error:
        if error.code == "invalid":
            _explain(body, ports)
        if error.code == "field_conflict":
            error.hint = "Set force_conflicts to take these fields over, or leave them out of 'spec'."
        raise


def _explain(body: Object, ports: Ports) -> None:
    """Turn the server's refusal into InvalidInput naming every unknown field, if that is the reason."""
    try:
        schema = application_schema(ports.client.get(_OPENAPI))
    except SlipwayError:
        return  # the server's own message is still true, only less helpful
    unknown = list(unknown_fields({"spec": body["spec"]}, {"properties": (schema or {}).get("properties") or {}}))
    if not schema or not unknown:
        return
    paths = ", ".join("'%s'" % item.path for item in unknown)
    hints = ["'%s' instead of '%s'" % (item.nearest, item.path) for item in unknown if item.nearest]
    hint = "Did you mean %s?" % ", ".join(hints) if hints else "See the reference of the Application."
    raise InvalidInput("spec", "Argo CD does not know the field %s" % paths, hint, code="unknown_field")


def _absent(target: Target, params: Mapping[str, Any], ports: Ports, ctx: Context) -> dict[str, Any]:
    cascade = params.get("cascade") or "foreground"
    try:
        before = find(ports.client, target)
    except NotFound:
        before = None  # without Argo CD there is no Application
    if before is None:
        return {"changed": False, "application": None, "removed": [], "seconds": 0.0}
    started = ports.clock.monotonic()
    is_deleting = View(before).is_deleting
    if not ctx.check_mode and not is_deleting:
        ports.lease.require(_WRITE_S)
        _delete(target, cascade, before, ports)
    if params.get("wait") is not False and not ctx.check_mode:
        _wait_gone(target, params["wait_timeout"], ports, ctx)
    result = {
        "changed": not is_deleting,
        "application": summary(before),
        "removed": [] if cascade == "none" else _managed(before),
        "seconds": round(ports.clock.monotonic() - started, 3),
    }
    if ctx.diff:
        result["diff"] = _diff(target, comparable(before), {})
    return result


def _managed(app: Object) -> list[dict[str, str]]:
    keys = ("group", "kind", "namespace", "name")
    return [{key: str(item.get(key) or "") for key in keys} for item in View(app).resources]


def _delete(target: Target, cascade: str, app: Object, ports: Ports) -> None:
    """Set the finalizers that mean ``cascade`` to Argo CD, then delete."""
    present = list(app["metadata"].get("finalizers") or [])
    wanted = finalizers_for(cascade, present)
    with about(target):
        if wanted != present:
            body = {"metadata": {"finalizers": wanted, "resourceVersion": app["metadata"]["resourceVersion"]}}
            ports.client.merge_patch(target.path, body)
        try:
            ports.client.delete(target.path)
        except NotFound as error:
            if is_argocd_missing(error):
                raise


def _wait_gone(target: Target, timeout_s: float, ports: Ports, ctx: Context) -> None:
    voice = Voice(target.name, ctx.progress, ports.clock.monotonic)
    app: Object = {}
    for sight in ports.observe(target.namespace, target.name, ports.clock.monotonic() + timeout_s):
        ports.lease.renew_if_due()
        if isinstance(sight.fault, PermanentError):
            raise sight.fault
        if sight.app is None:
            return
        app = sight.app
        voice.beat(lambda: "waiting for Argo CD to delete it")
    texts = "; ".join(item["message"] for item in summary(app)["conditions"] if item["type"] == "DeletionError")
    finalizers = ", ".join((app.get("metadata") or {}).get("finalizers") or []) or "none"
    cause = "still there after %d s; finalizers: %s%s" % (timeout_s, finalizers, "; " + texts if texts else "")
    hint = "Argo CD's controller removes the finalizers when the resources are gone: check that it runs."
    raise TransientError("delete", str(target), cause, hint, code="timeout")


def _synced(target: Target, params: Mapping[str, Any], ports: Ports, ctx: Context) -> dict[str, Any]:
    with about(target):
        app = find(ports.client, target)
    if app is None:
        hint = "Create it with state 'present', or check name and namespace."
        raise NotFound("sync", str(target), "it does not exist", hint)
    revision = params.get("revision") or ""
    _refuse_unreachable(target, app, revision)
    goal = Goal(
        Wanted(revision, health=bool(params.get("wait_for_health"))),
        params["wait_timeout"],
        retry_failed=bool(params.get("retry_failed")),
        manual=bool(params.get("manual")),
        hard_refresh=bool(params.get("hard_refresh")),
        options=params.get("operation"),
    )
    syncing = Syncing(target, goal, ports, ctx)
    before, syncing.app = sync_result(app), app
    if ctx.check_mode:
        changed = syncing.judge(app).state != "synced"
    else:
        # Told by what differs afterwards: judging the state before would ask the repository about
        # the older commit that Argo CD still reports then, and that answer decides nothing.
        syncing.run(app)
        changed = _traces(before) != _traces(sync_result(syncing.app))
    result = dict(_outcome(changed, syncing.app), **syncing.result())
    if ctx.diff:
        result["diff"] = _diff(target, _position(before), _position(result["sync"]))
    return result


def _traces(sync: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a sync leaves behind: status, revision, when the last operation began."""
    return sync["status"], sync["revision"], sync["operation"].get("started_at")


def _refuse_unreachable(target: Target, app: Object, revision: str) -> None:
    """Refuse what Argo CD could never reach, instead of waiting for it."""
    view = View(app)
    if revision and view.is_multi_source:
        hint = "Leave 'revision' out: the wait is then for the heads of all its sources."
        cause = "it has several sources, and one revision cannot mean all of them"
        raise PermanentError("sync", str(target), cause, hint, "multi_source")
    is_pinned = len(view.target_revision) in (40, 64) and view.target_revision != revision
    if revision and is_pinned and view.is_automated:
        cause = "auto-sync currently set to %s, so %s is never compared" % (view.target_revision, revision)
        raise PermanentError("sync", str(target), cause, "Change targetRevision.", "auto_sync")


def _outcome(changed: bool, app: Object) -> dict[str, Any]:
    view = View(app)
    return {
        "changed": changed,
        "application": summary(app),
        "sync": sync_result(app),
        "health": view.health,
        "conditions": summary(app)["conditions"],
        "seconds": 0.0,
        "object": comparable(app),
    }


def _position(sync: Mapping[str, Any]) -> dict[str, Any]:
    return {"revision": sync["revision"], "status": sync["status"], "phase": sync["operation"].get("phase", "")}


def _diff(target: Target, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    """Return a diff for people: keys sorted, secrets masked, nothing for an absent object."""
    sides = {}
    for side, value in (("before", before), ("after", after)):
        sides[side] = json.dumps(masked(value), indent=2, sort_keys=True) + "\n" if value else ""
        sides[side + "_header"] = str(target)
    return sides
