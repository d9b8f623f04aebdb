# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of argocd_app, its object and its schema; what is masked; the guard and the windows."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._argocd.info import run as read_applications
from ansible_collections.slipway.gitops.plugins.module_utils._argocd.operation import (
    FENCE,
    Request,
    refusal,
    with_operation,
)
from ansible_collections.slipway.gitops.plugins.module_utils._argocd.redact import MASK, masked, safe_text
from ansible_collections.slipway.gitops.plugins.module_utils._argocd.schema import unknown_fields
from ansible_collections.slipway.gitops.plugins.module_utils._argocd.spec import (
    RESOURCES_FINALIZER,
    build,
    comparable,
    finalizers_for,
    validate,
)
from ansible_collections.slipway.gitops.plugins.module_utils._argocd.view import id_of
from ansible_collections.slipway.gitops.plugins.module_utils._argocd.windows import blocked, listed
from ansible_collections.slipway.gitops.plugins.module_utils._errors import Forbidden, InvalidInput, NotFound

FIXTURES = Path(__file__).resolve().parents[3] / "unit/fixtures/argocd"
SCHEMA = json.loads((FIXTURES / "application-schema.json").read_text(encoding="utf-8"))["schema"]
PUBLISHED = [json.loads(line) for line in (FIXTURES / "applications.jsonl").read_text(encoding="utf-8").splitlines()]
OURS = "a" * 40


def options(**changes: Any) -> dict[str, Any]:
    """Return the options of a task that applies a small Application."""
    spec = {"project": "default", "source": {"repoURL": "ssh://git@host/x.git", "path": "app"}}
    params = {"name": "shop", "namespace": "argocd", "state": "present", "spec": spec, "wait_timeout": 300}
    return {**params, **changes}


def source(**fields: Any) -> dict[str, Any]:
    return {"source": dict({"repoURL": "ssh://git@host/x.git"}, **fields)}


REFUSED = [
    ("name", {"name": "a/b"}),
    ("name", {"name": "Shop"}),
    ("name", {"name": "-shop"}),
    ("name", {"name": ""}),
    ("name", {"name": "a" * 254}),
    ("name", {"name": "shop\n"}),
    ("name", {"name": "shop\x00"}),
    ("namespace", {"namespace": "a.b"}),
    ("namespace", {"namespace": "../x"}),
    ("namespace", {"namespace": "a" * 64}),
    ("wait_timeout", {"wait_timeout": 0}),
    ("wait_timeout", {"wait_timeout": -1}),
    ("wait_timeout", {"wait_timeout": 10**9}),
    ("spec", {"spec": {}}),
    ("spec", {"spec": source(repoURL="file:///srv/x.git")}),
    ("spec", {"spec": source(repoURL="/srv/x.git")}),
    ("spec", {"spec": source(repoURL="")}),
    ("spec", {"spec": source(repoURL="https://user:word@host/x.git")}),
    ("spec", {"spec": source(repoURL="ssh://host/x\n.git")}),
    ("spec", {"spec": source(targetRevision="--upload-pack=x")}),
    ("spec", {"spec": source(path="a\x00b")}),
    ("spec", {"spec": {"sources": [source()["source"], {"repoURL": "FILE:///x"}]}}),
    ("spec", {"spec": {"sourceHydrator": {"drySource": {"repoURL": "file:///x"}}}}),
    ("labels", {"labels": {"a": 1}}),
    ("revision", {"revision": OURS}),
    ("cascade", {"cascade": "none"}),
    ("spec", {"state": "absent"}),
    ("spec", {"state": "synced"}),
    ("labels", {"state": "absent", "spec": None, "labels": {}}),
    ("retry_failed", {"retry_failed": True}),
    ("manual", {"manual": True}),
    *[("revision", {"state": "synced", "spec": None, "revision": value}) for value in (
        "-x", "HEAD", "HEAD^{/fix}", "main", "abc1234", "", "A" * 40, OURS + "\n", "refs/heads/main", "a" * 41,
    )],
]  # fmt: skip


@pytest.mark.parametrize(("option", "changes"), REFUSED)
def test_bad_input_is_refused_by_the_name_of_its_option(option: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        validate(options(**changes))
    assert caught.value.option == option
    assert "word@" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"name": "shop.eu-1", "labels": {"a": "1"}},
        {"state": "absent", "spec": None, "cascade": "none"},
        {"state": "synced", "spec": None, "revision": OURS},
        {"state": "synced", "spec": None, "revision": "b" * 64, "retry_failed": True, "manual": True},
    ],
)
def test_good_input_passes(changes: dict[str, Any]) -> None:
    validate(options(**changes))


