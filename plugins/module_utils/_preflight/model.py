# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster must offer before something is delivered to it (private to the collection)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Mapping, NamedTuple, Sequence

from .._errors import InvalidInput
from .identity import Pins, check_pins

Object = dict[str, Any]
_HOUR_S = 3600


class Problem(NamedTuple):
    """One thing that is not as it must be. ``hint`` says what to do about it."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Right:
    """One right, in the words of Kubernetes. An empty namespace means all of them, or none has to be named."""

    verb: str
    resource: str
    group: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    def review(self) -> Object:
        """Return the question to the API server whether we have it."""
        values = {
            "verb": self.verb,
            "group": self.group,
            "resource": self.resource,
            "subresource": self.subresource,
            "namespace": self.namespace,
            "name": self.name,
        }
        attributes = {key: value for key, value in values.items() if value}
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }

    @property
    def hint(self) -> str:
        """Where the right is granted, and the rule that grants it."""
        resource = self.resource + ("/" + self.subresource if self.subresource else "")
        rule: dict[str, Sequence[str]] = {"apiGroups": [self.group], "resources": [resource], "verbs": [self.verb]}
        if self.name:
            rule["resourceNames"] = [self.name]
        where = "Role in namespace %s" % self.namespace if self.namespace else "ClusterRole"
        return "Grant it by a %s: {%s}." % (where, ", ".join("%s: %s" % (k, json.dumps(v)) for k, v in rule.items()))

    def __str__(self) -> str:
        kind = self.resource + ("." + self.group if self.group else "")
        kind += "/" + self.subresource if self.subresource else ""
        text = "%s %s" % (self.verb, kind) + (" '%s'" % self.name if self.name else "")
        return text + (" in namespace %s" % self.namespace if self.namespace else " in all namespaces")


@dataclass(frozen=True)
class Kind:
    """One kind that must be served, named by its kind or by its plural."""

    version: str
    group: str = ""
    kind: str = ""
    resource: str = ""

    @property
    def path(self) -> str:
        """Where the API server lists what it serves of the group and version."""
        return "/apis/%s/%s" % (self.group, self.version) if self.group else "/api/" + self.version

    def is_served(self, listing: Mapping[str, Any]) -> bool:
        """Whether ``listing``, an APIResourceList, has it. Subresources do not count."""
        served = [item for item in listing.get("resources") or [] if "/" not in str(item.get("name"))]
        return any(self.kind in ("", item.get("kind")) and self.resource in ("", item.get("name")) for item in served)

    def __str__(self) -> str:
        group = "%s/%s" % (self.group, self.version) if self.group else self.version
        return "%s %s" % (group, self.kind or self.resource)


@dataclass(frozen=True)
class Wanted:
    """The options of the module, checked."""

    pins: Pins
    namespace: str
    labels: Mapping[str, str]
    rights: Sequence[Right]
    kinds: Sequence[Kind]


def wanted(params: Mapping[str, Any]) -> Wanted:
    """Check the options and return what they ask for. Raises InvalidInput."""
    pins = Pins(params.get("uid") or "", params.get("server") or "", bool(params.get("require_pinned")))
    check_pins(pins)
    rights = [_right(item, "access[%d]" % at) for at, item in enumerate(params.get("access") or [])]
    kinds = [_kind(item, "kinds[%d]" % at) for at, item in enumerate(params.get("kinds") or [])]
    if not 0 < params["timeout"] <= _HOUR_S:  # false for NaN, too
        raise InvalidInput("timeout", "%s is not a number of seconds above zero, up to an hour" % params["timeout"])
    labels = {str(key): _text(key, value) for key, value in (params.get("namespace_labels") or {}).items()}
    namespace = params.get("namespace") or ""
    _check_word("namespace", namespace, namespace)
    if labels and not namespace:
        raise InvalidInput("namespace_labels", "no namespace is named", "Set 'namespace' too.")
    return Wanted(pins, namespace, labels, rights, kinds)


def _right(item: Mapping[str, Any], where: str) -> Right:
    right = Right(**{name: value or "" for name, value in item.items()})
    for name in item:
        _check_word("%s.%s" % (where, name), getattr(right, name), name in ("verb", "resource"))
    return right


def _kind(item: Mapping[str, Any], where: str) -> Kind:
    kind = Kind(**{name: value or "" for name, value in item.items()})
    for name in item:
        _check_word("%s.%s" % (where, name), getattr(kind, name), name == "version")
    if not kind.kind and not kind.resource:
        raise InvalidInput(where, "neither kind nor resource is named", "Give one of them.")
    return kind


def _check_word(option: str, value: str, is_required: object = False) -> None:
    """Refuse what is no single word; a slash is the mark of a subresource, which has its own option."""
    if (is_required and not value) or not value.isprintable() or not value.isascii() or set(value) & set(" /?#%"):
        raise InvalidInput(option, "%r is not the name of anything in Kubernetes" % value[:80])


def _text(key: object, value: object) -> str:
    """Return the value of a label as Kubernetes writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int)):
        return str(value)
    raise InvalidInput("namespace_labels", "the value of '%s' is no text" % key, "Put it in quotes.")


def namespace_problems(namespace: Mapping[str, Any], labels: Mapping[str, str]) -> list[Problem]:
    """Return what is wrong with a namespace that exists."""
    metadata = namespace["metadata"]
    name, found = metadata["name"], metadata.get("labels") or {}
    problems = []
    if metadata.get("deletionTimestamp"):
        hint = "Wait until it is gone, then deliver again."
        problems.append(Problem("namespace_terminating", "namespace %s is being deleted" % name, hint))
    for key, value in labels.items():
        if found.get(key) != value:
            has = "is '%s'" % found[key] if key in found else "is missing"
            message = "label %s of namespace %s %s, expected '%s'" % (key, name, has, value)
            hint = "If it is the right namespace: kubectl label namespace %s %s=%s." % (name, key, value)
            problems.append(Problem("namespace_label", message, hint))
    return problems
