# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster as manifests see it: objects by what they are, kinds by how they are served (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Optional, Protocol

from .._context import Clock
from .._errors import NotFound, SlipwayError
from .._kube.paths import object_path
from .document import MANAGER, Id, Kind, Object

DEFINITIONS = ("apiextensions.k8s.io/v1", "customresourcedefinitions")


class Kube(Protocol):
    """The Kubernetes API; raises the typed errors of ``_errors``."""

    def get(self, path: str, query: Optional[Mapping[str, str]] = None) -> Object: ...

    def list(self, path: str, label_selector: str = "", field_selector: str = "") -> Object: ...

    def apply(
        self, path: str, body: Mapping[str, Any], manager: str, force: bool = False, dry_run: bool = False
    ) -> Object: ...

    def delete(self, path: str, propagation: str = "", dry_run: bool = False) -> Object: ...


@dataclass(frozen=True)
class Ports:
    """What keeping manifests touches."""

    client: Kube
    clock: Clock


class Cluster:
    """Reads, applies and deletes objects by their identity.

    ``planned`` are kinds whose definitions are about to be applied.
    """

    def __init__(self, client: Kube, planned: Mapping[tuple[str, str], Kind], force: bool = False) -> None:
        self._client = client
        self._planned = planned
        self._force = force
        self._served: dict[str, dict[str, Kind]] = {}

    def kind(self, version: str, kind: str) -> Optional[Kind]:
        """Return how a kind is served, or is about to be; None when it is unknown."""
        planned = self._planned.get((version, kind))
        if planned is not None:
            return planned
        known = self._served.get(version, {}).get(kind)
        if known is None:
            self._served[version] = self._discover(version)
            known = self._served[version].get(kind)
        return known

    def _discover(self, version: str) -> dict[str, Kind]:
        try:
            listing = self._client.get(("/apis/" if "/" in version else "/api/") + version)
        except NotFound:
            return {}
        resources = [item for item in listing.get("resources") or [] if "/" not in item["name"]]
        return {item["kind"]: Kind(item["name"], bool(item["namespaced"])) for item in resources}

    def find(self, item: Id) -> Optional[Object]:
        """Return the object as it is, None when it or its kind does not exist."""
        path = self._path(item)
        if not path:
            return None
        try:
            return self._client.get(path)
        except NotFound:
            return None

    def apply(self, item: Id, body: Object, dry_run: bool, manager: str = MANAGER) -> Object:
        """Server-side apply. Raises NotFound ``unknown_kind``, and as the port does, naming the object."""
        path = self._path(item)
        if not path:
            hint = "Check apiVersion and kind, or install what defines it."
            cause = "the cluster serves no %s in %s" % (item.kind, item.version)
            raise NotFound("apply", str(item), cause, hint, code="unknown_kind")
        try:
            return self._client.apply(path, body, manager, force=self._force, dry_run=dry_run)
        except SlipwayError as error:
            error.resource = str(item)
            raise

    def delete(self, item: Id, propagation: str = "Background") -> bool:
        """Ask for removal; return whether there was something to remove."""
        path = self._path(item)
        if not path:
            return False
        try:
            self._client.delete(path, propagation)
        except NotFound:
            return False
        except SlipwayError as error:
            error.resource = str(item)
            raise
        return True

    def pods_of(self, workload: Object) -> list[Object]:
        """Return the pods that a workload selects by labels."""
        labels = ((workload.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
        selector = ",".join("%s=%s" % pair for pair in sorted(labels.items()))
        found = self._client.list(object_path(("v1", "pods"), workload["metadata"]["namespace"]), selector)
        return list(found.get("items") or [])

    def custom_resources(self, definition: Id) -> list[Id]:
        """Return every object of the kind that a definition defines; what another owns goes with its owner."""
        found = self.find(definition)
        if found is None:
            return []
        spec = found["spec"]
        version = next(item["name"] for item in spec["versions"] if item.get("served"))
        api, kind = "%s/%s" % (spec["group"], version), spec["names"]["kind"]
        listing = self._client.list(object_path((api, spec["names"]["plural"])))
        metas: Iterable[Mapping[str, Any]] = (item["metadata"] for item in listing.get("items") or [])
        free = [meta for meta in metas if not meta.get("ownerReferences")]
        return [Id(api, kind, meta.get("namespace") or "", meta["name"]) for meta in free]

    def _path(self, item: Id) -> str:
        kind = self.kind(item.version, item.kind)
        if kind is None:
            return ""
        return object_path((item.version, kind.plural), item.namespace if kind.is_namespaced else "", item.name)
