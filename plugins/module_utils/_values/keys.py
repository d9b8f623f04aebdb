# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Key paths into a YAML file (private to the collection).

They are spelled as for Helm's ``--set``: names with dots between them, ``[N]`` for an item of a
list, and a backslash before a character that shall mean itself: ``labels.app\\.kubernetes\\.io/name``.
"""

from __future__ import annotations

import re
from typing import Sequence, Union

#: Names of keys and positions in lists, from the top of the file to a value.
Place = tuple[Union[str, int], ...]

MAX_LENGTH = 500
MAX_PARTS = 32
_SPECIAL = "\\.[]"
_NAME = re.compile(r"(?:[^\\.\[\]]|\\[\\.\[\]])+")
_INDEX = re.compile(r"\[([0-9]{1,5})\]")


def parse_key(text: str) -> Place:
    """Return the parts of a key path. Raises ValueError, which says what is wrong."""
    if not 0 < len(text) <= MAX_LENGTH or not text.isprintable():
        raise ValueError("it must be 1 to %d printable characters" % MAX_LENGTH)
    parts: list[Union[str, int]] = []
    position = 0
    while True:
        name = _NAME.match(text, position)
        if not name:
            raise ValueError("a name is missing at character %d" % (position + 1))
        parts.append(re.sub(r"\\(.)", r"\1", name.group()))
        position = name.end()
        index = _INDEX.match(text, position)
        while index:
            parts.append(int(index.group(1)))
            position = index.end()
            index = _INDEX.match(text, position)
        if position == len(text):
            break
        if text[position] != ".":
            raise ValueError("a dot, a position such as [0], or the end is expected at character %d" % (position + 1))
        position += 1
    if len(parts) > MAX_PARTS:
        raise ValueError("it has more than %d parts" % MAX_PARTS)
    return tuple(parts)


def format_key(place: Sequence[Union[str, int]]) -> str:
    """Return the key path of a place; the reverse of :func:`parse_key`."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += "[%d]" % part
        else:
            escaped = "".join("\\" + char if char in _SPECIAL else char for char in part)
            text += ("." if text else "") + escaped
    return text
