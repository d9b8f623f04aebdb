# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation changes in manifests that somebody else wrote (private to the collection)."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

from .document import ManifestError, Object


def patched(items: Sequence[Object], patches: Iterable[Mapping[str, Any]]) -> list[Object]:
    """Return the objects with partial objects merged into those of the same kind and name.

    Mappings are merged key by key, lists of mappings with names (containers, subjects) by
    name; anything else is replaced. Raises ManifestError for a patch that fits no object, so
    that what an upgrade renames does not pass unseen.
    """
    found = list(items)
    for patch in patches:
        wanted = _key(patch)
        places = [place for place, item in enumerate(found) if _key(item) == wanted]
        if not places:
            raise ManifestError("there is no %s %s in the manifests" % wanted[1:])
        for place in places:
            found[place] = _merged(found[place], patch)
    return found


def _key(item: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    return (item.get("apiVersion"), item.get("kind"), (item.get("metadata") or {}).get("name"))


def _merged(base: Any, patch: Any) -> Any:
    if isinstance(base, dict) and isinstance(patch, dict):
        return {**base, **{key: _merged(base.get(key), value) for key, value in patch.items()}}
    if _has_names(base) and _has_names(patch):
        changes = {one["name"]: one for one in patch}
        merged = [_merged(one, changes.pop(one["name"], {})) for one in base]
        return merged + list(changes.values())
    return patch


def _has_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) and "name" in one for one in value)
