# SPDX-License-Identifier: GPL-3.0-or-later
"""Rights become RBAC objects that grant exactly them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.slipway.gitops.plugins.filter.rbac_manifests import rbac_manifests

PODS = {"verb": "list", "resource": "pods", "namespace": "shop"}
CLUSTER = {"verb": "get", "resource": "namespaces", "name": "kube-system"}


def test_one_role_a_namespace_and_one_for_the_cluster() -> None:
    made = rbac_manifests([PODS, CLUSTER, dict(PODS, namespace="argocd")], "status", "slipway")
    assert [(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in made] == [
        ("ServiceAccount", "slipway", "status"),
        ("ClusterRole", None, "slipway-status"),
        ("ClusterRoleBinding", None, "slipway-status"),
        ("Role", "argocd", "status"),
        ("RoleBinding", "argocd", "status"),
        ("Role", "shop", "status"),
        ("RoleBinding", "shop", "status"),
    ]
    for binding in (item for item in made if item["kind"].endswith("Binding")):
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "status", "namespace": "slipway"}]
        assert binding["roleRef"]["kind"] + "Binding" == binding["kind"]


def test_rights_to_the_same_are_one_rule() -> None:
    rights = [
        PODS,
        dict(PODS, verb="watch"),
        dict(PODS, verb="get"),
        dict(PODS, verb="get", subresource="log"),
        dict(PODS, verb="get", name="one"),
        {"verb": "patch", "group": "apps", "resource": "deployments", "namespace": "shop"},
        PODS,
    ]
    assert rbac_manifests(rights, "a", "b")[1]["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["pods"], "resourceNames": ["one"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]},
    ]


def test_order_of_the_rights_does_not_matter() -> None:
    rights = [PODS, CLUSTER, dict(PODS, verb="get"), dict(PODS, namespace="argocd")]
    assert rbac_manifests(rights, "a", "b") == rbac_manifests(rights[::-1], "a", "b")


@pytest.mark.parametrize(
    "right",
    [
        dict(PODS, verb="*"),
        dict(PODS, resource="*"),
        dict(PODS, group="*.example.com"),
        dict(PODS, subresource="*"),
        dict(PODS, namespace="*"),
        dict(PODS, verb=""),
        {"verb": "get"},
    ],
)
def test_g70_wildcard_and_half_right_are_refused(right: dict[str, Any]) -> None:
    with pytest.raises(AnsibleFilterError):
        rbac_manifests([right], "a", "b")


@pytest.mark.parametrize("rights", ["pods", PODS])
def test_what_is_no_list_is_refused(rights: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="a list of rights"):
        rbac_manifests(rights, "a", "b")
