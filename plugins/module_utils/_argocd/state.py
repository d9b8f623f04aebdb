# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges whether an Application is synced to a commit (private to the collection).

Under automated sync another commit may land right after ours. Argo CD then compares and
syncs a descendant, starts its own operation before anybody else can, or starts none at all
when the rendered manifests are the same. So an Application is synced to a commit when the
comparison is Synced, and the operation for the compared revision (if there was one)
Succeeded, at that commit or at a descendant in which the delivered values are unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional

from .redact import safe_text
from .view import RUNNING, View, short

ERRORS = ("InvalidSpecError", "ComparisonError", "UnknownError")
_NO_TEXT: Mapping[str, str] = {}

# How another revision relates to ours; the answers of the Git port.
DESCENDANT = "descendant"  # contains our commit, the delivered values are unchanged in it
CHANGED = "changed"  # contains our commit, but changed what we delivered
BEHIND = "behind"  # does not contain our commit yet
DIVERGED = "diverged"  # history was rewritten: our commit is no longer part of the branch
UNKNOWN = "unknown"  # nobody could be asked


@dataclass(frozen=True)
class Wanted:
    """What is waited for. An empty ``revision`` accepts whatever targetRevision means.

    ``relations`` are the known answers about other revisions, ``operation_id`` names the
    operation we started, if we did.
    """

    revision: str = ""
    relations: Mapping[str, str] = field(default_factory=lambda: _NO_TEXT)
    operation_id: str = ""
    health: bool = False


@dataclass(frozen=True)
class Judgement:
    """``state`` is waiting, synced, superseded or failed; ``reason`` is for people.

    ``ask`` is a revision whose relation to ours decides. ``trouble`` marks a state that
    usually does not heal by itself: the caller decides how long it tolerates it.
    ``needs_operation`` means that nothing will happen unless an operation is started.
    """

    state: str
    reason: str
    code: str = ""
    ask: str = ""
    trouble: str = ""
    needs_operation: bool = False


def judge(app: Mapping[str, Any], wanted: Wanted) -> Judgement:
    """Return where an Application stands on its way to ``wanted``; never raises."""
    view = View(app)
    if view.is_deleting:
        return Judgement("failed", "the Application is being deleted", "deleting")
    if view.is_operating:
        return _operating(view)
    if view.is_refreshing:
        return Judgement("waiting", "Argo CD has not compared yet")
    if wanted.operation_id:
        return _own_operation(view, wanted)
    errors = [item for item in view.conditions if item.get("type") in ERRORS]
    if errors:
        text = "; ".join("%s: %s" % (item["type"], safe_text(str(item.get("message")))) for item in errors)
        return Judgement("waiting", text, "invalid_spec" if _is_final(errors) else "comparison", trouble=text)
    if not view.revision:
        return Judgement("waiting", "Argo CD has not compared it yet")
    return _compared(view, wanted)


def _is_final(errors: list[Mapping[str, Any]]) -> bool:
    return any(item.get("type") == "InvalidSpecError" for item in errors)


def _operating(view: View) -> Judgement:
    if view.requested is not None and not view.phase:
        return Judgement("waiting", "an operation is requested")
    target = short(view.operation_revision) or "an unknown revision"
    text = "the operation to %s is %s" % (target, view.phase or "requested")
    if view.message:
        text += " (%s)" % safe_text(view.message)
    if view.message.startswith("Sync operation blocked by sync window"):
        return Judgement("waiting", text, "window_closed", trouble=text)
    return Judgement("waiting", text)


def _own_operation(view: View, wanted: Wanted) -> Judgement:
    """Judge by the operation we started; the comparison may rightly be about another revision.

    Under automated sync it is to what Argo CD compared, which may be a commit that came after ours.
    """
    if view.operation_id != wanted.operation_id:
        text = "another operation (to %s) replaced ours" % short(view.operation_revision)
        return Judgement("failed", text, "replaced")
    if view.phase != "Succeeded":
        return _failed(view)
    is_as_good = view.operation_revision == wanted.revision or not wanted.revision
    if not is_as_good and wanted.relations.get(view.operation_revision) != DESCENDANT:
        text = "our operation synced %s, not the requested commit" % short(view.operation_revision)
        return Judgement("failed", text, "other_revision")
    if view.revision == view.operation_revision and not view.is_synced:
        return _out_of_sync(view)
    return _healthy(view, wanted, "synced to %s by our operation" % short(view.operation_revision))


