# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications before they are applied: what their project allows, who would own them, what they lead to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Mapping, Optional

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._argocd.project import matches, normalized_url, refusals
from ansible_collections.slipway.gitops.plugins.module_utils._argocd.tree import (
    Found,
    Rules,
    follow,
    problems,
    selected,
)
from ansible_collections.slipway.gitops.plugins.module_utils._errors import InvalidInput

CLUSTER = "https://kubernetes.default.svc"
REPO = "ssh://git@git.example.com/team/deploy.git"
SCHEMA = json.loads((Path(__file__).parents[2] / "fixtures/argocd/application-schema.json").read_text())["schema"]
PROJECT = {
    "sourceRepos": [REPO],
    "destinations": [{"server": CLUSTER, "namespace": "shop-*"}, {"server": CLUSTER, "namespace": "argocd"}],
}


def spec(path: str = "apps/shop", namespace: str = "shop-staging", **more: Any) -> dict[str, Any]:
    """Return the specification of an Application."""
    source = {"repoURL": REPO, "targetRevision": "main", "path": path, **more.pop("source", {})}
    destination = {"server": CLUSTER, "namespace": namespace}
    return {"project": "team", "source": source, "destination": destination, **more}


def application(name: str, **more: Any) -> dict[str, Any]:
    """Return a manifest as it lies in Git."""
    meta = {"name": name, "namespace": "argocd"}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": meta, "spec": spec(**more)}


def judge(found: list[Found], live: Optional[list[Mapping[str, Any]]] = None, project: Any = None) -> list[str]:
    """Return the codes of what is wrong."""
    rules = Rules("argocd", {"team": PROJECT if project is None else project}, SCHEMA, live or [])
    return [problem.code for problem in problems(found, rules)]


def asked(name: str = "shop", **more: Any) -> Found:
    return Found(name, more.pop("place", "argocd"), "inventory", spec(**more))


@pytest.mark.parametrize(
    "pattern, value, separator, fits",
    [
        ("*", "any/thing", "/", True),
        ("shop-*", "shop-a", "", True),
        ("shop-*", "shop", "", False),
        ("https://x/*", "https://x/a", "/", True),
        ("https://x/*", "https://x/a/b", "/", False),
        ("https://x/**", "https://x/a/b", "/", True),
        ("{a,b}.yaml", "b.yaml", "", True),
        ("{a,b*}.yaml", "bc.yaml", "", True),
        ("a?c", "abc", "", True),
        ("a.c", "abc", "", False),
        ("[ab]", "a", "", False),
    ],
)
def test_globs(pattern: str, value: str, separator: str, fits: bool) -> None:
    assert matches(pattern, value, separator) is fits


@pytest.mark.parametrize(
    "one, other",
    [
        ("git@git.example.com:team/deploy.git", "ssh://git@git.example.com/team/deploy"),
        ("HTTPS://Git.Example.com/team/deploy.git", "https://git.example.com/team/deploy"),
    ],
)
def test_spellings_of_one_repository(one: str, other: str) -> None:
    assert normalized_url(one) == normalized_url(other)


@pytest.mark.parametrize(
    "rules, url, codes",
    [
        (["*"], REPO, []),
        ([REPO], REPO[:-4], []),
        (["ssh://git@git.example.com/team/*"], REPO, []),
        (["ssh://git@git.example.com/*"], REPO, ["source_not_allowed"]),
        (["ssh://git@git.example.com/**"], REPO, []),
        (["*", "!ssh://git@git.example.com/team/*"], REPO, ["source_not_allowed"]),
        ([], REPO, ["source_not_allowed"]),
    ],
)
def test_g53_repositories(rules: list[str], url: str, codes: list[str]) -> None:
    project = dict(PROJECT, sourceRepos=rules)
    found = refusals(project, [{"repoURL": url}], {"server": CLUSTER, "namespace": "shop-x"})
    assert [code for code, _cause in found] == codes


