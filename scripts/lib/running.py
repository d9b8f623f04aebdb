# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of one part of ``scripts/test``: starts tools and pytest, records what they say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Mapping, Optional, Sequence

from . import console, env, places
from .results import Part

#: ansible-core versions next to the one of ``dev``, oldest and newest first.
OTHER_CORES = ("core-2.16", "core-2.21", "core-2.20")


@dataclass
class Run:
    """One run of one part: its counts, its logs and the tools."""

    part: Part
    full: bool
    tools: env.Environment
    #: Which share of the world's tests it is, see lanes.py.
    lane: str = ""
    extra: dict[str, str] = field(default_factory=dict)

    def tool(
        self,
        what: str,
        command: Sequence[str],
        *,
        tools: Optional[env.Environment] = None,
        extra: Optional[Mapping[str, str]] = None,
        cwd: Path = places.CHECKOUT,
    ) -> bool:
        """Run one tool and count it as one check; return whether it passed."""
        console.say("  " + what)
        environment = tools or self.tools
        status = environment.run(command, what, log=self.log(what), extra={**self.extra, **(extra or {})}, cwd=cwd)
        self.part.record(what, status == 0, "exit status %d, log %s" % (status, self.log(what)))
        return status == 0

    def pytest(self, what: str, *arguments: str, tools: Optional[env.Environment] = None) -> None:
        """Run pytest and count each of its tests."""
        console.say("  " + what)
        environment = tools or self.tools
        report = self.part.logs / (_slug(what) + ".xml")
        extra = {
            **self.extra,
            "PYTHONPATH": str(environment.collections),
            "SLIPWAY_TEST_SIZE": "full" if self.full else "gate",
        }
        options = ["-q", "-p", "no:cacheprovider", "-ra", "--junitxml=%s" % report, *arguments]
        status = environment.run(["pytest", *options], what, log=self.log(what), extra=extra)
        self.part.add_junit(report, what, status)

    def log(self, what: str) -> Path:
        """Return the log file of one tool."""
        return self.part.logs / (_slug(what) + ".log")

    def other_cores(self, what: str) -> list[env.Environment]:
        """Prepare the other ansible-core versions whose Python is at hand; the rest is a named skip."""
        ready: list[env.Environment] = []
        for name in OTHER_CORES:
            if name == "core-2.20" and any(item.name == "core-2.21" for item in ready) and not self.full:
                continue  # the gate takes the newest; 2.20 is for the full size or stands in for it
            if env.find(name) is None:
                versions = " or ".join(env.PYTHONS[name])
                self.part.skip("%s on %s" % (what, name), "needs Python %s, not on this machine" % versions)
            else:
                ready.append(env.prepare(name))
        return ready


def _slug(what: str) -> str:
    return "".join(char if char.isalnum() or char in ".-" else "-" for char in what).strip("-").lower()
