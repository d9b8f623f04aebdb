# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One YAML document as text with marks (private to the collection).

Editing YAML by loading and dumping it loses comments, quotes and indentation. Here the
text stays what it is: the parser only says where each value begins and ends, an edit
replaces exactly those characters, and :func:`outline` of the text before and after proves
that nothing else changed its meaning.

The tree is built from parse events without recursion, so that hostile documents (depth,
aliases, size) are refused while they are read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Iterable, Optional

try:
    import yaml

    _LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
except ImportError:  # named by the entry's list of libraries before any use
    yaml = None  # type: ignore[assignment]

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
#: Values a reader would see if every alias were copied out.
MAX_VALUES = 100_000

BOM = "\ufeff"

# Every line end that YAML 1.1 knows; "\r\n" first, so that it counts as one.
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


class DocumentError(ValueError):
    """The text is not a document that can be edited safely; says where and why."""


@dataclass(frozen=True)
class Edit:
    """Replace the characters ``start`` to ``end`` by ``text``."""

    start: int
    end: int
    text: str


class Node:
    """A value and where it stands: character positions in the text, without a byte-order mark.

    ``kind`` is ``scalar``, ``map``, ``seq`` or ``alias``. ``value`` is the text of a scalar,
    the anchor's name for an alias, the child nodes of a sequence, and the list of (key,
    value) nodes of a mapping. ``style`` is the quote character or block indicator of a
    scalar (empty when plain), ``flow`` tells brackets from indentation.
    """

    __slots__ = ("anchor", "end", "flow", "kind", "start", "style", "tag", "value")

    def __init__(self, kind: str, event: Any, value: Any) -> None:
        self.kind = kind
        self.start: int = event.start_mark.index
        self.end: int = event.end_mark.index
        self.anchor: Optional[str] = event.anchor
        self.tag: Optional[str] = getattr(event, "tag", None)
        self.style: str = getattr(event, "style", None) or ""
        self.flow = bool(getattr(event, "flow_style", False))
        self.value = value

    def get(self, key: str) -> Optional[Node]:
        """Return the value of ``key`` in a mapping."""
        for name, node in self.value:
            if name.kind == "scalar" and name.value == key:
                found: Node = node
                return found
        return None


Outline = tuple[Any, ...]


@dataclass(frozen=True)
class Document:
    """Text, its tree, and the names of the anchors that are used by an alias.

    ``text`` has no byte-order mark. ``end`` is where the document's content may grow: the
    end of the text, or an explicit end marker.
    """

    text: str
    root: Node
    aliased: frozenset[str]
    end: int

    def line_start(self, index: int) -> int:
        """Return the position of the first character of the line that holds ``index``."""
        index = self._line_end_begin(index)
        while index > 0 and not _LINE_END.match(self.text[index - 1]):
            index -= 1
        return index

    def line_end(self, index: int) -> int:
        """Return the position of the line end (or of the end of the text) at or after ``index``."""
        found = _LINE_END.search(self.text, self._line_end_begin(index))
        return found.start() if found else len(self.text)

    def _line_end_begin(self, index: int) -> int:
        """Return ``index``, or the one before it between the two characters of one line end."""
        return index - 1 if index and self.text[index - 1 : index + 1] == "\r\n" else index

    def next_line(self, index: int) -> int:
        """Return the position after the line end at or after ``index``."""
        found = _LINE_END.search(self.text, index)
        return found.end() if found else len(self.text)

    def eol(self, index: int) -> str:
        """Return the line end used at ``index``, else the first one of the text, else a newline."""
        found = _LINE_END.search(self.text, index) or _LINE_END.search(self.text)
        return found.group() if found else "\n"

    def line_number(self, index: int) -> int:
        """Return the line of a position, counted from 1."""
        return len(_LINE_END.findall(self.text, 0, index)) + 1

    def apply(self, edits: Iterable[Edit]) -> str:
        """Return the text with all edits made; edits at one position keep their order."""
        parts: list[str] = []
        position = 0
        for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
            if edit.start < position:
                raise DocumentError("two changes touch the same characters on line %d" % self.line_number(edit.start))
            parts += (self.text[position : edit.start], edit.text)
            position = edit.end
        return "".join(parts) + self.text[position:]

    def edited(self, edits: Iterable[Edit]) -> Document:
        """Return the document with all edits made. Raises DocumentError when they cannot be made safely."""
        changed = self.apply(edits)
        try:
            return parse(changed)
        except DocumentError as error:
            raise DocumentError("this edit cannot be made safely here (%s); edit this file by hand" % error) from error


