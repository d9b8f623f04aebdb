# SPDX-License-Identifier: GPL-3.0-or-later
"""The drill: everything of an application is lost, Git too, and it is brought back from a backup.

The application uses a Secret and a pull secret that are in no repository. Its Git server is a
real one of its own, so that it can really be stopped.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from ansible_collections.slipway.gitops.tests.integration.world.audit import AuditLog, Request
from ansible_collections.slipway.gitops.tests.integration.world.conftest import INVENTORY, World
from ansible_collections.slipway.gitops.tests.integration.world.play import CHECKOUT, Outcome
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.test_git_https import (
    PASSWORD,
    USER,
    GitHandler,
)

HERE = Path(__file__).parent
NAME = "backup-drill"
PORT = 30097
#: The bridge of the world, by which pods reach this machine.
GATEWAY = "10.244.0.1"
CANARY = "drill-canary-5d1f0c77"
SETTINGS, PULL = "drill-settings", "drill-pull"
#: Before the name of a task of the role.
ROLE = "slipway.gitops.backup : "
KUSTOMIZATION = """\
resources: [deployment.yaml, service.yaml]
images:
  - name: registry.slipway.test/sample
    newTag: "1"
patches:
  - target: {kind: Deployment}
    patch: |
      - {op: replace, path: /spec/replicas, value: 1}
      - {op: add, path: /spec/template/spec/imagePullSecrets, value: [{name: %s}]}
      - {op: add, path: /spec/template/spec/containers/0/envFrom, value: [{secretRef: {name: %s}}]}
  - target: {kind: Service}
    patch: |
      - {op: add, path: /spec/ports/0/nodePort, value: %d}
""" % (PULL, SETTINGS, PORT)

Play = Callable[..., Outcome]


class GitServer:
    """A Git server over HTTP, with a user and a password, that ends when it is told to."""

    def __init__(self, root: Path) -> None:
        self._http = ThreadingHTTPServer((GATEWAY, 0), GitHandler)
        self._http.root, self._http.seen = root, []  # type: ignore[attr-defined]
        self.url = "http://%s:%d/drill.git" % (GATEWAY, self._http.server_port)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def stop(self) -> None:
        """End it; from then on connections are refused."""
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
            self._http.server_close()

    def is_reachable(self) -> bool:
        """Whether anybody listens."""
        with socket.socket() as probe:
            return probe.connect_ex(self._http.server_address) == 0


@dataclass
class Drill:
    """The application, its Git server, and how its playbooks are run."""

    world: World
    play: Play
    git: GitServer
    folder: Path
    age: dict[str, str]

    @property
    def store(self) -> Path:
        """Where the backups go."""
        return self.folder / "backups"

    def run(self, playbook: str, *arguments: str, **variables: Any) -> Outcome:
        """Run a playbook of the collection for this application."""
        given = {
            "backup_hosts": "local_world", "backup_application": NAME, "backup_environment": "drill",
            "backup_environments": ["drill"], "backup_release": "1", "backup_path": str(self.store),
            "backup_kubeconfig": str(self.world.kubeconfig), "backup_url": "http://127.0.0.1:%d/version" % PORT,
            "backup_queue_path": str(self.folder / "queue/queue.db"), "backup_stable_for": 2, "backup_gate_timeout": 90,
            "backup_age_binary": self.age["age"], **variables,
        }  # fmt: skip
        return self.play("slipway.gitops." + playbook, "-e", json.dumps(given), *arguments)

    def key(self) -> str:
        """Make an identity of age and return its recipient."""
        file = self.folder / "identity"
        if not file.exists():
            subprocess.run([self.age["age-keygen"], "-o", str(file)], check=True, capture_output=True)
        lines = file.read_text().splitlines()
        return next(line for line in lines if line.startswith("# public key: ")).rpartition(" ")[2]

    def version(self) -> str:
        """Return the version that the application answers, nothing when it does not answer."""
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/version" % PORT, timeout=2) as answer:
                return str(json.load(answer)["version"])
        except OSError:
            return ""

    def lose_everything(self) -> None:
        """Remove the Application and leave what it deployed, stop Git, delete the namespace."""
        loose = '{"metadata":{"finalizers":null}}'
        self.world.kubectl("-n", "argocd", "patch", "application", NAME, "--type=merge", "-p", loose)
        self.world.kubectl("-n", "argocd", "delete", "application", NAME, "--timeout=60s")
        self.git.stop()
        self.world.kubectl("delete", "namespace", NAME, "--timeout=110s")
        assert not self.git.is_reachable()
        assert self.version() == ""


def eventually(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Wait for a condition."""
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "not in %d s: %s" % (timeout_s, what)
        time.sleep(0.2)