@pytest.mark.parametrize(
    "rules, destination, codes",
    [
        ([{"server": "*", "namespace": "*"}], {"server": CLUSTER, "namespace": "x"}, []),
        ([{"server": CLUSTER, "namespace": "x"}], {"server": CLUSTER, "namespace": "y"}, ["destination_not_allowed"]),
        ([{"server": CLUSTER, "namespace": "x"}], {"name": "in-cluster", "namespace": "x"}, []),
        ([{"name": "in-cluster", "namespace": "x"}], {"server": CLUSTER, "namespace": "x"}, []),
        ([{"name": "other", "namespace": "x"}], {"server": CLUSTER, "namespace": "x"}, ["destination_not_allowed"]),
        (
            [{"server": "*", "namespace": "*"}, {"server": "*", "namespace": "!kube-system"}],
            {"server": CLUSTER, "namespace": "kube-system"},
            ["destination_not_allowed"],
        ),
        ([], {"server": CLUSTER, "namespace": "x"}, ["destination_not_allowed"]),
    ],
)
def test_g53_destinations(rules: list[Any], destination: dict[str, str], codes: list[str]) -> None:
    """Behaviour 43."""
    found = refusals(dict(PROJECT, destinations=rules), [], destination)
    assert [code for code, _cause in found] == codes


def test_g53_refusal_names_what_is_allowed() -> None:
    rules = Rules("argocd", {"team": PROJECT}, SCHEMA, [])
    told = problems([asked(namespace="billing", source={"repoURL": "https://else.example.com/x"})], rules)
    assert [problem.application for problem in told] == ["argocd/shop", "argocd/shop"]
    assert "https://else.example.com/x is not among its sourceRepos (%s)" % REPO in told[0].message
    assert "namespace billing of %s is not among its destinations (shop-*" % CLUSTER in told[1].message


@pytest.mark.parametrize(
    "found, codes",
    [
        ([asked()], []),
        ([asked(), asked("other")], []),
        ([asked(), asked()], ["owned_twice"]),
        ([asked(), asked(place="apps")], ["namespace_not_allowed"]),
        ([Found("shop", "argocd", "x", dict(spec(), project="default"))], ["project_unknown"]),
        ([Found("shop", "argocd", "x", dict(spec(), health={}))], ["unknown_field"]),
        ([Found("shop", "argocd", "x", dict(spec(), syncOptions=["CreateNamespace=true"]))], ["unknown_field"]),
    ],
)
def test_problems(found: list[Found], codes: list[str]) -> None:
    assert judge(found) == codes


def test_namespaces_of_applications() -> None:
    assert judge([asked(place="apps")], project=dict(PROJECT, sourceNamespaces=["app*"])) == []


def test_unknown_field_names_the_place_it_was_meant_for() -> None:
    rules = Rules("argocd", {"team": PROJECT}, SCHEMA, [])
    told = problems([Found("shop", "argocd", "apps/x.yaml", dict(spec(), syncOptions=[]))], rules)
    assert (
        told[0].message
        == "apps/x.yaml has the unknown field spec.syncOptions; did you mean spec.syncPolicy.syncOptions?"
    )


FILES = {
    "argocd/staging.yaml": json.dumps(application("shop-staging")),
    "argocd/production.yaml": json.dumps(application("shop-production", namespace="shop-production")),
    "argocd/readme.md": "no manifest",
    "argocd/more/preview.yml": json.dumps(application("shop-preview")) + "\n---\n" + json.dumps({"kind": "ConfigMap"}),
    "apps/shop/kustomization.yaml": "resources: []",
    "apps/shop/application.yaml": json.dumps(application("hidden")),
    "broken/x.yaml": "a: [",
}


def parent(**directory: Any) -> Found:
    return asked("environments", path="argocd", namespace="argocd", source={"directory": directory})


def lead(*wanted: Found) -> list[str]:
    """Return what the wanted Applications lead to, in the repository FILES."""
    return [found.name for found in follow(wanted, lambda url, revision: FILES)]


@pytest.mark.parametrize(
    "directory, names",
    [
        ({}, ["shop-production", "shop-staging"]),
        ({"recurse": True}, ["shop-preview", "shop-production", "shop-staging"]),
        ({"include": "staging.yaml"}, ["shop-staging"]),
        ({"include": "{staging,none}.yaml"}, ["shop-staging"]),
        ({"exclude": "staging*"}, ["shop-production"]),
        ({"recurse": True, "exclude": "*", "include": "*"}, []),
        ({"recurse": True, "include": "more/*"}, ["shop-preview"]),
    ],
)
def test_behaviour_33_include_and_exclude_switch_environments(directory: dict[str, Any], names: list[str]) -> None:
    assert lead(parent(**directory)) == ["environments", *names]


