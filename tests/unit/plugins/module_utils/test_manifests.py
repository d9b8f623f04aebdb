# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of manifests: order, inventory, and faults that a real cluster does not show on demand."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any, Optional

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._errors import (
    Forbidden,
    NotFound,
    PermanentError,
    SlipwayError,
    TransientError,
)
from ansible_collections.slipway.gitops.plugins.module_utils._kube.applied import is_applied
from ansible_collections.slipway.gitops.plugins.module_utils._manifests import document
from ansible_collections.slipway.gitops.plugins.module_utils._manifests.chart import render
from ansible_collections.slipway.gitops.plugins.module_utils._manifests.document import Id, Inventory, ManifestError
from ansible_collections.slipway.gitops.plugins.module_utils._manifests.patch import patched
from ansible_collections.slipway.gitops.plugins.module_utils._manifests.readiness import waits_for
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.manifests_support import FakeKube, keep, thing

Object = dict[str, Any]
GAP = TransientError("apply", "x", 'failed calling webhook "w": x509: certificate signed by unknown authority')


def definition(kind: str = "Pool") -> Object:
    spec = {
        "group": "net.example.org",
        "names": {"kind": kind, "plural": kind.lower() + "s"},
        "scope": "Namespaced",
        "versions": [{"name": "v1", "served": True}],
    }
    return thing("CustomResourceDefinition", kind.lower() + "s.net.example.org", "apiextensions.k8s.io/v1", spec=spec)


POOL = thing("Pool", version="net.example.org/v1")
DEPLOYMENT = thing("Deployment", version="apps/v1", spec={"replicas": 1, "template": {"spec": {}}, "selector": {}})
CLAIM = thing("PersistentVolumeClaim", spec={"accessModes": ["ReadWriteOnce"]})
CLAIM_PATH = "/api/v1/namespaces/lib/persistentvolumeclaims/one"
RELEASE = [POOL, DEPLOYMENT, thing("ConfigMap"), definition(), thing("Namespace", "lib")]


def test_order_of_a_first_run_and_nothing_in_a_second() -> None:
    kube = FakeKube()
    result = keep(kube, *RELEASE)
    assert [call.split()[1] for call in kube.calls] == [
        "namespaces", "configmaps", "customresourcedefinitions", "configmaps", "deployments", "pools"
    ]  # fmt: skip
    assert len(result["created"]) == 5 and result["version"] == "1" and result["previous_version"] == ""
    kube.calls.clear()
    again = keep(kube, *RELEASE)
    assert (again["changed"], again["created"], again["updated"], kube.calls) == (False, [], [], [])


def test_check_mode_on_an_empty_cluster_writes_nothing_and_tells_everything() -> None:
    kube = FakeKube()
    result = keep(kube, *RELEASE, check=True)
    assert result["changed"] and len(result["created"]) == 5
    assert keep(kube, POOL, check=True)["created"] == ["Pool one"]
    assert kube.store == {}


def test_webhook_that_does_not_answer_yet_is_asked_before_the_first_write() -> None:
    kube = FakeKube()
    keep(kube, *RELEASE[1:])
    kube.calls.clear()
    kube.faults = [GAP, GAP]
    result = keep(kube, thing("Pool", "a", POOL["apiVersion"]), POOL, name="config")
    assert result["webhook"]["refusals"] == 2
    assert "x509" in result["webhook"]["first_refusal"]
    assert result["webhook"]["seconds"] == pytest.approx(1.0)
    assert kube.calls.count("apply pools") == 2


def test_webhook_that_never_answers_ends_with_its_words_and_no_custom_resource() -> None:
    kube = FakeKube()
    keep(kube, *RELEASE[1:])
    kube.calls.clear()
    kube.faults = [GAP] * 1000
    with pytest.raises(TransientError, match=r"x509.*asked for 60 s"):
        keep(kube, POOL, name="config")
    assert "apply pools" not in kube.calls


def test_question_waits_for_the_webhook_and_writes_nothing() -> None:
    kube = FakeKube()
    keep(kube, *RELEASE[1:])
    before = copy.deepcopy(kube.store)
    kube.faults = [GAP, GAP]
    result = keep(kube, POOL, name="question", state="accepted")
    assert (result["changed"], result["webhook"]["refusals"]) == (False, 2)
    assert kube.store == before


def test_denial_is_told_at_once() -> None:
    kube = FakeKube()
    keep(kube, *RELEASE[1:])
    kube.faults = [Forbidden("apply", "x", "admission webhook denied the request: bad range", "Grant this right")]
    with pytest.raises(SlipwayError, match=r"bad range.$") as caught:
        keep(kube, POOL, name="config")
    assert (caught.value.code, kube.now) == ("denied", 0.0)


