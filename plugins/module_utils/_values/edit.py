# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets scalars in the text of a YAML file (private to the collection).

:func:`set_values` is a pure function from bytes and wishes to bytes. It changes the
characters of the wanted values and nothing else, then parses its own result and compares
it with the intention; any difference is an error, never a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Collection, Optional, Sequence

from .._edit.document import Document, DocumentError, Edit, Node, decode, outline, parse
from .._edit.mapping import MappingEditor
from .._edit.scalar import STR, Manner, Plain, Scalar, is_null, quote_used, read, replace
from .._edit.subject import Outcome
from .keys import Place, format_key, parse_key

PRESENT, ABSENT = "present", "absent"


class ValueProblem(DocumentError):
    """A wanted value and the file do not fit together."""


class KeyMissing(ValueProblem):
    """The file does not have a key."""


@dataclass(frozen=True)
class Wish:
    """What the value at ``key`` shall be; without ``is_present`` there shall be no such key.

    ``create`` adds the key to the mapping it belongs into when it is not there.
    """

    key: str
    value: Scalar = None
    is_present: bool = True
    create: bool = False

    @property
    def place(self) -> Place:
        """The parts of the key."""
        return parse_key(self.key)

    @property
    def state(self) -> dict[str, Any]:
        """The wish in the words of a result."""
        return _state(self.key, self.value, self.is_present)


@dataclass(frozen=True)
class _Spot:
    """Where a wish belongs: the mapping or list, and the value in it if there is one."""

    holder: Node
    node: Optional[Node]


def set_values(data: bytes, wanted: Sequence[Wish]) -> Outcome:
    """Return the file ``data`` with all wishes fulfilled.

    Raises DocumentError when the file cannot be edited safely, KeyMissing for a key that
    it does not have, and ValueProblem when a value is no scalar or shared through an anchor.
    """
    bom, text = decode(data)
    document = parse(text)
    before = [_seen(wish.key, _find(document, wish)) for wish in wanted]
    after = [wish.state for wish in wanted]
    edited = document
    # One after another, since a key may come where another one goes, the new ones before the old ones go.
    for wish in sorted(wanted, key=lambda wish: not wish.is_present):
        edits = _planned(edited, wish)
        edited = edited.edited(edits) if edits else edited
    if edited is document:
        return Outcome(data, before, after)
    _verify(document, edited, wanted)
    return Outcome((bom + edited.text).encode("utf-8"), before, after)


def look_up(data: bytes, key: str) -> Optional[dict[str, Any]]:
    """Return what a file says about a key, None if nothing. Raises DocumentError."""
    _bom, text = decode(data)
    wish = Wish(key, is_present=False)
    state = _seen(key, _find(parse(text), wish))
    return state if state["state"] == PRESENT else None


def _state(key: str, value: Scalar, is_present: bool) -> dict[str, Any]:
    state = {"key": key, "value": value, "state": PRESENT if is_present else ABSENT}
    return {**state, "value": str(value), "plain": True} if isinstance(value, Plain) else state


def _seen(key: str, spot: Optional[_Spot]) -> dict[str, Any]:
    node = spot.node if spot else None
    return _state(key, read(node) if node else None, node is not None)


def _find(document: Document, wish: Wish) -> Optional[_Spot]:
    """Return where a wish belongs; None when the way there ends early and nothing is wanted there."""
    place, node = wish.place, document.root
    for depth, part in enumerate(place):
        here = format_key(place[:depth]) or "the top level"
        _refuse_hidden(document, node, here)
        child = _child(node, part, here)
        is_last = depth == len(place) - 1
        if child is None:
            _refuse_merged(document, node, wish, here)
            if not wish.is_present:
                return _Spot(node, None) if is_last else None
            if is_last and wish.create and isinstance(part, str):
                return _Spot(node, None)
            raise KeyMissing(_absence(node, part, here, wish))
        if is_last:
            _refuse_containers(document, child, wish.key)
            return _Spot(node, child)
        node = child
    raise AssertionError("a key path has at least one part")


def _child(node: Node, part: object, here: str) -> Optional[Node]:
    """Return the value of a key or the item of a list, None if there is none."""
    if isinstance(part, int):
        if node.kind != "seq":
            raise ValueProblem("%s is no list" % here)
        return node.value[part] if part < len(node.value) else None
    if node.kind != "map":
        kind = "a list: name an item of it, such as [0]" if node.kind == "seq" else "no mapping"
        raise ValueProblem("%s is %s" % (here, kind))
    return node.get(str(part))


