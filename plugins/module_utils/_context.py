# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a use case knows about the run it is part of (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, NamedTuple, Optional, Protocol


class Clock(Protocol):
    """Time as use cases see it; the only source of time in the collection."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back, unaffected by clock changes."""

    def wall(self) -> float:
        """Seconds since the epoch; for display and records only, never for deadlines."""

    def sleep(self, seconds: float) -> None:
        """Wait. Use cases wait on events where they can and sleep only between retries."""


MASK = "********"


class Redactor:
    """Remembers secrets met during a run, so that no output can carry them.

    Options marked ``no_log`` are covered by Ansible. This is for what the run finds
    itself: tokens of a kubeconfig, passwords of a repository Secret.
    """

    def __init__(self) -> None:
        self.values: set[str] = set()

    def add(self, value: Optional[str]) -> None:
        """Register one secret. Empty and very short values are not masked."""
        if value and len(value) >= 4:
            self.values.add(value)

    def mask(self, text: str) -> str:
        """Return ``text`` without the secrets, for what is shown before Ansible masks the result."""
        for secret in sorted(self.values, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text


def _ignore(message: str) -> None:
    """Accept and drop a message."""


class Answer(NamedTuple):
    """What came of a question: the line that was entered, None when there was none.

    ``trouble`` says why nobody could be asked; it is empty when a person had the chance to answer.
    """

    line: Optional[str]
    trouble: str = ""


def _nobody(_prompt: str, _timeout_s: int) -> Answer:
    """Stand for a person where there is no terminal."""
    return Answer(None, "this task has no terminal")


@dataclass(frozen=True)
class Context:
    """Everything about the run that is not an option of the module.

    ``env`` is the environment of the task (the process environment overlaid with the
    task's ``environment:``); use cases and ports read it instead of ``os.environ``.
    ``progress`` shows one line to the operator at once; in a plain module it is a no-op.
    ``ask`` shows a text and waits up to so many seconds for a line, if there is a terminal.
    """

    check_mode: bool = False
    diff: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    warn: Callable[[str], None] = _ignore
    progress: Callable[[str], None] = _ignore
    secrets: Redactor = field(default_factory=Redactor)
    agent: str = "slipway.gitops"
    ask: Callable[[str, int], Answer] = _nobody


@dataclass(frozen=True)
class Entry:
    """One module: its argument specification and its use case with real ports.

    ``argument_spec`` and ``constraints`` (``mutually_exclusive``, ``required_if`` ...)
    are plain data in Ansible's format. ``libraries`` are the third-party modules that
    must be importable, by import name and package name. ``has_plain_progress`` says that the
    lines it shows never quote an option, so that they may be shown for a ``no_log`` task too.
    """

    name: str
    argument_spec: Mapping[str, Any]
    run: Callable[[Mapping[str, Any], Context], dict[str, Any]]
    constraints: Mapping[str, Any] = field(default_factory=dict)
    libraries: tuple[tuple[str, str], ...] = ()
    has_plain_progress: bool = False


class Backoff:
    """Exponential delays with jitter, in seconds, capped.

    ``random`` returns a number in [0, 1); it is given, so that rules can be tested.
    """

    def __init__(self, first_s: float, cap_s: float, random: Callable[[], float]) -> None:
        self._next = first_s
        self._cap = cap_s
        self._random = random

    def delay(self) -> float:
        """Return the next delay: between half of and the whole current step."""
        step = min(self._next, self._cap)
        self._next = min(self._next * 2, self._cap)
        return step * (0.5 + self._random() / 2)
