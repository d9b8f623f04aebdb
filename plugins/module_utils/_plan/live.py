# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares rendered manifests with a cluster by server-side dry runs (private to the collection).

Nothing is stored: each object is read, and then applied with ``dryRun=All`` in the name of Argo
CD's field manager, so that defaults, admission and field ownership answer as they will. An
identity that may not do so gets a plan without this part, which names the right.
"""

from __future__ import annotations

import copy
from typing import Any, Callable, Mapping, Optional

from .._errors import Forbidden, NotFound, PermanentError
from .._manifests.cluster import Cluster, Kube
from .._manifests.document import Id, Object, defined_kinds, identify
from .manifests import Change, compare, is_hook
from .ownership import MANAGERS, drop_given_up
from .source import Source

_TRACKING = {
    "annotations": ("argocd.argoproj.io/tracking-id", "argocd.argoproj.io/installation-id"),
    "labels": ("app.kubernetes.io/instance",),
}
#: What the API server says when an admission webhook would have to act for real.
_NO_DRY_RUN = "does not support dry run"
#: A failure of the whole undertaking, not of one object.
_FATAL = ("auth", "not_an_api", "redirect")


class LiveComparison:
    """What the cluster says to manifests, object by object."""

    def __init__(self, client: Kube, source: Source, items: Mapping[Id, Object]) -> None:
        self._cluster = Cluster(client, defined_kinds(items.values()), force=True)
        self._source = source
        self._items = items
        self.changes: list[Change] = []
        self.missing_rights: list[str] = []
        self.problems: list[dict[str, str]] = []
        self._denied: set[tuple[str, str]] = set()

    def run(self, on_object: Callable[[int], None]) -> None:
        """Ask about each object. Raises TransientError when the API server cannot be reached."""
        for number, (rendered, item) in enumerate(self._items.items()):
            on_object(number)
            self.changes.append(self._judge(rendered, item))

    def _judge(self, rendered: Id, item: Object) -> Change:
        if is_hook(item):
            return Change(str(rendered), "hook", "")
        where = rendered
        try:
            kind = self._cluster.kind(rendered.version, rendered.kind)
            where = identify(item, kind.is_namespaced if kind else None, self._source.namespace or "default")
            if (where.kind, where.namespace) not in self._denied:
                return self._ask(where, item)
        except Forbidden as error:
            self._denied.add((where.kind, where.namespace))
            self.missing_rights.append(error.cause)
        except NotFound as error:  # its namespace or its kind comes with this delivery, or is missing
            self._note("not_there_yet", where, error)
            return Change(str(where), "created", "")
        except PermanentError as error:
            if error.code in _FATAL:
                raise
            self._note("dry_run_unsupported" if _NO_DRY_RUN in error.cause else "dry_run_refused", where, error)
        return Change(str(where), "unknown", "")

    def _note(self, code: str, where: Id, error: PermanentError) -> None:
        self.problems.append({"code": code, "message": "%s: %s" % (where, error.cause)})

    def _ask(self, where: Id, item: Object) -> Change:
        live = self._cluster.find(where)
        result = self._cluster.apply(where, _as_argocd(item, where, live), dry_run=True, manager=MANAGERS[0])
        if live is not None:
            drop_given_up(live, result)
        return compare(str(where), live, result)


def _as_argocd(item: Object, where: Id, live: Optional[Object]) -> Object:
    """Return the object as Argo CD would apply it: with namespace, and the tracking marks it has now."""
    body = copy.deepcopy(item)
    metadata: dict[str, Any] = body["metadata"]
    if where.namespace:
        metadata["namespace"] = where.namespace
    present = (live or {}).get("metadata") or {}
    for field, names in _TRACKING.items():
        marks = {name: present[field][name] for name in names if name in (present.get(field) or {})}
        if marks:
            metadata[field] = {**marks, **(metadata.get(field) or {})}
    return body