def test_what_people_published_passes_the_strict_check() -> None:
    found = {}
    for record in PUBLISHED:
        spec = record["object"].get("spec") or {}
        unknown = list(unknown_fields({"spec": spec}, SCHEMA))
        if unknown:
            found[record["path"]] = unknown
    assert found == {}
    assert len(PUBLISHED) == 48


@pytest.mark.parametrize(
    ("spec", "path", "nearest"),
    [
        ({"syncOptions": []}, "spec.syncOptions", "spec.syncPolicy.syncOptions"),
        ({"destnation": {}}, "spec.destnation", "spec.destination"),
        ({"health": {}}, "spec.health", ""),
        ({"source": {"repoUrl": "x"}}, "spec.source.repoUrl", "spec.source.repoURL"),
        ({"source": {"helm": {"parameter": []}}}, "spec.source.helm.parameter", "spec.source.helm.parameters"),
        ({"sources": [{}, {"pth": "x"}]}, "spec.sources[1].pth", "spec.sources[1].path"),
        ({"syncPolicy": {"automated": {"selfheal": True}}}, "spec.syncPolicy.automated.selfheal",
         "spec.syncPolicy.automated.selfHeal"),
    ],
)  # fmt: skip
def test_an_unknown_field_is_found_with_the_nearest_name(spec: dict[str, Any], path: str, nearest: str) -> None:
    assert [tuple(item) for item in unknown_fields({"spec": spec}, SCHEMA)] == [(path, nearest)]


def test_free_form_values_are_not_judged() -> None:
    spec = {"source": {"helm": {"valuesObject": {"any": {"thing": [{"goes": 1}]}}}}}
    assert list(unknown_fields({"spec": spec}, SCHEMA)) == []


def test_build_manages_only_what_was_given() -> None:
    app = build(options(labels={"a": "b"}))
    assert app["metadata"] == {"name": "shop", "namespace": "argocd", "labels": {"a": "b"}}
    assert set(app) == {"apiVersion", "kind", "metadata", "spec"}


def test_bookkeeping_is_no_difference() -> None:
    app = build(options(annotations={"a": "b"}))
    live = copy.deepcopy(app)
    live["metadata"].update(uid="1", resourceVersion="2", generation=3, managedFields=[{}], creationTimestamp="x")
    live["metadata"]["annotations"]["argocd.argoproj.io/refresh"] = "normal"
    live["status"] = {"sync": {"status": "Synced"}}
    live["operation"] = {"sync": {}}
    assert comparable(live) == comparable(app)
    assert comparable(None) == {}


@pytest.mark.parametrize(
    ("cascade", "present", "wanted"),
    [
        ("foreground", [], [RESOURCES_FINALIZER]),
        ("foreground", [RESOURCES_FINALIZER + "/foreground"], [RESOURCES_FINALIZER + "/foreground"]),
        ("foreground", [RESOURCES_FINALIZER + "/background"], [RESOURCES_FINALIZER]),
        ("background", [RESOURCES_FINALIZER], [RESOURCES_FINALIZER + "/background"]),
        ("none", [RESOURCES_FINALIZER, "post-delete-finalizer.argocd.argoproj.io"],
         ["post-delete-finalizer.argocd.argoproj.io"]),
    ],
)  # fmt: skip
def test_finalizers_say_what_becomes_of_the_resources(cascade: str, present: list[str], wanted: list[str]) -> None:
    assert finalizers_for(cascade, present) == wanted


def test_secrets_are_masked_wherever_a_specification_can_hold_them() -> None:
    word = "hunter2"
    spec = {
        "source": {
            "repoURL": "https://bot:%s@host/x.git" % word,
            "helm": {
                "parameters": [{"name": "auth.password", "value": word}, {"name": "image.tag", "value": "1"}],
                "valuesObject": {"db": {"password": word, "user": "shop"}},
                "values": "db:\n  adminPassword: %s\n  user: shop\n" % word,
            },
            "plugin": {
                "env": [{"name": "API_TOKEN", "value": word}],
                "parameters": [{"name": "secret", "string": word}],
            },
        }
    }  # fmt: skip
    shown = masked(spec)
    assert word not in json.dumps(shown)
    assert shown["source"]["helm"]["parameters"][1]["value"] == "1"
    assert shown["source"]["helm"]["valuesObject"]["db"]["user"] == "shop"
    assert "user: shop" in shown["source"]["helm"]["values"]
    assert masked("ssh://git@host/x.git") == "ssh://git@host/x.git"
    assert MASK in shown["source"]["repoURL"]