def test_behaviour_32_children_know_their_parent() -> None:
    children = follow([parent()], lambda url, revision: FILES)[1:]
    assert {child.parent for child in children} == {"argocd/environments"}
    assert {child.origin for child in children} == {
        "argocd/%s.yaml of %s" % (n, REPO) for n in ("staging", "production")
    }
    assert judge([parent(), *children]) == []


def test_g54_child_of_two_parents() -> None:
    """Behaviour 33: the second parent leaves nothing out that the first has."""
    second = asked("everything", path="argocd", namespace="argocd", source={"directory": {"recurse": True}})
    found = follow([parent(), second], lambda url, revision: FILES)
    assert judge(found) == ["owned_twice", "owned_twice"]


def test_g54_child_that_is_asked_for_directly_too() -> None:
    found = follow([parent(), asked("shop-staging")], lambda url, revision: FILES)
    rules = Rules("argocd", {"team": PROJECT}, SCHEMA, [])
    (told,) = problems(found, rules)
    assert told.application == "argocd/shop-staging"
    assert "inventory (asked for)" in told.message
    assert "argocd/staging.yaml of %s (through argocd/environments)" % REPO in told.message


def alive(name: str, tracking: str = "", manager: str = "argocd-controller") -> dict[str, Any]:
    annotations = {"argocd.argoproj.io/tracking-id": tracking} if tracking else {}
    return {
        "metadata": {
            "name": name,
            "namespace": "argocd",
            "annotations": annotations,
            "managedFields": [{"manager": manager}],
        }
    }


@pytest.mark.parametrize(
    "live, codes",
    [
        ([], []),
        ([alive("shop-staging", "environments:argoproj.io/Application:argocd/shop-staging")], []),
        ([alive("shop-staging", "argocd_environments:argoproj.io/Application:argocd/shop-staging")], []),
        ([alive("shop-staging", "others:argoproj.io/Application:argocd/shop-staging")], ["owned_by_other"]),
        ([alive("shop-staging", manager="slipway.gitops")], ["owned_by_other"]),
        ([alive("shop-staging", manager="kubectl")], []),
        ([alive("environments", "others:argoproj.io/Application:argocd/environments")], ["owned_by_other"]),
        ([alive("environments", manager="slipway.gitops")], []),
        ([alive("else", manager="slipway.gitops")], []),
    ],
)
def test_g54_owner_of_what_is_alive(live: list[Mapping[str, Any]], codes: list[str]) -> None:
    found = follow([parent(include="staging.yaml")], lambda url, revision: FILES)
    assert judge(found, live) == codes


def test_folder_of_another_tool_is_not_read() -> None:
    assert selected({"path": "apps/shop"}, FILES) == []
    assert selected({"path": "./argocd/"}, FILES) == ["argocd/production.yaml", "argocd/staging.yaml"]
    assert selected({"path": "."}, ["a.yaml", "b/c.yaml"]) == ["a.yaml"]


def test_ordinary_application_is_not_followed() -> None:
    def read(url: str, revision: str) -> Mapping[str, str]:
        raise AssertionError("nothing has to be fetched")

    assert len(follow([asked()], read)) == 1


def test_circle_of_parents_ends() -> None:
    files = {"argocd/self.yaml": json.dumps(application("environments", path="argocd", namespace="argocd"))}
    found = follow([parent()], lambda url, revision: files)
    assert len(found) < 60
    assert "owned_twice" in judge(found)


@pytest.mark.parametrize(
    "source, told",
    [
        ({"path": "broken", "directory": {}}, "broken/x.yaml of %s is not YAML" % REPO),
        ({"path": "argocd", "directory": {}, "targetRevision": "HEAD"}, "targetRevision names no branch"),
    ],
)
def test_parent_that_cannot_be_followed(source: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        lead(asked("environments", namespace="argocd", source=source))
