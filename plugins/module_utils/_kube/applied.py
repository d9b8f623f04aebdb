# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells whether a server-side apply would change anything, from the object alone (private to the collection).

The API server notes in ``managedFields`` which fields a manager applied last. Where these are
the very fields of the body, with the same values, there is nothing to write: no field of ours
to remove, none that another manager took. In doubt the answer is no, and the server decides.
"""

from __future__ import annotations

import json
from typing import Any, Mapping, Optional

Object = Mapping[str, Any]
_IDENTITY = ("name", "namespace")


def owned(live: Optional[Object], manager: str) -> list[Any]:
    """Return the fields that ``manager`` applied, as the API server notes them, with their version."""
    entries = ((live or {}).get("metadata") or {}).get("managedFields") or []
    return [
        (item.get("apiVersion"), item.get("fieldsV1"))
        for item in entries
        if item.get("manager") == manager and item.get("operation") == "Apply" and not item.get("subresource")
    ]


def is_applied(live: Optional[Object], body: Object, manager: str) -> bool:
    """Tell whether ``manager`` applied exactly ``body``, and ``live`` still says the same."""
    ours = owned(live, manager)
    if live is None or len(ours) != 1 or ours[0][0] != body.get("apiVersion"):
        return False
    given = {key: value for key, value in body.items() if key not in ("apiVersion", "kind", "metadata")}
    metadata = {key: value for key, value in body["metadata"].items() if key not in _IDENTITY and value != []}
    fields = dict(ours[0][1] or {})
    noted = fields.pop("f:metadata", {})
    there = live.get("metadata") or {}
    # The API server notes an empty map of the metadata but does not keep it, and forgets an empty list.
    empty: dict[str, Any] = {key: {} for key, value in metadata.items() if not value}
    return _holds(given, live, fields) and _holds(metadata, {**empty, **there}, noted)


def _holds(given: Any, there: Any, fields: Mapping[str, Any]) -> bool:
    """Tell whether ``fields`` are those of ``given``, and ``there`` has the same values in them."""
    below = {key: value for key, value in fields.items() if key != "."}
    if not below or not given:
        # A field as a whole; others may have added to a map of ours that is empty.
        both_maps = isinstance(given, Mapping) and isinstance(there, Mapping)
        return not below and (_is_same(given, there) or (not given and both_maps))
    if isinstance(given, Mapping) and isinstance(there, Mapping):
        if set(below) != {"f:%s" % key for key in given}:
            return False
        return all(key in there and _holds(given[key], there[key], below["f:%s" % key]) for key in given)
    if isinstance(given, list) and isinstance(there, list) and all(key.startswith("v:") for key in below):
        # A set, such as the finalizers: others may have added to it.
        return {key[2:] for key in below} == set(map(json.dumps, given)) and [
            item for item in there if item in given
        ] == given
    return False


def _is_same(one: Any, other: Any) -> bool:
    """Compare as JSON does: true is not 1, and 1.0 is 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return set(one) == set(other) and all(_is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    return bool(one == other)