def test_upgrade_removes_what_the_new_version_lacks() -> None:
    kube = FakeKube()
    keep(kube, *RELEASE, thing("ConfigMap", "old"))
    result = keep(kube, *RELEASE, version="2")
    assert result["removed"] == ["ConfigMap lib/old"]
    assert (result["previous_version"], result["version"]) == ("1", "2")


@pytest.mark.parametrize("check", [True, False])
def test_claim_that_left_the_release_stays_and_is_told_of_once(check: bool) -> None:
    kube = FakeKube()
    keep(kube, *RELEASE, CLAIM)
    kept = kube.store[CLAIM_PATH]
    result = keep(kube, *RELEASE, check=check)
    assert (result["kept"], result["removed"], result["changed"]) == (["PersistentVolumeClaim lib/one"], [], True)
    assert "PersistentVolumeClaim lib/one is no longer part of release lib and stays" in result["warned"][0]
    assert kube.store[CLAIM_PATH] == kept
    keep(kube, *RELEASE)
    again = keep(kube, *RELEASE)
    assert (again["kept"], again["changed"], again["warned"]) == ([], False, [])


def test_claim_that_comes_back_is_taken_as_it_is_and_goes_with_the_release() -> None:
    kube = FakeKube()
    keep(kube, *RELEASE, CLAIM)
    keep(kube, *RELEASE)
    kube.calls.clear()
    back = keep(kube, *RELEASE, CLAIM)
    assert (back["created"], back["updated"], back["warned"]) == ([], [], [])
    assert set(kube.calls) == {"apply configmaps"}
    assert keep(kube, *RELEASE, CLAIM)["changed"] is False
    assert "PersistentVolumeClaim lib/one" in keep(kube, state="absent", custom_resources="remove")["removed"]
    assert kube.store == {}


def test_claim_that_somebody_removed_meanwhile_is_not_told_of() -> None:
    kube = FakeKube()
    keep(kube, *RELEASE, CLAIM)
    del kube.store[CLAIM_PATH]
    result = keep(kube, *RELEASE)
    assert (result["kept"], result["warned"]) == ([], [])


@pytest.mark.parametrize("state", ["present", "absent"])
def test_definition_with_objects_is_not_removed_unless_told(state: str) -> None:
    kube = FakeKube()
    keep(kube, *RELEASE[1:])
    keep(kube, POOL, name="config")
    before = copy.deepcopy(kube.store)
    with pytest.raises(SlipwayError, match="1 custom resources would go with it: Pool lib/one") as caught:
        keep(kube, thing("ConfigMap"), state=state)
    assert caught.value.code == "custom_resources"
    assert kube.store == before
    keep(kube, thing("ConfigMap"), state=state, derived_kinds=["Pool"], check=True)


def test_removal_goes_backwards_and_leaves_nothing() -> None:
    kube = FakeKube()
    keep(kube, *RELEASE)
    kube.calls.clear()
    result = keep(kube, state="absent", custom_resources="remove")
    assert [call.split()[1] for call in kube.calls] == [
        "pools", "deployments", "configmaps", "customresourcedefinitions", "configmaps", "namespaces"
    ]  # fmt: skip
    assert result["changed"] and kube.store == {}
    assert keep(kube, state="absent")["changed"] is False


def test_configuration_goes_first_and_is_no_reason_to_refuse() -> None:
    kube = FakeKube()
    keep(kube, *RELEASE[1:])
    keep(kube, POOL, name="config")
    owned = {**thing("Pool", "owned"), "metadata": {"name": "owned", "ownerReferences": [{"name": "one"}]}}
    kube.store["/apis/net.example.org/v1/namespaces/lib/pools/owned"] = owned
    before = copy.deepcopy(kube.store)
    kube.store["/apis/net.example.org/v1/namespaces/lib/pools/people-s"] = thing("Pool", "people-s")
    with pytest.raises(SlipwayError, match="1 custom resources would go with it: Pool people-s"):
        keep(kube, state="absent", configurations=["config"])
    del kube.store["/apis/net.example.org/v1/namespaces/lib/pools/people-s"]
    assert kube.store == before
    del kube.store["/apis/net.example.org/v1/namespaces/lib/pools/owned"]  # its owner's collector is not faked
    kube.calls.clear()
    keep(kube, state="absent", configurations=["config", "none"])
    assert [call.split()[1] for call in kube.calls][:3] == ["pools", "configmaps", "deployments"]
    assert kube.store == {}


