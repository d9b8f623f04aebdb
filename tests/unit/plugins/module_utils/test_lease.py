# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping a lease: when it is renewed, and when a write may begin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Optional

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._clock import SystemClock
from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry._lease import lease_of
from ansible_collections.slipway.gitops.plugins.module_utils._entry.deploy_queue import ENTRY, run
from ansible_collections.slipway.gitops.plugins.module_utils._errors import FencedError, TransientError
from ansible_collections.slipway.gitops.plugins.module_utils._lease import LeaseKeeper, NoLease, Renewal
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.queue_support import SteeredClock, checked


class Keeper:
    """A keeper of a 120 s lease with every renewal on record, at a store that fails on demand."""

    def __init__(self) -> None:
        self.clock = SteeredClock()
        self.started = self.clock.monotonic()
        self.renewals: list[float] = []
        self.fault: Optional[Exception] = None
        self.slowness_s = 0.0
        self.cancel = False
        self.lease = LeaseKeeper(7, "E", 120, self._renew, self.clock)

    def _renew(self) -> Renewal:
        self.renewals.append(round(self.clock.monotonic() - self.started))
        self.clock.advance(self.slowness_s)
        if self.fault:
            raise self.fault
        return Renewal(120.0, self.cancel)


BUSY = TransientError("lock", "store", "busy")


def test_renews_at_once_then_every_third() -> None:
    keeper = Keeper()
    for _turn in range(121):
        keeper.lease.renew_if_due()
        keeper.clock.advance(1)
    assert keeper.renewals == [0, 40, 80, 120]


def test_require_renews_when_too_little_is_left() -> None:
    keeper = Keeper()
    keeper.lease.require(10)
    keeper.clock.advance(39)
    keeper.lease.require(30)
    assert keeper.renewals == [0]
    keeper.lease.require(60)
    assert keeper.renewals == [0, 39]


def test_a_write_longer_than_two_thirds_is_never_begun() -> None:
    keeper = Keeper()
    keeper.lease.require(79)
    with pytest.raises(FencedError) as caught:
        keeper.lease.require(81)
    assert caught.value.code == "lease_short"


def test_time_is_counted_from_before_the_question() -> None:
    keeper = Keeper()
    keeper.slowness_s = 30
    with pytest.raises(FencedError):
        keeper.lease.require(51)


def test_a_silent_store_is_asked_again_until_two_thirds_are_gone() -> None:
    keeper = Keeper()
    keeper.lease.renew_if_due()
    keeper.fault = BUSY
    lost_at = None
    for second in range(1, 120):
        keeper.clock.advance(1)
        try:
            keeper.lease.renew_if_due()
        except FencedError as error:
            lost_at = (second, error.code)
            break
    assert lost_at == (80, "lease_lost")
    assert keeper.renewals == [0, *range(40, 81, 4)]


def test_a_store_that_comes_back_keeps_the_lease() -> None:
    keeper = Keeper()
    keeper.lease.renew_if_due()
    keeper.fault = BUSY
    keeper.clock.advance(60)
    keeper.lease.renew_if_due()
    with pytest.raises(FencedError):
        keeper.lease.require(30)
    keeper.fault = None
    keeper.lease.require(30)
    assert keeper.renewals == [0, 60, 60, 60]


def test_without_one_answer_nothing_is_begun() -> None:
    keeper = Keeper()
    keeper.fault = BUSY
    with pytest.raises(FencedError):
        keeper.lease.require(0)


def test_lost_is_lost() -> None:
    keeper = Keeper()
    keeper.fault = FencedError("use", "the lease")
    for _turn in range(2):
        with pytest.raises(FencedError):
            keeper.lease.renew_if_due()


def test_a_wish_to_cancel_is_passed_on() -> None:
    keeper = Keeper()
    keeper.cancel = True
    keeper.lease.renew_if_due()
    assert keeper.lease.cancel_requested


def claim(path: Path, **more: Any) -> dict[str, Any]:
    options = {"state": "claimed", "environment": "staging", "app": "shop", "version": "1", "path": str(path), **more}
    return run(checked(ENTRY, options), Context(env={"HOME": str(path.parent), "USER": "ci"}))


def test_the_lease_of_a_real_claim_survives_templating_and_is_fenced(tmp_path: Path) -> None:
    path = tmp_path / "queue" / "queue.db"
    given = json.loads(json.dumps(claim(path)["lease"]))
    assert all(isinstance(value, (str, int)) for value in given.values())
    as_text = {name: str(value) for name, value in given.items()}
    options = checked(ENTRY, {"state": "claimed", "lease": as_text})["lease"]
    lease = lease_of({"lease": options}, Context())
    lease.require(10)
    assert (lease.fence, lease.entry) == (1, given["entry"])
    claim(path, version="2", force=True, reason="test")
    late = lease_of({"lease": options}, Context())
    with pytest.raises(FencedError):
        late.require(10)


@pytest.mark.parametrize("params, check", [({}, False), ({"lease": None}, False), ({"lease": {"fence": 1}}, True)])
def test_no_lease_asks_nothing(params: dict[str, Any], check: bool) -> None:
    lease = lease_of(params, Context(check_mode=check))
    lease.renew_if_due()
    lease.require(10**9)
    assert isinstance(lease, NoLease)
    assert (lease.fence, lease.entry, lease.cancel_requested) == (0, "", False)


def test_a_lease_of_a_store_that_is_not_there_is_fenced(tmp_path: Path) -> None:
    options = {
        "backend": "sqlite", "path": str(tmp_path / "queue.db"), "environment": "staging", "entry": "0" * 26,
        "fence": 1, "token": "x", "ttl": 120,
    }  # fmt: skip
    with pytest.raises(FencedError):
        lease_of({"lease": options}, Context()).require(1)
    assert list(tmp_path.iterdir()) == []


def test_system_clock_never_waits_for_negative_times() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    clock.sleep(-5)
    assert clock.monotonic() - before < 1
