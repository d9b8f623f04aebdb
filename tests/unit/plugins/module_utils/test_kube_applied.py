# SPDX-License-Identifier: GPL-3.0-or-later
"""When argocd_app has nothing to write. The notes of ownership are as an API server 1.36 made them."""

from __future__ import annotations

import copy
from typing import Any, Callable, Mapping, Optional

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._argocd.ports import Ports
from ansible_collections.slipway.gitops.plugins.module_utils._argocd.service import run
from ansible_collections.slipway.gitops.plugins.module_utils._argocd.spec import MANAGER
from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._errors import FencedError, NotFound
from ansible_collections.slipway.gitops.plugins.module_utils._kube.applied import is_applied
from ansible_collections.slipway.gitops.plugins.module_utils._lease import NoLease

FINALIZER = "resources-finalizer.argocd.argoproj.io"
SPEC = {
    "destination": {"server": "https://kubernetes.default.svc"},
    "project": "default",
    "source": {
        "repoURL": "ssh://h/x",
        "path": "a",
        "helm": {"valuesObject": {"a": {"b": [1, True], "c": {}}, "d": 1.0, "e": None}},
    },
    "syncPolicy": {"automated": {}, "syncOptions": ["A=b"]},
}
BODY: dict[str, Any] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Application",
    "metadata": {
        "name": "shop", "namespace": "argocd", "labels": {"a": "b"}, "annotations": {}, "finalizers": [FINALIZER],
    },
    "spec": SPEC,
}  # fmt: skip
NOTED = {
    "f:metadata": {"f:annotations": {}, "f:finalizers": {'v:"%s"' % FINALIZER: {}}, "f:labels": {"f:a": {}}},
    "f:spec": {
        "f:destination": {"f:server": {}},
        "f:project": {},
        "f:source": {
            "f:helm": {
                "f:valuesObject": {"f:a": {".": {}, "f:b": {}, "f:c": {}}, "f:d": {}, "f:e": {}},
            },
            "f:path": {},
            "f:repoURL": {},
        },
        "f:syncPolicy": {"f:automated": {}, "f:syncOptions": {}},
    },
}


def stored() -> dict[str, Any]:
    """Return the Application as the API server keeps it after our apply, with what others added."""
    app = copy.deepcopy(BODY)
    app["spec"]["source"]["helm"]["valuesObject"]["d"] = 1
    del app["metadata"]["annotations"]
    app["metadata"].update(
        uid="u",
        resourceVersion="7",
        managedFields=[
            {"manager": MANAGER, "operation": "Apply", "apiVersion": BODY["apiVersion"], "fieldsV1": NOTED},
            {"manager": "argocd", "operation": "Update", "fieldsV1": {"f:status": {}}, "subresource": "status"},
        ],
    )
    return app


Change = Callable[[dict[str, Any]], Any]


def of_others(app: dict[str, Any]) -> None:
    app["metadata"]["labels"]["team"] = "x"
    app["metadata"]["annotations"] = {"argocd.argoproj.io/refresh": "normal"}
    app["metadata"]["finalizers"].append("example.org/x")
    app["spec"]["syncPolicy"]["automated"]["prune"] = True
    app["spec"]["source"]["targetRevision"] = "main"
    app["status"] = {"sync": {}}


SAME: list[tuple[str, Change]] = [
    ("as applied", lambda app: None),
    ("fields of others", of_others),
]
DIFFERENT: list[tuple[str, Change]] = [
    ("a value that another changed by force", lambda app: app["spec"].update(project="other")),
    ("a list that is another", lambda app: app["spec"]["syncPolicy"].update(syncOptions=["A=b", "C=d"])),
    ("a bool that became a number", lambda app: app["spec"]["source"]["helm"]["valuesObject"]["a"].update(b=[1, 1])),
    ("a field that is gone", lambda app: app["spec"]["source"].pop("path")),
    ("a finalizer that is gone", lambda app: app["metadata"].update(finalizers=[])),
    ("a label that is another", lambda app: app["metadata"]["labels"].update(a="c")),
    ("a field that another took", lambda app: noted(app)["f:spec"]["f:source"].pop("f:path")),
    ("a field that we no longer give", lambda app: noted(app)["f:spec"]["f:source"].update({"f:chart": {}})),
    ("a label that we no longer give", lambda app: noted(app)["f:metadata"]["f:labels"].update({"f:z": {}})),
    ("a map that we filled", lambda app: noted(app)["f:spec"]["f:syncPolicy"].update({"f:automated": {"f:x": {}}})),
    ("all metadata was ours", lambda app: noted(app).pop("f:metadata")),
    ("another manager", lambda app: app["metadata"]["managedFields"][0].update(manager="other")),
    ("another kind of write", lambda app: app["metadata"]["managedFields"][0].update(operation="Update")),
    ("another version", lambda app: app["metadata"]["managedFields"][0].update(apiVersion="argoproj.io/v1")),
    ("no notes", lambda app: app["metadata"].pop("managedFields")),
    ("a list by keys, which we do not read", lambda app: noted(app)["f:spec"].update({"f:syncPolicy": {"k:{}": {}}})),
]  # fmt: skip