def test_run_that_is_cut_short_leaves_nothing_unknown() -> None:
    kube = FakeKube()
    kube.stuck = {"pools.net.example.org"}
    with pytest.raises(TransientError, match=r"CustomResourceDefinition pools.* waits for to be established"):
        keep(kube, *RELEASE)
    kube.stuck = set()
    keep(kube, state="absent")
    assert kube.store == {}


def test_workload_that_does_not_become_ready_is_named_with_its_pods_reason() -> None:
    kube = FakeKube()
    kube.stuck = {"one"}
    waiting = {"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}}}
    pod = thing("Pod", "one-x", status={"containerStatuses": [waiting]})
    kube.store["/api/v1/namespaces/lib/pods/one-x"] = pod
    with pytest.raises(TransientError, match=r"Deployment lib/one waits for 1 of 1 pods.*ImagePullBackOff"):
        keep(kube, thing("Namespace", "lib"), DEPLOYMENT)


def test_values_of_secrets_are_not_shown() -> None:
    secret = thing("Secret", data={"key": "aHVudGVyMg=="}, stringData={"more": "hunter2"})
    assert "hunter2" not in document.shown(secret) and "aHVu" not in document.shown(secret)


@pytest.mark.parametrize(
    ("text", "objects"),
    [
        ("", []),
        ("---\n---\nkind: A\n", [{"kind": "A"}]),
        ("kind: List\nitems: [{kind: A}, {kind: B}]\n", [{"kind": "A"}, {"kind": "B"}]),
        ("when: 2026-01-02\n", [{"when": "2026-01-02"}]),
        ('{"kind": "A"}', [{"kind": "A"}]),
    ],
)
def test_manifest_is_read(text: str, objects: list[Object]) -> None:
    assert document.read_yaml(text) == objects


@pytest.mark.parametrize("text", ["a: [", "- a\n", "just text", "a: !!python/name:os.system x"])
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(ManifestError):
        document.read_yaml(text)


@pytest.mark.parametrize(
    ("item", "is_namespaced", "expected"),
    [
        (thing("Pod"), True, Id("v1", "Pod", "lib", "one")),
        (thing("Node"), False, Id("v1", "Node", "", "one")),
        (thing("What"), None, Id("v1", "What", "", "one")),
        ({**thing("Pod"), "metadata": {"name": "x", "namespace": "y"}}, True, Id("v1", "Pod", "y", "x")),
    ],
)
def test_identity(item: Object, is_namespaced: Optional[bool], expected: Id) -> None:
    assert document.identify(item, is_namespaced, "lib") == expected


def applied(**spec: Any) -> Object:
    """Return a definition as the server shows it after our apply, with what it fills in."""
    live = definition()
    live["metadata"].update(uid="1", labels={"of": "somebody"})
    live["spec"].update(conversion={"strategy": "None"}, **spec)
    live["status"] = {"conditions": []}
    names = {"f:kind": {}, "f:plural": {}}
    fields = {"f:spec": {"f:group": {}, "f:names": names, "f:scope": {}, "f:versions": {}}}
    entry = {
        "manager": "slipway.gitops",
        "operation": "Apply",
        "apiVersion": live["apiVersion"],
        "fieldsV1": fields,
    }
    live["metadata"]["managedFields"] = [{"manager": "kube-apiserver", "operation": "Update"}, entry]
    return live


@pytest.mark.parametrize(
    ("spec", "change", "expected"),
    [
        ({}, {}, True),
        ({"versions": [{"name": "v1", "served": True, "storage": True}]}, {}, False),
        ({"scope": "Cluster"}, {}, False),
        ({"versions": [{"name": "v1", "served": False}]}, {}, False),
        ({"versions": [{"name": "v1", "served": True}, {"name": "v2"}]}, {}, False),
        ({}, {"preserveUnknownFields": False}, False),
        ({"preserveUnknownFields": False}, {"preserveUnknownFields": False}, False),  # there, but not ours yet
    ],
)
def test_definition_that_is_applied_needs_no_dry_run(spec: Object, change: Object, expected: bool) -> None:
    body = definition()
    body["spec"].update(change)
    assert is_applied(applied(**spec), body, document.MANAGER) is expected


def test_definition_is_asked_about_when_a_field_left_it_or_its_ownership() -> None:
    live, body = applied(), definition()
    del body["spec"]["scope"]
    assert not is_applied(live, body, document.MANAGER)
    del live["metadata"]["managedFields"][1]["fieldsV1"]["f:spec"]["f:versions"]
    assert not is_applied(live, definition(), document.MANAGER)
    assert not is_applied(None, definition(), document.MANAGER)


def test_inventory_survives_its_config_map_and_damage_is_told() -> None:
    kept = Inventory("1", (Id("apps/v1", "Deployment", "lib", "a"), Id("v1", "Namespace", "", "lib")))
    assert Inventory.of(kept.config_map("m", "lib")) == kept
    with pytest.raises(ManifestError):
        Inventory.of({"data": {"objects": "v1 Pod only-three\n"}})


@pytest.mark.parametrize(
    ("kind", "spec", "status", "waits"),
    [
        ("Deployment", {"replicas": 2}, {"updatedReplicas": 2, "readyReplicas": 2, "replicas": 2}, ""),
        ("Deployment", {"replicas": 2}, {"updatedReplicas": 1, "readyReplicas": 2}, "1 of 2 pods to be made"),
        (
            "Deployment",
            {},
            {"updatedReplicas": 1, "readyReplicas": 1, "replicas": 2},
            "pods of an older template to go",
        ),
        ("Deployment", {"replicas": 0}, {}, ""),
        ("StatefulSet", {"replicas": 1}, {"updatedReplicas": 1}, "1 of 1 pods to be ready"),
        ("DaemonSet", {}, {"desiredNumberScheduled": 1, "updatedNumberScheduled": 1, "numberReady": 1}, ""),
        ("DaemonSet", {}, {"desiredNumberScheduled": 1}, "1 of 1 pods to be made"),
        ("ConfigMap", {}, {}, ""),
    ],
)
def test_readiness(kind: str, spec: Object, status: Object, waits: str) -> None:
    assert waits_for(thing(kind, spec=spec, status=status)) == waits
    if kind != "ConfigMap":
        status = {**status, "observedGeneration": 1}
        unseen = {**thing(kind, spec=spec, status=status), "metadata": {"generation": 2}}
        assert waits_for(unseen) == "its controller to see it"


def test_patch_is_merged_by_keys_and_by_names() -> None:
    containers = [{"name": "a", "image": "x"}, {"name": "b", "args": ["1", "2"]}]
    base = thing("Deployment", spec={"replicas": 1, "containers": containers})
    changes = [{"name": "b", "args": ["3"]}, {"name": "c"}]
    (found,) = patched([base], [thing("Deployment", spec={"containers": changes, "paused": True})])
    expected = [{"name": "a", "image": "x"}, {"name": "b", "args": ["3"]}, {"name": "c"}]
    assert found["spec"] == {"replicas": 1, "paused": True, "containers": expected}
    assert base["spec"]["containers"] == containers


@pytest.mark.parametrize("patch", [thing("Deployment", "two"), thing("Secret"), thing("Deployment", version="v2")])
def test_patch_that_fits_nothing_is_refused(patch: Object) -> None:
    with pytest.raises(ManifestError, match="there is no %s %s in the" % (patch["kind"], patch["metadata"]["name"])):
        patched([thing("Deployment")], [patch])


def stand_in_for_helm(folder: Path, script: str) -> dict[str, str]:
    """Return the option ``chart`` with a program in place of Helm, which these tests do not have."""
    program = folder / "helm"
    program.write_text("#!/bin/sh\n" + script)
    program.chmod(0o755)
    return {"path": "clock.tgz", "helm": str(program), "kube_version": "1.36.0", "values": '{"word": "hunter2"}'}


def test_values_reach_helm_by_its_input_and_its_homes_are_not_the_user_s(tmp_path: Path) -> None:
    chart = stand_in_for_helm(tmp_path, 'echo "$*"; cat; echo; env | grep ^HELM_')
    asked, values, *homes = render(chart, ("clock", "time"), dict(os.environ, HELM_DATA_HOME="/mine"), 10).splitlines()
    options = "--namespace time --include-crds --no-hooks --values - --kube-version 1.36.0"
    assert asked == "template clock clock.tgz " + options
    assert json.loads(values) == {"word": "hunter2"}
    assert sorted(home.split("=")[0] for home in homes) == ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"]
    assert not [home for home in homes if "/mine" in home]


def test_chart_that_helm_refuses_is_named_with_its_words(tmp_path: Path) -> None:
    chart = stand_in_for_helm(tmp_path, "echo 'Error: values do not meet the schema' >&2; exit 1")
    with pytest.raises(PermanentError, match=r"render the chart clock\.tgz: Helm says: Error: values do not meet"):
        render(chart, ("clock", "time"), dict(os.environ), 10)
    with pytest.raises(NotFound) as missing:
        render(dict(chart, helm="/nonexistent/helm"), ("clock", "time"), {}, 10)
    assert "chart.helm" in missing.value.hint