def _compared(view: View, wanted: Wanted) -> Judgement:
    """Judge by the comparison and by the operation it led to."""
    other = _other_revision(view, wanted)
    if other is not None:
        return other
    if not view.is_automated and not view.is_synced:
        return Judgement("waiting", "%s at %s" % (view.sync_status, short(view.revision)), needs_operation=True)
    unfinished = _last_operation(view) if view.is_automated else None
    if unfinished is not None:
        return unfinished
    return _healthy(view, wanted, "synced to %s" % short(view.revision)) if view.is_synced else _not_started(view)


def _other_revision(view: View, wanted: Wanted) -> Optional[Judgement]:
    """Judge a comparison with another commit than ours; None when it is as good as ours."""
    if not wanted.revision or view.revision == wanted.revision:
        return None
    if not view.is_automated:
        return Judgement("waiting", "it is at %s" % short(view.revision), needs_operation=True)
    relation = wanted.relations.get(view.revision)
    if relation is None:
        return Judgement("waiting", "Argo CD compared %s" % short(view.revision), ask=view.revision)
    return None if relation == DESCENDANT else _elsewhere(view, relation)


def _last_operation(view: View) -> Optional[Judgement]:
    """Judge the operation for the compared revision; None when there was none or it is done."""
    if view.operation_revision != view.revision or view.is_older_operation:
        return None
    if view.phase in ("Failed", "Error"):
        return _failed(view)
    if view.phase in RUNNING:
        text = "the operation to %s is %s, but nothing works on it any more" % (short(view.revision), view.phase)
        return Judgement("waiting", text, "stuck", trouble=text)
    return None if view.is_synced else _out_of_sync(view)


def _elsewhere(view: View, relation: str) -> Judgement:
    at = short(view.revision)
    if relation == CHANGED:
        text = "commit %s came after ours and changed what was delivered" % at
        return Judgement("superseded", text, "superseded")
    if relation == DIVERGED:
        text = "%s is not related to our commit: it is on another branch, or history was rewritten" % at
        return Judgement("failed", text, "history_rewritten")
    if relation == BEHIND:
        return Judgement("waiting", "Argo CD still compares %s, which is older" % at)
    text = "Argo CD compares %s, and whether it contains our commit is not known" % at
    return Judgement("waiting", text, "other_revision")


def _not_started(view: View) -> Judgement:
    """OutOfSync under automated sync without an operation: normal for a moment, else a reason exists."""
    text = "%s at %s, the automated operation has not begun" % (view.sync_status, short(view.revision))
    for item in view.conditions:
        if item.get("type") == "SyncError":
            text = safe_text(str(item.get("message")))
            return Judgement("waiting", text, "sync_refused", trouble=text)
    if _only_prunes(view):
        text = "OutOfSync at %s: %s would have to be pruned, and automated prune is off"
        text = text % (short(view.revision), _names(view.resources))
        return Judgement("waiting", text, "out_of_sync", trouble=text)
    return Judgement("waiting", text, "not_started")


def _only_prunes(view: View) -> bool:
    pending = [item for item in view.resources if item.get("status") != "Synced"]
    return bool(pending) and all(item.get("requiresPruning") for item in pending)


def _out_of_sync(view: View) -> Judgement:
    """The operation succeeded, and yet the comparison differs; trouble once compared after its end."""
    text = "the operation Succeeded and yet %s: OutOfSync" % (_names(view.resources) or "the Application")
    is_newer = bool(view.finished_at) and view.reconciled_at > view.finished_at  # one clock, one format: sorts as text
    return Judgement("waiting", text, "out_of_sync", trouble=text if is_newer else "")


def _healthy(view: View, wanted: Wanted, text: str) -> Judgement:
    if wanted.health and view.health != "Healthy":
        return Judgement("waiting", "%s, health is %s" % (text, view.health), "unhealthy")
    return Judgement("synced", text)


def _failed(view: View) -> Judgement:
    code = "terminated" if view.message.startswith("Operation terminat") else "sync_failed"
    text = "the operation to %s ended %s: %s" % (
        short(view.operation_revision),
        view.phase,
        safe_text(view.message) or "no message",
    )
    return Judgement("failed", text, code)


def _names(resources: list[Mapping[str, Any]]) -> str:
    differing = [item for item in resources if item.get("status") == "OutOfSync"]
    pending = ["%s %s" % (item.get("kind"), item.get("name")) for item in differing]
    more = len(pending) - 5
    return ", ".join(pending[:5]) + (" and %d more" % more if more > 0 else "")
