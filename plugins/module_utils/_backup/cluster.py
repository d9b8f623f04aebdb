# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One cluster as backups see it: its identity, and objects by kind and name (private to the collection)."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from .._errors import NotFound, PermanentError
from .._kube.paths import object_path
from .._manifests.document import Id
from .model import Object
from .ports import Kube

MANAGER = "slipway.gitops"


class Cluster:
    """Finds where a kind is served, asking once for each version of an API group."""

    def __init__(self, kube: Kube) -> None:
        self.kube = kube
        self._served: dict[str, dict[str, tuple[str, bool]]] = {}

    def uid(self) -> str:
        """Return the UID of the namespace kube-system: a name of a cluster is no identity."""
        return str(self.kube.get(object_path(("v1", "namespaces"), "", "kube-system"))["metadata"]["uid"])

    def kind(self, version: str, kind: str) -> tuple[str, bool]:
        """Return (plural, whether objects have a namespace). Raises PermanentError ``kind_missing``."""
        if version not in self._served:
            self._served[version] = self._discover(version)
        if kind not in self._served[version]:
            hint = "Install what defines it (a CustomResourceDefinition, an operator) first."
            raise PermanentError("find", "kind %s" % kind, "%s does not serve it" % version, hint, code="kind_missing")
        return self._served[version][kind]

    def _discover(self, version: str) -> dict[str, tuple[str, bool]]:
        path = "/%s/%s" % ("apis" if "/" in version else "api", version)
        try:
            listed = self.kube.get(path).get("resources") or []
        except NotFound:
            return {}
        return {
            str(item["kind"]): (str(item["name"]), bool(item.get("namespaced")))
            for item in listed
            if "/" not in str(item["name"])
        }

    def path(self, what: Id) -> str:
        """Return where an object is. Raises PermanentError ``kind_missing``."""
        plural, _is_namespaced = self.kind(what.version, what.kind)
        return object_path((what.version, plural), what.namespace, what.name)

    def find(self, what: Id) -> Optional[Object]:
        """Return an object, or None. Its kind must be served."""
        path = self.path(what)
        try:
            return dict({"apiVersion": what.version, "kind": what.kind}, **self.kube.get(path))
        except NotFound:
            return None

    def apply(self, item: Mapping[str, Any], what: Id, dry_run: bool) -> Object:
        """Apply an object, taking over fields of others: the backup is what is wanted."""
        return self.kube.apply(self.path(what), item, MANAGER, force=True, dry_run=dry_run)
