# SPDX-License-Identifier: GPL-3.0-or-later
"""The providers kind and minikube of role cluster_bootstrap, with stand-in executables.

Neither program can make a cluster where these tests run. What is held here: their command lines,
and every way through the state machine. See stand_in.py for what the stand-ins know.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Optional

import pytest
import yaml

from ansible_collections.slipway.gitops.tests.integration.world.play import CHECKOUT, Outcome, run_playbook
from ansible_collections.slipway.gitops.tests.size import FULL, rows

BOTH = ("kind", "minikube")


def one_of(provider: str) -> pytest.MarkDecorator:
    """Return the parameter for what both do by the same tasks: one of them, both at full size."""
    return pytest.mark.parametrize("provider", rows([provider], [one for one in BOTH if one != provider]))


BOOK = str(CHECKOUT / "tests/integration/lifecycle/bootstrap.yml")
#: What only asks.
_LOOKS = ("version", "info", "get", "ps", "profile list", "addons list", "update-context")


class StandIns:
    """A machine with the programs, as far as the role can see."""

    def __init__(self, folder: Path, provider: str) -> None:
        self.folder = folder
        self.provider = provider
        self.world = folder / "world"
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.home = folder / "home"
        (self.home / ".kube").mkdir(parents=True)
        (self.home / ".kube/config").write_text("the user's own\n")
        program = "#!%s -ISE\n" % sys.executable + (Path(__file__).parent / "stand_in.py").read_text()
        for name in (provider, "docker", "kubectl"):
            (self.bin / name).write_text(program)
            (self.bin / name).chmod(0o755)
        self.set(name="slipway", cluster=None, daemon=True)

    def set(self, **values: Any) -> None:
        """Change what there is."""
        file = self.bin / "state.json"
        before = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps({**before, **values}))

    @property
    def cluster(self) -> Optional[dict[str, Any]]:
        """The cluster that there is."""
        found: Optional[dict[str, Any]] = json.loads((self.bin / "state.json").read_text())["cluster"]
        return found

    def bring(self, state: str = "present", *arguments: str, ok: bool = True, **options: Any) -> Outcome:
        """Run the role."""
        values = {
            "cluster_bootstrap_state": state,
            "cluster_bootstrap_provider": self.provider,
            "cluster_bootstrap_world_folder": str(self.world),
            "cluster_bootstrap_cache_folder": str(self.folder / "cache"),
            **{"cluster_bootstrap_" + name: value for name, value in options.items()},
        }
        (self.bin / "calls").write_text("")
        programs = Path(sys.executable).parent
        extra = {
            "PATH": "%s:%s:/usr/bin:/bin" % (self.bin, programs),
            "HOME": str(self.home),
            "ANSIBLE_PIPELINING": "1",
        }
        words = ["-i", "localhost,", "-e", json.dumps(values), *arguments]
        outcome = run_playbook(programs, BOOK, words, self.folder / "record.jsonl", extra)
        assert (outcome.status == 0) is ok, outcome.text
        assert (self.home / ".kube/config").read_text() == "the user's own\n"
        assert os.listdir(self.home / ".kube") == ["config"]
        return outcome

    def calls(self) -> list[str]:
        """Return the commands of the last run that change something, kubeconfig left out."""
        lines = [line.split(" KUBECONFIG=")[0] for line in (self.bin / "calls").read_text().splitlines()]
        return [
            line for line in lines if not line.startswith("kubectl") and not line.split(" ", 1)[1].startswith(_LOOKS)
        ]


@pytest.fixture
def machine(provider: str, tmp_path: Path) -> StandIns:
    return StandIns(tmp_path, provider)


def changed(outcome: Outcome) -> bool:
    return "changed=0" not in outcome.text


def is_as_asked(machine: StandIns) -> None:
    """The last run has made the cluster, of three nodes and another version than the usual, by one command."""
    world = machine.world
    assert machine.calls() == [
        {
            "kind": "kind create cluster --name=slipway --config=%s/kind.yaml --kubeconfig=%s/kubeconfig --wait=120s"
            % (world, world),
            "minikube": "minikube start --profile=slipway --driver=docker --nodes=3 --wait=all --wait-timeout=120s"
            " --interactive=false --embed-certs --kubernetes-version=v1.33.4",
        }[machine.provider]
    ]
    assert machine.cluster and (machine.cluster["nodes"], machine.cluster["version"]) == (3, "1.33.4")
    if machine.provider == "kind":
        nodes = yaml.safe_load((world / "kind.yaml").read_text())["nodes"]
        assert [node["role"] for node in nodes] == ["control-plane", "worker", "worker"]
        assert nodes[0]["labels"] == {"ingress-ready": "true"}
        assert {port["listenAddress"] for port in nodes[0]["extraPortMappings"]} == {"127.0.0.1"}


@pytest.mark.parametrize("provider", BOTH)
def test_stand_in_cluster_is_made_once_as_asked_started_and_removed(machine: StandIns, provider: str) -> None:
    """Behaviours 2, 4: only what is absent is made; the second run changes nothing, and nothing is changed in place.

    Left to the full size: what minikube does by the tasks of kind too, and to ask for another version.
    """
    # minikube can have its ingress controller later too.
    options = {"nodes": 3, "kubernetes_version": "1.33.4", "ingress": provider == "kind"}
    if provider == "kind" or FULL:
        asked = machine.bring("present", "--check", "--diff", **options)
        assert changed(asked)
        assert machine.calls() == []
        assert not machine.world.exists()
    made = machine.bring(**options)
    is_as_asked(machine)
    assert (machine.world / "kubeconfig").stat().st_mode & 0o777 == 0o600
    result = made.one("slipway.gitops.cluster_bootstrap : Tell how to reach the cluster")["ansible_facts"]
    told = result["cluster_bootstrap_result"]
    assert told["context"] == {"kind": "kind-slipway", "minikube": "slipway"}[provider]
    assert (told["kubeconfig"], told["provider"]) == (str(machine.world / "kubeconfig"), provider)
    again = machine.bring(**options)
    assert not changed(again), again.text
    assert machine.calls() == []
    if provider == "kind" or FULL:
        is_refused(machine, "has 3 node(s) of Kubernetes 1.33.4, asked are 2 of any", nodes=2)
    if FULL:
        is_refused(machine, "asked are 3 of 1.34.1", nodes=3, kubernetes_version="1.34.1")
    machine.set(cluster=dict(machine.cluster or {}, running=False))
    (machine.world / "kubeconfig").chmod(0o644)
    options["ingress"] = True
    machine.bring(**options)
    assert (machine.world / "kubeconfig").stat().st_mode & 0o777 == 0o600
    start = {"kind": "docker start slipway-control-plane", "minikube": "minikube start"}[provider]
    assert [call.startswith(start) for call in machine.calls()] == [True]
    if provider == "minikube":
        assert machine.calls()[0].endswith(" --addons=ingress")
        machine.bring(**options)  # the stand-in forgets what a start was asked for
        assert machine.calls() == ["minikube addons enable ingress --profile=slipway"]
    machine.bring("absent")
    assert machine.cluster is None
    assert not machine.world.exists()


def is_refused(machine: StandIns, told: str, **options: Any) -> None:
    """A cluster that is not as asked stays as it is."""
    assert told in " ".join(machine.bring(ok=False, **options).text.split())
    assert machine.calls() == []


@one_of("minikube")
def test_stand_in_cluster_of_somebody_else_is_used_and_stays(machine: StandIns, provider: str) -> None:
    theirs = {"nodes": 1, "version": "1.34.0", "uid": "theirs", "running": True, "addons": []}
    machine.set(cluster=theirs)
    machine.bring()
    assert machine.calls() == []
    assert "theirs" in (machine.world / "kubeconfig").read_text()
    assert "was not made by this role" in machine.bring("absent").text
    assert machine.cluster == theirs
    assert not machine.world.exists()


@one_of("kind")
def test_stand_in_run_that_was_cut_short_is_taken_up(machine: StandIns, provider: str) -> None:
    """Then somebody removes it and makes another of the same name: that one stays."""
    machine.set(fail="could not pull image")
    assert "could not pull image" in machine.bring(ok=False).text
    machine.bring()
    verbs = {"kind": ["delete", "create"], "minikube": ["start"]}[provider]
    assert [call.split()[1] for call in machine.calls()] == verbs
    assert machine.cluster
    machine.set(cluster=dict(machine.cluster, uid="another"))
    (machine.world / "kubeconfig").write_text("# of another\n")
    assert "was not made by this role" in machine.bring("absent").text
    assert machine.cluster


@one_of("kind")
def test_missing_program_and_dead_daemon_are_named_before_any_change(machine: StandIns, provider: str) -> None:
    """Behaviour 1."""
    (machine.bin / provider).unlink()
    machine.set(daemon=False)
    text = " ".join(machine.bring(ok=False).text.split())
    assert "%s is not installed or not in PATH; docker does not answer (Cannot connect to the" % provider in text
    assert "Nothing was changed" in text
    assert machine.cluster is None
    assert not machine.world.exists()


@pytest.mark.parametrize(
    "provider, options, told",
    rows(
        [
            ("kind", {"driver": "kvm2"}, "'kvm2' is not one of kind's: docker, podman, nerdctl"),
            ("kind", {"kubernetes_version": "latest"}, "'latest' is not like 1.36.3"),
        ],
        [("minikube", {"driver": "nerdctl"}, "'nerdctl' is not one of minikube's")],
    ),
)
def test_bad_option_is_refused(machine: StandIns, provider: str, options: dict[str, Any], told: str) -> None:
    assert told in " ".join(machine.bring(ok=False, **options).text.split())
    assert machine.calls() == []


@pytest.mark.parametrize("provider", ["kind"])
def test_folder_that_holds_something_else_is_refused(machine: StandIns, provider: str) -> None:
    """Nothing is removed; at full size also: nothing is put in, which the same tasks refuse."""
    machine.world.mkdir()
    (machine.world / "thesis.txt").write_text("ten years of work")
    for state in rows(["absent"], ["present"]):
        assert "thesis.txt, which is not ours" in " ".join(machine.bring(state, ok=False).text.split())
    assert machine.calls() == []
    assert (machine.world / "thesis.txt").exists()