def test_messages_keep_what_is_not_about_a_secret() -> None:
    assert safe_text("Deployment x: field is immutable") == "Deployment x: field is immutable"
    assert "abc" not in safe_text('Secret "x" is invalid: data[p]: "abc"')
    assert len(safe_text("x" * 5000)) == 1000


def live(**changes: Any) -> dict[str, Any]:
    """Return an Application as the API server returns it."""
    app = build(options())
    app["metadata"].update(resourceVersion="7", annotations={})
    app["spec"]["syncPolicy"] = {"syncOptions": ["CreateNamespace=true"], "retry": {"limit": 2}}
    app["status"] = {"sync": {"revision": OURS}, "operationState": {"phase": "Succeeded"}}
    return {**app, **changes}


def test_one_write_carries_operation_fence_and_cleared_result() -> None:
    app = live()
    started = with_operation(app, Request("id1", OURS, fence=5, options={"prune": True, "resources": None}))
    assert started["metadata"]["resourceVersion"] == "7"
    assert started["metadata"]["annotations"][FENCE] == "5"
    assert "operationState" not in started["status"]
    assert id_of(started["operation"]) == "id1"
    assert started["operation"]["sync"] == {
        "prune": True, "revision": OURS, "source": app["spec"]["source"], "syncOptions": ["CreateNamespace=true"],
    }  # fmt: skip
    assert started["operation"]["retry"] == {"limit": 2}
    assert app["status"]["operationState"], "what was read stays as it was"


AUTOMATED = {"syncPolicy": {"automated": {}}, "source": {"targetRevision": "main"}}


@pytest.mark.parametrize(
    ("app", "request_", "code"),
    [
        (live(), Request("i", OURS), None),
        (live(metadata={"deletionTimestamp": "x"}), Request("i", OURS), "deleting"),
        (live(operation={"sync": {}}), Request("i", OURS), "busy"),
        (live(spec=AUTOMATED), Request("i", OURS), None),
        (live(spec=AUTOMATED), Request("i", ""), None),
        (live(spec=AUTOMATED), Request("i", "b" * 40), "auto_sync"),
        (live(metadata={"annotations": {FENCE: "6"}}), Request("i", OURS, fence=5), "fenced"),
        (live(metadata={"annotations": {FENCE: "5"}}), Request("i", OURS, fence=5), None),
        (live(metadata={"annotations": {FENCE: "6"}}), Request("i", OURS), None),
    ],
)
def test_the_guard_is_that_of_the_api_server(app: dict[str, Any], request_: Request, code: Any) -> None:
    error = refusal(app, request_, "Application argocd/shop")
    assert (error and error.code) == code


NOON = datetime(2026, 11, 21, 12, 0, 30, tzinfo=timezone.utc).timestamp()  # a Saturday
WINDOWS: list[tuple[list[dict[str, Any]], bool, bool]] = [
    ([], False, False),
    ([{"kind": "deny", "schedule": "0 12 * * *", "duration": "1h"}], False, True),
    ([{"kind": "deny", "schedule": "0 12 * * *", "duration": "1h", "manualSync": True}], True, False),
    ([{"kind": "deny", "schedule": "0 12 * * *", "duration": "1h", "manualSync": True}], False, True),
    ([{"kind": "deny", "schedule": "0 13 * * *", "duration": "1h"}], False, False),
    ([{"kind": "deny", "schedule": "0 10 * * *", "duration": "2h"}], False, False),
    ([{"kind": "deny", "schedule": "0 10 * * *", "duration": "2h1m"}], False, True),
    ([{"kind": "allow", "schedule": "0 12 * * *", "duration": "1h"}], False, False),
    ([{"kind": "allow", "schedule": "0 13 * * *", "duration": "1h"}], False, True),
    ([{"kind": "allow", "schedule": "0 13 * * *", "duration": "1h", "manualSync": True}], True, False),
    ([{"kind": "deny", "schedule": "* * * * 6", "duration": "5m"}], False, True),
    ([{"kind": "deny", "schedule": "* * * * sat", "duration": "5m"}], False, True),
    ([{"kind": "deny", "schedule": "* * * * 1-5", "duration": "5m"}], False, False),
    ([{"kind": "deny", "schedule": "*/7 * 1 * 6", "duration": "10m"}], False, True),
    ([{"kind": "deny", "schedule": "0 21 * * *", "duration": "1h", "timeZone": "Asia/Tokyo"}], False, True),
    ([{"kind": "deny", "schedule": "0 12 * * *", "duration": "1h", "timeZone": "Nowhere/Else"}], False, True),
    ([{"kind": "deny", "schedule": "0 12 * * *", "duration": "soon"}], False, True),
    ([{"kind": "deny", "schedule": "61 * * * *", "duration": "1h"}], False, True),
    ([{"kind": "deny", "schedule": "@daily", "duration": "1h"}], False, True),
    ([{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["other-*"]}], False, False),
    ([{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["x"], "namespaces": ["sh*"]}],
     False, True),
    ([{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["x"], "namespaces": ["sh*"],
       "andOperator": True}], False, False),
]  # fmt: skip


