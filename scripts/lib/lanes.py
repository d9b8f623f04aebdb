# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the parts that need no shared world beside those that do: the ones compute, the others mostly wait."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Optional, Sequence

from . import console, places
from .results import Part

#: Names the file into which a run writes its counts for the run that started it.
COUNTS = "SLIPWAY_TEST_COUNTS"


class SideLane:
    """A second ``scripts/test`` for some of the parts; its output goes into a log."""

    def __init__(self, names: Sequence[str], full: bool) -> None:
        self.names = list(names)
        self.log: Path = places.logs("test") / "side-lane.log"
        self._counts: Path = places.logs("test") / "side-lane.json"
        self._counts.unlink(missing_ok=True)
        arguments = [*self.names, *(["full"] if full else [])]
        self._started = time.monotonic()
        with self.log.open("wb") as sink:
            self._process = subprocess.Popen(
                [sys.executable, str(places.CHECKOUT / "scripts/test"), *arguments],
                env=dict(os.environ, **{COUNTS: str(self._counts)}),
                cwd=places.CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> list[Part]:
        """Show how it goes until it has ended; return its counts, or one failure when it left none."""
        console.say("\n== %s, begun %.0f s ago" % (", ".join(self.names), time.monotonic() - self._started))
        console.follow(self._process, self.log, "the other parts")
        parts = read_counts(self._counts)
        missing = [name for name in self.names if name not in (part.name for part in parts)]
        for name in missing:
            parts.append(Part(name, self.log.parent, failures=["%s: gave no counts, log %s" % (name, self.log)]))
        if any(part.failures for part in parts):
            console.say(console.tail(self.log, 200))
        return parts

    def end(self) -> None:
        """Stop it, if it is still going on."""
        if self._process.poll() is None:
            console.end(self._process)


def write_counts(parts: Sequence[Part]) -> None:
    """Leave the counts for the run that started this one, if there is one."""
    target: Optional[str] = os.environ.get(COUNTS)
    if target:
        fields = [dict(asdict(part), logs=str(part.logs)) for part in parts]
        Path(target).write_text(json.dumps(fields), encoding="utf-8")


def read_counts(path: Path) -> list[Part]:
    """Return the counts that a run has left; none when it did not come to its end."""
    if not path.exists():
        return []
    return [Part(**dict(fields, logs=Path(fields["logs"]))) for fields in json.loads(path.read_text(encoding="utf-8"))]
