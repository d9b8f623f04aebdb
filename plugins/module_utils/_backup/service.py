# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Use cases of the modules release_backup and release_backup_info (private to the collection)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, Mapping

from .._context import Context
from .._errors import InvalidInput, PermanentError, SlipwayError
from .._progress import Voice
from .capture import Capture
from .cluster import Cluster
from .model import Folder, Place, folder_for, is_word, outlived, render
from .ports import Ports
from .reader import Backup, find, open_backup, problems_of
from .request import Request, check
from .restore import Restore, diff_of, differences
from .snapshot import Snapshot

#: How much of a lease must be left when a backup is moved into place, or one is removed.
_MOVE_S = 10.0
_GRANT = "Grant the right to get it (role rbac: purpose production, rbac_extra_rights), then back up again."


def run(params: Mapping[str, Any], ports: Ports, ctx: Context) -> dict[str, Any]:
    """Make, restore or remove a backup. Raises the typed errors of ``_errors``."""
    request = check(params)
    if params["state"] == "restored":
        return _restored(request, params, ports, ctx)
    use_case = {"present": _present, "absent": _absent}[params["state"]]
    return use_case(request, ports, ctx)


def _present(request: Request, ports: Ports, ctx: Context) -> dict[str, Any]:
    """Back up what is live. Check mode reads it and writes nothing, not even a folder."""
    voice = Voice("backup of %s" % str(request.place), ctx.progress, ports.clock.monotonic)

    def beat() -> None:
        ports.lease.renew_if_due()
        voice.beat(lambda: "reading the cluster")

    cluster = Cluster(ports.connect())
    uid = cluster.uid()
    snapshot = Capture(cluster, request, beat).run()
    if snapshot is None:
        ctx.warn("Nothing of %s is live yet, so there is nothing to back up." % str(request.place))
        return {"changed": False, "backup": {}, "pruned": []}
    if snapshot.unread:
        ctx.warn(
            "The backup of %s is INCOMPLETE: %s may not be read, and is not in it. %s"
            % (str(request.place), ", ".join(snapshot.unread), _GRANT)
        )
    raw = _described(snapshot, request, {"uid": uid, "server": ports.server()})
    if ctx.check_mode:
        name = str(folder_for(ports.clock.wall(), request.release, ports.store.names(request.place)))
        backup = _shown({**raw, "name": name, "files": snapshot.files(lambda _clear: b"")}, request.place, ports)
        return {"changed": True, "backup": backup, "pruned": _outlived(request, ports, [name])}
    with ports.store.lock(request.place):
        backup = _write(raw, snapshot, request, ports)
        pruned = _outlived(request, ports, [])
        for name in pruned:
            ports.lease.require(_MOVE_S)
            ports.store.remove(request.place, name)
    return {"changed": True, "backup": backup, "pruned": pruned}


def _write(raw: Mapping[str, Any], snapshot: Snapshot, request: Request, ports: Ports) -> dict[str, Any]:
    """Encrypt, name, write and move into place. Call it under the lock of the place."""
    files = snapshot.files(lambda clear: ports.cipher.encrypt(clear, request.recipients))
    now_s = ports.clock.wall()
    name = str(folder_for(now_s, request.release, ports.store.names(request.place)))
    at = datetime.fromtimestamp(now_s, timezone.utc).isoformat(timespec="milliseconds")
    named = {"name": name, "at": at.replace("+00:00", "Z"), **raw}
    content = render(named, files)
    ports.store.write(request.place, name, content, lambda: ports.lease.require(_MOVE_S))
    return _shown({**named, "files": files}, request.place, ports)


def _described(snapshot: Snapshot, request: Request, cluster: Mapping[str, str]) -> dict[str, Any]:
    """Return the manifest but for what is known only when it is written."""
    application = request.application
    return {
        "app": request.place.app,
        "environment": request.place.environment,
        "release": request.release,
        "cluster": dict(cluster),
        "namespace": snapshot.namespace,
        "application": {"namespace": application[0], "name": application[1]} if application else None,
        "commit": snapshot.commit,
        "images": snapshot.images,
        "objects": [what.as_dict() for what in sorted(snapshot.live)],
        "secrets": {
            "mode": "encrypted" if request.is_encrypted else "excluded",
            "recipients": list(request.recipients) if request.is_encrypted else [],
            "names": sorted(snapshot.names.values(), key=lambda entry: str(entry["name"])),
        },
        "repositories": snapshot.repositories,
        "left_out": snapshot.left_out,
        "unread": snapshot.unread,
    }


def _shown(raw: Mapping[str, Any], place: Place, ports: Ports) -> dict[str, Any]:
    """Return a backup as results show it: its manifest, where it is, its files by name."""
    shown = {"unread": [], **{key: value for key, value in raw.items() if key not in ("format", "files")}}
    return {**shown, "path": ports.store.path(place, raw["name"]), "files": sorted(raw.get("files") or {})}


