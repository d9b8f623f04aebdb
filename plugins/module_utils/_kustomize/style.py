# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where and how a value of an image entry is written (private to the collection).

Quotes, brackets, indentation, blank lines and line ends follow what is already there.
"""

from __future__ import annotations

import json
import re
from typing import Mapping, Optional, Sequence

from .document import Document, DocumentError, Edit, Node, reads_as_string

KEYS = ("name", "newName", "newTag", "digest")
_STR = "tag:yaml.org,2002:str"
_PROPERTIES = re.compile(r"(?:[!&]\S*[ \t]+)*")
_DASH = re.compile(r" *-[ \t]+")


def write_scalar(value: str, style: str, quote: str, in_flow: bool) -> str:
    """Return ``value`` as YAML: in its style, else plain if that is safe, else in ``quote``."""
    if not style and reads_as_string(value) and not (in_flow and ":" in value):
        return value
    return "'%s'" % value.replace("'", "''") if (style or quote) == "'" else json.dumps(value)


def preferred_quote(images: Sequence[Node]) -> str:
    """Return the quote character the entries use; the double quote when they use none."""
    for entry in images:
        for _key, value in entry.value if entry.kind == "map" else ():
            if value.style in ("'", '"'):
                return str(value.style)
    return '"'


class EntryEditor:
    """Plans the edits that bring one entry of ``images`` to a state."""

    def __init__(self, document: Document, images: Sequence[Node], entry: Node) -> None:
        self._document = document
        self._entry = entry
        self._quote = preferred_quote(images)
        self._pairs = {key.value: (key, value) for key, value in entry.value if key.kind == "scalar"}

    def edits(self, state: Mapping[str, Optional[str]]) -> list[Edit]:
        """Return the edits for a state; an empty list when the entry already has it."""
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
        edits += [self._remove(key) for key in dropped]
        edits += [self._insert(key, str(state[key]), dropped) for key in missing]
        return edits

    def _has_value(self, key: str) -> bool:
        if key not in self._pairs:
            return False
        node = self._pairs[key][1]
        return not (node.value == "" or (not node.style and node.value in ("~", "null")))

    def _rename(self, old: str, new: str, value: str) -> list[Edit]:
        key, node = self._pairs[old]
        self._refuse_shared(old, key)
        return [Edit(key.start, key.end, key.style + new + key.style), self._value_edit(old, node, value)]

    def _replace(self, key: str, value: str) -> list[Edit]:
        node = self._pairs[key][1]
        settled = bool(node.style) or node.tag == _STR or reads_as_string(node.value)
        return [] if node.value == value and settled else [self._value_edit(key, node, value)]

    def _value_edit(self, key: str, node: Node, value: str) -> Edit:
        self._refuse_shared(key, node)
        if node.style in ("|", ">") or node.tag not in (None, _STR):
            kind = "a block text" if node.style in ("|", ">") else "tagged %s" % node.tag
            raise DocumentError("%s on line %d is %s" % (key, self._document.line_number(node.start), kind))
        if node.start == node.end:
            return self._fill(node, value)
        skipped = _PROPERTIES.match(self._document.text, node.start, node.end)
        start = skipped.end() if skipped else node.start
        return Edit(start, node.end, write_scalar(value, node.style, self._quote, self._entry.flow))

    def _fill(self, node: Node, value: str) -> Edit:
        """Write a value where there is none, using one space that may already stand there."""
        name = self._pairs["name"][1]
        text = write_scalar(value, name.style, self._quote, self._entry.flow)
        at = node.start
        if self._document.text[at - 1 : at] != ":":
            return Edit(at, at, text)
        if self._document.text[at : at + 1] != " ":
            return Edit(at, at, " " + text)
        followed = self._document.text[at + 1 : at + 2] == "#"
        return Edit(at + 1, at + 1, text + (" " if followed else ""))

    def _refuse_shared(self, key: str, node: Node) -> None:
        if node.kind == "alias" or node.anchor in self._document.aliased:
            raise DocumentError(
                "%s on line %d is shared through an anchor" % (key, self._document.line_number(node.start))
            )

    def _insert(self, key: str, value: str, dropped: Sequence[str]) -> Edit:
        """Add a key after the one that comes before it in the usual order."""
        earlier = [name for name in KEYS[: KEYS.index(key)] if name in self._pairs and name not in dropped]
        left_key, left = self._pairs[earlier[-1]]
        text = write_scalar(value, left.style if left.style in ("'", '"') else "", self._quote, self._entry.flow)
        name = left_key.style + key + left_key.style
        document = self._document
        if self._entry.flow:
            colon = document.text[left_key.end : left.start]
            comma = ", " if colon.endswith(" ") else ","
            return Edit(left.end, left.end, comma + name + colon + text)
        indent = " " * (left_key.start - document.line_start(left_key.start))
        at = document.line_end(left.end)
        return Edit(at, at, document.eol(at) + indent + name + ": " + text)

    def _remove(self, key: str) -> Edit:
        key_node, node = self._pairs[key]
        self._refuse_shared(key, node)
        names = list(self._pairs)
        index = names.index(key)
        document = self._document
        if self._entry.flow and index > 0:
            return Edit(self._pairs[names[index - 1]][1].end, node.end, "")
        line = document.line_start(key_node.start)
        if self._entry.flow or document.text[line : key_node.start].strip():
            # The first key of an entry: what follows moves up to the dash or bracket.
            return Edit(key_node.start, self._pairs[names[index + 1]][0].start, "")
        end = document.line_end(node.end)
        if end < len(document.text):
            return Edit(line, document.next_line(end), "")
        return Edit(document.line_end(line - 1 if document.text[line - 2 : line] != "\r\n" else line - 2), end, "")


def append_entries(document: Document, states: Sequence[Mapping[str, Optional[str]]]) -> list[Edit]:
    """Return the edit that adds entries at the end of ``images``, with the list if there is none.

    Raises DocumentError where the file's own style gives no safe place.
    """
    pair = next(((key, value) for key, value in document.root.value if key.value == "images"), None)
    entries: list[Node] = pair[1].value if pair and pair[1].kind == "seq" else []
    quote = preferred_quote(entries)
    if pair and pair[1].flow and entries:
        text = "".join(", {%s}" % ", ".join(_lines(state, quote, True)) for state in states)
        return [Edit(entries[-1].end, entries[-1].end, text)]
    if document.root.flow:
        raise DocumentError("the images list has to be added by hand: the file is written in brackets")
    if entries:
        return [_after_last(document, entries, states, quote)]
    return [_first_entries(document, pair, states, quote)]


def _lines(state: Mapping[str, Optional[str]], quote: str, in_flow: bool) -> list[str]:
    return [
        "%s: %s" % (key, write_scalar(value, "", quote, in_flow))
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
    at = document.line_end(_content_end(last))
    eol = document.eol(at)
    text = _block(states, dash, eol, quote)
    is_spaced = len(entries) > 1 and not document.text[document.line_start(max(line - 1, 0)) : line].strip()
    if is_spaced:
        text = text.replace(eol + dash, eol + eol + dash)
    return Edit(at, at, text)


def _first_entries(
    document: Document, pair: Optional[tuple[Node, Node]], states: Sequence[Mapping[str, Optional[str]]], quote: str
) -> Edit:
    lists = [value for _key, value in document.root.value if value.kind == "seq" and not value.flow and value.value]
    column = lists[0].start - document.line_start(lists[0].start) if lists else 0
    root_column = document.root.start - document.line_start(document.root.start)
    eol = document.eol(document.root.start)
    text = ":" + _block(states, " " * column + "- ", eol, quote)
    if pair:
        colon = document.text.index(":", pair[0].end)
        return Edit(pair[0].end, max(colon + 1, pair[1].end), text)
    text = " " * root_column + "images" + text
    ends_line = document.line_start(document.end) == document.end
    text = text + eol if ends_line else eol + text
    return Edit(document.end, document.end, text)


def _content_end(node: Node) -> int:
    """Return where the last character of a value stands; a block's own end is where the next begins."""
    while node.kind in ("map", "seq") and not node.flow and node.value:
        last = node.value[-1]
        node = last[1] if node.kind == "map" else last
    return max(node.start, node.end - 1) if node.style in ("|", ">") else node.end
