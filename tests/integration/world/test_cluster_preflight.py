# SPDX-License-Identifier: GPL-3.0-or-later
"""The preflight on the real API server: identities with real rights, a real quota, requests counted."""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry.cluster_preflight import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._run import execute
from ansible_collections.slipway.gitops.tests.integration.world.audit import AuditLog
from ansible_collections.slipway.gitops.tests.integration.world.conftest import World

Check = Callable[..., dict[str, Any]]
ROBOT = "robot"


@pytest.fixture(scope="module", name="namespace")
def fixture_namespace(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return a namespace with a quota, and an identity that may do little: not even read kube-system."""
    name = "preflight-" + uuid.uuid4().hex[:8]
    labels = {"environment": "production", "guarded": "true"}
    rules = [
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    ]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ROBOT}
    inside = {"name": ROBOT, "namespace": name}
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": inside},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": inside, "rules": rules},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": inside,
            "roleRef": role,
            "subjects": [{"kind": "ServiceAccount", **inside}],
        },
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "small", "namespace": name},
            "spec": {"hard": {"count/configmaps": "1", "requests.cpu": "2"}},
        },
    ]
    path = tmp_path_factory.mktemp("preflight") / "objects.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    world.kubectl("apply", "-f", str(path))
    # The API server fills in what is used a moment later; kube-root-ca.crt is the one map there is.
    used = "--for=jsonpath={.status.used.count/configmaps}=1"
    world.kubectl("-n", name, "wait", "resourcequota/small", used, "--timeout=60s")
    yield name
    world.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(name="warnings")
def fixture_warnings() -> list[str]:
    return []


@pytest.fixture(name="check")
def fixture_check(world: World, warnings: list[str]) -> Check:
    """Return a function that runs the module as a task does, as administrator unless told otherwise."""

    def check(**options: Any) -> dict[str, Any]:
        given = {"kubeconfig": str(world.kubeconfig), **options}
        checked = ArgumentSpecValidator(ENTRY.argument_spec, **ENTRY.constraints).validate(given)
        assert checked.error_messages == []
        context = Context(env=dict(os.environ), warn=warnings.append, agent="slipway.gitops/test-preflight")
        return execute(ENTRY, checked.validated_parameters, context)

    return check


@pytest.fixture(name="robot")
def fixture_robot(world: World, namespace: str) -> dict[str, str]:
    """Return the options with which the module is the identity of few rights."""
    return {"api_key": world.kubectl("-n", namespace, "create", "token", ROBOT).strip()}


def pins(world: World) -> dict[str, str]:
    """Return the identity of the local cluster, asked another way."""
    server = world.kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
    return {"uid": world.get("namespace", "kube-system")["metadata"]["uid"], "server": server}


def test_unpinned_production_is_refused_with_the_two_lines(check: Check, world: World, audit: AuditLog) -> None:
    result = check(require_pinned=True, namespace="default")
    assert result["error"]["code"] == "cluster_unpinned"
    for name, value in pins(world).items():
        assert 'deploy_cluster_%s: "%s"\n' % (name, value) in result["msg"]
    asked = audit.requests("test-preflight")
    assert [(item.verb, item.resource, item.name) for item in asked] == [("get", "namespaces", "kube-system")]


def test_lines_of_the_refusal_let_the_next_run_pass(check: Check) -> None:
    cluster = check(require_pinned=True)["cluster"]
    result = check(require_pinned=True, uid=cluster["uid"], server=cluster["server"])
    assert "failed" not in result, result
    assert result["problems"] == []


@pytest.mark.parametrize("name", ["nonprod", "preprod", "product-eu", "production"])
def test_g79_context_of_that_name_on_another_cluster_is_refused(
    name: str, check: Check, world: World, tmp_path: Path, audit: AuditLog
) -> None:
    """A kubeconfig may call the context what it likes: another UID is another cluster."""
    path = tmp_path / "config"
    path.write_text(world.kubeconfig.read_text())
    world.kubectl("config", "--kubeconfig", str(path), "rename-context", "slipway", name)
    result = check(kubeconfig=str(path), **dict(pins(world), uid=str(uuid.uuid4())))
    assert result["error"]["code"] == "cluster_mismatch"
    assert len(audit.requests("test-preflight")) == 1
    assert check(kubeconfig=str(path), **pins(world))["cluster"]["context"] == name


def test_behaviour_59_another_server_is_not_even_asked(check: Check, world: World, audit: AuditLog) -> None:
    result = check(**dict(pins(world), server="https://10.255.255.1:6443"))
    assert result["error"]["code"] == "cluster_mismatch"
    assert audit.requests("test-preflight") == []


def test_requests_are_few_and_write_nothing(check: Check, world: World, namespace: str, audit: AuditLog) -> None:
    labels = {"environment": "production", "guarded": True}
    access = [
        {"verb": verb, "group": "apps", "resource": "deployments", "namespace": namespace} for verb in ("get", "patch")
    ]
    kinds = [{"group": "argoproj.io", "version": "v1alpha1", "kind": kind} for kind in ("Application", "AppProject")]
    result = check(namespace=namespace, namespace_labels=labels, access=access, kinds=kinds, **pins(world))
    assert "failed" not in result, result
    assert [item["allowed"] for item in result["access"]] == [True, True]
    assert result["cluster"]["namespace_labels"]["environment"] == "production"
    assert (
        result["cluster"]["version"]
        == json.loads(world.kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]
    )
    # kube-system, version, the namespace, its quotas, one listing of kinds, two rights
    assert len(audit.requests("test-preflight")) <= 7
    assert audit.writes("test-preflight") == []


def test_behaviour_8_quota_is_shown_and_said_aloud_when_it_is_used_up(
    check: Check, namespace: str, warnings: list[str]
) -> None:
    (quota,) = check(namespace=namespace)["quotas"]
    assert quota["name"] == "small"
    assert quota["hard"] == {"count/configmaps": "1", "requests.cpu": "2"}
    assert quota["used"]["count/configmaps"] == "1"
    assert [text for text in warnings if "count/configmaps (1 of 1)" in text]


def test_behaviour_8_limited_rights_are_detected_and_named(
    check: Check, namespace: str, robot: dict[str, str], warnings: list[str]
) -> None:
    access = [
        {"verb": "get", "group": "apps", "resource": "deployments", "namespace": namespace},
        {"verb": "get", "resource": "pods", "subresource": "log", "namespace": namespace},
        {"verb": "patch", "group": "apps", "resource": "deployments", "namespace": namespace},
        {"verb": "patch", "group": "argoproj.io", "resource": "applications", "namespace": "argocd"},
    ]
    result = check(namespace=namespace, access=access, **robot)
    assert result["error"]["code"] == "forbidden"
    assert [item["allowed"] for item in result["access"]] == [True, True, False, False]
    who = "system:serviceaccount:%s:%s" % (namespace, ROBOT)
    assert "%s may not patch applications.argoproj.io in namespace argocd" % who in result["msg"]
    assert "%s may not patch deployments.apps in namespace %s" % (who, namespace) in result["msg"]
    assert "%s may not get namespaces '%s'" % (who, namespace) in result["msg"]
    assert 'apiGroups: ["argoproj.io"], resources: ["applications"], verbs: ["patch"]' in result["error"]["hint"]
    assert "get namespaces 'kube-system'" in warnings[0]


def test_identity_that_must_not_ask_who_the_cluster_is(check: Check, world: World, robot: dict[str, str]) -> None:
    result = check(require_pinned=True, **pins(world), **robot)
    assert result["error"]["code"] == "forbidden"
    assert "get namespaces 'kube-system'" in result["msg"]


def test_rule_that_the_message_names_grants_the_right(
    check: Check, world: World, namespace: str, robot: dict[str, str]
) -> None:
    """The hint is true: with exactly that rule the same call passes."""
    access = [{"verb": "patch", "group": "apps", "resource": "deployments", "namespace": namespace, "name": "web"}]
    hint = check(access=access, **robot)["error"]["hint"]
    assert 'resources: ["deployments"], verbs: ["patch"], resourceNames: ["web"]' in hint
    rule = ["--verb=patch", "--resource=deployments.apps", "--resource-name=web"]
    world.kubectl("-n", namespace, "create", "role", "patcher", *rule)
    account = "--serviceaccount=%s:%s" % (namespace, ROBOT)
    world.kubectl("-n", namespace, "create", "rolebinding", "patcher", "--role=patcher", account)
    deadline = time.monotonic() + 20  # the authorizer learns of a new binding by a watch, a moment later
    result = check(access=access, **robot)
    while "failed" in result and time.monotonic() < deadline:
        result = check(access=access, **robot)
    assert "failed" not in result, result


def test_missing_kinds_labels_and_namespaces_are_named(check: Check, namespace: str) -> None:
    kinds = [
        {"group": "apps", "version": "v1", "kind": "Deploiment"},
        {"group": "none.example", "version": "v1", "resource": "x"},
    ]
    result = check(
        namespace=namespace, namespace_labels={"environment": "staging"}, kinds=kinds, fail_on_problems=False
    )
    assert "failed" not in result, result
    assert [item["code"] for item in result["problems"]] == ["namespace_label", "not_found", "not_found"]
    absent = check(namespace="preflight-nowhere")
    assert absent["error"]["code"] == "not_found"
    assert "namespace preflight-nowhere does not exist" in absent["msg"]
