# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields that an apply gives up (private to the collection).

Argo CD's usual sync is a client-side apply: it removes what the last manifest had and the new
one has not. A server-side dry run by the same manager does not, because the API server keeps
the two ways of applying apart. What will go is the part of the last manifest, which Argo CD
leaves in an annotation, that only its updates manage and that the dry run does not hold.
"""

from __future__ import annotations

import json
from typing import Any, Iterator, Mapping, Optional, Sequence

from .._argocd.redact import LAST_APPLIED

Path = tuple[str, ...]
#: Argo CD's manager, and kubectl's, which older versions of Argo CD used.
MANAGERS = ("argocd-controller", "kubectl-client-side-apply")


def drop_given_up(live: Mapping[str, Any], result: dict[str, Any]) -> None:
    """Remove from ``result``, the outcome of a dry run, the fields that the manifest no longer has.

    A field that the API server then fills with its default is shown as removed, too.
    """
    last = _last_applied(live)
    if not last:
        return
    owned: set[Path] = set()
    held: set[Path] = set()
    for entry in _entries(live):
        is_client_side = entry.get("manager") in MANAGERS and entry.get("operation") == "Update"
        (owned if is_client_side and not entry.get("subresource") else held).update(
            _leaves(entry.get("fieldsV1") or {})
        )
    for entry in _entries(result):
        if entry.get("manager") == MANAGERS[0] and entry.get("operation") == "Apply":
            held.update(_leaves(entry.get("fieldsV1") or {}))
    kept = {path[:count] for path in held for count in range(1, len(path) + 1)}
    for path in sorted(owned - held, key=len, reverse=True):
        whole = path[:-1] if path[-1] == "." else path
        if whole and whole not in kept and _parent(last, whole):
            _remove(result, whole)


def _entries(item: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (item.get("metadata") or {}).get("managedFields") or []


def _leaves(fields: Mapping[str, Any], above: Path = ()) -> Iterator[Path]:
    for key, inner in fields.items():
        if inner:
            yield from _leaves(inner, (*above, key))
        else:
            yield (*above, key)


def _last_applied(live: Mapping[str, Any]) -> Any:
    """Return the manifest of the last client-side apply, None when there is none that can be read."""
    text = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _remove(node: Any, path: Path) -> None:
    """Remove one field, list item or member of a set; what is not there is no matter."""
    place = _parent(node, path)
    if place:
        del place[0][place[1]]


def _parent(node: Any, path: Path) -> Optional[tuple[Any, Any]]:
    """Return what holds the end of ``path`` and its key or position there; None when it is absent."""
    for number, step in enumerate(path):
        index = _index(node, step)
        if index is None:
            return None
        if number == len(path) - 1:
            return node, index
        node = node[index]
    return None


def _index(node: Any, step: str) -> Any:
    """Return the key or the position that a step of a path means in ``node``, None when it is absent.

    The keys of a list item may be defaults, which a manifest leaves out.
    """
    kind, _colon, text = step.partition(":")
    if kind == "f" and isinstance(node, dict):
        return text if text in node else None
    if not isinstance(node, list):
        return None
    wanted = json.loads(text)
    if kind == "k":
        fits = [isinstance(item, dict) and all(item.get(k, v) == v for k, v in wanted.items()) for item in node]
    elif kind == "v":
        fits = [item == wanted for item in node]
    else:
        fits = [position == wanted for position in range(len(node))]
    return fits.index(True) if True in fits else None
