# SPDX-License-Identifier: GPL-3.0-or-later
"""When an Application counts as synced to a commit: judged on states that a real Argo CD went through."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._argocd.state import (
    BEHIND,
    CHANGED,
    DESCENDANT,
    DIVERGED,
    UNKNOWN,
    Wanted,
    judge,
)
from ansible_collections.slipway.gitops.plugins.module_utils._argocd.view import OPERATION_INFO, REFRESH, summary

FIXTURES = Path(__file__).resolve().parents[3] / "unit/fixtures/argocd"
RECORDED = [json.loads(line) for line in (FIXTURES / "recorded.jsonl").read_text(encoding="utf-8").splitlines()]
OURS, OTHER = "a" * 40, "b" * 40


def steps(name: str) -> list[tuple[dict[str, Any], str]]:
    """Return the recorded states of one step with the commit that was pushed."""
    return [(item["application"], item["pushed"]) for item in RECORDED if item["step"] == name]


def application(**changes: Any) -> dict[str, Any]:
    """Return an automated Application that is synced to our commit, with ``changes`` by dotted path."""
    source = {"repoURL": "ssh://host/x.git", "path": "app", "targetRevision": "main"}
    app: dict[str, Any] = {
        "metadata": {"name": "shop", "namespace": "argocd", "annotations": {}},
        "spec": {"source": source, "syncPolicy": {"automated": {}}},
        "status": {
            "sync": {"status": "Synced", "revision": OURS},
            "health": {"status": "Healthy"},
            "reconciledAt": "2026-01-01T00:00:09Z",
            "operationState": {
                "phase": "Succeeded",
                "message": "successfully synced (all tasks run)",
                "finishedAt": "2026-01-01T00:00:05Z",
                "operation": {"sync": {"revision": OURS}, "initiatedBy": {"automated": True}},
                "syncResult": {"revision": OURS, "source": dict(source)},
            },
        },
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = app
        for name in parents:
            place = place.setdefault(name, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return app


@pytest.mark.parametrize(
    ("step", "states"),
    [
        ("create", ["waiting", "synced"]),
        ("change", ["waiting"] * 6 + ["synced"] * 2),
        ("nochange", ["waiting", "synced"]),
        ("fix", ["waiting"] * 7 + ["synced"]),
        ("invalid", ["waiting"] * 4 + ["failed"] * 2),
        ("secret", ["waiting"] * 4 + ["failed"] * 2),
        ("comparison", ["waiting", "waiting"]),
    ],
)
def test_what_really_happened_is_judged_rightly(step: str, states: list[str]) -> None:
    assert [judge(app, Wanted(pushed)).state for app, pushed in steps(step)] == states


def test_the_old_result_is_no_answer_for_a_new_commit() -> None:
    """Before Argo CD looked, the Application is Synced and Succeeded: for the previous commit."""
    app, pushed = steps("change")[0]
    before = copy.deepcopy(app)
    del before["metadata"]["annotations"][REFRESH]
    assert before["status"]["sync"]["status"] == "Synced"
    assert judge(before, Wanted(pushed)).ask == before["status"]["sync"]["revision"]


def test_a_comparison_error_is_trouble_and_names_the_cause() -> None:
    judgement = judge(steps("comparison")[1][0], Wanted(steps("comparison")[1][1]))
    assert (judgement.code, "missing.yaml" in judgement.trouble) == ("comparison", True)


def test_what_a_message_quotes_from_a_secret_is_withheld() -> None:
    app, pushed = copy.deepcopy(steps("secret")[-1])
    quoted = 'Secret "creds" is invalid: data[password]: Invalid value: "hunter2"'
    state = app["status"]["operationState"]
    assert "Secret in version" in state["message"], "this is how Argo CD spells it"
    state["message"] = state["syncResult"]["resources"][0]["message"] = quoted
    app["status"]["conditions"] = [{"type": "SyncError", "message": "failed: " + quoted}]
    shown = json.dumps([summary(app), judge(app, Wanted(pushed)).reason])
    assert "hunter2" not in shown
    assert "sha256:" in shown
    assert summary(app)["sync"]["operation"]["failed_resources"][0]["name"] == "creds"


@pytest.mark.parametrize(
    ("relation", "state", "code"),
    [
        (DESCENDANT, "synced", ""),
        (CHANGED, "superseded", "superseded"),
        (BEHIND, "waiting", ""),
        (DIVERGED, "failed", "history_rewritten"),
        (UNKNOWN, "waiting", "other_revision"),
    ],
)
def test_another_commit_is_judged_by_its_relation_to_ours(relation: str, state: str, code: str) -> None:
    app = application(status__sync__revision=OTHER)
    judgement = judge(app, Wanted(OURS, {OTHER: relation}))
    assert (judgement.state, judgement.code) == (state, code)


OPERATION = {"sync": {"revision": OURS}}
OWN = {"sync": {"revision": OURS}, "info": [{"name": OPERATION_INFO, "value": "me"}]}
TABLE: list[tuple[str, dict[str, Any], Wanted, tuple[str, str]]] = [
    ("as it should be", {}, Wanted(OURS), ("synced", "")),
    ("any revision will do", {"status__sync__revision": OTHER}, Wanted(), ("synced", "")),
    ("never operated", {"status__operationState": None}, Wanted(OURS), ("synced", "")),
    ("refresh pending", {"metadata__annotations": {REFRESH: "normal"}}, Wanted(OURS), ("waiting", "")),
    ("being deleted", {"metadata__deletionTimestamp": "2026"}, Wanted(OURS), ("failed", "deleting")),
    ("operation requested", {"operation": OPERATION}, Wanted(OURS), ("waiting", "")),
    (
        "operation held back by a window",
        {"operation": OPERATION, "status__operationState__message": "Sync operation blocked by sync window"},
        Wanted(OURS),
        ("waiting", "window_closed"),
    ),
    ("left-over Running", {"status__operationState__phase": "Running"}, Wanted(OURS), ("waiting", "stuck")),
    (
        "failed operation of an older commit",
        {"status__operationState__phase": "Failed", "status__operationState__syncResult__revision": OTHER},
        Wanted(OURS),
        ("synced", ""),
    ),
    (
        "a hook failed although all is Synced",
        {"status__operationState__phase": "Failed", "status__operationState__message": "PostSync failed"},
        Wanted(OURS),
        ("failed", "sync_failed"),
    ),
    (
        "ended by a person",
        {"status__operationState__phase": "Failed", "status__operationState__message": "Operation terminated"},
        Wanted(OURS),
        ("failed", "terminated"),
    ),
    (
        "failed for what the Application was before",
        {"status__operationState__phase": "Failed", "spec__source__path": "new", "status__sync__status": "OutOfSync"},
        Wanted(OURS),
        ("waiting", "not_started"),
    ),
    ("prune is off", {"status__sync__status": "OutOfSync"}, Wanted(OURS), ("waiting", "out_of_sync")),
    (
        "auto-sync refuses",
        {
            "status__sync__status": "OutOfSync",
            "status__operationState": None,
            "status__conditions": [{"type": "SyncError", "message": "auto-sync will wipe out all resources"}],
        },
        Wanted(OURS),
        ("waiting", "sync_refused"),
    ),
    (
        "project does not exist",
        {"status__conditions": [{"type": "InvalidSpecError", "message": "no project"}]},
        Wanted(OURS),
        ("waiting", "invalid_spec"),
    ),
    (
        "a warning is no error",
        {"status__conditions": [{"type": "OrphanedResourceWarning", "message": "x"}]},
        Wanted(OURS),
        ("synced", ""),
    ),
    ("not healthy yet", {"status__health__status": "Progressing"}, Wanted(OURS, health=True), ("waiting", "unhealthy")),
    ("health not asked", {"status__health__status": "Degraded"}, Wanted(OURS), ("synced", "")),
    ("our operation", {"status__operationState__operation": OWN}, Wanted(OURS, operation_id="me"), ("synced", "")),
    ("not our operation", {}, Wanted(OURS, operation_id="me"), ("failed", "replaced")),
    (
        "our operation synced something else",
        {"status__operationState__operation": OWN, "status__operationState__syncResult__revision": OTHER},
        Wanted(OURS, operation_id="me"),
        ("failed", "other_revision"),
    ),
    *[
        (
            "our operation synced a later commit: " + relation,
            {
                "status__operationState__operation": OWN,
                "status__operationState__syncResult__revision": OTHER,
                "status__sync__revision": OTHER,
            },
            Wanted(OURS, {OTHER: relation}, "me"),
            outcome,
        )
        for relation, outcome in ((DESCENDANT, ("synced", "")), (CHANGED, ("failed", "other_revision")))
    ],
    (
        "our operation, while the branch is further",
        {"status__operationState__operation": OWN, "status__sync": {"status": "OutOfSync", "revision": OTHER}},
        Wanted(OURS, operation_id="me"),
        ("synced", ""),
    ),
]


@pytest.mark.parametrize(("changes", "wanted", "outcome"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_judgement(changes: dict[str, Any], wanted: Wanted, outcome: tuple[str, str]) -> None:
    judgement = judge(application(**changes), wanted)
    assert (judgement.state, judgement.code) == outcome, judgement


@pytest.mark.parametrize(
    "changes",
    [
        {"status__sync__revision": OTHER},
        {"status__sync__status": "OutOfSync"},
        {"status__sync__status": "OutOfSync", "status__operationState__phase": "Failed"},
        {"status__sync__status": "OutOfSync", "status__operationState__phase": "Running"},
    ],
)
@pytest.mark.parametrize("policy", [None, {}, {"automated": {"enabled": False}}])
def test_without_automated_sync_somebody_has_to_start_it(changes: dict[str, Any], policy: Any) -> None:
    judgement = judge(application(spec__syncPolicy=policy, **changes), Wanted(OURS))
    assert (judgement.state, judgement.needs_operation) == ("waiting", True)


def test_out_of_sync_after_success_is_trouble_only_once_it_was_compared_again() -> None:
    late = judge(application(status__sync__status="OutOfSync"), Wanted(OURS))
    early = judge(
        application(status__sync__status="OutOfSync", status__reconciledAt="2026-01-01T00:00:04Z"), Wanted(OURS)
    )
    assert (bool(late.trouble), bool(early.trouble)) == (True, False)


def test_every_state_of_a_bare_object_is_waiting() -> None:
    for app in ({}, {"metadata": {}}, {"status": {}}, {"spec": {"sources": [{}]}}):
        assert judge(app, Wanted(OURS)).state == "waiting"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("values-prod.yaml", "charts/shop/values-prod.yaml"),
        ("../../apps/shop/values.yaml", "apps/shop/values.yaml"),
        ("/apps/shop/values.yaml", "apps/shop/values.yaml"),
        ("$values/shop.yaml", "$values/shop.yaml"),
        ("https://example.org/v.yaml", "https://example.org/v.yaml"),
    ],
)
def test_values_files_are_named_from_the_top_of_the_repository(written: str, meant: str) -> None:
    helm = {"valueFiles": [written], "parameters": [{"name": "image.tag", "value": "1"}]}
    source = {"repoURL": "ssh://git@example.org/x.git", "path": "charts/shop", "helm": helm}
    (shown,) = summary({"spec": {"source": source}})["sources"]
    assert shown["value_files"] == [meant]
    assert shown["parameters"] == ["image.tag"]