@pytest.mark.parametrize(("windows", "is_manual", "is_blocked"), WINDOWS)
def test_sync_windows(windows: list[dict[str, Any]], is_manual: bool, is_blocked: bool) -> None:
    everything = [dict({"applications": ["*"]}, **window) for window in windows]
    app = {"metadata": {"name": "shop"}, "spec": {"destination": {"namespace": "shop"}}}
    cause = blocked({"spec": {"syncWindows": everything}}, app, NOON, is_manual)
    assert bool(cause) == is_blocked, cause


def test_windows_are_listed_with_their_state() -> None:
    windows = [
        {"kind": "deny", "schedule": "0 12 * * *", "duration": "1h", "applications": ["*"], "timeZone": "UTC"},
        {"kind": "allow", "schedule": "0 13 * * *", "duration": "1h", "namespaces": ["shop"], "manualSync": True},
        {"kind": "deny", "schedule": "@daily", "duration": "1h", "applications": ["shop"]},
        {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["other"]},
    ]
    app = {"metadata": {"name": "shop"}, "spec": {"destination": {"namespace": "shop"}}}
    found = listed({"spec": {"syncWindows": windows}}, app, NOON)
    assert [(item["kind"], item["is_active"], item["manualSync"], item["timeZone"]) for item in found] == [
        ("deny", True, False, "UTC"), ("allow", False, True, ""), ("deny", None, False, ""),
    ]  # fmt: skip
    assert listed({}, app, NOON) == []


class FakeProjects:
    """An API server with Applications of some projects, which may be read or not."""

    def __init__(self) -> None:
        self.reads: list[str] = []

    def list(self, _path: str, _labels: str = "", _fields: str = "") -> dict[str, Any]:
        policies = {"open": {}, "automatic": {"automated": {}}, "manual": {}, "hidden": {}, "gone": {}, "manual-2": {}}
        return {"items": [
            {"metadata": {"name": name}, "spec": {"project": name.partition("-")[0], "syncPolicy": policy}}
            for name, policy in policies.items()
        ]}  # fmt: skip

    def get(self, path: str, _query: Any = None) -> dict[str, Any]:
        name = path.rpartition("/")[2]
        self.reads.append(name)
        if name in ("hidden", "gone"):
            raise (Forbidden if name == "hidden" else NotFound)("read", path, "no")
        window = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"], "manualSync": True}
        return {"spec": {"syncWindows": [window] if name != "open" else []}}


class FakeNoon:
    """A clock that stands at noon."""

    @staticmethod
    def wall() -> float:
        return NOON


def test_info_tells_the_windows_and_changes_nothing_without_the_right() -> None:
    client = FakeProjects()
    params = {"name": None, "namespace": "argocd", "windows": True}
    found = read_applications(params, client, FakeNoon())  # type: ignore[arg-type]
    windows = {item["name"]: item["windows"] for item in found["applications"]}
    assert {name: (item["known"], bool(item["blocked"]), len(item["list"])) for name, item in windows.items()} == {
        "open": (True, False, 0),
        "automatic": (True, True, 1),
        "manual": (True, False, 1),
        "manual-2": (True, False, 1),
        "hidden": (False, False, 0),
        "gone": (False, False, 0),
    }
    assert windows["hidden"]["note"] == (
        "AppProject argocd/hidden may not be read: the right get appprojects.argoproj.io is missing"
    )
    assert windows["gone"]["note"] == "AppProject argocd/gone does not exist"
    assert sorted(client.reads) == ["automatic", "gone", "hidden", "manual", "open"]
    plain = read_applications({**params, "windows": False}, client, FakeNoon())  # type: ignore[arg-type]
    assert "windows" not in plain["applications"][0]
    assert len(client.reads) == 5
