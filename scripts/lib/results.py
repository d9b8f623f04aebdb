# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts of a test run: per part and in total, with every failure and skip by name."""

from __future__ import annotations

import re
import resource
import time
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from .console import say


@dataclass
class Part:
    """What one part of the test run has shown so far. A log folder explains failures."""

    name: str
    logs: Path
    passed: int = 0
    failures: list[str] = field(default_factory=list)
    skips: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    #: Seconds that its programs kept a processor busy.
    busy: float = field(default_factory=lambda: -_busy())

    def record(self, what: str, ok: bool, detail: str = "") -> None:
        """Count one check as passed or failed."""
        if ok:
            self.passed += 1
        else:
            self.failures.append(what + (": " + detail if detail else ""))

    def skip(self, what: str, reason: str) -> None:
        """Count one check as skipped, with the reason that the summary will show."""
        self.skips.append("%s: %s" % (what, reason))

    def add_junit(self, path: Path, what: str, status: int) -> None:
        """Add a pytest report. A run that left no report, or no test, is one failure."""
        cases = list(ElementTree.parse(path).iter("testcase")) if path.exists() else []  # noqa: S314  (our own file)
        for case in cases:
            self._add_case(case)
        if not cases:
            self.failures.append("%s: no test ran (exit status %d)" % (what, status))
        elif status != 0 and not self.failures:
            self.failures.append("%s: exit status %d" % (what, status))

    def _add_case(self, case: ElementTree.Element) -> None:
        name = "%s::%s" % (case.get("classname", ""), case.get("name", ""))
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            if name not in self.failures:  # a test may fail and then its clean-up too
                self.failures.append(name)
        elif skipped is not None:
            self.skip(name, skipped.get("message") or "no reason given")
        else:
            self.passed += 1

    def add_sanity(self, log: Path, what: str, status: int) -> None:
        """Add a run of ``ansible-test sanity``: one check per sanity test it started."""
        text = log.read_text(errors="replace") if log.exists() else ""
        started = re.findall(r"^Running sanity test ['\"]([\w-]+)['\"]", text, re.MULTILINE)
        verdict = re.search(
            r"^FATAL: The \d+ sanity test\(s\) listed below[^\n]*\n((?:[^\n]+\n?)+)", text, re.MULTILINE
        )
        if status == 0 and started:
            self.passed += len(started)
            return
        listed = verdict.group(1).splitlines() if verdict else ["exit status %d" % status]
        broken = [line.strip() for line in listed if not line.startswith("= ")]
        self.passed += max(0, len(started) - len(broken)) if verdict else 0
        self.failures += ["%s: %s" % (what, line) for line in broken]

    def finish(self) -> None:
        """Stop the clock of this part."""
        self.seconds = time.monotonic() - self.started
        self.busy += _busy()


def _busy() -> float:
    """Return how long programs that have ended kept a processor busy, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def summarise(parts: list[Part]) -> int:
    """Print skips, failures, the minutes table and the closing line; return the exit status."""
    for title, lines in (
        ("Skipped", [(part, line) for part in parts for line in part.skips]),
        ("Failed", [(part, line) for part in parts for line in part.failures]),
    ):
        if lines:
            say("\n%s:" % title)
            for part, line in lines:
                say("  %s: %s" % (part.name, line))
    say("\n%-22s %8s %8s %8s %9s %9s" % ("part", "passed", "failed", "skipped", "minutes", "CPU"))
    for part in parts:
        counts = (part.passed, len(part.failures), len(part.skips))
        say("%-22s %8d %8d %8d %9.1f %9.1f" % (part.name, *counts, part.seconds / 60, part.busy / 60))
    passed = sum(part.passed for part in parts)
    failed = sum(len(part.failures) for part in parts)
    skipped = sum(len(part.skips) for part in parts)
    minutes, busy = sum(part.seconds for part in parts) / 60, sum(part.busy for part in parts) / 60
    say("%-22s %8d %8d %8d %9.1f %9.1f" % ("total", passed, failed, skipped, minutes, busy))
    begun = min((part.started for part in parts), default=time.monotonic())
    say("%-22s %36.1f" % ("by the clock", (time.monotonic() - begun) / 60))
    if failed:
        say("\nLogs: %s" % ", ".join(str(part.logs) for part in parts if part.failures))
    if passed + failed == 0:
        say("\nNo test ran, so nothing is known.")
    say("\n%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed or passed == 0 else 0
