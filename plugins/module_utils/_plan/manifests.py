# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered manifests as values: images, masks, differences (private to the collection)."""

from __future__ import annotations

import copy
import difflib
import json
import re
from typing import Any, Iterator, Mapping, NamedTuple, Optional

from .._argocd.redact import masked
from .._argocd.spec import comparable
from .._context import MASK
from .._errors import PermanentError
from .._manifests.document import Id, ManifestError, Object, identify, read_yaml
from .source import NO_COMMIT

_HOOKS = ("argocd.argoproj.io/hook", "helm.sh/hook")
_SECRET_FIELDS = ("data", "stringData")
#: How the placeholder of the delivery's commit is shown.
THIS_COMMIT = "<the commit of this delivery>"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def parse(text: str, what: str) -> dict[Id, Object]:
    """Return the objects of a rendered stream in order of their identity.

    Raises PermanentError ``render_invalid`` for what is no manifest or is there twice.
    """
    found: dict[Id, Object] = {}
    try:
        for item in filter(None, read_yaml(text)):
            key = identify(item, None, "")
            if key in found:
                raise ManifestError("%s is there twice" % str(key))
            found[key] = item
    except ManifestError as error:
        raise PermanentError(
            "read", "the rendered manifests of %s" % what, str(error), code="render_invalid"
        ) from error
    return {key: found[key] for key in sorted(found)}


def is_hook(item: Object) -> bool:
    """Tell whether Argo CD runs the object as a hook instead of keeping it."""
    annotations = (item.get("metadata") or {}).get("annotations") or {}
    return any(name in annotations for name in _HOOKS)


def images(items: Mapping[Id, Object]) -> dict[str, list[str]]:
    """Return the image references of all containers, and which objects use each of them."""
    found: dict[str, list[str]] = {}
    for key, item in items.items():
        for reference in sorted(set(_images(item))):
            found.setdefault(reference, []).append(str(key))
    return {reference: found[reference] for reference in sorted(found)}


def _images(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for value in node:
            yield from _images(value)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key in ("containers", "initContainers") and isinstance(value, list):
            yield from (str(item["image"]) for item in value if isinstance(item, dict) and item.get("image"))
        yield from _images(value)


class Change(NamedTuple):
    """What happens to one object: created, changed, removed or unchanged, and the diff."""

    name: str
    change: str
    diff: str


def changes(before: Mapping[Id, Object], after: Mapping[Id, Object]) -> list[Change]:
    """Compare two renderings object by object."""
    return [compare(str(key), before.get(key), after.get(key)) for key in sorted({*before, *after})]


def compare(name: str, old: Optional[Object], new: Optional[Object]) -> Change:
    """Compare one object with what it becomes."""
    diff = difference(*shown(old, new), name)
    if old is None or new is None:
        return Change(name, "created" if old is None else "removed", diff)
    if not diff and comparable(old) != comparable(new):
        diff = "%s: only values that are masked differ" % name
    return Change(name, "changed" if diff else "unchanged", diff)


def shown(before: Optional[Object], after: Optional[Object]) -> tuple[str, str]:
    """Return an object before and after as text for people: no bookkeeping, no secrets.

    A value of a Secret that changes is masked in another way on each side, so that the change shows.
    """
    old, new = (copy.deepcopy(comparable(item)) if item else {} for item in (before, after))
    if "Secret" in (old.get("kind"), new.get("kind")):
        for field in _SECRET_FIELDS:
            _mask_changes(old, new, field)
    else:
        old, new = masked(old), masked(new)
    return _text(old), _text(new)


def _mask_changes(old: Object, new: Object, field: str) -> None:
    before, after = dict(old.get(field) or {}), dict(new.get(field) or {})
    for item, own, other, side in ((old, before, after, "before"), (new, after, before, "after")):
        if own:
            item[field] = {
                key: MASK if other.get(key, value) == value else "%s (%s)" % (MASK, side) for key, value in own.items()
            }


def _text(item: Object) -> str:
    import yaml

    if not item:
        return ""
    text: str = yaml.dump(item, Dumper=_dumper(), sort_keys=True, default_flow_style=False, width=1000)
    return text.replace("'%s'" % NO_COMMIT, NO_COMMIT).replace(NO_COMMIT, THIS_COMMIT)


def _dumper() -> Any:
    """Return a dumper that shows text of several lines as lines."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Writes blocks, and what occurs twice twice."""

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (the signature is PyYAML's)
            return True

    def represent(dumper: Any, text: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)

    Dumper.add_representer(str, represent)
    return Dumper


def difference(before: str, after: str, name: str) -> str:
    """Return a unified diff, empty when there is none."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm="", n=2)
    return "\n".join(lines)


def canonical(value: Any) -> bytes:
    """Return JSON that does not depend on the order of keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def clean(text: str) -> str:
    """Return text without what could steer a terminal."""
    return _CONTROL.sub("", text)


def plain(value: Any) -> Any:
    """Return a copy of plain data with every text in it cleaned."""
    if isinstance(value, dict):
        return {clean(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return clean(value) if isinstance(value, str) else value
