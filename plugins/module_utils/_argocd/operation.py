# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An operation of our own: the guard before it and the object that starts it (private to the collection).

Writing ``operation`` into the Application bypasses what Argo CD's API server checks, so the
same checks are made here, and both ways behave alike.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Mapping, Optional

from .._errors import BusyError, FencedError, PermanentError, SlipwayError
from .view import OPERATION_INFO, View, short

FENCE = "slipway.dev/fence"
INITIATOR = "slipway.gitops"


@dataclass(frozen=True)
class Request:
    """An operation to start. ``options`` is the module option ``operation``, in Ansible's spelling."""

    id: str
    revision: str
    fence: int = 0
    options: Optional[Mapping[str, Any]] = None


def refusal(app: Mapping[str, Any], request: Request, resource: str) -> Optional[SlipwayError]:
    """Return why the operation must not be started, or None. Sync windows are judged apart.

    The conditions are those of Argo CD's API server, then the fence of the delivery.
    """
    view = View(app)
    if view.is_deleting:
        return PermanentError("sync", resource, "the Application is being deleted", code="deleting")
    if view.is_operating:
        target = short(view.operation_revision) or "its target revision"
        cause = "another operation (to %s, %s) is in progress" % (target, view.phase or "requested")
        return BusyError("sync", resource, cause, "Wait for it, or terminate it in Argo CD.", code="busy")
    if view.is_automated and request.revision and request.revision not in (view.revision, view.target_revision):
        cause = "auto-sync currently set to %s, and Argo CD compares %s there, not %s"
        cause = cause % (view.target_revision, short(view.revision) or "nothing", short(request.revision))
        hint = "Bring the older state back as a new commit; automated sync would undo anything else."
        return PermanentError("sync", resource, cause, hint, code="auto_sync")
    if fence_of(app) > request.fence > 0:
        cause = "it carries fence %d, ours is %d: a later delivery has written it" % (fence_of(app), request.fence)
        return FencedError("sync", resource, cause, "Nothing was written.", code="fenced")
    return None


def fence_of(app: Mapping[str, Any]) -> int:
    """Return the highest fence that has written the Application; 0 if none or not a number."""
    text = str(((app.get("metadata") or {}).get("annotations") or {}).get(FENCE) or "")
    return int(text) if text.isdigit() else 0


def with_operation(app: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """Return the Application with the operation set and the result of the previous one cleared.

    The result keeps the resourceVersion that was read: the write is one compare-and-swap
    that carries fence, operation id and operation together.
    """
    started = copy.deepcopy(dict(app))
    started["operation"] = _operation(app, request)
    # A previous result that stays would be read as the result of this operation.
    (started.get("status") or {}).pop("operationState", None)
    if request.fence:
        annotations = started["metadata"].setdefault("annotations", {})
        annotations[FENCE] = str(request.fence)
    return started


def _operation(app: Mapping[str, Any], request: Request) -> dict[str, Any]:
    spec, options = app.get("spec") or {}, request.options or {}
    policy = spec.get("syncPolicy") or {}
    sync: dict[str, Any] = {"prune": bool(options.get("prune"))}
    if request.revision:
        sync["revision"] = request.revision
    for key in ("source", "sources"):
        if spec.get(key):
            sync[key] = copy.deepcopy(spec[key])
    sync_options = options.get("sync_options")
    sync_options = policy.get("syncOptions") if sync_options is None else sync_options
    if sync_options:
        sync["syncOptions"] = list(sync_options)
    if options.get("resources"):
        sync["resources"] = [{key: value for key, value in item.items() if value} for item in options["resources"]]
    if options.get("force"):
        sync["syncStrategy"] = {"hook": {"force": True}}
    info = [{"name": OPERATION_INFO, "value": request.id}]
    if request.fence:
        info.append({"name": FENCE, "value": str(request.fence)})
    operation: dict[str, Any] = {"sync": sync, "initiatedBy": {"username": INITIATOR}, "info": info}
    retry = policy.get("retry")
    if options.get("retry_limit") is not None:
        retry = dict(retry or {}, limit=options["retry_limit"])
    if retry:
        operation["retry"] = copy.deepcopy(retry)
    return operation
