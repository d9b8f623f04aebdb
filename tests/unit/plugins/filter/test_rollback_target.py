# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release a rollback goes to, by the record of deliveries."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.slipway.gitops.plugins.filter.rollback_target import rollback_target

Events = list[dict[str, Any]]


def images(version: str) -> list[dict[str, Any]]:
    return [{"name": "shop", "newName": None, "newTag": version, "digest": None}]


def delivered(*deliveries: str) -> Events:
    """Return events of deliveries such as ``2`` (verified), ``4!`` (rolled back), ``<1`` (a rollback to 1)."""
    events: Events = []
    for number, told in enumerate(deliveries):
        version, kind = told.strip("<!"), "rollback" if told.startswith("<") else "deploy"
        entry = {"app": "shop", "version": version, "kind": kind, "state": "queued"}
        events.append({"entry": str(number), "after": "queued", "data": {"entry": entry}})
        over: dict[str, Any] = {"entry": {"commit": "%040d" % number, "state": "over"}}
        if not told.endswith("!"):
            over["release"] = {"record": {"version": version, "images": images(version), "commit": "%040d" % number}}
        after = "rolled_back" if told.endswith("!") else "succeeded"
        events.append({"entry": str(number), "after": after, "at": "2026-01-31T09:30:02Z", "data": over})
    return events


@pytest.mark.parametrize(
    "deliveries, live, steps, wanted",
    [
        (["1", "2", "3"], "3", 1, "2"),
        (["1", "2", "3"], "3", 2, "1"),
        (["1", "2", "3", "4!"], "3", 1, "2"),
        (["1", "2", "3"], "9", 1, "3"),  # what is live was never verified: the last that was
        (["1", "2", "2", "2"], "2", 1, "1"),  # a redelivery is no step
        (["1", "2", "3", "<2"], "2", 1, "1"),  # never forth again
        (["1", "2", "3", "<2", "4"], "4", 1, "2"),
        (["1", "2", "1"], "1", 1, "2"),  # an older release delivered forward is a new one
    ],
)
def test_regression_g30_the_default_is_the_release_before(
    deliveries: list[str], live: str, steps: int, wanted: str
) -> None:
    found = rollback_target(delivered(*deliveries), "shop", live=images(live), steps=steps)
    assert (found["version"], found["images"], found["refused"]) == (wanted, images(wanted), "")


@pytest.mark.parametrize(
    "deliveries, chosen, told",
    [
        ([], {}, "no release of shop was ever verified"),
        (["1"], {}, "there are not 1 verified releases before"),
        (["1", "2"], {"steps": 5}, "recorded are 1, 2"),
        (["1", "2"], {"steps": 0}, "at least 1"),
        (["1", "4!"], {"release": "4"}, "never verified"),
        (["1"], {"release": "7"}, "verified were: 1"),
        (["1"], {"commit": "000"}, "too short"),
    ],
)
def test_no_target_is_told_and_never_guessed(deliveries: list[str], chosen: dict[str, Any], told: str) -> None:
    live = images(deliveries[-1].strip("!")) if deliveries else []
    found = rollback_target(delivered(*deliveries), "shop", live=live, **chosen)
    assert told in found["refused"]
    assert found["version"] == ""


def test_a_release_is_found_by_version_and_by_commit() -> None:
    events = delivered("1", "2", "3")
    assert rollback_target(events, "shop", release="1")["commit"] == "%040d" % 0
    assert rollback_target(events, "shop", commit=("%040d" % 1))["version"] == "2"


def test_force_takes_a_named_release_that_was_never_verified() -> None:
    found = rollback_target(delivered("1", "4!"), "shop", release="4", force=True)
    assert (found["version"], found["verified"], found["images"]) == ("4", False, [])


def test_other_applications_do_not_count() -> None:
    assert rollback_target(delivered("1", "2"), "other")["refused"]


@pytest.mark.parametrize("events, chosen", [("text", {}), ([], {"versoin": "1"})])
def test_wrong_use_is_an_error(events: Any, chosen: dict[str, Any]) -> None:
    with pytest.raises(AnsibleFilterError):
        rollback_target(events, "shop", **chosen)
