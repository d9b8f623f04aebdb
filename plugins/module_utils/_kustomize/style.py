# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where and how a value of an image entry is written (private to the collection).

Quotes, brackets, indentation, blank lines and line ends follow what is already there.
"""

from __future__ import annotations

import re
from typing import Mapping, Optional, Sequence

from .._edit.document import Document, DocumentError, Edit, Node
from .._edit.mapping import MappingEditor, content_end
from .._edit.scalar import Manner, is_null, is_string, quote_of_json, quote_used, refuse_shared, replace, write_string

KEYS = ("name", "newName", "newTag", "digest")
_DASH = re.compile(r" *-[ \t]+")


def preferred_quote(images: Sequence[Node]) -> str:
    """Return the quote character the entries use; the double quote when they use none."""
    return next(filter(None, map(quote_used, images)), '"')


class EntryEditor:
    """Plans the edits that bring one entry of ``images`` to a state."""

    def __init__(self, document: Document, quote: str, entry: Node) -> None:
        self._document = document
        self._entry = entry
        self._quote = quote
        self._mapping = MappingEditor(document, entry, quote)
        self._pairs = self._mapping.pairs

    def edits(self, state: Mapping[str, Optional[str]]) -> list[Edit]:
        """Return the edits for a state, with one removal at most; an empty list when the entry already has it."""
        dropped = [key for key in KEYS[1:] if state[key] is None and self._has_value(key)]
        missing = [key for key in KEYS[1:] if state[key] is not None and key not in self._pairs]
        edits: list[Edit] = []
        for old, new in (("newTag", "digest"), ("digest", "newTag")):
            if old in dropped and new in missing:  # one line changes instead of two
                dropped.remove(old)
                missing.remove(new)
                edits += self._rename(old, new, str(state[new]))
        for key in KEYS[1:]:
            value = state[key]
            if value is not None and key in self._pairs:
                edits += self._replace(key, value)
        edits += [self._mapping.remove(key) for key in dropped[:1]]
        edits += [self._insert(key, str(state[key]), dropped) for key in missing]
        return edits

    def _has_value(self, key: str) -> bool:
        if key not in self._pairs:
            return False
        node = self._pairs[key][1]
        return node.value != "" and not is_null(node)

    def _rename(self, old: str, new: str, value: str) -> list[Edit]:
        key, node = self._pairs[old]
        refuse_shared(self._document, key, old)
        return [Edit(key.start, key.end, key.style + new + key.style), self._value_edit(old, node, value)]

    def _replace(self, key: str, value: str) -> list[Edit]:
        node = self._pairs[key][1]
        return [] if node.value == value and is_string(node) else [self._value_edit(key, node, value)]

    def _value_edit(self, key: str, node: Node, value: str) -> Edit:
        manner = Manner(key, self._quote, self._entry.flow, style=self._pairs["name"][1].style)
        return replace(self._document, node, value, manner)

    def _insert(self, key: str, value: str, dropped: Sequence[str]) -> Edit:
        """Add a key after the one that comes before it in the usual order."""
        earlier = [name for name in KEYS[: KEYS.index(key)] if name in self._pairs and name not in dropped]
        style = self._pairs[earlier[-1]][1].style
        return self._mapping.insert(key, value, earlier[-1], style if style in ("'", '"') else "")


def append_entries(document: Document, states: Sequence[Mapping[str, Optional[str]]]) -> list[Edit]:
    """Return the edit that adds entries at the end of ``images``, with the list if there is none.

    Raises DocumentError where the file's own style gives no safe place.
    """
    pair = next(((key, value) for key, value in document.root.value if key.value == "images"), None)
    entries: list[Node] = pair[1].value if pair and pair[1].kind == "seq" else []
    quote = preferred_quote(entries)
    if pair and pair[1].flow and entries:
        style = quote_of_json(document)
        text = "".join(", {%s}" % ", ".join(_lines(state, quote, True, style)) for state in states)
        return [Edit(entries[-1].end, entries[-1].end, text)]
    if pair is None and document.root.get("<<") is not None:
        raise DocumentError("the images list has to be added by hand: the file has keys merged from an alias")
    if document.root.flow:
        raise DocumentError("the images list has to be added by hand: the file is written in brackets")
    if entries:
        return [_after_last(document, entries, states, quote)]
    return [_first_entries(document, pair, states, quote)]


def _lines(state: Mapping[str, Optional[str]], quote: str, in_flow: bool, style: str = "") -> list[str]:
    return [
        "%s: %s" % (write_string(key, style, quote, in_flow), write_string(value, style, quote, in_flow))
        for key, value in ((key, state[key]) for key in KEYS)
        if value is not None
    ]


def _block(states: Sequence[Mapping[str, Optional[str]]], dash: str, eol: str, quote: str) -> str:
    joint = eol + " " * len(dash)
    return "".join(eol + dash + joint.join(_lines(state, quote, False)) for state in states)


def _after_last(
    document: Document, entries: Sequence[Node], states: Sequence[Mapping[str, Optional[str]]], quote: str
) -> Edit:
    last = entries[-1]
    line = document.line_start(last.start)
    dash = document.text[line : last.start]
    if not _DASH.fullmatch(dash):
        raise DocumentError("the entry has to be added by hand: the style of line %d" % document.line_number(line))
    at = document.line_end(content_end(last))
    eol = document.eol(at)
    text = _block(states, dash, eol, quote)
    is_spaced = len(entries) > 1 and not document.text[document.line_start(max(line - 1, 0)) : line].strip()
    if is_spaced:
        text = text.replace(eol + dash, eol + eol + dash)
    return Edit(at, at, text)


def _first_entries(
    document: Document, pair: Optional[tuple[Node, Node]], states: Sequence[Mapping[str, Optional[str]]], quote: str
) -> Edit:
    lists = [
        value
        for _key, value in document.root.value
        if value.kind == "seq" and not value.flow and value.value and not value.anchor
    ]
    column = lists[0].start - document.line_start(lists[0].start) if lists else 0
    root_column = document.root.start - document.line_start(document.root.start)
    eol = document.eol(document.root.start)
    text = ":" + _block(states, " " * column + "- ", eol, quote)
    if pair:
        colon = document.text.index(":", pair[0].end)
        if "#" in document.text[colon : pair[1].start]:
            raise DocumentError("the entry has to be added by hand: a comment stands between images and its value")
        return Edit(pair[0].end, max(colon + 1, pair[1].end), text)
    text = " " * root_column + "images" + text
    ends_line = document.line_start(document.end) == document.end
    text = text + eol if ends_line else eol + text
    return Edit(document.end, document.end, text)
