# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adding and removing pairs of a mapping in the style of the file (private to the collection).

Quotes, brackets, indentation, blank lines and line ends follow what is already there.
"""

from __future__ import annotations

import re

from .document import Document, DocumentError, Edit, Node
from .scalar import Scalar, quote_of_json, refuse_shared, write, write_string

_COLON = re.compile(r"[ \t]*:[ \t]*")
_COLON_BEGIN = re.compile(r"[ \t]*:")
_TRAILING_COMMA = re.compile(r"\s*,")


class MappingEditor:
    """Plans the edits of one mapping; ``quote`` is used for text that needs quotes.

    ``pairs`` are the (key, value) nodes by the text of their key, in the order of the file.
    """

    def __init__(self, document: Document, node: Node, quote: str) -> None:
        self._document = document
        self._node = node
        self._quote = quote
        self.pairs: dict[str, tuple[Node, Node]] = {
            key.value: (key, value) for key, value in node.value if key.kind == "scalar"
        }

    def insert(self, key: str, value: Scalar, after: str, style: str = "") -> Edit:
        """Return the edit that adds a pair after the one named ``after``."""
        left_key, left = self.pairs[after]
        self._refuse_explicit(after)
        document, json_quote = self._document, quote_of_json(self._document)
        text = write(value, style or json_quote, self._quote, self._node.flow)
        name = write_string(key, left_key.style or json_quote, self._quote, self._node.flow)
        if self._node.flow:
            colon = document.text[left_key.end : left.start]
            comma = ", " if colon.endswith(" ") else ","
            return Edit(left.end, left.end, comma + name + (colon if _COLON.fullmatch(colon) else ": ") + text)
        indent = " " * (left_key.start - document.line_start(left_key.start))
        at = document.line_end(content_end(left))
        return Edit(at, at, document.eol(at) + indent + name + ": " + text)

    def insert_last(self, key: str, value: Scalar) -> Edit:
        """Return the edit that adds a pair at the end. Raises DocumentError where there is no example to follow."""
        if self.pairs:
            last = list(self.pairs)[-1]
            return self.insert(key, value, last)
        if not self._node.flow:
            line = self._document.line_number(self._node.start)
            raise DocumentError("the mapping on line %d shows no style to follow" % line)
        at, json_quote = self._node.start + 1, quote_of_json(self._document)
        name = write_string(key, json_quote, self._quote, True)
        return Edit(at, at, "%s: %s" % (name, write(value, json_quote, self._quote, True)))

    def remove(self, key: str) -> Edit:
        """Return the edit that removes a pair with its line. Raises DocumentError when it is shared or the only one."""
        key_node, node = self.pairs[key]
        document = self._document
        refuse_shared(document, node, key)
        self._refuse_explicit(key)
        if self._node.flow:
            return self._remove_in_brackets(key)
        line = document.line_start(key_node.start)
        if len(self._node.value) == 1:
            raise DocumentError("%s on line %d is the only key there" % (key, document.line_number(key_node.start)))
        if document.text[line : key_node.start].strip():
            return self._remove_first(key)
        end = document.line_end(content_end(node))
        if end < len(document.text):
            return Edit(line, document.next_line(end), "")
        return Edit(document.line_end(line - 1), end, "")

    def _remove_in_brackets(self, key: str) -> Edit:
        text, names = self._document.text, list(self.pairs)
        key_node, node = self.pairs[key]
        comma = _TRAILING_COMMA.match(text, node.end)
        alone = Edit(key_node.start, comma.end() if comma else node.end, "")
        if len(names) == 1:
            return alone
        index = names.index(key)
        if index == 0:
            return self._remove_first(key)
        before = self.pairs[names[index - 1]][1].end
        if "#" not in text[before : key_node.start]:
            return Edit(before, node.end, "")
        # The comment before it stays, and with it the comma.
        return self._remove_first(key) if index + 1 < len(names) else alone

    def _remove_first(self, key: str) -> Edit:
        """Return the edit after which what follows has moved up to the dash or bracket."""
        text, names = self._document.text, list(self.pairs)
        key_node, node = self.pairs[key]
        following = names.index(key) + 1
        if following == len(names):
            raise DocumentError("%s on line %d has to be removed by hand" % self._spot(key))
        end, line_end = self.pairs[names[following]][0].start, self._document.line_end(content_end(node))
        if "#" not in text[line_end:end]:
            return Edit(key_node.start, end, "")
        # Lines of comments stay, and what they are about stays where it is.
        return Edit(len(text[: key_node.start].rstrip(" \t")), line_end, "")

    def _refuse_explicit(self, key: str) -> None:
        """Raise DocumentError for a key that is written with a question mark, on lines of its own."""
        text, (key_node, _node) = self._document.text, self.pairs[key]
        if self._node.flow:
            is_explicit = text[: key_node.start].rstrip().endswith("?")
        else:
            is_explicit = not _COLON_BEGIN.match(text, key_node.end)
        if is_explicit:
            raise DocumentError("%s on line %d is written with '?'; edit it by hand" % self._spot(key))

    def _spot(self, key: str) -> tuple[str, int]:
        return key, self._document.line_number(self.pairs[key][0].start)


def content_end(node: Node) -> int:
    """Return where the last character of a value stands; a block's own end is where the next begins."""
    while node.kind in ("map", "seq") and not node.flow and node.value:
        last = node.value[-1]
        node = last[1] if node.kind == "map" else last
    return max(node.start, node.end - 1) if node.style in ("|", ">") else node.end