def _outlived(request: Request, ports: Ports, planned: list[str]) -> list[str]:
    names = [*ports.store.names(request.place), *planned]
    return outlived(names, ports.clock.wall(), request.keep_last, request.keep_days)


def _absent(request: Request, ports: Ports, ctx: Context) -> dict[str, Any]:
    """Remove one backup; one that is not there needs no removal."""
    names = ports.store.names(request.place)
    name = (names or [""])[0] if request.name == "latest" else request.name
    if name not in names:
        return {"changed": False, "backup": {}, "pruned": []}
    if not ctx.check_mode:
        with ports.store.lock(request.place):
            ports.lease.require(_MOVE_S)
            ports.store.remove(request.place, name)
    return {"changed": True, "backup": {"name": name, "path": ports.store.path(request.place, name)}, "pruned": [name]}


def _restored(request: Request, params: Mapping[str, Any], ports: Ports, ctx: Context) -> dict[str, Any]:
    """Plan, and outside check mode carry out, a restore."""
    backup = open_backup(ports.store, request.place, find(ports.store, request.place, request.name))
    if backup.manifest.unread:
        ctx.warn(
            "Backup %s is INCOMPLETE: %s might not be read when it was made, and is not restored."
            % (backup.name, ", ".join(backup.manifest.unread))
        )
    voice = Voice("restore of %s" % str(request.place), ctx.progress, ports.clock.monotonic)
    restore = Restore(backup, params, ports, ctx)
    steps = restore.plan()
    plan_hash = restore.fingerprint(steps)
    wanted = params.get("plan_hash")
    if wanted and wanted != plan_hash:
        hint = "Look at the new plan, then confirm that one."
        cause = "the cluster or the backup is not what it was when this was planned"
        raise PermanentError("restore", "backup " + backup.name, cause, hint, code="plan_changed")
    if not ctx.check_mode:
        restore.carry_out(steps, lambda text: voice.beat(lambda: text))
    changed = [step for step in steps if step.action != "unchanged"]
    result: dict[str, Any] = {
        "changed": bool(changed),
        "backup": _shown(backup.manifest.raw, request.place, ports),
        "restored": [{**step.what.as_dict(), "action": step.action} for step in steps],
        "missing_secrets": restore.missing,
        "differences": differences(steps),
        "hash": plan_hash,
        "pruned": [],
    }
    if ctx.diff:
        result["diff"] = diff_of(steps, backup.name)
    return result


def inform(params: Mapping[str, Any], ports: Ports, ctx: Context) -> dict[str, Any]:
    """List backups, the newest first, and what is wrong with them. Raises InvalidInput."""
    for option in ("app", "environment"):
        if params.get(option) and not is_word(params[option]):
            raise InvalidInput(option, "'%s' cannot be the name of a folder" % params[option])
    if params.get("name") and params["name"] != "latest" and not Folder.of(params["name"]):
        raise InvalidInput("name", "'%s' is no name of a backup" % params["name"])
    found = []
    for place in ports.store.places():
        if params.get("app") in (None, place.app) and params.get("environment") in (None, place.environment):
            names = ports.store.names(place)
            found += [(name, place) for name in (names[:1] if params.get("name") == "latest" else names)]
    chosen = [pair for pair in found if params.get("name") in (None, "latest", pair[0])]
    chosen.sort(key=lambda pair: (Folder.of(pair[0]) or pair, pair), reverse=True)
    return {"changed": False, "backups": [_informed(place, name, params, ports, ctx) for name, place in chosen]}


def _informed(place: Place, name: str, params: Mapping[str, Any], ports: Ports, ctx: Context) -> dict[str, Any]:
    raw, problems = problems_of(ports.store, place, name, params["verify"] != "none")
    notes: list[str] = []
    if params["verify"] == "cluster" and not problems:
        problems, notes = _proved(open_backup(ports.store, place, name), params, ports, ctx)
    problems += ["%s is not in it: it might not be read" % what for what in raw.get("unread") or []]
    base = {"app": place.app, "environment": place.environment, "name": name}
    shown = _shown({**raw, **base}, place, ports)
    return {**shown, "complete": not problems, "problems": problems, "notes": notes}


def _proved(backup: Backup, params: Mapping[str, Any], ports: Ports, ctx: Context) -> tuple[list[str], list[str]]:
    """Let the API server judge every object of a backup by a dry run; return problems and what could not be tried."""
    wishes = {
        "allow_other_cluster": False,
        "missing_secrets": "warn",
        "identity_file": params.get("identity_file"),
        "namespace": None,
    }
    notes: list[str] = []
    restore = Restore(backup, wishes, ports, replace(ctx, warn=notes.append))
    try:
        restore.plan()
    except SlipwayError as error:
        return [str(error)], notes
    return [], [*notes, *restore.notes]