def _refuse_hidden(document: Document, node: Node, here: str) -> None:
    """Refuse to go into what also stands elsewhere: an edit there would change both places."""
    if node.kind == "alias":
        cause = "the alias *%s" % node.value
    elif node.anchor in document.aliased:
        cause = "shared through the anchor &%s" % node.anchor
    else:
        return
    raise ValueProblem("%s on line %d is %s" % (here, document.line_number(node.start), cause))


def _refuse_merged(document: Document, node: Node, wish: Wish, here: str) -> None:
    """Refuse to tell a key absent, or to add it, where it may come from an alias."""
    if node.kind == "map" and node.get("<<") is not None and (wish.create or not wish.is_present):
        cause = "%s on line %d has keys merged from an alias" % (here, document.line_number(node.start))
        raise ValueProblem("%s, so that '%s' is neither added nor taken for absent" % (cause, wish.key))


def _refuse_containers(document: Document, node: Node, key: str) -> None:
    if node.kind == "alias":
        raise ValueProblem("%s on line %d is the alias *%s" % (key, document.line_number(node.start), node.value))
    if node.kind != "scalar":
        kind = "a mapping" if node.kind == "map" else "a list"
        raise ValueProblem("%s is %s, not a single value" % (key, kind))


def _absence(node: Node, part: object, here: str, wish: Wish) -> str:
    """Say what is missing and what is there instead."""
    if node.kind == "seq":
        return "%s has %d items, so there is no [%s]" % (here, len(node.value), part)
    known = [format_key((key.value,)) for key, _value in node.value if key.kind == "scalar" and key.value != "<<"]
    shown = ", ".join(sorted(known)[:20]) or "none"
    text = "key '%s' is not in it; keys of %s: %s" % (wish.key, here, shown)
    return text + ("; it is merged from an alias" if node.get("<<") is not None else "")


def _planned(document: Document, wish: Wish) -> list[Edit]:
    spot = _find(document, wish)
    try:
        return _edits(document, wish, spot) if spot else []
    except DocumentError as error:
        raise ValueProblem(str(error)) from error


def _edits(document: Document, wish: Wish, spot: _Spot) -> list[Edit]:
    quote = quote_used(spot.holder) or quote_used(document.root) or '"'
    node = spot.node
    if node is None:
        if not wish.is_present:
            return []
        return [MappingEditor(document, spot.holder, quote).insert_last(str(wish.place[-1]), wish.value)]
    if not wish.is_present:
        if spot.holder.kind == "seq":
            raise ValueProblem("%s is an item of a list, which is never removed" % wish.key)
        return [MappingEditor(document, spot.holder, quote).remove(str(wish.place[-1]))]
    if _holds(node, wish.value):
        return []
    return [replace(document, node, wish.value, Manner(wish.key, quote, spot.holder.flow))]


def _holds(node: Node, value: Scalar) -> bool:
    """Tell whether a scalar is exactly this value to every reader."""
    if node.tag is not None and not (node.tag == STR and isinstance(value, str)):
        return False
    if value is None:
        return is_null(node)
    found = read(node)
    return type(found) is type(value) and found == value


def _verify(old: Document, new: Document, wanted: Sequence[Wish]) -> None:
    """Raise DocumentError unless ``new`` is ``old`` with the wanted values and nothing else."""
    places = {wish.place for wish in wanted}
    sound = _others(old.root, places) == _others(new.root, places) and old.aliased == new.aliased
    for wish in wanted if sound else ():
        spot = _find(new, Wish(wish.key, is_present=False))
        node = spot.node if spot else None
        sound = sound and (node is not None) == wish.is_present and (node is None or _holds(node, wish.value))
    if not sound:
        raise DocumentError("the edit would change more than the wanted values; edit this file by hand once")


def _others(node: Node, places: Collection[Place], here: Place = ()) -> Any:
    """Return the meaning of a tree without what is at ``places``."""
    if node.kind == "map":
        pairs = [(key, value, (*here, key.value if key.kind == "scalar" else 0)) for key, value in node.value]
        kept = [(outline(key), _others(value, places, way)) for key, value, way in pairs if way not in places]
        return ("map", node.tag, node.anchor, kept)
    if node.kind == "seq":
        items = [(value, (*here, number)) for number, value in enumerate(node.value)]
        return ("seq", node.tag, node.anchor, [None if w in places else _others(v, places, w) for v, w in items])
    return outline(node)
