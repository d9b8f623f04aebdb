# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The output of a program: bounded memory, and lines for a listener (private to the collection)."""

from __future__ import annotations

from typing import Callable, Optional

OnLine = Callable[[str], None]
#: A line that is longer is passed on in pieces.
_LONGEST = 65536


class Output:
    """One output stream: bounded memory, and lines for a listener."""

    def __init__(self, max_bytes: int, on_line: Optional[OnLine]) -> None:
        self._max_bytes = max_bytes
        self._on_line = on_line
        self._held = bytearray()
        self._line = bytearray()

    def add(self, chunk: bytes) -> bool:
        """Take a chunk; False when it does not fit and nobody listens to the lines."""
        self._held += chunk
        if self._on_line is None:
            return len(self._held) <= self._max_bytes
        if len(self._held) > 2 * self._max_bytes:
            del self._held[: -self._max_bytes]
        self._line += chunk
        *lines, rest = bytes(self._line).replace(b"\r", b"\n").split(b"\n")
        if len(rest) > _LONGEST:
            lines, rest = [*lines, rest], b""
        self._line = bytearray(rest)
        for line in lines:
            self._say(line)
        return True

    def close(self) -> None:
        """Pass on a last line that has no line end."""
        rest, self._line = bytes(self._line), bytearray()
        self._say(rest)

    def kept(self) -> bytes:
        return bytes(self._held[-self._max_bytes :])

    def _say(self, line: bytes) -> None:
        if line and self._on_line is not None:
            self._on_line(line.decode("utf-8", "replace"))