def noted(app: dict[str, Any]) -> dict[str, Any]:
    entry = app["metadata"]["managedFields"][0]
    entry["fieldsV1"] = copy.deepcopy(entry["fieldsV1"])
    fields: dict[str, Any] = entry["fieldsV1"]
    return fields


@pytest.mark.parametrize(("change", "is_same"), [
    *(pytest.param(change, True, id=name) for name, change in SAME),
    *(pytest.param(change, False, id=name) for name, change in DIFFERENT),
])  # fmt: skip
def test_what_was_applied_is_recognised(change: Change, is_same: bool) -> None:
    app = stored()
    change(app)
    assert is_applied(app, BODY, MANAGER) is is_same


GIVEN: list[tuple[Mapping[str, Any], bool]] = [
    ({}, True),
    ({"metadata": {**BODY["metadata"], "annotations": None}}, False),
    ({"spec": {**SPEC, "info": []}}, False),
    ({"spec": {**SPEC, "project": "other"}}, False),
    ({"metadata": {"name": "shop", "namespace": "argocd"}}, False),
]


@pytest.mark.parametrize(("given", "is_same"), GIVEN)
def test_what_is_given_is_compared(given: Mapping[str, Any], is_same: bool) -> None:
    assert is_applied(stored(), {**BODY, **given}, MANAGER) is is_same
    assert not is_applied(None, {**BODY, **given}, MANAGER)


class FakeServer:
    """An API server that counts its requests, and answers an apply with a fixed object."""

    def __init__(self, before: Optional[dict[str, Any]], after: dict[str, Any]) -> None:
        self.before = before
        self.after = after
        self.requests: list[str] = []

    def get(self, path: str, _query: Any = None) -> dict[str, Any]:
        self.requests.append("get")
        if self.before is None:
            raise NotFound("read", path, "not found")
        return self.before

    def apply(self, _path: str, body: Any, manager: str, force: bool = False, dry_run: bool = False) -> dict[str, Any]:
        self.requests.append("dry run" if dry_run else "apply")
        return self.after


class FakeLostLease(NoLease):
    """A lease that was lost."""

    def require(self, seconds: float) -> None:
        raise FencedError("renew", "the lease", "it was taken", code="lease_lost")


def present(server: FakeServer, check: bool = False, **ports: Any) -> dict[str, Any]:
    metadata: Mapping[str, Any] = BODY["metadata"]
    params = {**metadata, "state": "present", "spec": SPEC, "wait_timeout": 60}
    made = Ports(server, None, None, lambda: "id", **ports)  # type: ignore[arg-type]
    return run(params, made, Context(check_mode=check, diff=True))


def moved() -> dict[str, Any]:
    app = stored()
    app["spec"]["project"] = "other"
    return app


def unowned() -> dict[str, Any]:
    app = stored()
    app["metadata"]["managedFields"][0]["manager"] = "kubectl"
    return app


@pytest.mark.parametrize(("before", "requests"), [
    (stored(), ["get"]),
    (None, ["get", "apply"]),
    (moved(), ["get", "apply"]),
    (unowned(), ["get", "apply"]),
])  # fmt: skip
@pytest.mark.parametrize("check", [False, True])
def test_only_a_difference_is_written(before: Optional[dict[str, Any]], requests: list[str], check: bool) -> None:
    server = FakeServer(before, stored())
    result = present(server, check)
    assert server.requests == ([item.replace("apply", "dry run") for item in requests] if check else requests)
    assert result["changed"] is (len(requests) > 1)


def test_nothing_is_written_without_the_lease_and_nothing_to_write_needs_none() -> None:
    assert not present(FakeServer(stored(), stored()), lease=FakeLostLease())["changed"]
    server = FakeServer(moved(), stored())
    with pytest.raises(FencedError):
        present(server, lease=FakeLostLease())
    assert server.requests == ["get"]
