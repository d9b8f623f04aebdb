# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole delivery on the real cluster: forward, back, superseded, interrupted, refused."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import pytest

from ansible_collections.slipway.gitops.tests.integration.world.argocd_support import (
    CLUSTER,
    Repository,
    apply,
    register,
)
from ansible_collections.slipway.gitops.tests.integration.world.audit import AuditLog
from ansible_collections.slipway.gitops.tests.integration.world.conftest import INVENTORY, World
from ansible_collections.slipway.gitops.tests.integration.world.play import Outcome, environment
from ansible_collections.slipway.gitops.tests.integration.world.shipped_account import make_account, remove_account

NAME = "deploy-test"
Play = Callable[..., Outcome]


@dataclass
class Site:
    """An application of the tests' own: repository, Application, namespace, queue, page."""

    world: World
    repository: Repository
    overlay: str
    port: int
    folder: Path
    variables: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The kustomization in the repository."""
        return "apps/sample/overlays/" + self.overlay

    def extra(self, **changes: Any) -> list[str]:
        """Return arguments for ansible-playbook."""
        return ["-e", json.dumps(dict(self.variables, **changes))]

    def answer(self) -> dict[str, Any]:
        """Ask the application over HTTP."""
        with urllib.request.urlopen("http://127.0.0.1:%d/version" % self.port, timeout=5) as body:
            answer: dict[str, Any] = json.load(body)
            return answer

    def git(self, *arguments: str) -> str:
        """Ask the bare repository."""
        command = ["git", "-c", "safe.directory=*", "--git-dir", str(self.repository.bare), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def store(self) -> bytes:
        """Return the bytes of the queue's file."""
        path = Path(self.variables["deploy_queue_path"])
        return path.read_bytes() if path.exists() else b""

    def tag(self) -> str:
        """Return the tag that the deploy repository holds."""
        text = self.git("show", "main:%s/kustomization.yaml" % self.path)
        return next(line.split('"')[1] for line in text.splitlines() if "newTag" in line)

    def take_port(self) -> None:
        """Give the overlay the port of this site: the others belong to the inventory's environments."""
        text = (self.repository.clone / self.path / "kustomization.yaml").read_text(encoding="utf-8")
        lines = ["        value: %d" % self.port if "value: 300" in line else line for line in text.split("\n")]
        self.repository.commit({self.path + "/kustomization.yaml": "\n".join(lines)})

    def push_by_hand(self, tag: str, **files: str) -> str:
        """Commit a tag as a person would, together with files of somebody else."""
        self.repository._git("pull", "-q", "--ff-only", "origin", "main")
        path = self.path + "/kustomization.yaml"
        text = (self.repository.clone / path).read_text(encoding="utf-8")
        edited = "\n".join('    newTag: "%s"' % tag if "newTag" in line else line for line in text.split("\n"))
        return self.repository.commit({path: edited, **{name.replace("__", "."): body for name, body in files.items()}})


def make_site(world: World, folder: Path, overlay: str, port: int, prefix: str = NAME) -> Site:
    """Create repository, Application, namespace and account; the application runs release 1 when this returns."""
    name = "%s-%s" % (prefix, overlay)
    repository = Repository(world, folder / "clone", name)
    register(world, repository)
    site = Site(world, repository, overlay, port, folder)
    site.take_port()
    site.push_by_hand("1")
    site.variables = {
        "deploy_environment": "local",
        "deploy_environments": ["local"],
        "deploy_verify_image": False,
        "deploy_application": name,
        "deploy_argocd_application": name,
        "deploy_repository": repository.url,
        "deploy_path": site.path,
        "deploy_namespace": name,
        "deploy_deployments": ["sample"],
        "deploy_url": "http://127.0.0.1:%d/version" % port,
        "deploy_queue_path": str(folder / "queue" / "queue.db"),
        "deploy_lease_ttl": 60,
        "deploy_stable_for": 5,
    }
    spec = {
        "project": "default",
        "source": {"repoURL": repository.url, "path": site.path, "targetRevision": "main"},
        "destination": {"server": CLUSTER, "namespace": name},
        "syncPolicy": {"automated": {"prune": True, "selfHeal": True}, "syncOptions": ["CreateNamespace=true"]},
    }
    manifest = folder / "application.json"
    manifest.write_text(
        json.dumps(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Application",
                "metadata": {
                    "name": name,
                    "namespace": "argocd",
                    "finalizers": ["resources-finalizer.argocd.argoproj.io"],
                },
                "spec": spec,
            }
        ),
        encoding="utf-8",
    )
    world.kubectl("apply", "-f", str(manifest))
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        app = world.get("-n", "argocd", "application", name)
        if app.get("status", {}).get("health", {}).get("status") == "Healthy" and app["status"].get("resources"):
            site.variables.update(
                make_account(world, folder, "production" if overlay == "production" else "deploy", name)
            )
            return site
        time.sleep(0.5)
    raise AssertionError("the application did not come up: %s" % app.get("status"))


