# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark of the way back measures a delivery that failed and went back, and nothing else."""

from __future__ import annotations

import sys
from typing import Any, Optional

import pytest

from ansible_collections.slipway.gitops.tests.unit.repo import tree

sys.path.insert(0, str(tree.ROOT / "scripts"))

from lib import bench_way_back
from lib.bench_steps import EDIT, GATE, Report, Step


def report(status: int, *verdicts: str) -> Report:
    """Return a run that began at 100 and pushed at 102, with a gate of two seconds every ten seconds."""
    steps = [(EDIT, Step(102.0, 102.5, {}))]
    for at, verdict in enumerate(verdicts):
        began = 104.0 + 10 * at
        steps.append((GATE, Step(began, began + 2, {"verdict": verdict, "stable_window": 5.0})))
    return Report(status, 100.0, 120.0, tuple(steps))


def test_times_leave_the_window_out() -> None:
    times = bench_way_back._times(report(2, "fail", "pass"))
    assert times == bench_way_back.WayBack(noticed=4.0, back=5.0, window=5.0, whole=20.0)


@pytest.mark.parametrize(
    ("status", "verdicts"), [(0, ("fail", "pass")), (2, ("fail",)), (2, ("pass",)), (2, ("fail", "fail")), (2, ())]
)
def test_any_other_run_means_nothing(status: int, verdicts: tuple[str, ...]) -> None:
    with pytest.raises(RuntimeError, match="did not fail and go back"):
        bench_way_back._times(report(status, *verdicts))


@pytest.mark.parametrize(
    ("back", "forward", "met"), [(4.5, 3.0, [True, True]), (4.6, 3.0, [False, True]), (21.0, 20.0, [True, False])]
)
def test_only_the_ratio_decides(back: float, forward: float, met: list[bool]) -> None:
    targets = bench_way_back.targets(back, forward)
    assert [target.is_met for target in targets] == met
    assert [target.gates for target in targets] == [True, False]


class _Floor:
    """A branch that holds the versions in turn."""

    def __init__(self, *versions: str) -> None:
        self._versions = list(versions)
        self.settled: Optional[str] = None

    def version(self) -> str:
        return self._versions.pop(0)

    def settle(self, version: str) -> None:
        self.settled = version


def test_each_round_lifts_the_hold_and_must_end_where_it_began() -> None:
    resumed: list[int] = []
    floor: Any = _Floor("3", "3", "3", "4")

    def fail(_version: str) -> Any:
        return report(2, "fail", "pass")

    assert len(bench_way_back.measure(fail, lambda: resumed.append(1), floor, 1)) == 1
    assert floor.settled == "3"
    with pytest.raises(RuntimeError, match="did not go back to 3"):
        bench_way_back.measure(fail, lambda: resumed.append(1), floor, 1)
    assert len(resumed) == 2
