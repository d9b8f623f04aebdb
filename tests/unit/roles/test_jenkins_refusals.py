# SPDX-License-Identifier: GPL-3.0-or-later
"""Role jenkins: what it refuses, and whose the objects beside it are."""

from __future__ import annotations

from typing import Any, Optional

import pytest
import yaml

from ansible_collections.slipway.gitops.tests.unit.roles.jenkins_support import KEYS, ROLE, rendered


def tables() -> dict[str, Any]:
    """Return the role's own variables that need no template."""
    loaded: dict[str, Any] = yaml.safe_load((ROLE / "vars/main.yml").read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize(
    ("table", "given", "said"),
    [
        ("__jenkins_kept_values", {"controller": {"javaOpts": "-Xmx1g"}, "persistence": {"volumes": []}}, None),
        ("__jenkins_kept_values", {}, None),
        ("__jenkins_kept_values", {"fullnameOverride": None, "controller": None}, None),
        ("__jenkins_kept_values", {"fullnameOverride": "ci"}, ["fullnameOverride, which the role keeps"]),
        (
            "__jenkins_kept_values",
            {"controller": {"servicePort": 80, "replicas": 0}, "persistence": {"enabled": False}},
            [
                "controller.replicas, which the role keeps",
                "controller.servicePort (set jenkins_service_port instead)",
                "persistence.enabled (set jenkins_persistence instead)",
            ],
        ),
        ("__jenkins_kept_config", {"jenkins": {"systemMessage": "numExecutors: 2"}}, None),
        ("__jenkins_kept_config", "unclassified: {location: {url: x}}", None),
        (
            "__jenkins_kept_config",
            {"jenkins": {"numExecutors": 0}, "unclassified": {"location": {"url": "https://x.example.com"}}},
            [
                "jenkins.numExecutors (set controller.numExecutors in jenkins_values instead)",
                "unclassified.location.url (set jenkins_url instead)",
            ],
        ),
    ],
)
def test_what_somebody_else_says_is_refused_with_the_place_to_say_it(
    table: str, given: Any, said: Optional[list[str]]
) -> None:
    assert rendered("said.yml.j2", table=tables()[table], given=given) == said


def test_what_is_refused_is_an_option_of_the_role_and_a_value_of_the_chart() -> None:
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    for path, option in tables()["__jenkins_kept_values"].items():
        known: Any = KEYS
        for key in path.split("."):
            known = known[key]
        assert option in ("", *defaults)
    for instead in tables()["__jenkins_kept_config"].values():
        option, _in, where = instead.partition(" in ")
        assert option in defaults or (where == "jenkins_values" and option.split(".")[1] in KEYS["controller"])


def found(kind: str, name: str, option: str = "jenkins_x", **more: Any) -> dict[str, Any]:
    return {"item": {"kind": kind, "name": name, "option": option, **more}, "objects": []}


def test_what_options_name_and_is_not_there_is_told_at_once() -> None:
    there = {**found("Secret", "git", key="token"), "objects": [{"data": {"token": "x"}}]}
    assert rendered("missing.yml.j2", found=[there]) is None
    keyless = {**found("Secret", "git", key="token"), "objects": [{"metadata": {}}]}
    asked = [keyless, found("Namespace", "agents", "jenkins_agent_namespace"), found("Secret", "pull")]
    assert rendered("missing.yml.j2", found=asked) == [
        "Option jenkins_x: Secret git has no key token.",
        "Option jenkins_agent_namespace: there is no Namespace agents.",
        "Option jenkins_x: there is no Secret pull in namespace jenkins.",
    ]


def inventory(name: str, *lines: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": {"objects": "".join(line + "\n" for line in lines)}}


OWN = [
    inventory("slipway-jenkins-home", "v1 Namespace  jenkins", "v1 PersistentVolumeClaim jenkins jenkins-home"),
    inventory("slipway-jenkins", "apps/v1 StatefulSet jenkins jenkins"),
    inventory("slipway-tool", "apps/v1 Deployment jenkins tool"),
]


def there(kind: str, *names: str, **meta: Any) -> dict[str, Any]:
    return {**found(kind, ""), "objects": [{"metadata": {"name": name, **meta}} for name in names]}


@pytest.mark.parametrize(
    ("objects", "options", "others"),
    [
        ([there("PersistentVolumeClaim", "jenkins-home"), there("StatefulSet", "jenkins")], {}, None),
        ([there("PersistentVolumeClaim", "jenkins-home", "theirs")], {}, ["PersistentVolumeClaim theirs"]),
        # Named by the operator: his, even while the inventory of an older run lists it.
        (
            [there("PersistentVolumeClaim", "jenkins-home")],
            {"jenkins_persistence_existing_claim": "jenkins-home"},
            ["PersistentVolumeClaim jenkins-home"],
        ),
        # Not this role's release, though this collection keeps it.
        ([there("Deployment", "tool")], {}, ["Deployment tool"]),
        ([there("CronJob", "theirs")], {}, ["CronJob theirs"]),
        ([there("Deployment", "made", ownerReferences=[{"kind": "Thing"}])], {}, None),
    ],
)
def test_whose_the_objects_of_the_namespace_are(objects: Any, options: dict[str, Any], others: Any) -> None:
    assert rendered("others.yml.j2", found=objects, inventories=OWN, **options) == others


def test_claim_that_no_inventory_lists_is_somebody_s_whatever_its_name() -> None:
    claims = [there("PersistentVolumeClaim", "jenkins-home")]
    assert rendered("others.yml.j2", found=claims, inventories=[]) == ["PersistentVolumeClaim jenkins-home"]
