# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input of deploy_queue: refused with the option's name before anything is touched."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry import deploy_queue, deploy_queue_info
from ansible_collections.slipway.gitops.plugins.module_utils._entry._queue_ports import default_path
from ansible_collections.slipway.gitops.plugins.module_utils._errors import InvalidInput

NEW = {"state": "queued", "environment": "staging", "app": "shop", "version": "1"}
LEASE = {"path": "X", "environment": "staging", "entry": "01J9Z3NDEKTSV4RRFFQ69G5FAV", "fence": 1, "token": "a" * 32}
DONE = {"state": "succeeded", "lease": LEASE, "release": {"version": "1", "images": [{"name": "shop"}]}}
HELD = {"state": "held", "environment": "staging", "reason": "bad"}


def but(base: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return ``base`` with changes; None takes an option away."""
    merged = {**copy.deepcopy(base), **changes}
    return {name: value for name, value in merged.items() if value is not None}


def lease(**changes: Any) -> dict[str, Any]:
    return but(LEASE, **changes)


BAD = [
    ("environment", but(NEW, environment=None)),
    ("environment", but(NEW, environment="")),
    ("environment", but(NEW, environment="../x")),
    ("environment", but(NEW, environment="e" * 64)),
    ("environment", but(NEW, environment="staging\n")),
    ("environment", but(NEW, environment="-x")),
    ("environment", but(NEW, environment="stagin\u0261")),
    ("environment", but(NEW, environments=["dev", "production"])),
    ("environment", but(NEW, environments=[])),
    ("environment", but(DONE, environment="production")),
    ("app", but(NEW, app=None)),
    ("app", but(NEW, app="")),
    ("app", but(NEW, app="Shop")),
    ("app", but(NEW, app="a/b")),
    ("app", but(NEW, app="a" * 254)),
    ("app", but(NEW, state="claimed", app=None)),
    ("version", but(NEW, state="claimed", version=None)),
    ("version", but(NEW, version=None)),
    ("version", but(NEW, version="")),
    ("version", but(NEW, version="1 2")),
    ("version", but(NEW, version="-1")),
    ("version", but(NEW, version="1\x00")),
    ("version", but(NEW, version="1\r\n")),
    ("version", but(NEW, version="1\u202e")),
    ("version", but(NEW, version="v" * 129)),
    ("digest", but(NEW, digest="")),
    ("digest", but(NEW, digest="sha256:abc")),
    ("digest", but(NEW, digest="sha256:" + "A" * 64)),
    ("digest", but(NEW, digest="md5:" + "a" * 32)),
    ("kind", but(NEW, kind="delete")),
    ("priority", but(NEW, priority=101)),
    ("priority", but(NEW, priority=-1)),
    ("priority", but(NEW, priority="urgent")),
    ("priority", but(NEW, priority="5")),
    ("priority", but(NEW, priority=5.5)),
    ("priority", but(NEW, priority=True)),
    ("priority", but(NEW, priority=[50])),
    ("idempotency_key", but(NEW, idempotency_key="")),
    ("idempotency_key", but(NEW, idempotency_key="a\nb")),
    ("idempotency_key", but(NEW, idempotency_key="k" * 257)),
    ("not_before", but(NEW, not_before="2026-01-31T22:00:00")),
    ("not_before", but(NEW, not_before="10000-01-31T22:00:00Z")),
    ("not_before", but(NEW, not_before="2026-02-31T22:00:00Z")),
    ("not_before", but(NEW, not_before="tomorrow")),
    ("not_before", but(NEW, not_before="2999-01-01T00:00:00Z", expires_in=60)),
    ("expires_in", but(NEW, expires_in=0)),
    ("expires_in", but(NEW, expires_in=-1)),
    ("max_attempts", but(NEW, max_attempts=0)),
    ("max_attempts", but(NEW, max_attempts=101)),
    ("waiter_ttl", but(NEW, waiter_ttl=1)),
    ("source_url", but(NEW, source_url="http://x/\r\ny")),
    ("lease_ttl", but(NEW, state="claimed", lease_ttl=0)),
    ("lease_ttl", but(NEW, state="claimed", lease_ttl=1)),
    ("lease_ttl", but(NEW, state="claimed", lease_ttl=10**9)),
    ("lease_ttl", but(NEW, state="claimed", lease_ttl=float("nan"))),
    ("wait_timeout", but(NEW, state="claimed", wait_timeout=-1)),
    ("claim_id", but(NEW, state="claimed", claim_id=" ")),
    ("fence_floor", but(NEW, state="claimed", fence_floor=-1)),
    ("force", but(NEW, state="claimed", force=True)),
    ("force", but(NEW, force=True, reason="I say so")),
    ("entry", {"state": "cancelled", "environment": "staging"}),
    ("entry", {"state": "cancelled", "environment": "staging", "entry": "1; DROP TABLE entries"}),
    ("entry", {"state": "claimed", "environment": "staging", "entry": "../../x"}),
    ("lease", {"state": "failed"}),
    ("lease", {"state": "requeued", "environment": "staging"}),
    ("lease", but(DONE, lease=lease(entry="x"))),
    ("lease", but(DONE, lease=lease(token=""))),
    ("lease", but(DONE, lease=lease(fence=0))),
    ("lease", but(DONE, lease=lease(ttl=0))),
    ("release", but(DONE, release=None)),
    ("release", but(DONE, release={})),
    ("release", but(DONE, release={"images": [{"name": "a"}]})),
    ("release", but(DONE, release={"version": "1"})),
    ("release", but(DONE, release={"version": "1", "images": []})),
    ("release", but(DONE, release={"version": "1", "images": "shop:1"})),
    ("release", but(DONE, release={"version": "1", "images": ["shop:1"]})),
    ("release", but(DONE, release={"version": "1", "images": [{"newTag": "1"}]})),
    ("release", but(DONE, release={"version": "1", "images": [{"name": "a", "x": "x" * 70_000}]})),
    ("measures", but(DONE, measures={"seconds": float("nan")})),
    ("measures", but(DONE, measures={"x": "x" * 70_000})),
    ("commit", but(DONE, commit="3f78685")),
    ("commit", but(DONE, commit="HEAD")),
    ("error_class", but(DONE, error_class="odd")),
    ("reason", {"state": "paused", "environment": "staging"}),
    ("reason", {"state": "held", "environment": "staging", "hold_scope": "environment"}),
    ("hold_scope", HELD),
    ("hold_scope", but(HELD, hold_scope="release")),
    ("hold_scope", but(HELD, hold_scope="release", app="shop")),
    ("hold_scope", but(HELD, hold_scope="everything")),
    ("hold_scope", but(DONE, hold_scope="release")),
    ("actor", but(NEW, actor="")),
    ("actor", but(NEW, actor="a\nb")),
    ("backend", but(NEW, backend="redis")),
    ("backend", but(NEW, backend="etcd")),
    ("state", but(NEW, state="status")),
    ("states", but(NEW, states="queued")),
]  # fmt: skip


def refusal(options: dict[str, Any], entry: Any = deploy_queue.ENTRY) -> tuple[str, str]:
    """Return the option that was refused and the message, by Ansible's check or by ours."""
    result = ArgumentSpecValidator(entry.argument_spec, **entry.constraints).validate(options)
    if result.error_messages:
        return "", " ".join(result.error_messages)
    with pytest.raises(InvalidInput) as caught:
        entry.run(result.validated_parameters, Context(env={"HOME": "/nonexistent"}))
    return caught.value.option, str(caught.value)


@pytest.mark.parametrize("option, options", BAD)
def test_bad_input_is_refused_before_any_side_effect(option: str, options: dict[str, Any], tmp_path: Path) -> None:
    path = str(tmp_path / "folder" / "queue.db")
    given = copy.deepcopy(options)
    if "lease" in given:
        given["lease"]["path"] = path
    given["path"] = path
    named, message = refusal(given)
    assert option == named or (not named and option in message), message
    assert os.listdir(tmp_path) == []
    if option in given and isinstance(given[option], str) and len(given[option]) > 100:
        assert len(message) < 300


@pytest.mark.parametrize(
    "option, options",
    [
        ("environment", {"environment": "../x"}),
        ("environment", {"environment": "x", "environments": ["staging"]}),
        ("app", {"app": "Shop"}),
        ("events", {"events": -1}),
        ("events", {"events": 10_001}),
        ("backend", {"backend": "redis"}),
    ],
)
def test_bad_input_of_the_info_module(option: str, options: dict[str, Any], tmp_path: Path) -> None:
    named, message = refusal(dict(options, path=str(tmp_path / "x" / "queue.db")), deploy_queue_info.ENTRY)
    assert named == option, message
    assert os.listdir(tmp_path) == []


def test_unset_path_is_warned_of_where_the_queue_may_vanish(tmp_path: Path) -> None:
    told: list[str] = []
    for env in ({"HOME": "/home/x"}, {"HOME": "/home/x", "AWX_HOST": "https://awx"}):
        assert default_path(env, told.append, str(tmp_path)) == "/home/x/.local/share/slipway-gitops/queue.db"
    assert ["(AWX_HOST)" in text and "deploy_queue_path" in text for text in told] == [True]


@pytest.mark.parametrize("entry", [deploy_queue.ENTRY, deploy_queue_info.ENTRY], ids=["change", "look"])
def test_queue_of_a_container_is_used_with_a_warning_where_no_path_is_given(entry: Any, tmp_path: Path) -> None:
    given: dict[str, Any] = {"environment": "staging", "environments": ["staging"]}
    if entry is deploy_queue.ENTRY:
        given["state"] = "resumed"
    options = ArgumentSpecValidator(entry.argument_spec).validate(given)
    env = {"HOME": str(tmp_path), "AWX_HOST": "https://awx"}
    told: list[str] = []
    assert entry.run(options.validated_parameters, Context(env=env, warn=told.append))["changed"] is False
    assert ["in a container" in text for text in told] == [True]
    named = dict(options.validated_parameters, path=str(tmp_path / "queue/queue.db"))
    assert entry.run(named, Context(env=env, warn=told.append))["changed"] is False
    assert len(told) == 1


def test_redis_gets_a_reason() -> None:
    assert "fail-over" in refusal(but(NEW, backend="redis"))[1]


@pytest.mark.parametrize(
    "value, expected", [(None, 50), ("low", 20), ("normal", 50), ("high", 80), ("emergency", 100), (0, 0), (100, 100)]
)
def test_priorities(value: Any, expected: int, tmp_path: Path) -> None:
    from ansible_collections.slipway.gitops.plugins.module_utils._queue.request import priority_of

    assert priority_of(value) == expected


@pytest.mark.parametrize(
    "text, expected",
    [(None, ""), ("a\nb", "a\nb"), ("a\x00\x1bb", "a  b"), ("x" * 5000, "x" * 4095 + "\u2026")],
)
def test_error_texts_are_cut_and_never_refused(text: Optional[str], expected: str) -> None:
    from ansible_collections.slipway.gitops.plugins.module_utils._queue.request import error_text

    assert error_text(text) == expected


def test_reasons_become_one_line() -> None:
    from ansible_collections.slipway.gitops.plugins.module_utils._queue.request import reason_text

    assert reason_text(" gate\n failed:\x1b[31m\tno ") == "gate failed: [31m no"
    assert len(reason_text("x" * 5000)) == 1024
