# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds fields that the Application's own schema does not know (private to the collection).

The API server is the judge; this only turns its refusal into every unknown field at once,
each with the nearest name, from the same OpenAPI document that the server validates with.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping, NamedTuple, Optional

Schema = Mapping[str, Any]
_MAX_DEPTH = 8


class UnknownField(NamedTuple):
    """Path of a field that the schema lacks, and where it may have been meant."""

    path: str
    nearest: str


def application_schema(openapi: Mapping[str, Any]) -> Optional[Schema]:
    """Return the Application's schema out of ``/openapi/v3/apis/argoproj.io/v1alpha1``."""
    for schema in ((openapi.get("components") or {}).get("schemas") or {}).values():
        for kind in schema.get("x-kubernetes-group-version-kind") or []:
            if kind.get("kind") == "Application":
                return dict(schema)
    return None


def unknown_fields(value: Any, schema: Schema, path: str = "") -> Iterator[UnknownField]:
    """Yield the fields of ``value`` that ``schema`` lacks, in their own order."""
    if isinstance(value, list):
        items = schema.get("items") or {}
        for index, item in enumerate(value):
            yield from unknown_fields(item, items, "%s[%d]" % (path, index))
        return
    properties = schema.get("properties")
    if not isinstance(value, Mapping) or schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    if not isinstance(properties, Mapping):
        extra = schema.get("additionalProperties")
        if isinstance(extra, Mapping):
            for key, item in value.items():
                yield from unknown_fields(item, extra, "%s.%s" % (path, key))
        return
    for key, item in value.items():
        where = "%s.%s" % (path, key) if path else str(key)
        if key in properties:
            yield from unknown_fields(item, properties[key], where)
        else:
            yield UnknownField(where, _nearest(str(key), properties, path))


def _nearest(name: str, properties: Mapping[str, Any], path: str) -> str:
    """Return the likeliest place for ``name``: the same name further down, else a similar one here."""
    import difflib

    prefix = path + "." if path else ""
    deeper = _find(name, properties, _MAX_DEPTH)
    by_case = {known.lower(): known for known in properties}
    close = difflib.get_close_matches(name.lower(), list(by_case), 1, 0.75)
    if close:
        return prefix + by_case[close[0]]
    return prefix + deeper if deeper else ""


def _find(name: str, properties: Mapping[str, Any], depth: int) -> str:
    """Return the shallowest dotted path below ``properties`` that ends in ``name``."""
    level = [("", properties)]
    for _level in range(depth):
        below: list[tuple[str, Mapping[str, Any]]] = []
        for prefix, fields in level:
            if prefix and name in fields:
                return prefix + name
            for key, schema in fields.items():
                inner = schema.get("properties") if isinstance(schema, Mapping) else None
                if isinstance(inner, Mapping):
                    below.append((prefix + key + ".", inner))
        level = below
    return ""
