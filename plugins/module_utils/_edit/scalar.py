# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a single value is read and written (private to the collection).

Quotes stay what they are. Text that some reader of YAML would take for something else is
quoted, and what is a number or a boolean today is one only where all readers agree.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Iterator, Optional, Union

from .document import Document, DocumentError, Edit, Node
from .plain import reads_as_string

Scalar = Union[str, int, bool, None]

STR = "tag:yaml.org,2002:str"
_PROPERTIES = re.compile(r"(?:[!&]\S*(?:\s+|$))*")
# Text without any character that means something in YAML, wherever it stands.
_PLAIN = re.compile(r"[A-Za-z0-9_/](?:[A-Za-z0-9_./@+-]|:(?=[A-Za-z0-9_/])| (?=[A-Za-z0-9_/]))*")
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_CONSTANTS: dict[str, Scalar] = {"true": True, "false": False, "null": None, "~": None, "": None}


class Plain(str):
    """Text that stands without quotes, although readers of YAML disagree about what it means."""


@dataclass(frozen=True)
class Manner:
    """How a value is written where the file gives no example.

    ``label`` names the place in messages, ``quote`` is the quote character to use when one
    is needed, ``in_flow`` tells that it stands in brackets, and ``style`` is the quote of
    a value that is written where nothing stood.
    """

    label: str
    quote: str = '"'
    in_flow: bool = False
    style: str = ""


def write_string(value: str, style: str, quote: str, in_flow: bool) -> str:
    """Return ``value`` as YAML: in its style, else plain if that is safe, else in ``quote``."""
    if isinstance(value, Plain):
        return str(value)
    is_plain = not style and reads_as_string(value) and _PLAIN.fullmatch(value) is not None
    if is_plain and not (in_flow and ":" in value):
        return value
    if (style or quote) == "'" and value.isprintable():
        return "'%s'" % value.replace("'", "''")
    text = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else "\\U%08x" % ord(char) for char in text)


def write(value: Scalar, style: str, quote: str, in_flow: bool) -> str:
    """Return a value as YAML. Only text has quotes."""
    if isinstance(value, str):
        return write_string(value, style, quote, in_flow)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else json.dumps(value)


def is_string(node: Node) -> bool:
    """Tell whether every YAML reader takes a scalar for a string."""
    return bool(node.style) or node.tag == STR or reads_as_string(node.value)


def is_null(node: Node) -> bool:
    """Tell whether a scalar is null."""
    return not node.style and node.tag is None and node.value in ("", "~", "null", "Null", "NULL")


def read(node: Node) -> Scalar:
    """Return what a scalar means.

    What readers disagree about (``yes``, ``0123``, ``1e5``, ``1.10``, dates) is its text, as :class:`Plain`.
    """
    if node.style or node.tag is not None:
        return str(node.value)
    text = str(node.value)
    lowered = text.lower()
    if lowered in _CONSTANTS and text in (lowered, lowered.upper(), lowered.capitalize()):
        return _CONSTANTS[lowered]
    if _WHOLE.fullmatch(text):
        return int(text)
    return text if reads_as_string(text) else Plain(text)


def refuse_shared(document: Document, node: Node, label: str) -> None:
    """Raise DocumentError for a value that also stands elsewhere."""
    if node.kind == "alias" or node.anchor in document.aliased:
        raise DocumentError("%s on line %d is shared through an anchor" % (label, document.line_number(node.start)))


def replace(document: Document, node: Node, value: Scalar, manner: Manner) -> Edit:
    """Return the edit that gives a scalar another value.

    Raises DocumentError for a value that is shared, a block text, or tagged as something else.
    """
    refuse_shared(document, node, manner.label)
    is_block = node.style in ("|", ">")
    if is_block or node.tag not in (None, STR) or (node.tag == STR and not isinstance(value, str)):
        kind = "a block text" if is_block else "tagged %s" % node.tag
        raise DocumentError("%s on line %d is %s" % (manner.label, document.line_number(node.start), kind))
    if node.start == node.end:
        return _fill(document, node, value, manner)
    text = write(value, node.style or quote_of_json(document), manner.quote, manner.in_flow)
    skipped = _PROPERTIES.match(document.text, node.start, node.end)
    start = skipped.end() if skipped else node.start
    if document.text[start : start + 1] == "#" and start < node.end:
        spot = (manner.label, document.line_number(node.start))
        raise DocumentError("%s on line %d has a comment before its value; edit it by hand" % spot)
    # An anchor may be all that stands there.
    return Edit(start, node.end, " " + text if node.start < start and not document.text[start - 1].isspace() else text)


def _fill(document: Document, node: Node, value: Scalar, manner: Manner) -> Edit:
    """Write a value where there is none, using one space that may already stand there."""
    text = write(value, manner.style or quote_of_json(document), manner.quote, manner.in_flow)
    at = node.start
    if document.text[at - 1 : at] not in (":", "-"):
        return Edit(at, at, text)
    if document.text[at : at + 1] != " ":
        return Edit(at, at, " " + text)
    followed = document.text[at + 1 : at + 2] == "#"
    return Edit(at + 1, at + 1, text + (" " if followed else ""))


def quote_used(node: Optional[Node]) -> str:
    """Return the quote character that values inside ``node`` use first, or nothing."""
    return next((value.style for value in _values(node) if value.style in ("'", '"')), "") if node else ""


def quote_of_json(document: Document) -> str:
    """Return the quote of all text in a file that is written as JSON, nothing for any other file."""
    top = document.root
    return '"' if top.flow and top.value and top.value[0][0].style == '"' else ""


def _values(node: Node) -> Iterator[Node]:
    """Yield the scalars below a node in the order of the text, keys left out."""
    pending = [node]
    while pending:
        current = pending.pop()
        if current.kind == "scalar":
            yield current
        elif current.kind == "map":
            pending += [value for _key, value in reversed(current.value)]
        elif current.kind == "seq":
            pending += reversed(current.value)
