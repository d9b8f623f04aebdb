# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of the role deploy: what an operator reads at the end of a delivery."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.slipway.gitops.plugins.filter.delivery_summary import delivery_summary
from ansible_collections.slipway.gitops.plugins.filter.image_references import image_references

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"name": "r/shop", "newTag": "2"}, ["r/shop:2"]),
        ({"name": "shop", "newName": "r:5000/shop", "newTag": "1.10"}, ["r:5000/shop:1.10"]),
        ({"name": "shop", "new_name": "r/shop", "new_tag": "1.10"}, ["r/shop:1.10"]),
        ({"name": "shop", "newTag": "2", "digest": DIGEST}, ["shop@" + DIGEST]),
        ({"name": "shop", "newName": None, "newTag": None, "digest": None}, []),
    ],
)
def test_references(entry: dict[str, Any], expected: list[str]) -> None:
    assert image_references([entry]) == expected


def test_references_of_something_else_are_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="list of image entries"):
        image_references({"name": "shop"})


BASE: dict[str, Any] = {"application": "shop", "requested": "4", "environment": "staging"}


def test_a_verified_delivery() -> None:
    result = dict(BASE, verdict="verified", release="4", commit="c" * 40, measures={"edit": 0.25, "sync": "1.5"})
    assert delivery_summary(result) == [
        "shop 4 on staging: VERIFIED LIVE",
        "commit     " + "c" * 40,
        "seconds    edit 0.2, sync 1.5; 1.8 s in all",
    ]


def test_a_rollback_names_cause_hint_and_last_words() -> None:
    failure = {
        "message": "container app ended with exit code 1",
        "measures": {"edit": 1},
        "diagnosis": {"hint": "Read its log.", "log": {"container": "app", "lines": ["start", "no database"]}},
    }
    result = dict(BASE, verdict="rolled_back", release="2", commit="", measures={"edit": 2}, failure=failure)
    lines = delivery_summary(result)
    assert lines[0] == "shop 4 on staging: ROLLED BACK to 2, which is verified live"
    assert "why        container app ended with exit code 1" in lines
    assert "hint       Read its log." in lines
    assert lines[-2:] == ["           | start", "           | no database"]
    assert [line.split()[0] for line in lines[1:3]] == ["forward", "rollback"]


def test_a_failed_way_back_tells_both_messages() -> None:
    result = dict(BASE, verdict="failed", message="rollback broke", failure={"message": "gate failed"})
    assert delivery_summary(result)[1:] == ["why        gate failed", "then       rollback broke"]


def test_an_unknown_verdict_is_shown_as_it_is() -> None:
    assert delivery_summary(dict(BASE, verdict="odd"))[0].endswith(": ODD")


def test_anything_else_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="deploy_result"):
        delivery_summary({})
