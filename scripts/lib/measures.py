# SPDX-License-Identifier: GPL-3.0-or-later
"""What a benchmark found: series of figures and targets, printed here and kept in docs/measured.json."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping, Sequence

from . import places

#: The recorded run, from which the figures of README.md are made.
RECORD = places.CHECKOUT / "docs" / "measured.json"
README = places.CHECKOUT / "README.md"
COMMAND = "scripts/bench --record"
BEGIN = "<!-- measured: scripts/bench -->"
END = "<!-- /measured -->"


@dataclass
class Series:
    """One thing measured several times. ``unit`` is "ms" or "s"; a ``detail`` is not for the README."""

    title: str
    unit: str
    values: list[float] = field(default_factory=list)
    detail: bool = False

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    def as_row(self) -> dict[str, Any]:
        """Return the figures as they are shown and kept."""
        return {
            "title": self.title,
            "unit": self.unit,
            "median": rounded(self.median, self.unit),
            "low": rounded(min(self.values), self.unit),
            "high": rounded(max(self.values), self.unit),
            "rounds": len(self.values),
            "detail": self.detail,
        }


def rounded(value: float, unit: str) -> float:
    """Return a figure with as many digits as it deserves."""
    return round(value, 2 if unit == "s" else 1)


@dataclass(frozen=True)
class Target:
    """A goal and what was reached. Only a target that ``gates`` decides about the exit status."""

    text: str
    reached: str
    is_met: bool
    gates: bool

    def as_row(self) -> dict[str, Any]:
        """Return the target as it is shown and kept."""
        return {"text": self.text, "reached": self.reached, "met": self.is_met, "gates": self.gates}


@dataclass
class Findings:
    """The outcome of one part: figures, targets, and in words how it was measured."""

    title: str
    how: str
    series: Sequence[Series]
    targets: Sequence[Target]

    def as_part(self) -> dict[str, Any]:
        """Return plain data for the record and for printing."""
        return {
            "title": self.title,
            "how": self.how,
            "rows": [item.as_row() for item in self.series],
            "targets": [item.as_row() for item in self.targets],
        }


class Load:
    """Watches how much of the processors others than this command and its children take."""

    def __init__(self) -> None:
        self._started, self._busy, self._own = time.monotonic(), _busy_s(), _own_s()

    def percent(self) -> int:
        """Return the others' share of all processors since this object was made."""
        all_s = (time.monotonic() - self._started) * (os.cpu_count() or 1)
        return max(0, round(100 * (_busy_s() - self._busy - (_own_s() - self._own)) / all_s))


def _busy_s() -> float:
    """Return the seconds that all processors were busy since the start of the machine."""
    user, nice, system, _idle, _wait, *rest = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def _own_s() -> float:
    used = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(item.ru_utime + item.ru_stime for item in used)


def table(part: Mapping[str, Any]) -> list[str]:
    """Return a part as lines for a terminal."""
    lines = ["%-62s %10s   %s" % (part["title"], "median", "lowest .. highest (rounds)")]
    for row in part["rows"]:
        figures = ("%g" % row["median"], row["unit"], row["low"], row["high"], row["unit"], row["rounds"])
        lines.append("  %-60s %7s %-2s   %g .. %g %s (%d)" % (row["title"], *figures))
    for row in part["targets"]:
        verdict = "met" if row["met"] else "MISSED" if row["gates"] else "missed, printed only"
        lines.append("  target: %s: %s: %s" % (row["text"], row["reached"], verdict))
    lines.append("  (%s)" % part["how"])
    lines.append(
        "  (meanwhile all others, the cluster among them, took %d %% of the processors)" % part["others_percent"]
    )
    return lines


def record(parts: Mapping[str, Mapping[str, Any]], versions: Mapping[str, str]) -> dict[str, Any]:
    """Return everything that is kept of a run: no host name, no path."""
    return {
        "command": COMMAND,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": _machine(),
        "versions": dict(versions),
        "parts": dict(parts),
    }


def _machine() -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processors": os.cpu_count(),
        "processor": _first("/proc/cpuinfo", "model name") or platform.machine(),
        "memory_gib": round(memory),
        "system": _first("/etc/os-release", "PRETTY_NAME") or platform.system(),
        "kernel": platform.release().split("-")[0],
    }


def _first(path: str, key: str) -> str:
    """Return the value of the first line of a file that begins with ``key``."""
    for line in Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []:
        if line.startswith(key):
            return line.replace("=", ":", 1).split(":", 1)[1].strip().strip('"')
    return ""


def save(document: Mapping[str, Any]) -> bool:
    """Keep a run in docs/ and put its figures into the README; return whether it has a place for them."""
    RECORD.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if not README.exists() or BEGIN not in README.read_text(encoding="utf-8"):
        return False
    README.write_text(with_figures(README.read_text(encoding="utf-8"), document), encoding="utf-8")
    return True


def with_figures(text: str, document: Mapping[str, Any]) -> str:
    """Return a text whose measured block holds the figures of a recorded run."""
    before, rest = text.split(BEGIN, 1)
    return before + BEGIN + "\n" + markdown(document) + END + rest.split(END, 1)[1]


def markdown(document: Mapping[str, Any]) -> str:
    """Return the figures of a recorded run as they stand in the README."""
    machine, versions = document["machine"], document["versions"]
    lines = [
        "Printed by `%s` on %s: %d processors (%s), %d GiB, %s; %s."
        % (document["command"], document["date"], machine["processors"], machine["processor"],
           machine["memory_gib"], machine["system"], ", ".join("%s %s" % pair for pair in versions.items())),
    ]  # fmt: skip
    for part in document["parts"].values():
        lines += ["", "| %s | median | lowest | highest |" % part["title"], "| --- | ---: | ---: | ---: |"]
        for row in (row for row in part["rows"] if not row["detail"]):
            figures = ["%g %s" % (row[key], row["unit"]) for key in ("median", "low", "high")]
            lines.append("| %s | %s |" % (row["title"], " | ".join(figures)))
        others = "Meanwhile all others, the cluster among them, took %d %% of the processors." % part["others_percent"]
        lines += ["", "%s. %s" % (part["how"], others), ""]
        verdicts = {True: "met", False: "missed"}
        lines += ["- %s: %s, %s" % (row["text"], row["reached"], verdicts[row["met"]]) for row in part["targets"]]
    return "\n".join(lines) + "\n"
