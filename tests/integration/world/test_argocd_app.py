# SPDX-License-Identifier: GPL-3.0-or-later
"""argocd_app and argocd_app_info against the world's Argo CD: real comparisons, real operations."""

from __future__ import annotations

import base64
import importlib
import shutil
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import pytest
import yaml

from ansible_collections.slipway.gitops.tests.integration.world.argocd_support import (
    IMAGE,
    NAME,
    Repository,
    apply,
    kustomization,
    project,
    register,
    specification,
)
from ansible_collections.slipway.gitops.tests.integration.world.audit import AuditLog
from ansible_collections.slipway.gitops.tests.integration.world.conftest import World
from ansible_collections.slipway.gitops.tests.integration.world.play import Outcome

MODULE = "slipway.gitops.argocd_app"
INFO = "slipway.gitops.argocd_app_info"
Call = Callable[..., Outcome]


@pytest.fixture(scope="module")
def repository(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """Return a repository that Argo CD may read; it and all that came of it goes afterwards."""
    made = Repository(world, tmp_path_factory.mktemp("git") / "clone")
    register(world, made)
    yield made
    world.kubectl("-n", "argocd", "delete", "app", NAME, "--ignore-not-found", "--wait=false")
    world.kubectl("-n", "argocd", "delete", "secret", NAME)
    world.kubectl("delete", "namespace", NAME, "--ignore-not-found", "--wait=false")
    shutil.rmtree(made.bare)


@pytest.fixture
def call(world: World, play: Call, tmp_path: Path) -> Call:
    """Return a function that runs tasks against the world's cluster."""

    def run(*tasks: Mapping[str, Any], **extra: str) -> Outcome:
        hosts = {"hosts": "local_world", "gather_facts": False}
        defaults = {module: {"kubeconfig": str(world.kubeconfig)} for module in (MODULE, INFO)}
        book = tmp_path / "book.yml"
        plays = [dict(hosts, name="Call", module_defaults=defaults, tasks=list(tasks))]
        book.write_text(yaml.safe_dump(plays), encoding="utf-8")
        return play(str(book), **extra)

    return run


def task(title: str, check: bool = False, **arguments: Any) -> dict[str, Any]:
    """Return a task that shows its difference and lets the play go on when it fails."""
    return {
        "name": title,
        MODULE: {"name": NAME, **arguments},
        "check_mode": check,
        "diff": True,
        "ignore_errors": True,
    }


def expected(world: World, repository: Repository) -> dict[str, Any]:
    """Return the option ``expected`` for our repository."""
    keys = world.folder / "git-client"
    return {
        "repo": repository.url,
        "key_file": str(keys / "id_ed25519"),
        "known_hosts": str(keys / "known_hosts"),
        "path": "app",
        "images": [IMAGE],
    }


@pytest.fixture
def application(world: World, repository: Repository, call: Call) -> Iterator[None]:
    """Have the Application synced to a good head of the branch, by itself."""
    repository.commit({"app/kustomization.yaml": kustomization("1")})
    outcome = call(
        task("Create", spec=specification(repository), finalizers=["resources-finalizer.argocd.argoproj.io"]),
        task("Sync", state="synced", wait_timeout=60),
    )
    assert outcome.one("Sync")["sync"]["status"] == "Synced", outcome.text
    assert "error" not in outcome.one("Sync"), outcome.text
    yield
    world.kubectl("-n", "argocd", "delete", "app", NAME, "--ignore-not-found")


def test_the_whole_life_of_an_application(repository: Repository, call: Call, audit: AuditLog) -> None:
    spec = specification(repository, automated=False)
    other = dict(spec, source=dict(spec["source"], targetRevision="other"))
    outcome = call(
        task("Look before", check=True, spec=spec),
        task("Create", spec=spec, labels={"team": "a"}),
        task("Create again", spec=spec, labels={"team": "a"}),
        task("Look at a change", check=True, spec=other, labels={"team": "a"}),
        task("Change", spec=other, labels={"team": "a"}),
        task("Change again", spec=other, labels={"team": "a"}),
        task("Look at the end", check=True, state="absent"),
        task("Delete", state="absent", cascade="none"),
        task("Delete again", state="absent"),
    )
    changed = {item["task"]: item["result"]["changed"] for item in outcome.results}
    assert changed == {
        "Look before": True, "Create": True, "Create again": False,
        "Look at a change": True, "Change": True, "Change again": False,
        "Look at the end": True, "Delete": True, "Delete again": False,
    }, outcome.text  # fmt: skip
    assert '+      "targetRevision": "other"' in outcome.section("Look at a change")
    assert '-  "kind": "Application"' in outcome.section("Look at the end")
    writes = [item.verb for item in audit.writes() if item.name == NAME]
    assert writes == ["patch", "patch", "delete"]


def test_only_what_differs_is_written(
    world: World, repository: Repository, application: None, call: Call, audit: AuditLog
) -> None:
    spec = specification(repository, automated=False)
    full = {"labels": {"team": "a", "of": "us"}, "annotations": {}, "finalizers": []}
    lean = {"labels": {"team": "a"}}
    shorter = dict(spec, syncPolicy={"syncOptions": spec["syncPolicy"]["syncOptions"]})
    world.kubectl("-n", "argocd", "label", "app", NAME, "other=theirs")
    steps = [
        ("as given", {"spec": spec, **full}),
        ("as given again", {"spec": spec, **full}),
        ("without a field", {"spec": shorter, **full}),
        ("without a field again", {"spec": shorter, **full}),
        ("without a label", {"spec": shorter, **lean}),
        ("without a label again", {"spec": shorter, **lean}),
    ]
    audit.rewind()
    outcome = call(*(task(name, **given) for name, given in steps))
    changed = {item["task"]: item["result"]["changed"] for item in outcome.results}
    assert changed == {name: "again" not in name for name, _given in steps}, outcome.text
    ours = [item for item in audit.requests("slipway.gitops/") if item.name == NAME]
    assert [item.verb for item in ours] == ["get", "patch", "get"] * 3
    assert not [item for item in ours if "dryRun" in item.uri]
    app = world.get("-n", "argocd", "app", NAME)
    assert "retry" not in app["spec"]["syncPolicy"]
    assert app["metadata"]["labels"] == {"team": "a", "other": "theirs"}

    world.kubectl(
        "-n", "argocd", "patch", "app", NAME, "--type=merge", "-p", '{"spec": {"source": {"path": "elsewhere"}}}'
    )
    audit.rewind()
    outcome = call(
        task("Look", check=True, spec=shorter, force_conflicts=True),
        task("Without taking it over", spec=shorter),
        task("Take it back", spec=shorter, force_conflicts=True),
        task("Take it back again", spec=shorter, force_conflicts=True),
    )
    assert outcome.one("Look")["changed"], outcome.text
    assert outcome.one("Without taking it over")["error"]["code"] == "field_conflict"
    assert [outcome.one(name)["changed"] for name in ("Take it back", "Take it back again")] == [True, False]
    assert [item.code for item in audit.writes() if item.name == NAME] == [409, 200]
    assert world.get("-n", "argocd", "app", NAME)["spec"]["source"]["path"] == "app"


def test_check_mode_writes_nothing(repository: Repository, application: None, call: Call, audit: AuditLog) -> None:
    head = repository.commit({"app/kustomization.yaml": kustomization("9")})
    audit.rewind()
    outcome = call(
        task("Look at a change", check=True, spec=specification(repository, automated=False)),
        task("Look at a sync", check=True, state="synced", revision=head),
        task("Look at the end", check=True, state="absent"),
    )
    assert [item["result"]["changed"] for item in outcome.results] == [True, True, True]
    assert [item for item in audit.writes() if item.name == NAME] == []


@pytest.mark.parametrize("in_process", ["auto", "never"])
def test_a_commit_is_synced(
    repository: Repository, application: None, call: Call, audit: AuditLog, in_process: str
) -> None:
    head = repository.commit({"app/kustomization.yaml": kustomization("2")})
    outcome = call(
        task("Sync", state="synced", revision=head, wait_timeout=60, wait_for_health=True),
        task("Sync again", state="synced", revision=head, wait_timeout=60),
        SLIPWAY_IN_PROCESS=in_process,
    )
    first, second = outcome.one("Sync"), outcome.one("Sync again")
    assert (first["changed"], second["changed"]) == (True, False), outcome.text
    assert (first["revision"], first["sync"]["status"], first["health"]) == (head, "Synced", "Healthy")
    assert first["sync"]["operation"]["automated"]
    assert not first["operation_started"]
    assert not [item for item in audit.writes() if item.verb == "update" and item.name == NAME]


def test_a_commit_that_renders_the_same_needs_no_operation(
    repository: Repository, application: None, call: Call
) -> None:
    head = repository.commit({"README.md": "Only words changed.\n"})
    result = call(task("Sync", state="synced", revision=head, wait_timeout=60)).one("Sync")
    assert result["revision"] == head
    assert result["sync"]["operation"]["revision"] != head


def test_a_later_commit_that_keeps_our_image_is_success(
    world: World, repository: Repository, application: None, call: Call
) -> None:
    ours = repository.commit({"app/kustomization.yaml": kustomization("2")})
    later = repository.commit({"other/file": ours})
    arguments = {"state": "synced", "revision": ours, "wait_timeout": 60, "expected": expected(world, repository)}
    outcome = call(task("Sync", **arguments), task("Sync again", **arguments))
    assert outcome.one("Sync")["revision"] == later, outcome.text
    assert (outcome.one("Sync")["changed"], outcome.one("Sync again")["changed"]) == (True, False)


def test_a_later_commit_that_changes_our_image_supersedes(
    world: World, repository: Repository, application: None, call: Call
) -> None:
    ours = repository.commit({"app/kustomization.yaml": kustomization("2")})
    later = repository.commit({"app/kustomization.yaml": kustomization("3")})
    result = call(
        task("Sync", state="synced", revision=ours, wait_timeout=60, expected=expected(world, repository))
    ).one("Sync")
    assert (result["error_class"], result["error"]["code"]) == ("fenced", "superseded")
    assert result["superseded_by"] == later


def test_a_commit_of_another_branch_is_not_waited_for(
    world: World, repository: Repository, application: None, call: Call
) -> None:
    here = repository.commit({"other/file": "here"})
    ours = repository.commit({"app/kustomization.yaml": kustomization("2")}, branch="other")
    repository.back(here)
    result = call(
        task("Sync", state="synced", revision=ours, wait_timeout=60, expected=expected(world, repository))
    ).one("Sync")
    assert result["error"]["code"] == "history_rewritten", result
    assert result["seconds"] < 30


def test_without_expected_a_later_commit_is_no_success(repository: Repository, application: None, call: Call) -> None:
    ours = repository.commit({"app/kustomization.yaml": kustomization("2")})
    repository.commit({"other/file": ours})
    result = call(task("Sync", state="synced", revision=ours, wait_timeout=20)).one("Sync")
    assert (result["error_class"], result["error"]["code"]) == ("transient", "timeout")
    assert "whether it contains our commit is not known" in result["msg"]
    assert "Set 'expected'" in result["msg"]


def test_without_automated_sync_our_own_operation_is_started(
    repository: Repository, application: None, call: Call, audit: AuditLog
) -> None:
    ours = repository.commit({"app/kustomization.yaml": kustomization("2")})
    head = repository.commit({"app/kustomization.yaml": kustomization("3")})
    audit.rewind()
    outcome = call(
        task("Manual", spec=specification(repository, automated=False)),
        task("Sync to an older commit", state="synced", revision=ours, wait_timeout=60),
        task("Sync to the head", state="synced", revision=head, wait_timeout=60),
        task("Sync to the head again", state="synced", revision=head, wait_timeout=60),
    )
    older, newest = outcome.one("Sync to an older commit"), outcome.one("Sync to the head")
    assert (older["revision"], older["operation_started"]) == (ours, True), outcome.text
    assert older["sync"]["operation"]["initiated_by"] == "slipway.gitops"
    assert (newest["revision"], newest["sync"]["status"]) == (head, "Synced")
    assert not outcome.one("Sync to the head again")["changed"]
    assert len([item for item in audit.writes() if item.verb == "update" and item.name == NAME]) == 2


BROKEN = """\
apiVersion: v1
kind: Secret
metadata: {name: broken}
data: {password: "hunter2-is-not-base64!"}
"""


def test_a_failed_sync_fails_at_once_and_quotes_no_secret(
    repository: Repository, application: None, call: Call
) -> None:
    bad = repository.commit({"app/kustomization.yaml": kustomization("2", "broken.yaml"), "app/broken.yaml": BROKEN})
    outcome = call(
        task("Sync", state="synced", revision=bad, wait_timeout=60),
        task("Sync once more", state="synced", revision=bad, wait_timeout=60, retry_failed=True),
        {"name": "Read", INFO: {"name": NAME, "full": True}},
    )
    first, second = outcome.one("Sync"), outcome.one("Sync once more")
    assert (first["error_class"], first["error"]["code"]) == ("unhealthy", "sync_failed"), outcome.text
    failed = first["sync"]["operation"]["failed_resources"]
    assert [(item["kind"], item["name"]) for item in failed] == [("Secret", "broken")]
    assert second["operation_started"]
    assert second["error"]["code"] == "sync_failed"
    for secret in ("hunter2", base64.b64encode(b"hunter2").decode()):
        assert secret not in outcome.text
        assert secret not in str(outcome.results)


def test_a_commit_that_cannot_be_rendered_fails_long_before_the_timeout(
    repository: Repository, application: None, call: Call
) -> None:
    bad = repository.commit({"app/kustomization.yaml": kustomization("2", "missing.yaml")})
    result = call(task("Sync", state="synced", revision=bad, wait_timeout=120)).one("Sync")
    assert result["error"]["code"] == "comparison"
    assert "missing.yaml" in result["msg"]
    assert result["seconds"] < 30


@pytest.fixture
def windowed(world: World, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Return a function that closes the sync windows of an AppProject, which it names."""
    name = NAME + "-closed"

    def close(**more: Any) -> str:
        window = {"kind": "deny", "schedule": "* * * * *", "duration": "24h", "applications": ["*"], **more}
        apply(world, tmp_path, project(name, syncWindows=[window]))
        return name

    yield close
    world.kubectl("-n", "argocd", "delete", "appproject", name)


@pytest.mark.parametrize("automated", [True, False])
def test_a_closed_sync_window_is_told_and_passed_by_hand_where_it_says_so(
    world: World, repository: Repository, application: None, windowed: Callable[..., str], call: Call, automated: bool
) -> None:
    call(task("Move", spec=specification(repository, automated=automated, project=windowed())))
    head = repository.commit({"app/kustomization.yaml": kustomization("7")})
    outcome = call(task("Sync", state="synced", revision=head, wait_timeout=60, manual=True))
    result = outcome.one("Sync")
    assert (result["error_class"], result["error"]["code"]) == ("busy", "window_closed"), outcome.text
    assert not result["operation_started"]
    assert "operation" not in world.get("-n", "argocd", "app", NAME)
    windowed(manualSync=True)
    later = repository.commit({"other/file": head})
    arguments = {"revision": head, "expected": expected(world, repository), "wait_timeout": 60, "manual": automated}
    outcome = call(task("Sync", state="synced", **arguments))
    assert outcome.one("Sync")["operation_started"], outcome.text
    # Under automated sync nothing else may be started than what Argo CD compares.
    assert outcome.one("Sync")["revision"] == (later if automated else head)


def test_a_forbidden_destination_is_told_at_once(
    world: World, repository: Repository, call: Call, tmp_path: Path
) -> None:
    narrow = NAME + "-narrow"
    apply(world, tmp_path, project(narrow, destinations=[{"namespace": "elsewhere", "server": "*"}]))
    spec = specification(repository, project=narrow)
    result = call(task("Create", spec=spec, wait=True, wait_timeout=60)).one("Create")
    world.kubectl("-n", "argocd", "delete", "app", NAME)
    world.kubectl("-n", "argocd", "delete", "appproject", narrow)
    assert result["error"]["code"] == "invalid_spec"
    assert "do not match any of the allowed destinations" in result["msg"]
    assert result["changed"]
    assert result["seconds"] < 15


def test_deleting_with_the_resources(world: World, application: None, call: Call) -> None:
    outcome = call(task("Delete", state="absent", wait_timeout=60))
    result = outcome.one("Delete")
    assert [item["kind"] for item in result["removed"]] == ["Deployment"], outcome.text
    assert world.get("-n", NAME, "deployments")["items"] == []


BAD_INPUT = [
    ({"name": "No/Such", "spec": {"project": "default"}}, "invalid_input", "Option 'name'"),
    ({"name": "a" * 254, "state": "absent"}, "invalid_input", "Option 'name'"),
    ({"state": "synced", "revision": "HEAD^{/x}"}, "invalid_input", "Option 'revision'"),
    ({"state": "synced", "revision": "abc1234"}, "invalid_input", "Option 'revision'"),
    ({"state": "synced", "wait_timeout": 0}, "invalid_input", "Option 'wait_timeout'"),
    ({"spec": {"source": {"repoURL": "file:///x"}}}, "invalid_input", "Option 'spec'"),
    ({"spec": {"project": "default", "syncOptions": []}}, "unknown_field", "'spec.syncPolicy.syncOptions'"),
    ({"spec": {"project": "default"}, "namespace": "nowhere"}, "not_found", "nowhere"),
    ({"state": "synced", "name": "nobody"}, "not_found", "Application argocd/nobody"),
    ({"state": "synced", "kubeconfig": "/nowhere"}, "invalid_input", "Option 'kubeconfig'"),
    ({"state": "synced", "context": "none"}, "invalid_input", "Option 'context'"),
    ({"state": "synced", "host": "https://127.0.0.1:9"}, "unreachable", "127.0.0.1:9"),
]


def test_bad_input_names_its_option_and_writes_nothing(call: Call, audit: AuditLog) -> None:
    outcome = call(*(task("Case %d" % index, **changes) for index, (changes, _code, _text) in enumerate(BAD_INPUT)))
    for index, (changes, code, text) in enumerate(BAD_INPUT):
        result = outcome.one("Case %d" % index)
        assert "error" in result, (changes, result)
        assert (result["error"]["code"], text in result["msg"]) == (code, True), result["msg"]
    assert [item for item in audit.writes() if item.code < 400 and item.name in (NAME, "nobody")] == []


def test_the_examples_of_the_documentation_do_what_they_say(world: World, repository: Repository, call: Call) -> None:
    module = importlib.import_module("ansible_collections.slipway.gitops.plugins.modules.argocd_app")
    info = importlib.import_module("ansible_collections.slipway.gitops.plugins.modules.argocd_app_info")
    own = {
        "ssh://slipway-git@10.244.0.1:2222/sample.git": repository.url,
        "apps/sample/overlays/local": "app",
        "name: sample": "name: " + NAME,
        "namespace: sample": "namespace: " + NAME,
    }
    repository.commit({"app/kustomization.yaml": kustomization("1")})
    texts = [module.EXAMPLES, info.EXAMPLES]
    for old, new in own.items():
        texts = [text.replace(old, new) for text in texts]
    create, head, commit, delete = yaml.safe_load(texts[0])
    outcome = call(create, head, commit, *yaml.safe_load(texts[1]), delete)
    assert outcome.status == 0, outcome.text
    results = {item["task"]: item["result"] for item in outcome.results}
    assert results[create["name"]]["changed"]
    assert results[commit["name"]]["revision"] == results[head["name"]]["revision"]
    assert results["Read one Application"]["applications"][0]["sources"][0]["repo"] == repository.url
    assert NAME in [item["name"] for item in results["Read all Applications of one project"]["applications"]]
    assert results["Read the Applications of one team"]["applications"] == []
    assert world.get("-n", NAME, "deployments")["items"], "cascade none keeps what was deployed"
