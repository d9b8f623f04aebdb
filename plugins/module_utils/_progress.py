# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live progress at a steady, bearable rate (private to the collection)."""

from __future__ import annotations

from typing import Callable, Iterable

#: Seconds between two lines of a long step: nobody should look at a silent screen for ten.
EVERY_S = 7.0


class Voice:
    """Tells the operator about one piece of work: what, how far, how long so far.

    ``monotonic`` returns seconds; the work starts when the voice is made.
    """

    def __init__(self, title: str, progress: Callable[[str], None], monotonic: Callable[[], float]) -> None:
        self.title = title
        self._progress = progress
        self._monotonic = monotonic
        self._started = self._said = monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the work began."""
        return self._monotonic() - self._started

    def say(self, text: str) -> None:
        """Show a line at once."""
        self._said = self._monotonic()
        self._progress("%s: %s" % (self.title, text))

    def beat(self, text: Callable[[], str]) -> None:
        """Show a line if there was none for a while. Call this several times a second.

        ``text`` is asked only when it is due; the time so far is added to it.
        """
        if self._monotonic() - self._said >= EVERY_S:
            self.say("%s, %s so far" % (text(), duration(self.elapsed_s)))


def duration(seconds: float) -> str:
    """Return a duration for people: ``0.4 s``, ``7 s``, ``2 min 05 s``."""
    if seconds < 10:
        return "%.1f s" % seconds
    whole = round(seconds)
    return "%d s" % whole if whole < 60 else "%d min %02d s" % divmod(whole, 60)


def last_lines(lines: Iterable[str]) -> str:
    """Return the last lines of a program's output as the end of an error message."""
    tail = list(lines)[-8:]
    return "Its last lines:" + "".join("\n  " + line for line in tail) if tail else ""