def remove_site(world: World, site: Site) -> None:
    """Remove what :func:`make_site` made."""
    remove_account(world, site.folder)
    world.kubectl("-n", "argocd", "delete", "application", site.repository.name, "--ignore-not-found", "--timeout=90s")
    world.kubectl("delete", "namespace", site.repository.name, "--ignore-not-found", "--wait=false")
    world.kubectl("-n", "argocd", "delete", "secret", site.repository.name, "--ignore-not-found")
    shutil.rmtree(site.repository.bare, ignore_errors=True)


@pytest.fixture(scope="module")
def site(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = make_site(world, tmp_path_factory.mktemp("site"), "staging", 30085)
    yield made
    remove_site(world, made)


def deliver(play: Play, site: Site, release: str, *arguments: str, **changes: Any) -> Outcome:
    return play("slipway.gitops.deploy_staging", *site.extra(deploy_release=release, **changes), *arguments)


def written(audit: AuditLog, site: Site) -> list[str]:
    """Return what was written about this application; others may be at work on the same cluster."""
    return [request.uri for request in audit.writes() if request.is_ours and site.repository.name in request.uri]


def summary(outcome: Outcome) -> list[str]:
    lines: list[str] = outcome.one("slipway.gitops.deploy : Summary")["msg"]
    return lines


def queue(play: Play, site: Site, tmp_path: Path) -> dict[str, Any]:
    """Return the record of the environment, after checking that it is whole."""
    book = tmp_path / "info.yml"
    book.write_text(
        json.dumps(
            [
                {
                    "hosts": "staging",
                    "gather_facts": False,
                    "tasks": [
                        {
                            "name": "Info",
                            "slipway.gitops.deploy_queue_info": {
                                "environment": "local",
                                "path": site.variables["deploy_queue_path"],
                                "verify": True,
                            },
                        }
                    ],
                }
            ]
        ),
        encoding="utf-8",
    )
    result = play(str(book)).one("Info")
    assert result["verified"]["ok"], result["verified"]
    record: dict[str, Any] = result["environments"][0]
    return record


def test_check_mode_writes_nothing_and_shows_the_diff(play: Play, site: Site, audit: AuditLog) -> None:
    before = (site.git("for-each-ref"), sorted(path.name for path in site.folder.iterdir()))
    outcome = deliver(play, site, "2", "--check", "--diff")
    assert outcome.status == 0, outcome.text
    assert '+    newTag: "2"' in outcome.text
    assert "Nothing was changed" in outcome.text
    assert (site.git("for-each-ref"), sorted(path.name for path in site.folder.iterdir())) == before
    assert written(audit, site) == []


def test_two_releases_go_forward_and_the_page_answers(play: Play, site: Site, tmp_path: Path) -> None:
    for release in ("1", "2"):
        outcome = deliver(play, site, release)
        assert outcome.status == 0, outcome.text
        assert "VERIFIED LIVE" in summary(outcome)[0]
        assert site.answer()["version"] == release
    record = queue(play, site, tmp_path)
    assert record["last_verified"][site.repository.name]["version"] == "2"
    assert record["last_verified"][site.repository.name]["commit"] == site.git("rev-parse", "main")
    assert record["holds"] == []


def test_redelivery_makes_no_commit_runs_the_gate_and_ends_well(play: Play, site: Site, audit: AuditLog) -> None:
    """Asked for by the tag of one writing phase, which has to bring all the others; under the account of role rbac."""
    tip = site.git("rev-parse", "main")
    outcome = deliver(play, site, "2", "--tags", "deploy_edit")
    assert outcome.status == 0, outcome.text
    assert "VERIFIED LIVE" in summary(outcome)[0]
    assert site.git("rev-parse", "main") == tip
    assert outcome.one("slipway.gitops.deploy : Judge the release by what runs")["verdict"] == "pass"
    name = site.repository.name
    users = {request.user for request in audit.requests("slipway.gitops/") if name in request.uri}
    assert users == {"system:serviceaccount:%s:%s" % (name, name)}


def test_a_crashing_release_goes_back_to_the_last_verified_one(play: Play, site: Site, tmp_path: Path) -> None:
    """3 was pushed by hand and never verified, with a file of somebody else: 2 comes back, the file stays."""
    by_hand = site.push_by_hand("3", docs_owners__txt="not ours\n")
    outcome = deliver(play, site, "4", HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert outcome.status != 0
    lines = summary(outcome)
    assert "ROLLED BACK to 2" in lines[0]
    assert any("cannot start" in line for line in lines), lines
    assert any("sample" in line and "exit code 1" in line for line in lines), lines
    assert site.tag() == "2"
    assert site.git("show", "main:docs_owners.txt") == "not ours"
    assert site.git("rev-list", "--count", by_hand + "..main") == "2"
    assert site.answer()["version"] == "2"
    record = queue(play, site, tmp_path)
    assert [(hold["version"], hold["scope"]) for hold in record["holds"]] == [("4", "release")]
    assert record["last_verified"][site.repository.name]["version"] == "2"


def test_the_held_release_is_refused_a_fix_goes_forward_and_resume_lifts(
    play: Play, site: Site, tmp_path: Path
) -> None:
    tip = site.git("rev-parse", "main")
    refused = deliver(play, site, "4")
    assert refused.status != 0
    assert "REFUSED" in summary(refused)[0]
    assert "slipway.gitops.resume" in refused.text
    assert site.git("rev-parse", "main") == tip
    assert deliver(play, site, "3").status == 0
    resumed = play("slipway.gitops.resume", *site.extra(deploy_resume_reason="seen"))
    assert resumed.status == 0, resumed.text
    assert queue(play, site, tmp_path)["holds"] == []


def test_a_paused_environment_is_resumed_by_the_command_that_its_refusal_prints(
    play: Play, site: Site, tmp_path: Path
) -> None:
    tip = site.git("rev-parse", "main")
    book = tmp_path / "pause.yml"
    paused = {"state": "paused", "environment": "local", "path": site.variables["deploy_queue_path"], "reason": "audit"}
    task = {"name": "Pause", "slipway.gitops.deploy_queue": paused}
    book.write_text(json.dumps([{"hosts": "staging", "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
    assert play(str(book)).status == 0
    refused = deliver(play, site, "2", deploy_wait_timeout=1)
    assert refused.status != 0
    assert site.git("rev-parse", "main") == tip
    advice = refused.one("slipway.gitops.deploy : End as failed, because the requested release is not verified live")[
        "msg"
    ]
    words = shlex.split(advice[advice.rindex("ansible-playbook ") :])
    assert words[1:4] == ["slipway.gitops.resume", "-i", str(INVENTORY)], advice
    assert play(words[1], *words[4:]).status == 0
    assert queue(play, site, tmp_path)["paused"] is None


def test_a_release_that_is_missing_in_the_registry_goes_back(play: Play, site: Site) -> None:
    outcome = deliver(play, site, "6")
    assert outcome.status != 0
    assert "ROLLED BACK to 3" in summary(outcome)[0]
    assert site.answer()["version"] == "3"
    assert play("slipway.gitops.resume", *site.extra()).status == 0


@pytest.mark.parametrize("tag", ["deploy_edit", "deploy_sync", "deploy_rollback", "deploy_deliver"])
def test_a_tag_of_a_writing_phase_brings_claim_and_finish(play: Play, site: Site, tag: str) -> None:
    outcome = play("slipway.gitops.deploy_staging", *site.extra(), "--tags", tag, "--list-tasks")
    for task in ("Take the slot", "Deliver the release", "Report", "Refuse what cannot be delivered"):
        assert task in outcome.text, tag


@pytest.mark.parametrize("tag", ["deploy_preflight", "deploy_gate", "deploy_status"])
def test_a_read_only_phase_runs_alone_and_writes_nothing(play: Play, site: Site, audit: AuditLog, tag: str) -> None:
    tip = site.git("rev-parse", "main")
    store = site.store()
    outcome = deliver(play, site, site.tag(), "--tags", tag)
    assert outcome.status == 0, outcome.text
    assert site.git("rev-parse", "main") == tip
    assert site.store() == store
    assert written(audit, site) == []


def test_the_gate_alone_fails_for_what_is_not_live(play: Play, site: Site) -> None:
    outcome = deliver(play, site, "5", "--tags", "deploy_gate", deploy_gate_timeout=15)
    assert outcome.status != 0
    assert outcome.one("slipway.gitops.deploy : Judge the release by what runs")["verdict"] != "pass"


def start(site: Site, release: str, log: Path, **changes: Any) -> subprocess.Popen[bytes]:
    """Start a delivery that is not waited for, as a process group of its own."""
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "slipway.gitops.deploy_staging"]
    command += ["-i", str(INVENTORY), *site.extra(deploy_release=release, **changes)]
    with log.open("wb") as output:
        return subprocess.Popen(
            command, env=environment(log.with_suffix(".jsonl")), stdin=subprocess.DEVNULL, stdout=output,
            stderr=output, start_new_session=True,
        )  # fmt: skip


def wait_for_commits(site: Site, since: str, count: int, run: subprocess.Popen[bytes]) -> None:
    """Wait until ``count`` commits were pushed after ``since``, or the delivery ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and run.poll() is None:
        if site.git("rev-list", "--count", since + "..main") == str(count):
            return
        time.sleep(0.05)


def kill(run: subprocess.Popen[bytes]) -> None:
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def take_the_slot_from_the_dead(play: Play, site: Site, tmp_path: Path) -> None:
    """Break the lease as a person would, instead of waiting until it lapses."""
    book = tmp_path / "break.yml"
    broken = {"state": "claimed", "environment": "local", "path": site.variables["deploy_queue_path"], "lease_ttl": 5}
    task = {"name": "Break", "slipway.gitops.deploy_queue": dict(broken, force=True, reason="its runner was killed")}
    book.write_text(json.dumps([{"hosts": "staging", "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
    assert play(str(book)).one("Break")["recovery"]


def test_a_killed_delivery_is_settled_by_the_next_run(play: Play, site: Site, tmp_path: Path) -> None:
    """kill -9 of the whole process group right after the push; the next run finishes what was begun."""
    tip = site.git("rev-parse", "main")
    run = start(site, "2", tmp_path / "killed.log", deploy_stable_for=30)
    wait_for_commits(site, tip, 1, run)
    kill(run)
    assert site.tag() == "2", (tmp_path / "killed.log").read_text()
    take_the_slot_from_the_dead(play, site, tmp_path)
    outcome = deliver(play, site, "1")
    assert outcome.status == 0, outcome.text
    assert "It is observed and settled first." in " ".join(outcome.text.split())
    assert site.answer()["version"] == "1"
    entries = [event for event in queue(play, site, tmp_path)["events"] if event["after"] == "succeeded"]
    assert len(entries) >= 2


def test_a_delivery_killed_on_its_way_back_is_held_all_the_same(play: Play, site: Site, tmp_path: Path) -> None:
    """Git holds the verified release again, which must not look as if nothing had been begun."""
    tip = site.git("rev-parse", "main")
    run = start(site, "4", tmp_path / "killed.log")
    wait_for_commits(site, tip, 2, run)
    kill(run)
    assert site.tag() == "1", (tmp_path / "killed.log").read_text()
    take_the_slot_from_the_dead(play, site, tmp_path)
    outcome = deliver(play, site, "2")
    assert outcome.status == 0, outcome.text
    record = queue(play, site, tmp_path)
    assert [hold["version"] for hold in record["holds"]] == ["4"]
    assert [event["after"] for event in record["events"]].count("rolled_back") == 1


def test_a_lost_queue_is_begun_anew_where_the_repository_is(play: Play, site: Site, tmp_path: Path) -> None:
    """The fence of the new queue must not be behind the one in Git, and what runs becomes the baseline."""
    shutil.rmtree(Path(site.variables["deploy_queue_path"]).parent)
    outcome = deliver(play, site, "2")
    assert outcome.status == 0, outcome.text
    assert outcome.one("slipway.gitops.deploy : Record the baseline")["changed"]
    fence = int(site.git("show", "main:.slipway/fences/local").split("fence: ")[1].split()[0])
    assert queue(play, site, tmp_path)["fence"] > fence > 2


def test_a_commit_made_by_hand_meanwhile_is_left_alone(play: Play, site: Site, tmp_path: Path) -> None:
    """Somebody repairs by hand while the gate still waits: going back would undo the repair."""
    tip = site.git("rev-parse", "main")
    run = start(site, "5", tmp_path / "slow.log", deploy_gate_timeout=15)
    wait_for_commits(site, tip, 1, run)
    by_hand = site.push_by_hand("3")
    assert run.wait(timeout=90) != 0
    assert "SUPERSEDED" in (tmp_path / "slow.log").read_text()
    assert site.git("rev-parse", "main") == by_hand
    assert queue(play, site, tmp_path)["holds"] == []


#: The account of the site may not even ask for another Application.
AS_ADMINISTRATOR = {"deploy_kubeconfig": "{{ sample_world_folder }}/kubeconfig", "deploy_context": "slipway"}
BAD = [
    ({"deploy_release": ""}, "Option 'deploy_release'"),
    ({"deploy_environment": "prd"}, "Option 'deploy_environment'"),
    ({"deploy_release": "latest"}, "deny_tags"),
    ({"deploy_release": 1.10}, "Write it in quotes"),
    ({"deploy_lease_ttl": 30}, "deploy_lease_ttl"),
    ({"deploy_relese": "3"}, "did you mean 'deploy_release'"),
    ({"deploy_path": "../outside"}, "deploy_path"),
    ({"deploy_path": "apps/none"}, "deploy_path"),
    ({"deploy_image": "registry.slipway.test/other"}, "registry.slipway.test/other"),
    ({"deploy_argocd_application": "nobody", **AS_ADMINISTRATOR}, "does not exist"),
    ({"deploy_argocd_application": "nobody"}, "get applications.argoproj.io 'nobody'"),
    ({"deploy_kubeconfig": "/nowhere/config"}, "kubeconfig"),
    ({"deploy_branch": "other"}, "deploy_branch"),
    ({"deploy_namespace": "elsewhere", **AS_ADMINISTRATOR}, "looks at the namespace elsewhere"),
    ({"deploy_argocd_application": "@several", **AS_ADMINISTRATOR}, "several sources"),
    ({"deploy_argocd_application": "@far", **AS_ADMINISTRATOR}, "the cluster https://far.example.com:6443"),
    ({"deploy_git_key_file": "/nowhere/key"}, "key_file"),
]


@pytest.fixture(scope="module")
def others(site: Site) -> Iterator[Mapping[str, str]]:
    """Have Applications that no delivery can follow, and that never sync; return their names."""
    nowhere = {"server": CLUSTER, "namespace": site.repository.name + "-none"}
    source = {"repoURL": site.repository.url, "path": site.path, "targetRevision": "main"}
    specs = {
        "@several": {"sources": [source], "destination": nowhere},
        "@far": {"source": source, "destination": {**nowhere, "server": "https://far.example.com:6443"}},
    }
    names = {mark: "%s-%s" % (site.repository.name, mark.strip("@")) for mark in specs}
    for mark, spec in specs.items():
        apply(
            site.world,
            site.folder,
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Application",
                "metadata": {"name": names[mark], "namespace": "argocd"},
                "spec": {"project": "default", **spec},
            },
        )
    yield names
    site.world.kubectl("-n", "argocd", "delete", "application", *names.values(), "--timeout=60s")


@pytest.mark.parametrize(("changes", "told"), BAD, ids=[next(iter(changes)) + "-" + told[:12] for changes, told in BAD])
def test_bad_input_is_refused_before_any_side_effect(
    play: Play, site: Site, audit: AuditLog, others: Mapping[str, str], changes: dict[str, Any], told: str
) -> None:
    store = site.store()
    tip = site.git("for-each-ref")
    given = {name: others.get(str(value), value) for name, value in changes.items()}
    outcome = play("slipway.gitops.deploy_staging", *site.extra(**dict({"deploy_release": "3"}, **given)))
    assert outcome.status != 0
    assert told in " ".join(outcome.text.split())
    assert site.git("for-each-ref") == tip
    assert site.store() == store
    assert written(audit, site) == []


def test_a_crash_without_a_readiness_probe_never_passes(play: Play, world: World, tmp_path: Path) -> None:
    """Argo CD calls such a release Healthy for a second; the gate must not."""
    site = make_site(world, tmp_path, "local-noprobe", 30083)
    try:
        assert deliver(play, site, "2").status == 0
        outcome = deliver(play, site, "4")
        assert outcome.status != 0
        assert "ROLLED BACK to 2" in summary(outcome)[0]
        assert site.answer()["version"] == "2"
    finally:
        remove_site(world, site)