def make_repository(folder: Path) -> None:
    """Make a bare repository with the sample application, which needs two Secrets here."""
    work = folder / "work"
    shutil.copytree(CHECKOUT / "roles/sample_app/files/deploy/apps/sample/base", work / "app")
    (work / "app/kustomization.yaml").write_text(KUSTOMIZATION)
    person = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for command in (
        ["init", "-q", "-b", "main", str(work)], ["-C", str(work), "add", "-A"],
        ["-C", str(work), *person, "commit", "-q", "-m", "Begin"],
        ["clone", "-q", "--bare", str(work), str(folder / "drill.git")],
    ):  # fmt: skip
        subprocess.run(["git", *command], check=True, capture_output=True, env=dict(os.environ, HOME=str(folder)))


def remove(world: World) -> None:
    """Remove what the drill made in the cluster."""
    if world.kubectl("-n", "argocd", "get", "application", NAME, "--ignore-not-found", "-o", "name"):
        loose = '{"metadata":{"finalizers":null}}'
        world.kubectl("-n", "argocd", "patch", "application", NAME, "--type=merge", "-p", loose)
        world.kubectl("-n", "argocd", "delete", "application", NAME, "--ignore-not-found", "--timeout=60s")
    world.kubectl("-n", "argocd", "delete", "secret", NAME, "--ignore-not-found")
    world.kubectl("delete", "namespace", NAME, "--ignore-not-found", "--timeout=110s")


def deploy(world: World, url: str) -> None:
    """Let Argo CD deploy the application; its Secrets come from a person."""
    world.kubectl("create", "namespace", NAME)
    in_here = ["-n", NAME, "create", "secret"]
    world.kubectl(*in_here, "generic", SETTINGS, "--from-literal=PASSWORD=" + CANARY)
    registry = ["--docker-server=registry.slipway.test", "--docker-username=u", "--docker-password=" + CANARY + "-pull"]
    world.kubectl(*in_here, "docker-registry", PULL, *registry)
    credentials = ["--from-literal=%s=%s" % pair for pair in (("url", url), ("username", USER), ("password", PASSWORD))]
    world.kubectl("-n", "argocd", "create", "secret", "generic", NAME, "--from-literal=type=git", *credentials)
    world.kubectl("-n", "argocd", "label", "secret", NAME, "argocd.argoproj.io/secret-type=repository")
    application = {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": NAME, "namespace": "argocd", "finalizers": ["resources-finalizer.argocd.argoproj.io"]},
        "spec": {
            "project": "default", "source": {"repoURL": url, "path": "app", "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": NAME},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
        },
    }  # fmt: skip
    file = Path(os.environ.get("PYTEST_DEBUG_TEMPROOT", "/tmp")) / ("%s-%d.json" % (NAME, os.getpid()))
    file.write_text(json.dumps(application))
    try:
        world.kubectl("create", "-f", str(file))
    finally:
        file.unlink()


@pytest.fixture
def drill(world: World, play: Play, tmp_path: Path) -> Iterator[Drill]:
    """Return the application, live, with its own Git server."""
    tools = play(str(HERE / "restore_drill.yml"))
    assert tools.status == 0, tools.text
    age = tools.one("Say where they are")["__cluster_bootstrap_tools"]
    (tmp_path / "queue").mkdir(mode=0o700)
    make_repository(tmp_path)
    remove(world)
    server = GitServer(tmp_path)
    try:
        deploy(world, server.url)
        made = Drill(world, play, server, tmp_path, age)
        eventually(lambda: made.version() == "1", 90, "the application answers")
        yield made
    finally:
        server.stop()
        remove(world)


def secrets_of(world: World) -> dict[str, Any]:
    items = world.get("-n", NAME, "secrets")["items"]
    return {item["metadata"]["name"]: (item["type"], item["data"]) for item in items}


def everything_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def written(audit: AuditLog) -> list[Request]:
    """Return what our own client wrote about the drill; others may be at work in the same world."""
    return [item for item in audit.writes() if NAME in (item.namespace, item.name)]


def follow(drill: Drill, advice: str, *arguments: str) -> Outcome:
    """Run the command at the end of a message, as a person would who copies it."""
    words = shlex.split(advice[advice.rindex("ansible-playbook ") :])
    assert words[2:4] == ["-i", str(INVENTORY)], advice
    return drill.play(words[1], *words[4:], *arguments)


