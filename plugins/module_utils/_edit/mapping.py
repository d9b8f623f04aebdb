# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adding and removing pairs of a mapping in the style of the file (private to the collection).

Quotes, brackets, indentation, blank lines and line ends follow what is already there.
"""

from __future__ import annotations

from .document import Document, DocumentError, Edit, Node
from .scalar import Scalar, refuse_shared, write, write_string


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
        text = write(value, style, self._quote, self._node.flow)
        name = write_string(key, left_key.style, self._quote, self._node.flow)
        document = self._document
        if self._node.flow:
            colon = document.text[left_key.end : left.start]
            comma = ", " if colon.endswith(" ") else ","
            return Edit(left.end, left.end, comma + name + (colon if ":" in colon else ": ") + text)
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
        at = self._node.start + 1
        name = write_string(key, "", self._quote, True)
        return Edit(at, at, "%s: %s" % (name, write(value, "", self._quote, True)))

    def remove(self, key: str) -> Edit:
        """Return the edit that removes a pair with its line. Raises DocumentError when it is shared or the only one."""
        key_node, node = self.pairs[key]
        document = self._document
        refuse_shared(document, node, key)
        names = list(self.pairs)
        index = names.index(key)
        if self._node.flow and index > 0:
            return Edit(self.pairs[names[index - 1]][1].end, node.end, "")
        line = document.line_start(key_node.start)
        if self._node.flow or document.text[line : key_node.start].strip():
            # The first key of an entry: what follows moves up to the dash or bracket.
            end = self.pairs[names[index + 1]][0].start if len(names) > 1 else node.end
            if len(names) == 1 and not self._node.flow:
                raise DocumentError("%s on line %d is the only key there" % (key, document.line_number(line)))
            return Edit(key_node.start, end, "")
        if len(names) == 1:
            raise DocumentError("%s on line %d is the only key there" % (key, document.line_number(line)))
        end = document.line_end(content_end(node))
        if end < len(document.text):
            return Edit(line, document.next_line(end), "")
        return Edit(document.line_end(line - 1 if document.text[line - 2 : line] != "\r\n" else line - 2), end, "")


def content_end(node: Node) -> int:
    """Return where the last character of a value stands; a block's own end is where the next begins."""
    while node.kind in ("map", "seq") and not node.flow and node.value:
        last = node.value[-1]
        node = last[1] if node.kind == "map" else last
    return max(node.start, node.end - 1) if node.style in ("|", ">") else node.end
