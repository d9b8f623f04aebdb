# SPDX-License-Identifier: GPL-3.0-or-later
"""Role gitops_base on the local world: what is wrong is refused before anything is applied."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
import yaml

from ansible_collections.slipway.gitops.tests.integration.world.audit import AuditLog, Request
from ansible_collections.slipway.gitops.tests.integration.world.conftest import World
from ansible_collections.slipway.gitops.tests.integration.world.play import CHECKOUT, Outcome

REPOSITORY = "ssh://slipway-git@10.244.0.1:2222/sample.git"
SERVER = "https://kubernetes.default.svc"
OWN = yaml.safe_load((CHECKOUT / "inventories/local/group_vars/world/gitops_base.yml").read_text())
BOOK = [{"name": "Base", "hosts": "local_world", "gather_facts": False, "roles": ["slipway.gitops.gitops_base"]}]
Run = Callable[..., Outcome]


#: What these tests name, so that what others do at the same time is not held against the role.
NAMES = {"x", "second", "usurper", "environments", "sample-preview", "gitops-base-test"}


def written(audit: AuditLog) -> list[Request]:
    """Return what was written to objects that these tests name, and to projects."""
    return [item for item in audit.writes() if item.name in NAMES or item.resource == "appprojects"]


@pytest.fixture
def base(play: Callable[..., Outcome], tmp_path: Path) -> Run:
    """Return a function that runs the role as the inventory has it, with some variables changed."""
    book, values = tmp_path / "base.yml", tmp_path / "values.json"
    book.write_text(json.dumps(BOOK))

    def run(*arguments: str, **changes: Any) -> Outcome:
        values.write_text(json.dumps({"gitops_base_" + name: value for name, value in changes.items()}))
        return play(str(book), "-e", "@%s" % values, *arguments)

    return run


def application(name: str, **changes: Any) -> dict[str, Any]:
    """Return an Application of project sample that obeys all rules, but for the changes."""
    source = {"repoURL": REPOSITORY, "targetRevision": "main", "path": "apps/sample/overlays/preview"}
    spec = {"project": "sample", "source": source, "destination": {"server": SERVER, "namespace": "sample-preview"}}
    return {"name": name, "spec": {**spec, **changes}}


def parent(name: str, **directory: Any) -> dict[str, Any]:
    source = {"repoURL": REPOSITORY, "targetRevision": "main", "path": "argocd", "directory": directory}
    return application(name, source=source, destination={"server": SERVER, "namespace": "argocd"})


@pytest.mark.parametrize(
    "wanted, told",
    [
        pytest.param(
            application("x", destination={"server": SERVER, "namespace": "kube-system"}),
            "argocd/x: project sample does not allow it: namespace kube-system",
            id="g53-behaviour-43-namespace",
        ),
        pytest.param(
            application("x", source={"repoURL": "https://git.example.com/x", "targetRevision": "main", "path": "x"}),
            "argocd/x: project sample does not allow it: repository https://git.example.com/x",
            id="g53-behaviour-43-repository",
        ),
        pytest.param(application("x", project="defualt"), "its project 'defualt' is not one of these", id="project"),
        pytest.param(
            application("x", syncOptions=["CreateNamespace=true"]),
            "unknown field spec.syncOptions; did you mean spec.syncPolicy.syncOptions?",
            id="g48-unknown-field",
        ),
        pytest.param(
            application("sample-preview"), "argocd/sample-preview: it is defined 2 times", id="g54-behaviour-33-direct"
        ),
        pytest.param(parent("second"), "argocd/sample-preview: it is defined 2 times", id="g54-behaviour-33-parents"),
    ],
)
def test_refused_before_anything_is_applied(wanted: dict[str, Any], told: str, base: Run, audit: AuditLog) -> None:
    outcome = base(applications=[*OWN["gitops_base_applications"], wanted])
    assert outcome.status != 0
    assert told in " ".join(outcome.text.split()), outcome.text
    assert "Nothing was applied" in " ".join(outcome.text.split())
    assert written(audit) == []


def test_behaviour_33_exclude_switches_an_environment_off(base: Run, audit: AuditLog) -> None:
    """The parent that leaves the child out is no second owner of it."""
    second = parent("second", exclude="sample-preview*")
    outcome = base("--check", applications=[*OWN["gitops_base_applications"], second])
    assert outcome.status == 0, outcome.text
    assert written(audit) == []


def test_g54_live_child_of_another_parent_is_left_to_it(base: Run, audit: AuditLog) -> None:
    outcome = base(applications=[parent("usurper")])
    assert outcome.status != 0
    assert "it exists and is a child of Application environments, not of usurper" in " ".join(outcome.text.split())
    assert written(audit) == []


def test_behaviour_32_parent_brings_its_children_and_a_second_run_writes_nothing(
    base: Run, world: World, audit: AuditLog
) -> None:
    """G66: the namespace that is there already says nothing; what is missing is brought."""
    world.kubectl("-n", "argocd", "delete", "application", "environments", "sample-preview", "--wait=true")
    assert world.get("namespace", "sample-preview")
    first = base()
    assert first.status == 0, first.text
    assert world.get("-n", "argocd", "application", "sample-preview")["spec"]["project"] == "sample"
    labels = world.get("namespace", "sample-preview")["metadata"]["labels"]
    assert labels["slipway.dev/environment"] == "preview"
    before = world.get("-n", "argocd", "application", "environments")["metadata"]
    audit.rewind()
    second = base()
    assert "changed=0" in second.text, second.text
    # The Application is applied as it is, which the server answers without storing anything.
    assert {item.resource for item in written(audit)} <= {"applications"}
    after = world.get("-n", "argocd", "application", "environments")["metadata"]
    assert after["generation"] == before["generation"]


@pytest.fixture
def https(base: Run, world: World) -> Iterator[Run]:
    """A release of its own with one credential for HTTPS, removed at the end."""

    def run(**changes: Any) -> Outcome:
        repository = {
            "name": "gitops-base-test",
            "url": "https://git.example.com/team/deploy.git",
            "username": "robot",
            "password": "hunter2-canary",
        }
        return base("-vvv", "--diff", **{"release": "test", "repositories": [repository], **NOTHING, **changes})

    yield run
    assert run(state="absent").status == 0
    listed = world.get("-n", "argocd", "secrets,configmaps")["items"]
    names = [item["metadata"]["name"] for item in listed]
    assert not {"gitops-base-test", "slipway-gitops-base-test"} & set(names)


NOTHING: dict[str, Any] = {"projects": [], "namespaces": [], "applications": []}


def test_credential_is_kept_and_never_shown(https: Run, world: World, tmp_path: Path) -> None:
    outcome = https()
    assert outcome.status == 0, outcome.text
    secret = world.get("-n", "argocd", "secret", "gitops-base-test")
    assert secret["metadata"]["labels"]["argocd.argoproj.io/secret-type"] == "repository"
    data = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    assert data == {
        "type": "git",
        "url": "https://git.example.com/team/deploy.git",
        "username": "robot",
        "password": "hunter2-canary",
    }
    shown = outcome.text + json.dumps(outcome.results)
    assert "hunter2-canary" not in shown
    assert data["password"] not in "".join(path.read_text() for path in tmp_path.glob("*.jsonl"))


def test_private_key_of_the_repository_is_not_shown(base: Run, world: World) -> None:
    outcome = base("-vvv", "--diff")
    assert outcome.status == 0, outcome.text
    shown = outcome.text + json.dumps(outcome.results)
    lines = (world.folder / "git-client/argocd_ed25519").read_text().splitlines()
    assert "PRIVATE KEY" in lines[0]
    assert not [line for line in lines if line in shown]


@pytest.mark.parametrize("misspelt", ["gitops_base_project", "gitops_base_aplications"])
def test_misspelt_variable_is_refused(misspelt: str, base: Run) -> None:
    outcome = base(**{misspelt[len("gitops_base_") :]: []})
    assert outcome.status != 0
    assert "'%s' is not a variable of this role; did you mean" % misspelt in " ".join(outcome.text.split())