def test_restore_drill(drill: Drill, audit: AuditLog) -> None:
    before = secrets_of(drill.world)
    assert set(before) == {SETTINGS, PULL}

    check_that_nothing_is_made(drill)
    plain = drill.run("backup", backup_secrets="exclude", backup_environment="plain", backup_environments=["plain"])
    assert plain.status == 0, plain.text
    sealed = drill.run("backup", backup_secrets="encrypt", backup_recipients=[drill.key()])
    assert sealed.status == 0, sealed.text
    check_backup(drill, sealed)

    drill.lose_everything()

    unable = drill.run("restore", backup_environment="plain", backup_environments=["plain"])
    assert unable.status != 0
    for name in (SETTINGS, PULL):
        assert "%s/%s (needed by Deployment %s/sample)" % (NAME, name, NAME) in unable.text
    assert "kubectl create namespace " + NAME in unable.text

    identity = {"backup_identity_file": str(drill.folder / "identity")}
    audit.rewind()
    looked = drill.run("restore", "--check", **identity)
    assert looked.status == 0, looked.text
    unconfirmed = drill.run("restore", **identity)
    assert unconfirmed.status != 0
    wrong = drill.run("restore", backup_confirm="0" * 64, **identity)
    assert wrong.status != 0
    assert written(audit) == []

    advice = unconfirmed.one(ROLE + "Stop where nobody can be asked")["msg"]
    restored = follow(drill, advice)
    assert restored.status == 0, restored.text
    assert drill.version() == "1"
    assert secrets_of(drill.world) == before
    order = [item.resource for item in written(audit)]
    assert order == ["namespaces", "secrets", "secrets", "services", "deployments", "applications"]
    application = drill.world.get("-n", "argocd", "application", NAME)
    assert application["spec"]["syncPolicy"]["automated"]["selfHeal"] is True
    assert application["metadata"]["finalizers"] == ["resources-finalizer.argocd.argoproj.io"]
    check_that_deliveries_are_resumed(drill, restored.one(ROLE + "Say how it ended")["msg"])

    audit.rewind()
    again = drill.run("restore", **identity)
    assert again.status == 0, again.text
    assert written(audit) == []
    check_that_a_delivery_is_not_disturbed(drill, audit, identity)


def check_that_deliveries_are_resumed(drill: Drill, verdict: str) -> None:
    """The command that the restore ends with takes the pause away, without a word about where."""
    assert "Deliveries to drill are paused." in verdict
    names = {"environment": "drill", "environments": ["drill"], "queue_path": str(drill.folder / "queue/queue.db")}
    inventory = json.dumps({"deploy_" + name: value for name, value in names.items()})  # not in this one
    resumed = follow(drill, verdict, "-e", inventory)
    assert "drill takes deliveries again." in resumed.text
    assert resumed.status == 0


def check_that_nothing_is_made(drill: Drill) -> None:
    """Wrong variables and clusters are refused, and check mode (G32) makes not even a folder."""
    misspelt = drill.run("restore", backup_nmae="latest")
    assert misspelt.status != 0
    assert "did you mean 'backup_name'?" in misspelt.text
    elsewhere = drill.run("restore", backup_cluster_uid="00000000-0000-0000-0000-000000000000")
    assert elsewhere.status != 0
    assert "cluster_mismatch" in json.dumps(elsewhere.results)
    tried = drill.run("backup", "--check")
    assert tried.status == 0, tried.text
    assert not drill.store.exists()


def check_that_a_delivery_is_not_disturbed(drill: Drill, audit: AuditLog, identity: dict[str, str]) -> None:
    """F30: nothing is restored into an environment that is being delivered to."""
    drill.world.kubectl("-n", NAME, "label", "service", "sample", "drill=changed")
    queue = {"backup_queue_path": str(drill.folder / "queue/busy.db")}
    claim = {"path": queue["backup_queue_path"], "environment": "drill", "app": NAME, "version": "2"}
    task = {"name": "Deliver", "slipway.gitops.deploy_queue": {"state": "claimed", **claim}}
    book = drill.folder / "book.yml"
    book.write_text(json.dumps([{"name": "x", "hosts": "local_world", "gather_facts": False, "tasks": [task]}]))
    assert drill.play(str(book)).status == 0
    plan = drill.run("restore", "--tags", "backup_plan", **identity)
    result = plan.one(ROLE + "Compare the backup with the cluster")
    assert [item["name"] for item in result["restored"] if item["action"] == "changed"] == ["sample"]
    audit.rewind()
    refused = drill.run("restore", backup_confirm=result["hash"], **identity, **queue)
    assert refused.status != 0
    assert "is being delivered to drill" in refused.text
    assert written(audit) == []


def check_backup(drill: Drill, made: Outcome) -> None:
    """Look into the backup: complete, free of clear text, proved by the cluster."""
    backup = made.one(ROLE + "Back up what is live")["backup"]
    assert {item["kind"] for item in backup["objects"]} >= {"Namespace", "Deployment", "Service"}
    assert {entry["name"] for entry in backup["secrets"]["names"]} == {SETTINGS, PULL}
    assert [item["url"] for item in backup["repositories"]] == [drill.git.url]
    assert backup["images"][0]["digest"].startswith("sha256:")
    assert len(backup["commit"]) == 40
    assert made.one(ROLE + "Prove it")["backups"][0]["complete"] is True
    content = everything_below(drill.store)
    for secret in (CANARY, CANARY + "-pull", PASSWORD):
        assert secret.encode() not in content
        assert base64.b64encode(secret.encode()) not in content
        assert secret not in made.text
    assert (Path(backup["path"]) / "secrets.age").read_bytes().startswith(b"age-encryption.org/v1\n")
    done = subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=backup["path"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
