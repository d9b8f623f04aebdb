# SPDX-License-Identifier: GPL-3.0-or-later
"""The status of an environment: what it says, and when it says that a person must look."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.slipway.gitops.plugins.filter.environment_status import environment_status
from ansible_collections.slipway.gitops.plugins.filter.status_screen import duration, status_screen

COMMIT = "2f7c1d90b1d2" + "0" * 28
POD = {"name": "shop", "ready": 2, "desired": 2, "images": ["r.example.com/shop:1.4.2"], "restarts": 0}
ARGOCD = {
    "sync": {"status": "Synced", "revision": COMMIT},
    "health": "Healthy",
    "urls": ["https://shop.example.com"],
    "resources": [
        {"kind": "Deployment", "name": "shop", "sync": "Synced", "health": "Healthy"},
        {"kind": "Ingress", "name": "shop", "sync": "Synced", "health": "Healthy"},
    ],
}


def verified(**changes: Any) -> dict[str, Any]:
    at = (datetime.now(timezone.utc) - timedelta(hours=2, minutes=5)).isoformat().replace("+00:00", "Z")
    image = {"name": "r.example.com/shop", "newTag": "1.4.2", "digest": None}
    return dict({"version": "1.4.2", "commit": COMMIT, "at": at, "images": [image]}, **changes)


def facts(**changes: Any) -> dict[str, Any]:
    queue = {"last_verified": {"shop": verified()}, "holds": [], "waiting": [], "running": None, "paused": None}
    queue.update(changes.pop("queue", {}))
    gate = {"verdict": "pass", "msg": "Verified", "deployments": [POD]}
    well = {"application": "shop", "environment": "staging", "url": "https://shop.example.com/version"}
    return {**well, "queue": queue, "argocd": ARGOCD, "gate": gate, "error": "", **changes}


def test_all_is_well() -> None:
    status = environment_status(facts())
    assert (status["ok"], status["health"], status["reason"]) == (True, "healthy", "")
    assert status_screen(status) == [
        "shop on staging: HEALTHY",
        "release    1.4.2, verified 2 h ago, commit 2f7c1d90b1d2",
        "argo cd    Synced, Healthy at 2f7c1d90b1d2",
        "pods       shop 2/2 ready, r.example.com/shop:1.4.2",
        "with       Ingress/shop",
        "address    https://shop.example.com/version",
        "           https://shop.example.com",
    ]


@pytest.mark.parametrize(
    ("changes", "health", "reason"),
    [
        ({"error": "Failed to connect"}, "unknown", "Failed to connect"),
        ({"argocd": {}}, "unknown", "Argo CD knows no such Application"),
        ({"gate": {"verdict": "fail", "msg": "container ended"}}, "unhealthy", "container ended"),
        ({"gate": {"verdict": "inconclusive", "msg": "no right"}}, "unknown", "no right"),
        ({"gate": {}}, "unknown", "the gate was not asked"),
        ({"queue": {"paused": {"reason": "freeze"}}}, "healthy", "paused: freeze"),
        ({"queue": {"holds": [{"scope": "environment", "reason": "4 failed"}]}}, "healthy", "on hold: 4 failed"),
        ({"queue": {"last_verified": {}}}, "healthy", "nothing was verified here yet"),
        (
            {"gate": {"verdict": "pass", "deployments": [dict(POD, images=["r.example.com/shop:1.4.20"])]}},
            "healthy",
            "what runs is not the last verified release 1.4.2",
        ),
    ],
)
def test_a_person_must_look(changes: dict[str, Any], health: str, reason: str) -> None:
    status = environment_status(facts(**changes))
    assert (status["ok"], status["health"], status["reason"]) == (False, health, reason)
    assert status_screen(status)[:2] == ["shop on staging: %s, LOOK" % health.upper(), "why        %s" % reason]


def test_one_release_on_hold_leaves_the_environment_well() -> None:
    hold = {"scope": "release", "app": "shop", "version": "4", "reason": "crashes"}
    status = environment_status(facts(queue={"holds": [hold]}))
    assert status["ok"]
    assert "hold       shop 4: crashes" in status_screen(status)


@pytest.mark.parametrize("live", ["r.example.com/shop@sha256:" + "a" * 64, "r.example.com/shop:7"])
def test_a_release_is_told_by_digest_or_version(live: str) -> None:
    record = verified(images=[{"digest": "sha256:" + "a" * 64}]) if "@" in live else verified(version="7", images=[])
    given = facts(queue={"last_verified": {"shop": record}})
    given["gate"]["deployments"] = [dict(POD, images=[live])]
    assert environment_status(given)["ok"]


def event(entry_id: str, after: str, **data: Any) -> dict[str, Any]:
    return {
        "entry": entry_id,
        "after": after,
        "at": "2026-11-21T11:49:13.321Z",
        "reason": data.pop("reason", ""),
        "data": data,
    }


def test_deliveries_are_folded_newest_first_and_counted() -> None:
    events = [
        event("a", "succeeded", entry={"state": "succeeded"}),  # begun before what is listed
        event("b", "queued", entry={"version": "1", "app": "shop", "kind": "deploy"}),
        event("b", "claimed", entry={"state": "claimed"}),
        event("b", "succeeded", entry={}, measures={"edit": 0.5, "sync": 1.0}),
        event("", "resumed"),
        event("c", "queued", entry={"version": "4", "app": "shop", "kind": "deploy"}),
        event(
            "c", "rolled_back", entry={}, reason="crash", measures={"forward": {"sync": 2.0}, "rollback": {"sync": 3}}
        ),
    ]
    status = environment_status(facts(queue={"events": events}))
    assert [(item["version"], item["verdict"], item["seconds"]) for item in status["deliveries"]] == [
        ("4", "rolled_back", 5.0),
        ("1", "succeeded", 1.5),
    ]
    shown = status_screen(status)
    assert "last       2026-11-21 11:49  4          rolled back, 5.0 s: crash" in shown
    assert "           2026-11-21 11:49  1          verified, 1.5 s" in shown
    assert [item["version"] for item in environment_status(facts(queue={"events": events}), 1)["deliveries"]] == ["4"]
    assert environment_status(facts(queue={"events": events}), 0)["deliveries"] == []


def test_an_orphan_and_those_who_wait_are_shown() -> None:
    queue = {
        "running": {"app": "shop", "version": "3", "requested_by": "ann", "lease_lapsed": True},
        "waiting": [{"app": "shop", "version": "5", "requested_by": "bob"}],
    }
    shown = status_screen(environment_status(facts(queue=queue)))
    assert "delivering shop 3 by ann (its runner is gone: the next delivery settles it)" in shown
    assert "waiting    shop 5 by bob" in shown


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7199, "1 h"), (86400, "1 d"), (900000, "10 d")]
)
def test_durations_as_people_say_them(seconds: int, said: str) -> None:
    assert duration(seconds) == said


def test_anything_else_is_refused() -> None:
    with pytest.raises(AnsibleFilterError):
        environment_status({"environment": "staging"})
    with pytest.raises(AnsibleFilterError):
        status_screen({})
