# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns rights into the RBAC objects that grant exactly them."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: rbac_manifests
short_description: Turn rights into the RBAC objects that grant exactly them
version_added: 1.0.0
author: slipway.gitops contributors (@slipway-gitops)
description:
  - Takes rights in the form of the option O(slipway.gitops.cluster_preflight#module:access) and gives the service account, one
    Role with its RoleBinding in each namespace, and one ClusterRole with its binding for what has no namespace.
  - A wildcard is refused. Rights to the same resources and names become one rule, in a fixed order.
positional: account, namespace
options:
  _input:
    description: The rights, each with C(verb), C(resource) and optionally C(group), C(subresource), C(namespace), C(name).
    type: list
    elements: dict
    required: true
  account:
    description: Name of the service account, and of all objects.
    type: str
    required: true
  namespace:
    description: Namespace of the service account.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show what would be granted
  ansible.builtin.debug:
    msg: "{{ rights | slipway.gitops.rbac_manifests('status', 'slipway') }}"
  vars:
    rights:
      - {verb: list, resource: pods, namespace: sample}
      - {verb: get, resource: namespaces, name: kube-system}
"""

RETURN = r"""
_value:
  description: The objects, the service account first.
  type: list
  elements: dict
"""

_API = "rbac.authorization.k8s.io"
_LABELS = {"app.kubernetes.io/managed-by": "slipway.gitops"}
#: In the order in which a person reads them; a verb of another resource's own comes after.
_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")


def rbac_manifests(rights: Iterable[Mapping[str, Any]], account: str, namespace: str) -> list[dict[str, Any]]:
    """Return the objects that grant ``rights``, and nothing else, to one service account."""
    if isinstance(rights, (str, Mapping)):
        raise AnsibleFilterError("rbac_manifests takes a list of rights")
    by_namespace: dict[str, list[Mapping[str, Any]]] = {}
    for right in rights:
        _check(right)
        by_namespace.setdefault(str(right.get("namespace") or ""), []).append(right)
    meta = {"name": account, "namespace": namespace, "labels": dict(_LABELS)}
    objects: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}]
    for place, given in sorted(by_namespace.items()):
        objects += _granted(given, account, place, namespace)
    return objects


def _check(right: Mapping[str, Any]) -> None:
    for part in ("verb", "resource"):
        if not right.get(part):
            raise AnsibleFilterError("a right has no %s: %s" % (part, dict(right)))
    if any("*" in str(value) for value in right.values()):
        raise AnsibleFilterError("a wildcard is not granted: %s" % dict(right))


def _granted(given: list[Mapping[str, Any]], account: str, place: str, namespace: str) -> list[dict[str, Any]]:
    """Return the role and its binding, in ``place`` or for the whole cluster."""
    kind = "Role" if place else "ClusterRole"
    # The name of a ClusterRole is for all namespaces: that of the account makes it one account's own.
    name = account if place else "%s-%s" % (namespace, account)
    meta: dict[str, Any] = {"name": name, "labels": dict(_LABELS)}
    if place:
        meta["namespace"] = place
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    reference = {"apiGroup": _API, "kind": kind, "name": name}
    return [
        {"apiVersion": _API + "/v1", "kind": kind, "metadata": meta, "rules": _rules(given)},
        {
            "apiVersion": _API + "/v1",
            "kind": kind + "Binding",
            "metadata": dict(meta),
            "roleRef": reference,
            "subjects": [subject],
        },
    ]


def _rules(given: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    verbs: dict[tuple[str, str, str], set[str]] = {}
    for right in given:
        resource = "/".join(str(right[part]) for part in ("resource", "subresource") if right.get(part))
        key = (str(right.get("group") or ""), resource, str(right.get("name") or ""))
        verbs.setdefault(key, set()).add(str(right["verb"]))
    rules = []
    for (group, resource, name), wanted in sorted(verbs.items()):
        rule: dict[str, Any] = {"apiGroups": [group], "resources": [resource]}
        if name:
            rule["resourceNames"] = [name]
        known = [verb for verb in _VERBS if verb in wanted]
        rules.append(dict(rule, verbs=known + sorted(wanted - set(_VERBS))))
    return rules


class FilterModule:
    """Registers the filter with Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file by name."""
        return {"rbac_manifests": rbac_manifests}
