# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs parts of the tests beside others: much of their time is spent waiting for pods and locks.

Those that need no shared world are one lane. The tests on the shared world are three: they use
applications, namespaces, ports and queues of their own, and what still disturbs each other is
in the same lane, one after the other. The third begins when the lane without the world has ended:
more at a time would not be faster on two processors.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Mapping, Optional, Sequence

from . import console, places
from .results import Part

#: Names the file into which a run writes its counts for the run that started it.
COUNTS = "SLIPWAY_TEST_COUNTS"
#: Names the lane of the world's tests that a run is, in the environment.
LANE = "SLIPWAY_TEST_LANE"

#: Part -> what of it is in a lane: ``test_NAME.py`` of the world, scenarios of Molecule.
Share = Mapping[str, tuple[str, ...]]
LANES: Mapping[str, Share] = {
    # Before the others: they compare the whole world, or change Argo CD itself.
    "quiet": {"integration": ("argocd_role", "dry_run", "installed")},
    # Takes turns with what needs no world.
    "production": {"integration": ("production",), "molecule": ("gitops_flow", "operator_day")},
    # All that installs cert-manager, MetalLB and Jenkins, writes by kube_manifests or asks what it has written;
    # and deliveries, so that it takes as long as the rest.
    "libraries": {
        "integration": (
            "cert_manager", "deploy", "examples", "gitops_base", "kube_manifests", "libraries", "rbac", "rbac_restore",
        ),
        "molecule": ("cert_manager", "gitops_base", "jenkins", "metallb", "rbac", "registry_credentials"),
    },
}  # fmt: skip
#: The lane of everything that no other has.
REST = "rest"


def current() -> str:
    """Return the lane that this run is, as the run that started it says; empty for none."""
    return os.environ.get(LANE, "")


def title(part: str, lane: str) -> str:
    """Return what a part, or what of it is in a lane, is called in the summary."""
    return "%s %s" % (lane, part) if any(part in share for share in LANES.values()) and lane else part


def mine(lane: str, part: str, names: Sequence[str]) -> list[str]:
    """Return those of a part's tests or scenarios that are in a lane; all of them without a lane."""
    if not lane:
        return list(names)
    if lane == REST:
        taken = {name for share in LANES.values() for name in share.get(part, ())}
        return [name for name in names if name not in taken]
    wanted = LANES[lane].get(part, ())
    missing = sorted(set(wanted) - set(names))
    if missing:
        raise LookupError("lane %s names what %s does not have: %s" % (lane, part, ", ".join(missing)))
    return [name for name in names if name in wanted]


class SideLane:
    """Another ``scripts/test`` for some of the parts; its output goes into a log. ``after`` is one to wait for."""

    def __init__(
        self, names: Sequence[str], *, full: bool = False, lane: str = "", after: Optional[SideLane] = None
    ) -> None:
        self.names = list(names)
        self._lane = lane
        self._title = "%s lane" % (lane or "side")
        slug = self._title.replace(" ", "-")
        self.log: Path = places.logs("test") / (slug + ".log")
        self._counts: Path = places.logs("test") / (slug + ".json")
        self._counts.unlink(missing_ok=True)
        self._arguments = [*self.names, *(["full"] if full else [])]
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._lock = threading.Lock()
        self._is_over = False
        self._turn = threading.Thread(target=self._begin, args=(after,), daemon=True)
        self._turn.start()

    def _begin(self, after: Optional[SideLane]) -> None:
        """Start it when the one before has ended, unless nobody wants it any more."""
        if after is not None:
            after.join()
        with self._lock, self.log.open("wb") as sink:
            if self._is_over:
                return
            self._started = time.monotonic()
            self._process = subprocess.Popen(
                [sys.executable, str(places.CHECKOUT / "scripts/test"), *self._arguments],
                env=dict(os.environ, **{COUNTS: str(self._counts)}, **({LANE: self._lane} if self._lane else {})),
                cwd=places.CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def join(self) -> None:
        """Wait in silence until it has ended, and leave its exit status and its seconds to who asks for them."""
        self._turn.join()
        if self._process is not None:
            with suppress(ChildProcessError):  # somebody has asked meanwhile
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)

    def wait(self) -> list[Part]:
        """Show how it goes until it has ended; return its counts, or one failure when it left none."""
        self._turn.join()
        titles = [title(name, self._lane) for name in self.names]
        if self._process is None:
            return [Part(name, self.log.parent, failures=["%s: could not be started" % name]) for name in titles]
        begun = time.monotonic() - self._started
        console.say("\n== %s: %s, begun %.0f s ago" % (self._title, ", ".join(self.names), begun))
        console.follow(self._process, self.log, self._title)
        parts = read_counts(self._counts)
        missing = [name for name in titles if name not in (part.name for part in parts)]
        for name in missing:
            parts.append(Part(name, self.log.parent, failures=["%s: gave no counts, log %s" % (name, self.log)]))
        if any(part.failures for part in parts):
            console.say(console.tail(self.log, 200))
        return parts

    def end(self) -> None:
        """Stop it, if it is still going on or waits for its turn."""
        with self._lock:
            self._is_over = True
            if self._process is not None and self._process.poll() is None:
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
