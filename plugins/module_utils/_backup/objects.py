# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects as a backup keeps them: what was asked for, without what the cluster added (private to the collection)."""

from __future__ import annotations

import json
import re
from typing import Any, Iterable, Mapping, Optional

from .._argocd.redact import masked
from .._context import MASK
from .._manifests.document import Id
from .model import BackupError, Manifest, Object, is_object_name, parse_json

_OF_THE_SERVER = (
    "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
    "managedFields", "selfLink", "ownerReferences", "generateName",
)  # fmt: skip
_ANNOTATIONS = re.compile(
    r"(deployment\.kubernetes\.io/(revision|desired-replicas|max-replicas)|pv\.kubernetes\.io/.*"
    r"|volume(\.beta)?\.kubernetes\.io/(storage-provisioner|selected-node)|argocd\.argoproj\.io/refresh"
    r"|control-plane\.alpha\.kubernetes\.io/leader)"
)
_JOB_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_VERSION = re.compile(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?v[0-9][a-z0-9]*")
_KIND = re.compile(r"[A-Z][A-Za-z0-9]{0,62}")


def identify(item: Mapping[str, Any]) -> Id:
    """Return what an object is."""
    meta = item["metadata"]
    return Id(str(item["apiVersion"]), str(item["kind"]), str(meta.get("namespace") or ""), str(meta["name"]))


def clean(item: Mapping[str, Any]) -> Object:
    """Return a copy that can be applied to this cluster again, also after everything was deleted.

    Owner references go, because the owner's UID will be another and the collector would remove
    the object; finalizers go, except those of an Application, which say how it is deleted.
    """
    copy: Object = json.loads(json.dumps(item))
    copy.pop("status", None)
    copy.pop("operation", None)
    meta = copy["metadata"]
    for field in _OF_THE_SERVER:
        meta.pop(field, None)
    if not copy["apiVersion"].startswith("argoproj.io/"):
        meta.pop("finalizers", None)
    annotations = meta.pop("annotations", None) or {}
    kept = {key: value for key, value in annotations.items() if not _ANNOTATIONS.fullmatch(key)}
    if copy["kind"] == "Secret":
        kept.pop(_LAST_APPLIED, None)
    if kept:
        meta["annotations"] = kept
    _CLEANERS.get(copy["kind"], lambda _item: None)(copy)
    return copy


def _clean_namespace(item: Object) -> None:
    item.pop("spec", None)
    labels = {
        k: v for k, v in (item["metadata"].pop("labels", None) or {}).items() if k != "kubernetes.io/metadata.name"
    }
    if labels:
        item["metadata"]["labels"] = labels


def _clean_service(item: Object) -> None:
    """Let the cluster choose the address again; a headless Service stays headless."""
    spec = item.get("spec") or {}
    if spec.get("clusterIP") != "None":
        for field in ("clusterIP", "clusterIPs"):
            spec.pop(field, None)
    spec.pop("healthCheckNodePort", None)


def _clean_claim(item: Object) -> None:
    """Let the claim find a volume: the old one may be gone. Its data is no part of a backup."""
    (item.get("spec") or {}).pop("volumeName", None)


def _clean_job(item: Object) -> None:
    spec = item.get("spec") or {}
    if not spec.get("manualSelector"):
        spec.pop("selector", None)
        for meta in (item["metadata"], (spec.get("template") or {}).get("metadata") or {}):
            for label in _JOB_LABELS:
                (meta.get("labels") or {}).pop(label, None)


def _clean_account(item: Object) -> None:
    item.pop("secrets", None)


_CLEANERS = {
    "Namespace": _clean_namespace,
    "Service": _clean_service,
    "PersistentVolumeClaim": _clean_claim,
    "Job": _clean_job,
    "ServiceAccount": _clean_account,
}

#: When a kind is restored: what others need comes first. Kinds that are not named, custom
#: resources among them, come before the Secrets and the workloads that may need them.
_EARLY = (
    "Namespace", "AppProject", "ResourceQuota", "LimitRange", "NetworkPolicy", "ServiceAccount", "Role", "RoleBinding",
    "ConfigMap", "PersistentVolumeClaim",
)  # fmt: skip
_LATE = (
    "Secret", "Service", "StatefulSet", "DaemonSet", "Deployment", "ReplicaSet", "Pod", "Job", "CronJob",
    "HorizontalPodAutoscaler", "PodDisruptionBudget", "Ingress", "Application",
)  # fmt: skip
_RANK = {kind: rank for rank, kind in enumerate((*_EARLY, "", *_LATE))}


def in_order(items: Iterable[Object]) -> list[Object]:
    """Return objects in the order in which they are restored."""
    return sorted(items, key=lambda item: (_RANK.get(item["kind"], _RANK[""]), identify(item)))


def render_list(items: Iterable[Object]) -> bytes:
    """Return objects as one List, which ``kubectl apply -f`` reads."""
    document = {"apiVersion": "v1", "kind": "List", "items": in_order(items)}
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def parse_list(data: bytes, what: str) -> list[Object]:
    """Return the objects of a List whose fields are what they must be. Raises BackupError."""
    items = parse_json(data, what).get("items")
    if not isinstance(items, list):
        raise BackupError("%s is no List" % what)
    for number, item in enumerate(items):
        meta = item.get("metadata") if isinstance(item, dict) else None
        fields = isinstance(meta, dict) and (
            _fits(_VERSION, item.get("apiVersion"))
            and _fits(_KIND, item.get("kind"))
            and is_object_name(meta.get("name"))
            and (not meta.get("namespace") or is_object_name(meta["namespace"]))
        )
        if not fields:
            raise BackupError("object %d in %s has no usable apiVersion, kind, name or namespace" % (number + 1, what))
    return items


def _fits(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and bool(pattern.fullmatch(value))


def check_belonging(item: Object, manifest: Manifest, may_be_secret: bool) -> None:
    """Raise BackupError for an object that a backup of this namespace cannot hold."""
    what = identify(item)
    if what.is_secret != may_be_secret:
        raise BackupError("%s lies in the wrong file: Secrets are in the encrypted one only, and alone" % str(what))
    if what.is_namespace:
        if what.namespace or what.name != manifest.namespace:
            raise BackupError("%s is not the namespace of this backup (%s)" % (what, manifest.namespace))
    elif what.namespace != manifest.namespace:
        raise BackupError("%s does not lie in the namespace of this backup (%s)" % (what, manifest.namespace))


def difference(have: Any, want: Any) -> Any:
    """Return the JSON merge patch that turns ``have`` into ``want``; an empty mapping when they are equal.

    A server-side apply leaves what others have added since; with this the restored object is
    the one of the backup, with nothing beside it.
    """
    if not isinstance(have, Mapping) or not isinstance(want, Mapping):
        return want
    patch: dict[str, Any] = {key: None for key in have if key not in want}
    for key, value in want.items():
        if key not in have:
            patch[key] = value
        elif have[key] != value:
            patch[key] = difference(have[key], value)
    return patch


def shown(before: Optional[Object], after: Object) -> tuple[str, str]:
    """Return both sides of a diff as text, likely passwords masked.

    Of a Secret only keys are shown, and whether a value differs.
    """
    if after["kind"] == "Secret":
        old, new = (before or {}).get("data") or {}, after.get("data") or {}
        sides = [
            {"data": {key: MASK + (mark if old.get(key) != new.get(key) else "") for key in side}}
            for side, mark in ((old, " (before)"), (new, " (from the backup)"))
        ]
        before = {**before, **sides[0]} if before else None
        after = {**after, **sides[1]}
    return _text(before), _text(after)


def _text(item: Optional[Object]) -> str:
    if item is None:
        return ""
    text = json.dumps(item if item["kind"] == "Secret" else masked(item), indent=2, sort_keys=True, ensure_ascii=False)
    return "# %s\n%s\n" % (str(identify(item)), text)
