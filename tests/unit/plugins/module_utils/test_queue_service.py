# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue's promises, one by one, on a real store."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._errors import (
    BusyError,
    FencedError,
    InvalidInput,
    NotFound,
    PermanentError,
)
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.queue_support import RELEASE, Queue

DIGEST = "sha256:" + "d" * 64
OTHER_DIGEST = "sha256:" + "e" * 64


@pytest.fixture
def queue(tmp_path: Path) -> Any:
    made = Queue(tmp_path)
    yield made
    made.assert_sound()  # after every scenario: chain whole, records are what the events say


# --- entering ---


def test_enqueue_returns_the_entry_with_what_was_asked(queue: Queue) -> None:
    entry = queue.enqueue("1.4|x[y]", priority="high", digest=DIGEST, source_url="https://ci/7")
    assert (entry["version"], entry["priority"], entry["digest"]) == ("1.4|x[y]", 80, DIGEST)
    assert (entry["state"], entry["requested_by"], entry["source_url"]) == ("queued", "ci@runner", "https://ci/7")


@pytest.mark.parametrize("version", ["{{lookup('pipe','id')}}", "a|b|c", "[", "*", "';--", "$(id)", "é✓"])
def test_a_version_is_data(queue: Queue, version: str) -> None:
    queue.enqueue("other", priority="low")
    assert queue.claim(version)["entry"]["version"] == version
    assert [entry["version"] for entry in queue.staging()["waiting"]] == ["other"]


def test_the_reason_of_a_delivery_is_kept_in_its_first_event(queue: Queue) -> None:
    queue.claim("1", reason="BREAK GLASS: checkout is down")
    first, claimed = queue.staging()["events"]
    assert (first["after"], first["reason"]) == ("queued", "BREAK GLASS: checkout is down")
    assert (claimed["after"], claimed["reason"]) == ("claimed", "")


def test_environment_names_are_case_folded(queue: Queue) -> None:
    queue.enqueue(environment="Prod")
    assert queue.enqueue("2", environment="prod")["seq"] == 2


def test_same_key_returns_the_first_entry(queue: Queue) -> None:
    first = queue.call("queued", app="shop", version="1", idempotency_key="run-7")
    again = queue.call("queued", app="shop", version="1", idempotency_key="run-7")
    assert (first["changed"], again["changed"]) == (True, False)
    assert again["entry"] == first["entry"]
    with pytest.raises(PermanentError) as caught:
        queue.enqueue("2", idempotency_key="run-7")
    assert caught.value.code == "idempotency_conflict"
    assert queue.enqueue("2", idempotency_key="run-7", environment="production")["seq"] == 1


def test_same_key_finds_a_finished_entry(queue: Queue) -> None:
    queue.deliver(idempotency_key="run-7")
    assert queue.enqueue(idempotency_key="run-7")["state"] == "succeeded"
    with pytest.raises(PermanentError) as caught:
        queue.call("claimed", app="shop", version="1", idempotency_key="run-7")
    assert caught.value.code == "not_running"


