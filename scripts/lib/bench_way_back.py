# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back of a delivery that fails, beside the forward deliveries of the same run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Sequence

from . import console
from .bench_floor import Floor
from .bench_steps import EDIT, GATE, Report
from .measures import Series, Target

#: The release of the sample that crashes at its start.
CRASHES = "4"
#: The goals, without the stability window: seconds in the local world, and so many times the way forward.
LIMIT_S, TIMES = 20.0, 1.5
TITLE = "way back: failed gate to verified, window not counted"


@dataclass(frozen=True)
class WayBack:
    """Seconds of one delivery that failed. The stability window is in ``window`` and ``whole`` only."""

    noticed: float
    back: float
    window: float
    whole: float


def measure(fail: Callable[[str], Report], resume: Callable[[], None], floor: Floor, rounds: int) -> list[WayBack]:
    """Deliver the release that crashes again and again; each time the one before must be verified again."""
    found = []
    for at in range(1, rounds + 1):
        good = floor.version()
        report = fail(CRASHES)
        resume()
        found.append(_times(report))
        if floor.version() != good:
            raise RuntimeError("the delivery of %s did not go back to %s" % (CRASHES, good))
        floor.settle(good)
        console.say(
            "  round %d of %d: a release that crashes: noticed after %.2f s, back in %.2f s, whole run %.1f s"
            % (at, rounds, found[-1].noticed, found[-1].back, found[-1].whole)
        )
    return found


def _times(report: Report) -> WayBack:
    gates = report.all(GATE)
    if report.status == 0 or [step.result.get("verdict") == "pass" for step in gates] != [False, True]:
        raise RuntimeError("the delivery of %s did not fail and go back as it should" % CRASHES)
    failed, passed = gates
    window = float(passed.result["stable_window"])
    return WayBack(
        noticed=failed.ended - report.all(EDIT)[0].began,
        back=passed.ended - window - failed.ended,
        window=window,
        whole=report.ended - report.began,
    )


def series(times: Sequence[WayBack]) -> list[Series]:
    """Return the figures as they are printed and kept."""
    titles = {
        "noticed": "way back: push to failed gate",
        "back": TITLE,
        "window": "way back: stability window",
        "whole": "way back: the whole run of ansible-playbook",
    }
    return [
        Series(title, "s", [getattr(item, name) for item in times], name not in ("back", "whole"))
        for name, title in titles.items()
    ]


def targets(back_s: float, forward_s: float) -> list[Target]:
    """Return the goals. Only the ratio decides: seconds are those of one machine."""
    ratio = back_s / forward_s
    times = Target(
        "way back at most %g times the delivery" % TIMES, "%.2f s, %.2f times" % (back_s, ratio), ratio <= TIMES, True
    )
    seconds = Target("way back at most %g s" % LIMIT_S, "%.2f s" % back_s, back_s <= LIMIT_S, False)
    return [times, seconds]