def decode(data: bytes) -> tuple[str, str]:
    """Return the byte-order mark (or nothing) and the text after it.

    Raises DocumentError for a size or an encoding that no reader of the file accepts.
    """
    if len(data) > MAX_BYTES:
        raise DocumentError("it has %d bytes, more than the %d allowed" % (len(data), MAX_BYTES))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise DocumentError("it is not valid UTF-8 (byte %d)" % exc.start) from exc
    return (BOM, text[1:]) if text.startswith(BOM) else ("", text)


def parse(text: str) -> Document:
    """Parse one document whose top is a mapping.

    Raises DocumentError for invalid YAML, several documents, a top that is no mapping,
    duplicate keys, recursive aliases, and depth or alias counts beyond the limits.
    """
    builder = _Builder(text)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.YAMLError as exc:
        raise DocumentError("it is not valid YAML: %s" % _problem(exc)) from exc
    except (UnicodeEncodeError, RecursionError) as exc:
        raise DocumentError("it is not valid YAML: %s" % type(exc).__name__) from exc
    return builder.document()


def outline(node: Node) -> Outline:
    """Return the meaning of a tree as nested tuples: kinds, tags, styles, values, anchors."""
    head: Outline = (node.kind, node.tag, node.anchor)
    if node.kind == "seq":
        return head + (tuple(outline(child) for child in node.value),)
    if node.kind == "map":
        return head + (tuple((outline(key), outline(value)) for key, value in node.value),)
    return head + (node.style, node.value)


def _problem(exc: Any) -> str:
    mark = getattr(exc, "problem_mark", None)
    text = getattr(exc, "problem", None) or getattr(exc, "reason", None) or type(exc).__name__
    return "%s on line %d" % (text, mark.line + 1) if mark else str(text)


class _Builder:
    """Turns parse events into a tree and refuses what is too deep, ambiguous or hostile."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[Node] = []
        self._sizes: list[int] = [0]
        self._anchored: dict[str, int] = {}
        self._root: Optional[Node] = None
        self._documents = 0
        self._aliased: set[str] = set()
        self._end = len(text)

    def take(self, event: Any) -> None:
        """Take the next event of the stream."""
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._start(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._close(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise DocumentError("it holds several YAML documents")
        elif isinstance(event, yaml.DocumentEndEvent) and event.explicit:
            mark: Any = event.start_mark
            self._end = mark.index

    def document(self) -> Document:
        if self._root is None or self._root.kind != "map":
            raise DocumentError("it is empty" if self._root is None else "its top level is not a mapping")
        return Document(self._text, self._root, frozenset(self._aliased), self._end)

    def _start(self, event: Any) -> None:
        node = Node("map" if isinstance(event, yaml.MappingStartEvent) else "seq", event, [])
        if len(self._open) >= MAX_DEPTH:
            raise DocumentError("it is nested deeper than %d levels" % MAX_DEPTH)
        self._attach(node)
        self._open.append(node)
        self._sizes.append(0)

    def _close(self, event: Any) -> None:
        node = self._open.pop()
        node.end = event.end_mark.index
        if node.kind == "map":
            children = node.value
            node.value = list(zip(children[::2], children[1::2]))
            self._refuse_duplicates(node)
        self._count(node, self._sizes.pop() + 1)

    def _scalar(self, event: Any) -> None:
        node = Node("scalar", event, event.value)
        self._attach(node)
        self._count(node, 1)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchored:
            raise DocumentError("alias *%s has no anchor before it" % event.anchor)
        node = Node("alias", event, event.anchor)
        self._aliased.add(event.anchor)
        self._attach(node)
        self._count(node, self._anchored[event.anchor])

    def _attach(self, node: Node) -> None:
        if self._open:
            self._open[-1].value.append(node)
        else:
            self._root = node

    def _count(self, node: Node, size: int) -> None:
        """Add up values with aliases copied out; an anchor is usable once its value is complete."""
        if node.anchor and node.kind != "alias":
            self._anchored[node.anchor] = size
        self._sizes[-1] += size
        if self._sizes[-1] > MAX_VALUES:
            raise DocumentError("it holds more than %d values when its aliases are copied out" % MAX_VALUES)

    def _refuse_duplicates(self, node: Node) -> None:
        seen: set[str] = set()
        for key, _value in node.value:
            if key.kind != "scalar":
                continue
            if key.value in seen:
                line = len(_LINE_END.findall(self._text, 0, key.start)) + 1
                raise DocumentError("key '%s' occurs twice in one mapping (line %d)" % (key.value, line))
            seen.add(key.value)
