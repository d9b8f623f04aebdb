# SPDX-License-Identifier: GPL-3.0-or-later
"""The pure parts of a plan: commands as Argo CD gives them, masks, fields that an apply gives up."""

from __future__ import annotations

import copy
import json
from typing import Any, Sequence

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._errors import InvalidInput, PermanentError
from ansible_collections.slipway.gitops.plugins.module_utils._plan import manifests, text
from ansible_collections.slipway.gitops.plugins.module_utils._plan.ownership import drop_given_up
from ansible_collections.slipway.gitops.plugins.module_utils._plan.source import (
    NO_COMMIT,
    Served,
    Source,
    helm_arguments,
    kustomize_edits,
    not_rendered,
    of_application,
    value_files,
)
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.plan_support import application, deployment

LAST = "kubectl.kubernetes.io/last-applied-configuration"


def source(**options: Any) -> Source:
    """Return the source of an Application with options of one renderer."""
    return of_application(application(**options))


@pytest.mark.parametrize(
    "options, commands",
    [
        ({}, []),
        ({"namePrefix": "a-", "nameSuffix": "-b"}, ["set nameprefix -- a-", "set namesuffix -- -b"]),
        ({"images": ["x=y:$ARGOCD_APP_NAME"]}, ["set image -- x=y:shop"]),
        ({"replicas": [{"name": "a", "count": "2"}]}, ["set replicas -- a=2"]),
        ({"namespace": "n"}, ["set namespace -- n"]),
        (
            {"commonLabels": {"b": "$X", "a": "1"}, "forceCommonLabels": True, "labelWithoutSelector": True},
            ["add label --force --without-selector -- a:1 b:"],
        ),
        (
            {"commonAnnotations": {"c": "$ARGOCD_APP_REVISION $$HOME"}, "commonAnnotationsEnvsubst": True},
            ["add annotation -- c:%s $HOME" % NO_COMMIT],
        ),
        ({"commonAnnotations": {"c": "$ARGOCD_APP_REVISION"}}, ["add annotation -- c:$ARGOCD_APP_REVISION"]),
    ],
)
def test_commands_of_kustomize(options: dict[str, Any], commands: Sequence[str]) -> None:
    assert [" ".join(words) for words in kustomize_edits(source(kustomize=options))] == commands


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, ["--kube-version", "1.36.3", "--api-versions", "v1", "--include-crds"]),
        (
            {"releaseName": "r", "skipCrds": True, "kubeVersion": "1.30"},
            ["--name-template", "r", "--kube-version", "1.30"],
        ),
        ({"parameters": [{"name": "a", "value": "1,2"}]}, ["--set", r"a=1\,2"]),
        ({"parameters": [{"name": "a", "value": "{1,2}", "forceString": True}]}, ["--set-string", "a={1,2}"]),
        ({"parameters": [{"name": "a", "value": "${ARGOCD_APP_REVISION_SHORT}"}]}, ["--set", "a=0000000"]),
        ({"fileParameters": [{"name": "a", "path": "x.txt"}]}, ["--set-file", "a=x.txt"]),
        ({"apiVersions": ["x/v1"]}, ["--api-versions", "x/v1"]),
    ],
)
def test_arguments_of_helm(options: dict[str, Any], expected: Sequence[str]) -> None:
    arguments = helm_arguments(source(helm={"a": "b", **options}), ["values.yaml"], Served("v1.36.3", ["v1"]))
    assert arguments[:2] == ["template", "."]
    assert "--namespace shop --" in " ".join(arguments) and "--values values.yaml" in " ".join(arguments)
    assert " ".join(expected) in " ".join(arguments) or set(expected) <= set(arguments)


def test_values_files_are_in_the_repository() -> None:
    assert value_files(source(path="chart", helm={"valueFiles": ["a.yaml", "/b.yaml"]})) == ["chart/a.yaml", "b.yaml"]
    with pytest.raises(InvalidInput):
        value_files(source(helm={"valueFiles": ["https://example.com/values.yaml"]}))


def test_unknown_option_of_the_application_is_told() -> None:
    assert not_rendered(source(kustomize={"version": "v4", "namePrefix": "x"})) == ["kustomize.version"]


def secret(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data}


@pytest.mark.parametrize(
    "before, after, change",
    [
        (secret(a="b2xk"), secret(a="bmV3"), "changed"),
        (secret(a="b2xk"), secret(a="b2xk"), "unchanged"),
        (secret(a="b2xk"), secret(b="b2xk"), "changed"),
        (None, secret(a="bmV3"), "created"),
        (secret(a="b2xk"), None, "removed"),
        ({**deployment(), "password": "old one"}, {**deployment(), "password": "bmV3"}, "changed"),
    ],
)
def test_secrets_are_masked_and_their_change_shows(before: Any, after: Any, change: str) -> None:
    given = copy.deepcopy((before, after))
    found = manifests.compare("x", before, after)
    assert found.change == change
    assert bool(found.diff) == (change != "unchanged")
    assert not any(hidden in found.diff for hidden in ("b2xk", "bmV3", "old one"))
    assert (before, after) == given


