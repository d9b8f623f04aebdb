# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an Application says about itself, read without trust in its texts (private to the collection)."""

from __future__ import annotations

import posixpath
import re
from typing import Any, Mapping, Optional

from .redact import masked, safe_text

REFRESH = "argocd.argoproj.io/refresh"
OPERATION_INFO = "slipway.dev/operation"
RUNNING = ("Running", "Terminating")


class View:
    """The fields of an Application that matter here, with Argo CD's omissions filled in."""

    def __init__(self, app: Mapping[str, Any]) -> None:
        spec, status = app.get("spec") or {}, app.get("status") or {}
        sync, operation = status.get("sync") or {}, status.get("operationState") or {}
        policy = (spec.get("syncPolicy") or {}).get("automated")
        metadata = app.get("metadata") or {}
        self.annotations: Mapping[str, str] = metadata.get("annotations") or {}
        self.is_deleting = bool(metadata.get("deletionTimestamp"))
        self.is_refreshing = REFRESH in self.annotations
        self.is_automated = policy is not None and policy.get("enabled", True) is not False
        self.is_multi_source = bool(spec.get("sources"))
        self.source: Mapping[str, Any] = spec.get("source") or {}
        self.target_revision = str(self.source.get("targetRevision") or "HEAD")
        self.sync_status = str(sync.get("status") or "Unknown")
        self.revision = str(sync.get("revision") or "") or ",".join(sync.get("revisions") or [])
        self.health = str((status.get("health") or {}).get("status") or "Unknown")
        self.reconciled_at = str(status.get("reconciledAt") or "")
        self.conditions: list[Mapping[str, Any]] = list(status.get("conditions") or [])
        self.resources: list[Mapping[str, Any]] = list(status.get("resources") or [])
        self.requested: Optional[Mapping[str, Any]] = app.get("operation")
        self.operation: Mapping[str, Any] = operation
        self.phase = str(operation.get("phase") or "")
        self.message = str(operation.get("message") or "")
        self.started_at = str(operation.get("startedAt") or "")
        self.finished_at = str(operation.get("finishedAt") or "")
        self.result: Mapping[str, Any] = operation.get("syncResult") or {}

    @property
    def operation_revision(self) -> str:
        """The revision the last operation was for, resolved or at least requested."""
        requested = (self.operation.get("operation") or {}).get("sync") or {}
        one = self.result.get("revision") or requested.get("revision")
        return str(one or ",".join(self.result.get("revisions") or requested.get("revisions") or []))

    @property
    def operation_id(self) -> str:
        """The id we gave to the running or last operation, or nothing if it is somebody else's."""
        return id_of(self.requested or self.operation.get("operation"))

    @property
    def is_operating(self) -> bool:
        """Whether an operation is requested or in progress.

        Argo CD clears the request when it sets a final phase, in one write. A phase that stays
        Running without a request is a left-over that nothing works on any more.
        """
        return self.requested is not None

    @property
    def is_synced(self) -> bool:
        """Whether the comparison found no difference."""
        return self.sync_status == "Synced"

    @property
    def is_older_operation(self) -> bool:
        """Whether the last operation applied another source than the Application has now."""
        used = self.result.get("source")
        return bool(used) and not self.is_multi_source and used != self.source


def id_of(operation: Optional[Mapping[str, Any]]) -> str:
    """Return the operation id that we noted in an operation's ``info``."""
    for item in (operation or {}).get("info") or []:
        if item.get("name") == OPERATION_INFO:
            return str(item.get("value") or "")
    return ""


def short(revision: str) -> str:
    """Return a commit id as people write it; other text as it is."""
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{28,}\b", r"\1", revision)


def failed_resources(app: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the resources that the last operation could not apply, delete or run as hook."""
    failed = []
    for item in View(app).result.get("resources") or []:
        bad_hook = item.get("hookPhase") in ("Failed", "Error")
        if item.get("status") != "SyncFailed" and not bad_hook:
            continue
        message = str(item.get("message") or "")
        shown = safe_text("Secret: " + message) if item.get("kind") == "Secret" else safe_text(message)
        status = str(item["hookPhase"]) if bad_hook else "SyncFailed"
        failed.append(dict(_identity(item), status=status, message=shown))
    return failed


def _identity(item: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(item.get(key) or "") for key in ("group", "kind", "namespace", "name")}


def _owned(item: Mapping[str, Any]) -> dict[str, str]:
    health = str((item.get("health") or {}).get("status") or "")
    return dict(_identity(item), sync=str(item.get("status") or ""), health=health)


def summary(app: Mapping[str, Any]) -> dict[str, Any]:
    """Return the compact view of an Application that modules return."""
    view, metadata = View(app), app.get("metadata") or {}
    spec = app.get("spec") or {}
    return {
        "name": metadata.get("name", ""),
        "namespace": metadata.get("namespace", ""),
        "project": spec.get("project", ""),
        "automated": view.is_automated,
        "multi_source": view.is_multi_source,
        "sources": [_source(item) for item in spec.get("sources") or [spec.get("source") or {}]],
        "destination": dict(spec.get("destination") or {}),
        "images": list(((app.get("status") or {}).get("summary") or {}).get("images") or []),
        "urls": list(((app.get("status") or {}).get("summary") or {}).get("externalURLs") or []),
        "resources": [_owned(item) for item in view.resources],
        "sync": sync_result(app),
        "health": view.health,
        "conditions": [
            {"type": str(item.get("type")), "message": safe_text(str(item.get("message") or ""))}
            for item in view.conditions
        ],
    }


def _source(source: Mapping[str, Any]) -> dict[str, Any]:
    fields = {"repo": "repoURL", "path": "path", "chart": "chart", "target_revision": "targetRevision"}
    summary: dict[str, Any] = {name: masked(str(source.get(key) or "")) for name, key in fields.items()}
    helm = source.get("helm") or {}
    if helm:
        folder = str(source.get("path") or "")
        summary["value_files"] = [_value_file(folder, str(file)) for file in helm.get("valueFiles") or []]
        summary["parameters"] = [masked(str(item.get("name") or "")) for item in helm.get("parameters") or []]
    return summary


def _value_file(folder: str, file: str) -> str:
    """Return where a values file is, from the top of the repository; one from elsewhere as it is written."""
    if file.startswith("$") or "://" in file:
        return str(masked(file))
    path = file.lstrip("/") if file.startswith("/") else posixpath.join(folder, file)
    return str(masked(posixpath.normpath(path)))


def sync_result(app: Mapping[str, Any]) -> dict[str, Any]:
    """Return the comparison and the running or last operation."""
    view = View(app)
    operation: dict[str, Any] = {}
    if view.operation or view.requested is not None:
        initiator = (view.requested or view.operation.get("operation") or {}).get("initiatedBy") or {}
        operation = {
            "phase": view.phase or "Requested",
            "revision": view.operation_revision,
            "message": safe_text(view.message),
            "started_at": view.started_at,
            "finished_at": view.finished_at,
            "automated": bool(initiator.get("automated")),
            "initiated_by": str(initiator.get("username") or ""),
            "id": view.operation_id,
            "failed_resources": failed_resources(app),
        }
    return {"status": view.sync_status, "revision": view.revision, "operation": operation}