def test_the_queue_has_an_end(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.slipway.gitops.plugins.module_utils._queue import intake

    monkeypatch.setattr(intake, "MAX_WAITING", 2)
    queue.enqueue("1")
    queue.enqueue("2")
    with pytest.raises(BusyError) as caught:
        queue.enqueue("3")
    assert caught.value.code == "queue_full"


# --- order and slot ---


def test_one_at_a_time_by_priority_then_arrival(queue: Queue) -> None:
    ids = {name: queue.enqueue(name, priority=name)["id"] for name in ("low", "normal", "high")}
    second_high = queue.enqueue("high2", priority="high")["id"]
    order = []
    for _turn in range(4):
        for entry_id in [*ids.values(), second_high]:
            result = queue.call("claimed", entry=entry_id) if queue.entry(entry_id).state == "queued" else {}
            if result.get("claimed"):
                order.append(result["entry"]["version"])
                with pytest.raises(BusyError):
                    queue.call("claimed", app="shop", version="x", wait_timeout=1)
                queue.call("failed", lease=result["lease"])
    assert order == ["high", "high2", "normal", "low"]


def test_a_refused_claim_says_why(queue: Queue) -> None:
    queue.claim("1", actor="ann@a")
    refused = queue.call("claimed", app="shop", version="2")
    assert (refused["claimed"], refused["blocked"]["code"], refused["position"]) == (False, "busy", 1)
    assert "ann@a" in refused["blocked"]["message"]
    assert "lease" not in refused


def test_environments_do_not_block_each_other(queue: Queue) -> None:
    assert queue.claim(environment="staging")["lease"]["fence"] == 1
    assert queue.claim(environment="production")["lease"]["fence"] == 1


def test_fences_grow_and_respect_the_floor(queue: Queue) -> None:
    fences = []
    for floor in (0, 0, 40, 7):
        claim = queue.claim(fence_floor=floor)
        fences.append(claim["lease"]["fence"])
        queue.call("failed", lease=claim["lease"])
    assert fences == [1, 2, 41, 42]


def test_not_before(queue: Queue) -> None:
    late = queue.enqueue("1", not_before="2026-01-31T12:01:00Z", priority="emergency")
    assert queue.call("claimed", entry=late["id"])["blocked"]["code"] == "not_before"
    claim = queue.claim("2", priority="low")
    queue.call("failed", lease=claim["lease"])
    queue.clock.advance(61)
    assert queue.call("claimed", entry=late["id"])["claimed"]


def test_unknown_entry_and_entry_of_another_environment(queue: Queue) -> None:
    entry = queue.enqueue(environment="production")
    for entry_id in ("01J9Z3NDEKTSV4RRFFQ69G5FAV", entry["id"]):
        for state in ("claimed", "cancelled"):
            with pytest.raises(NotFound):
                queue.call(state, entry=entry_id)


# --- waiting clients ---


def test_an_entry_expires_with_its_client_and_never_blocks_the_head(queue: Queue) -> None:
    gone = queue.enqueue("1", priority="high", waiter_ttl=30)
    queue.clock.advance(31)
    assert queue.staging()["waiting"][0]["waiter_gone"]
    assert queue.claim("2", priority="low")["claimed"]
    assert queue.entry(gone["id"]).state == "expired"
    with pytest.raises(PermanentError) as caught:
        queue.call("claimed", entry=gone["id"])
    assert caught.value.code == "not_running"


def test_asking_keeps_an_entry_alive(queue: Queue) -> None:
    queue.claim("1", lease_ttl=3600)
    entry = queue.enqueue("2", waiter_ttl=30)
    for _turn in range(10):
        queue.clock.advance(20)
        assert queue.call("claimed", entry=entry["id"], waiter_ttl=30)["blocked"]["code"] == "busy"


def test_a_detached_entry_outlives_its_client_and_is_for_workers(queue: Queue) -> None:
    queue.enqueue("1", detached=True)
    queue.clock.advance(100_000)
    assert queue.call("claimed")["entry"]["version"] == "1"


def test_a_worker_never_takes_an_entry_with_a_client(queue: Queue) -> None:
    queue.enqueue("1")
    assert queue.call("claimed")["blocked"]["code"] == "waiting"


def test_a_worker_finds_an_empty_queue(queue: Queue) -> None:
    assert queue.call("claimed")["blocked"]["code"] == "empty"


def test_expires_in(queue: Queue) -> None:
    entry = queue.enqueue("1", detached=True, expires_in=60)
    queue.clock.advance(61)
    assert queue.call("claimed")["blocked"]["code"] == "empty"
    assert queue.entry(entry["id"]).state == "expired"


def test_a_wait_ends_with_the_claim_and_reports_progress(queue: Queue) -> None:
    first = queue.claim("1", lease_ttl=3600)
    ends = queue.clock.monotonic() + 25

    def finish_in_time() -> None:
        if queue.clock.monotonic() > ends and queue.entry(first["entry"]["id"]).state == "claimed":
            queue.call("failed", lease=first["lease"])

    queue.clock.on_sleep = finish_in_time
    result = queue.claim("2", wait_timeout=60, waiter_ttl=5)
    assert 25 <= result["waited"] <= 26
    assert len(queue.lines) == 3  # at 0, 10 and 20 seconds
    assert all("shop 1 is being delivered by ci@runner" in line for line in queue.lines)


def test_a_wait_in_vain_leaves_the_queue(queue: Queue) -> None:
    queue.claim("1", lease_ttl=3600)
    with pytest.raises(BusyError) as caught:
        queue.call("claimed", app="shop", version="2", wait_timeout=30)
    assert caught.value.code == "busy"
    assert caught.value.result["own_entry"]["state"] == "expired"
    assert queue.staging()["waiting"] == []


# --- leases, fences, orphans ---


def test_stale_holder_is_fenced(queue: Queue) -> None:
    """A holder that slept beyond its lease cannot end, renew or requeue what another one took over."""
    stale = queue.claim("1", actor="slow@a")["lease"]
    queue.clock.advance(121)
    taken = queue.call("claimed", app="shop", version="2", actor="next@b")
    assert (taken["recovery"], taken["entry"]["id"]) == (True, stale["entry"])
    assert taken["own_entry"]["version"] == "2"
    assert taken["lease"]["fence"] > stale["fence"]
    for state, more in (
        ("claimed", {}), ("claimed", {"phase": "git"}), ("succeeded", {"release": RELEASE}), ("failed", {}),
        ("rolled_back", {}), ("requeued", {}), ("cancelled", {}),
    ):  # fmt: skip
        with pytest.raises(FencedError):
            queue.call(state, lease=stale, **more)
    assert queue.entry(stale["entry"]).fence == taken["lease"]["fence"]
    queue.call("failed", lease=taken["lease"])
    assert queue.call("claimed", entry=taken["own_entry"]["id"])["claimed"]


@pytest.mark.parametrize("changes", [{"token": "0" * 32}, {"fence": 99}, {"entry": "01J9Z3NDEKTSV4RRFFQ69G5FAV"}])
def test_forged_lease_is_fenced(queue: Queue, changes: dict[str, Any]) -> None:
    lease = queue.claim()["lease"]
    with pytest.raises(FencedError):
        queue.call("failed", lease={**lease, **changes})
    assert queue.entry(lease["entry"]).state == "claimed"


def test_renewal_keeps_the_lease_and_a_late_one_counts_until_somebody_takes_over(queue: Queue) -> None:
    lease = queue.claim(lease_ttl=60)["lease"]
    for seconds in (59, 59, 200):
        queue.clock.advance(seconds)
        renewed = queue.call("claimed", lease=lease)
        assert (renewed["claimed"], renewed["changed"], renewed["lease_remaining"]) == (True, False, 60)
        assert "lease" not in renewed  # a no_log value must not come back masked
    assert queue.call("claimed", app="shop", version="2")["blocked"]["code"] == "busy"


def test_renewal_notes_phase_and_commit_for_recovery(queue: Queue) -> None:
    lease = queue.claim()["lease"]
    assert queue.call("claimed", lease=lease, phase="git")["changed"]
    assert not queue.call("claimed", lease=lease, phase="git")["changed"]
    queue.call("claimed", lease=lease, phase="sync", commit="c" * 40)
    queue.clock.advance(121)
    orphan = queue.call("claimed", app="shop", version="2")["entry"]
    assert (orphan["phase"], orphan["commit"]) == ("sync", "c" * 40)


def test_status_reports_a_lapsed_lease_and_leaves_it(queue: Queue) -> None:
    claim = queue.claim()
    queue.clock.advance(121)
    running = queue.staging()["running"]
    assert (running["state"], running["lease_lapsed"], running["lease_remaining"]) == ("claimed", True, 0.0)
    assert queue.call("claimed", lease=claim["lease"])["claimed"]


def test_a_restart_orphans_every_lease_at_once(queue: Queue) -> None:
    claim = queue.claim(lease_ttl=3600)
    waiting = queue.enqueue("2")
    queue.clock.restart(away_s=1)
    taken = queue.call("claimed", app="shop", version="3")
    assert (taken["recovery"], taken["entry"]["id"]) == (True, claim["entry"]["id"])
    assert queue.entry(waiting["id"]).state == "expired"


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_the_wall_clock_does_not_touch_leases(queue: Queue, step_s: int) -> None:
    lease = queue.claim(lease_ttl=60)["lease"]
    queue.clock.wall_s += step_s
    assert queue.call("claimed", app="shop", version="2")["blocked"]["code"] == "busy"
    queue.clock.advance(61)
    assert queue.call("claimed", app="shop", version="2")["recovery"]
    with pytest.raises(FencedError):
        queue.call("failed", lease=lease)


def test_time_goes_on_through_restarts_and_never_back(queue: Queue) -> None:
    queue.enqueue("1", detached=True)
    seen = []
    for away_s in (60, -7200, 0):
        queue.clock.restart(away_s)
        queue.enqueue("x", detached=True)
        with queue.store.read() as tx:
            seen.append(tx.now)
    assert seen == sorted(seen)
    assert seen[0] >= 60_000


def test_attempts_used_up_fail_the_entry_and_pause(queue: Queue) -> None:
    claim = queue.claim(max_attempts=2)
    for _turn in range(2):
        queue.clock.advance(121)
        result = queue.call("claimed", app="shop", version="2")
    assert result["blocked"]["code"] == "paused"
    poison = queue.entry(claim["entry"]["id"])
    assert (poison.state, poison.attempt) == ("failed", 2)
    assert "2 attempts" in queue.staging()["paused"]["reason"]
    queue.call("resumed")
    assert queue.call("claimed", entry=result["own_entry"]["id"])["claimed"]


def test_breaking_a_lease_fences_the_holder(queue: Queue) -> None:
    first = queue.claim()
    taken = queue.call("claimed", app="shop", version="2", force=True, reason="runner is gone", actor="ann@a")
    assert (taken["recovery"], taken["entry"]["id"]) == (True, first["entry"]["id"])
    assert taken["lease"]["fence"] == first["lease"]["fence"] + 2
    with pytest.raises(FencedError):
        queue.call("claimed", lease=first["lease"])
    reasons = [event["reason"] for event in queue.staging()["events"] if event["actor"] == "ann@a"]
    assert "lease broken: runner is gone" in reasons


def test_breaking_a_lease_in_a_paused_environment_grants_nothing(queue: Queue) -> None:
    first = queue.claim()
    queue.call("paused", reason="look")
    result = queue.call("claimed", app="shop", version="2", force=True, reason="gone")
    assert (result["claimed"], result["changed"], result["blocked"]["code"]) == (False, True, "paused")
    assert queue.entry(first["entry"]["id"]).state == "orphaned"


def test_lost_answer_to_a_claim_is_had_again_with_its_id(queue: Queue) -> None:
    lost = queue.claim(claim_id="f00d" * 8)
    assert queue.call("claimed", entry=lost["entry"]["id"], claim_id="other")["blocked"]["code"] == "busy"
    again = queue.call("claimed", entry=lost["entry"]["id"], claim_id="f00d" * 8)
    assert (again["claimed"], again["reclaimed"], again["recovery"]) == (True, True, False)
    assert again["entry"]["attempt"] == 1
    assert again["lease"]["fence"] == lost["lease"]["fence"] + 1
    with pytest.raises(FencedError):
        queue.call("failed", lease=lost["lease"])


def test_lost_answer_to_a_finish_changes_nothing_the_second_time(queue: Queue) -> None:
    lease = queue.claim()["lease"]
    first = queue.call("succeeded", lease=lease, release=RELEASE)
    again = queue.call("succeeded", lease=lease, release=RELEASE)
    assert (first["changed"], again["changed"]) == (True, False)
    with pytest.raises(FencedError) as caught:
        queue.call("failed", lease=lease)
    assert caught.value.code == "not_running"


def test_tokens_are_stored_only_as_hashes(queue: Queue) -> None:
    claim = queue.claim(claim_id="my-secret-claim")
    queue.call("claimed", lease=claim["lease"], phase="git")
    content = queue.path.read_bytes()
    assert claim["lease"]["token"].encode() not in content
    assert b"my-secret-claim" not in content
    assert claim["lease"]["token"] not in str(queue.info(events=100))


# --- ends ---


def test_success_records_the_verified_release(queue: Queue) -> None:
    claim = queue.claim("1", digest=DIGEST)
    done = queue.call("succeeded", lease=claim["lease"], release=RELEASE, measures={"phases": {"git": 1.5}})
    record = done["last_verified"]["shop"]
    assert {name: record[name] for name in RELEASE} == RELEASE
    assert (record["entry"], record["fence"]) == (claim["entry"]["id"], 1)
    event = queue.staging()["events"][-1]
    assert event["data"]["measures"] == {"phases": {"git": 1.5}}
    assert queue.claim("2")["last_verified"]["shop"] == record


def test_success_of_another_version_is_refused(queue: Queue) -> None:
    lease = queue.claim("2")["lease"]
    with pytest.raises(InvalidInput) as caught:
        queue.call("succeeded", lease=lease, release=RELEASE)
    assert caught.value.option == "release"
    assert queue.entry(lease["entry"]).state == "claimed"


def test_rollback_restores_the_last_verified_release_and_holds_the_bad_one(queue: Queue) -> None:
    queue.deliver("1")
    lease = queue.claim("2")["lease"]
    result = queue.call("rolled_back", lease=lease, commit="b" * 40, hold_scope="release", reason="gate failed")
    record = result["last_verified"]["shop"]
    assert (record["version"], record["images"], record["commit"]) == ("1", RELEASE["images"], "b" * 40)
    assert result["environment"]["holds"][0]["version"] == "2"
    with pytest.raises(BusyError) as caught:
        queue.enqueue("2")
    assert (caught.value.code, "gate failed" in str(caught.value)) == ("held", True)
    assert queue.claim("3")["claimed"]


def test_rollback_to_something_else_is_refused(queue: Queue) -> None:
    queue.deliver("1")
    lease = queue.claim("2")["lease"]
    for release in (dict(RELEASE, version="0"), dict(RELEASE, images=[{"name": "shop", "newTag": "0"}])):
        with pytest.raises(InvalidInput):
            queue.call("rolled_back", lease=lease, release=release)
    same = dict(RELEASE, images=[{"name": "shop", "newTag": "1", "digest": ""}])
    assert queue.call("rolled_back", lease=lease, release=same)["changed"]


def test_rollback_needs_a_verified_release(queue: Queue) -> None:
    lease = queue.claim("2")["lease"]
    with pytest.raises(PermanentError) as caught:
        queue.call("rolled_back", lease=lease)
    assert caught.value.code == "no_verified_release"


def test_failure_keeps_the_last_verified_release(queue: Queue) -> None:
    queue.deliver("1")
    lease = queue.claim("2")["lease"]
    failed = queue.call("failed", lease=lease, error="x" * 10_000, error_class="unhealthy", reason="line\nbreak")
    assert failed["last_verified"]["shop"]["version"] == "1"
    assert (len(failed["entry"]["error"]), failed["entry"]["reason"]) == (4096, "line break")


def test_adoption_records_a_baseline_and_outdates_nothing(queue: Queue) -> None:
    wish = queue.enqueue("2")
    adopted = queue.claim("1", kind="adopt", priority="high")
    queue.call("succeeded", lease=adopted["lease"], release=RELEASE)
    claim = queue.call("claimed", entry=wish["id"])
    assert (claim["claimed"], claim["last_verified"]["shop"]["version"]) == (True, "1")


def test_older_wish_is_superseded_by_a_newer_success(queue: Queue) -> None:
    old = queue.enqueue("1", priority="low")
    rollback = queue.enqueue("0", priority="low", kind="rollback")
    other = queue.enqueue("1", app="other", priority="low")
    newer = queue.deliver("2", priority="high")["entry"]
    with pytest.raises(BusyError) as caught:
        queue.call("claimed", entry=old["id"])
    assert caught.value.code == "superseded"
    queue.call("queued", app="shop", version="3")
    assert queue.entry(old["id"]).superseded_by == newer["id"]
    assert queue.entry(rollback["id"]).state == "queued"
    assert queue.entry(other["id"]).state == "queued"


def test_requeue_goes_to_the_tail_and_backs_off(queue: Queue) -> None:
    claim = queue.claim("1")
    other = queue.enqueue("2", waiter_ttl=600)
    back = queue.call("requeued", lease=claim["lease"], error_class="transient", reason="registry is down")
    assert (back["entry"]["state"], back["entry"]["fence"]) == ("queued", 1)
    assert queue.call("claimed", entry=claim["entry"]["id"])["blocked"]["code"] == "not_before"
    with pytest.raises(FencedError):
        queue.call("failed", lease=claim["lease"])
    queue.clock.advance(31)
    assert queue.call("claimed", entry=claim["entry"]["id"])["blocked"]["code"] == "waiting"
    second = queue.call("claimed", entry=other["id"])
    queue.call("failed", lease=second["lease"])
    third = queue.call("claimed", entry=claim["entry"]["id"])
    assert (third["claimed"], third["recovery"], third["entry"]["attempt"]) == (True, False, 2)


def test_requeue_after_the_last_attempt_is_refused(queue: Queue) -> None:
    lease = queue.claim(max_attempts=1)["lease"]
    with pytest.raises(PermanentError) as caught:
        queue.call("requeued", lease=lease)
    assert caught.value.code == "attempts_used_up"


# --- people ---


def test_cancel_a_waiting_entry_once(queue: Queue) -> None:
    entry = queue.enqueue()
    first = queue.call("cancelled", entry=entry["id"], reason="wrong one")
    again = queue.call("cancelled", entry=entry["id"])
    assert (first["changed"], first["entry"]["state"], again["changed"]) == (True, "cancelled", False)


def test_cancel_asks_a_holder_who_ends_it(queue: Queue) -> None:
    claim = queue.claim()
    asked = queue.call("cancelled", entry=claim["entry"]["id"])
    assert (asked["changed"], asked["entry"]["state"]) == (True, "claimed")
    assert not queue.call("cancelled", entry=claim["entry"]["id"])["changed"]
    assert queue.call("claimed", lease=claim["lease"])["cancel_requested"]
    assert queue.call("cancelled", lease=claim["lease"])["entry"]["state"] == "cancelled"


def test_a_wish_to_cancel_reaches_the_one_who_recovers(queue: Queue) -> None:
    claim = queue.claim()
    queue.clock.advance(121)
    queue.call("cancelled", entry=claim["entry"]["id"])
    recovered = queue.call("claimed", app="shop", version="2")
    assert (recovered["recovery"], recovered["cancel_requested"]) == (True, True)


def test_an_entry_put_back_although_it_should_stop_can_be_cancelled(queue: Queue) -> None:
    claim = queue.claim()
    queue.call("cancelled", entry=claim["entry"]["id"])
    queue.call("requeued", lease=claim["lease"], error_class="transient", reason="registry is down")
    cancelled = queue.call("cancelled", entry=claim["entry"]["id"])
    assert (cancelled["changed"], cancelled["entry"]["state"]) == (True, "cancelled")


def test_cancel_of_a_finished_entry_is_refused(queue: Queue) -> None:
    done = queue.deliver()
    with pytest.raises(PermanentError) as caught:
        queue.call("cancelled", entry=done["entry"]["id"])
    assert caught.value.code == "not_running"


def test_pause_lets_run_what_runs_and_nothing_begin(queue: Queue) -> None:
    claim = queue.claim("1")
    first = queue.call("paused", reason="maintenance", actor="ann@a")
    again = queue.call("paused", reason="maintenance", actor="ann@a")
    assert (first["changed"], again["changed"]) == (True, False)
    queue.call("succeeded", lease=claim["lease"], release=RELEASE)
    refused = queue.call("claimed", app="shop", version="2")
    assert (refused["claimed"], refused["blocked"]["code"]) == (False, "paused")
    assert "ann@a" in refused["blocked"]["message"]
    with pytest.raises(BusyError) as caught:
        queue.call("claimed", entry=refused["own_entry"]["id"], wait_timeout=3)
    assert caught.value.code == "paused"
    assert [queue.call("resumed")["changed"] for _turn in range(2)] == [True, False]
    assert queue.claim("3")["claimed"]


def test_a_pause_ends_by_itself(queue: Queue) -> None:
    queue.call("paused", reason="an hour", expires_in=3600)
    entry = queue.call("claimed", app="shop", version="1", waiter_ttl=3600)["own_entry"]
    queue.clock.advance(3599)
    assert queue.call("claimed", entry=entry["id"])["blocked"]["code"] == "paused"
    queue.clock.advance(2)
    assert queue.call("claimed", entry=entry["id"])["claimed"]


@pytest.mark.parametrize(
    "hold, refused, allowed",
    [
        ({"version": "2"}, [{"version": "2"}, {"version": "2", "kind": "rollback"}], [{"version": "3"}]),
        (
            {"version": "2", "digest": DIGEST},
            [{"version": "9", "digest": DIGEST}],
            [{"version": "2", "digest": OTHER_DIGEST}],
        ),
        ({"digest": DIGEST}, [{"version": "2", "digest": DIGEST}], [{"version": "2"}]),
    ],
)  # fmt: skip
def test_a_held_release_is_refused_and_a_fix_goes_forward(
    queue: Queue, hold: dict[str, Any], refused: list[dict[str, Any]], allowed: list[dict[str, Any]]
) -> None:
    queue.call("held", hold_scope="release", app="shop", reason="bad", **hold)
    for wish in refused:
        with pytest.raises(BusyError) as caught:
            queue.call("queued", app="shop", **wish)
        assert caught.value.code == "held"
    for wish in allowed:
        assert queue.call("queued", app="shop", **wish)["changed"]
    assert queue.call("queued", app="other", **refused[0])["changed"]


def test_a_hold_reaches_entries_that_wait_already(queue: Queue) -> None:
    bad = queue.enqueue("2", priority="high")
    queue.call("held", hold_scope="release", app="shop", version="2", reason="bad")
    assert queue.claim("3", priority="low")["claimed"]
    assert queue.call("claimed", entry=bad["id"])["blocked"]["code"] == "held"
    with pytest.raises(BusyError) as caught:
        queue.call("claimed", entry=bad["id"], wait_timeout=600)
    assert caught.value.code == "held"
    assert caught.value.result["waited"] == 0  # a person has to decide; nobody waits for that


def test_a_held_environment_refuses_everything_until_resumed(queue: Queue) -> None:
    queue.deliver("1")
    waiting = queue.enqueue("3", waiter_ttl=3600)
    lease = queue.claim("2", priority="high")["lease"]
    queue.call("failed", lease=lease, hold_scope="environment", reason="way back failed")
    assert queue.call("claimed", entry=waiting["id"])["blocked"]["code"] == "held"
    for app in ("shop", "other"):
        with pytest.raises(BusyError):
            queue.enqueue("4", app=app)
    assert queue.call("resumed", reason="fixed by hand")["environment"]["holds"] == []
    assert queue.call("claimed", entry=waiting["id"])["claimed"]


def test_resume_of_one_release_keeps_the_other_holds(queue: Queue) -> None:
    for version in ("2", "3"):
        queue.call("held", hold_scope="release", app="shop", version=version, reason="bad")
    assert not queue.call("held", hold_scope="release", app="shop", version="2", reason="again")["changed"]
    left = queue.call("resumed", app="shop", version="2")["environment"]["holds"]
    assert [hold["version"] for hold in left] == ["3"]
    assert not queue.call("resumed", app="shop", version="2")["changed"]


# --- check mode, diff, info ---


def fingerprint(queue: Queue) -> dict[str, str]:
    files = sorted(queue.path.parent.iterdir()) if queue.path.parent.exists() else []
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() + str(path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize(
    "state, options, changed",
    [
        ("queued", {"app": "shop", "version": "9"}, True),
        ("claimed", {"app": "shop", "version": "9", "wait_timeout": 60}, True),
        ("paused", {"reason": "x"}, True),
        ("resumed", {}, False),
        ("held", {"reason": "x", "hold_scope": "environment"}, True),
    ],
)
def test_check_mode_changes_no_byte(queue: Queue, state: str, options: dict[str, Any], changed: bool) -> None:
    for _turn in range(2):  # without a store, then with one
        before = fingerprint(queue)
        result = queue.call(state, check=True, diff=True, **options)
        assert (result["changed"], "lease" in result) == (changed, False)
        assert fingerprint(queue) == before
        queue.enqueue(environment="other")


def test_check_mode_of_a_holder(queue: Queue) -> None:
    lease = queue.claim()["lease"]
    before = fingerprint(queue)
    predicted = queue.call("succeeded", check=True, lease=lease, release=RELEASE)
    assert fingerprint(queue) == before
    real = queue.call("succeeded", lease=lease, release=RELEASE)
    assert (predicted["changed"], predicted["entry"]["state"]) == (real["changed"], real["entry"]["state"])


@pytest.mark.parametrize("state, options", [("resumed", {}), ("failed", {"lease": True})])
def test_what_adds_nothing_makes_no_store(tmp_path: Path, state: str, options: dict[str, Any]) -> None:
    queue = Queue(tmp_path)
    if options.get("lease"):
        lease = {"path": str(queue.path), "environment": "staging", "entry": "0" * 26, "fence": 1, "token": "x"}
        with pytest.raises(FencedError):
            queue.call(state, lease=lease)
    else:
        assert not queue.call(state)["changed"]
    assert not queue.path.parent.exists()


def test_diff_shows_only_what_differs(queue: Queue) -> None:
    queue.enqueue("0", priority="low")
    lease = queue.claim("1")["lease"]
    diff = queue.call("failed", diff=True, lease=lease)["diff"]
    assert [list(diff[side]["entries"]) for side in ("before", "after")] == [[lease["entry"]]] * 2
    states = [diff[side]["entries"][lease["entry"]]["state"] for side in ("before", "after")]
    assert states == ["claimed", "failed"]


def test_info_of_what_never_was(queue: Queue) -> None:
    assert queue.info()["environments"] == []
    assert queue.info()["store"] == {"path": str(queue.path), "exists": False, "schema_version": None}
    empty = queue.info(environment="Staging", environments=["staging"])["environments"][0]
    assert (empty["name"], empty["running"], empty["waiting"], empty["last_verified"]) == ("staging", None, [], {})
    queue.enqueue()
    with pytest.raises(NotFound):
        queue.info(environment="production")


def test_info_shows_one_app(queue: Queue) -> None:
    queue.deliver("1")
    queue.claim("2", app="other")
    queue.enqueue("3")
    shown = queue.info(environment="staging", app="shop", events=1)["environments"][0]
    assert (shown["running"], list(shown["last_verified"]), len(shown["events"])) == (None, ["shop"], 1)
    assert [(entry["app"], entry["position"]) for entry in shown["waiting"]] == [("shop", 1)]


def test_ten_thousand_waiting_entries_are_shown_and_ordered_quickly(queue: Queue) -> None:
    import time

    queue.enqueue("first", detached=True)
    with queue.store.write() as tx:
        from ansible_collections.slipway.gitops.plugins.module_utils._queue.intake import _new_entry
        from ansible_collections.slipway.gitops.plugins.module_utils._queue.model import Change
        from ansible_collections.slipway.gitops.plugins.module_utils._queue.request import Wish

        environment = tx.environment("staging")
        wish = Wish("staging", "shop", "x", "", "deploy", 50, True, None, 3, 0.0, 0, "")
        for _turn in range(9_998):
            entry = _new_entry(tx, environment, wish, "ci", 120)
            grown = type(environment)(**{**environment.__dict__, "seq": entry.seq})
            tx.record(Change(environment, grown, "ci", entry=entry))
            environment = grown
    started = time.monotonic()
    assert len(queue.staging()["waiting"]) == 9_999
    assert queue.call("claimed")["entry"]["version"] == "first"
    assert time.monotonic() - started < 5
