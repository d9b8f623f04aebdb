# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads for a backup what may be read, and notes the rest (private to the collection)."""

from __future__ import annotations

from typing import Optional

from .._errors import Forbidden
from .._kube.paths import object_path
from .._manifests.document import Id
from .cluster import Cluster
from .model import Object
from .snapshot import Snapshot

#: In the place of a name, for what cannot even be listed.
_ALL = "(all)"


class Reading:
    """A missing right does not end a backup: what it hides is left out, and named."""

    def __init__(self, cluster: Cluster, snapshot: Snapshot) -> None:
        self._cluster = cluster
        self._snapshot = snapshot
        self._denied: Optional[Forbidden] = None

    def find(self, what: Id) -> Optional[Object]:
        """Return an object. One that is not there or may not be read is noted as left out."""
        try:
            found = self._cluster.find(what)
        except Forbidden as error:
            self._lack(what, error)
            return None
        if found is None:
            self._snapshot.omit(what, "it does not exist")
        return found

    def items(self, version: str, kind: str, selector: str) -> list[Object]:
        """Return the objects of a kind that a selector finds; none where they may not be listed."""
        plural, _is_namespaced = self._cluster.kind(version, kind)
        path = object_path((version, plural), self._snapshot.namespace)
        try:
            return list(self._cluster.kube.list(path, selector).get("items") or [])
        except Forbidden as error:
            self._lack(Id(version, kind, self._snapshot.namespace, _ALL), error)
            return []

    def refuse_nothing(self) -> None:
        """Raise Forbidden when nothing may be read: a release that cannot be seen is not one that is not there."""
        if self._denied is not None:
            hint = "Grant the right; the purpose production of the role rbac has those for the usual kinds."
            raise Forbidden("back up", ", ".join(self._snapshot.unread), self._denied.cause, hint)

    def _lack(self, what: Id, error: Forbidden) -> None:
        self._denied = self._denied or error
        self._snapshot.lack(what)