def test_bookkeeping_is_no_change() -> None:
    live = deployment()
    live["metadata"].update(
        uid="x", resourceVersion="1", managedFields=[], annotations={LAST: "{}"}, creationTimestamp="now"
    )
    assert manifests.compare("x", {**live, "status": {"a": 1}}, deployment()).change == "unchanged"


@pytest.mark.parametrize(
    "stream, told",
    [
        ("a: [", "YAML"),
        ("- a", "no mapping"),
        ("a: b", "lacks apiVersion"),
        ("apiVersion: v1\nkind: A\nmetadata: {name: x}\n---\napiVersion: v1\nkind: A\nmetadata: {name: x}\n", "twice"),
    ],
)
def test_rendered_nonsense_is_refused(stream: str, told: str) -> None:
    with pytest.raises(PermanentError, match=told):
        manifests.parse(stream, "x")


def entry(operation: str, fields: dict[str, Any], manager: str = "argocd-controller") -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": fields}


def container(*fields: str) -> dict[str, Any]:
    return {'k:{"name":"a"}': {".": {}, **{"f:" + field: {} for field in fields}}}


SPEC = {"list": [{"name": "a", "kept": 1, "gone": 2, "default": 3}]}
LASTLY = {"spec": {"list": [{"name": "a", "kept": 1, "gone": 2}]}}
OURS = {"f:spec": {"f:list": container("kept", "gone", "default")}}


def given_up(live_fields: Sequence[dict[str, Any]], applied: dict[str, Any], last: Any) -> dict[str, Any]:
    """Return the spec of a dry run's outcome after what the manifest no longer has was dropped."""
    annotations = {LAST: json.dumps(last)} if last else {}
    live = {"metadata": {"managedFields": live_fields, "annotations": annotations}, "spec": copy.deepcopy(SPEC)}
    result = {"metadata": {"managedFields": [entry("Apply", applied)]}, "spec": copy.deepcopy(SPEC)}
    drop_given_up(live, result)
    spec: dict[str, Any] = result["spec"]
    return spec


@pytest.mark.parametrize(
    "live_fields, applied, last, left",
    [
        ([entry("Update", OURS)], {"f:spec": {"f:list": container("kept")}}, LASTLY, ["default", "kept", "name"]),
        ([entry("Update", OURS)], {"f:spec": {"f:list": container("kept")}}, None, ["default", "gone", "kept", "name"]),
        (
            [entry("Apply", OURS)],
            {"f:spec": {"f:list": container("kept")}},
            LASTLY,
            ["default", "gone", "kept", "name"],
        ),
        (
            [entry("Update", OURS), entry("Update", {"f:spec": {"f:list": container("gone")}}, "hpa")],
            {"f:spec": {"f:list": container("kept")}},
            LASTLY,
            ["default", "gone", "kept", "name"],
        ),
    ],
    ids=["client-side", "no last manifest", "server-side", "held by another"],
)
def test_field_that_the_manifest_no_longer_has(live_fields: Any, applied: Any, last: Any, left: list[str]) -> None:
    [item] = given_up(live_fields, applied, last)["list"]
    assert sorted(item) == left


def test_list_item_that_the_manifest_no_longer_has() -> None:
    assert given_up([entry("Update", OURS)], {"f:spec": {"f:other": {}}}, LASTLY)["list"] == []


def test_text_counts_what_it_leaves_out() -> None:
    plan: dict[str, Any] = {
        "environment": "production", "application": {"name": "shop", "argocd": {}}, "cluster": {"uid": "u"},
        "release": {"now": {"version": "1", "digest": "d1"}, "next": {"version": "2", "digest": {"a": "d2"}}},
        "commits": {"known": False, "note": "none", "touching": 0}, "problems": [], "images": [], "hash": "h",
        "git": {"changed": True, "diff": "+line\n" * 100, "tip": "a" * 40, "path": "p", "branch": "b"},
        "render": {"renderer": "helm", "version": "v3", "build_options": [], "not_rendered": ["helm.x"], "objects": []},
        "live": {"note": "n", "objects": [], "missing_rights": []},
        "shown": {"rights": [{"verb": "get", "allowed": True}], "queue": "free", "backup": None},
    }  # fmt: skip
    told = text.render(plan)
    for part in ("... 40 more lines: see plan.json", "helm.x", "allowed=yes, verb=get", "backup: none", "a=d2"):
        assert part in told
    assert max(map(len, told.splitlines())) <= 120


@pytest.mark.parametrize(
    "after, told",
    [({"commit": NO_COMMIT}, "only the commit that it is marked with"), ({"commit": NO_COMMIT, "a": "b"}, "a: b")],
)
def test_mark_of_the_commit_is_not_shown_line_by_line(after: dict[str, str], told: str) -> None:
    change = manifests.compare("ConfigMap x", {"data": {"commit": "f" * 40}}, {"data": after})
    assert manifests.THIS_COMMIT in change.diff
    assert any(told in line for line in text.changes([change._asdict()], ""))
