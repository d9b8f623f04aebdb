# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole delivery through the role, beside the floor measured by hand in the same run."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Mapping

from . import console, places, world
from .bench_floor import Floor, FloorTimes, Site
from .bench_paths import Player, agents_of
from .measures import Findings, Series, Target

ENVIRONMENT = "bench"
VERSIONS = ("1", "2", "3")
#: The goal: at most so many times the floor, plus so many seconds.
TIMES, PLUS_S = 1.3, 0.5

EDIT, SYNC, GATE = (
    "Set the image, commit and push",
    "Wait until Argo CD synced the commit",
    "Judge the release by what runs",
)


@dataclass(frozen=True)
class DeliveryTimes:
    """Seconds of one delivery. The stability window is in ``window`` and ``whole`` only."""

    before: float
    edit: float
    sync: float
    gate: float
    verified: float
    from_landing: float
    window: float
    after: float
    whole: float


class Delivery:
    """Runs the playbook of the collection for the benchmark's own application."""

    def __init__(self, player: Player, shared: world.World, site: Site) -> None:
        self._player = player
        self._tools = shared.tools
        self._site = site
        # Kept as long as the cluster: the fence in Git must not be ahead of the queue's.
        queue = world.folder() / "queue" / "bench.db"
        self._variables = {
            "deploy_hosts": world.HOST,
            "deploy_application": site.application,
            "deploy_namespace": site.namespace,
            "deploy_deployments": [site.deployment],
            "deploy_branch": site.branch,
            "deploy_path": site.path,
            "deploy_url": site.url,
            "deploy_environment": ENVIRONMENT,
            "deploy_environments": [ENVIRONMENT],
            "deploy_queue_path": str(queue),
        }
        if queue.exists():  # a benchmark that was cut short leaves its hold
            shared.module("slipway.gitops.deploy_queue", state="resumed", environment=ENVIRONMENT, path=str(queue))

    def deliver(self, version: str, floor: Floor) -> DeliveryTimes:
        """Deliver one version and return its times. Raises RuntimeError when it was not verified."""
        variables = json.dumps({**self._variables, "deploy_release": version})
        command = [
            self._tools.program("ansible-playbook"), "slipway.gitops.deploy_staging",
            "-i", self._tools.inventory(world.INVENTORY), "-e", variables,
        ]  # fmt: skip
        quiet = {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1"}
        self._player.audit.rewind()
        started = time.time()
        done = subprocess.run(
            command, env={**self._tools.variables, **quiet}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=600, check=False,
        )  # fmt: skip
        ended = time.time()
        log = places.logs("bench") / "delivery.json"
        log.write_text(done.stdout, encoding="utf-8")
        if done.returncode:
            raise RuntimeError("the delivery of %s did not succeed; its report is %s %s" % (version, log, done.stderr))
        steps = _steps(done.stdout)
        self._refuse_other_paths(steps, floor)
        return _times(steps, started, ended, floor.landed())

    def _refuse_other_paths(self, steps: Mapping[str, Step], floor: Floor) -> None:
        """Hold the run against its claim: one new commit, judged live, all of it in-process."""
        edit, gate = steps[EDIT].result, steps[GATE].result
        if not (edit.get("changed") and edit.get("pushed") and edit["commit"] == floor.head()):
            raise RuntimeError("the delivery pushed no commit of its own, so its time means nothing")
        if gate.get("verdict") != "pass":
            raise RuntimeError("the delivery was not verified: %s" % gate.get("verdict"))
        seen = agents_of(item for item in self._player.audit.requests() if self._site.application in item.uri)
        if seen != {("argocd_app_info", "in-process"), ("argocd_app", "in-process"), ("health_gate", "in-process")}:
            raise RuntimeError("the delivery did not take the path it claims: the API server saw %s" % sorted(seen))


@dataclass(frozen=True)
class Step:
    """One task of the run: when it began and ended (seconds since 1970), and its result."""

    began: float
    ended: float
    result: Mapping[str, Any]


def _steps(text: str) -> dict[str, Step]:
    """Return the last task of each name that was not skipped; what was printed before the report is passed over."""
    report = json.loads(text[text.index("\n{\n") + 1 if not text.startswith("{\n") else 0 :])
    found = {}
    for task in (task for play in report["plays"] for task in play["tasks"]):
        result = (task["hosts"] or {}).get(world.HOST)
        if result and not result.get("skipped"):
            duration = task["task"]["duration"]
            name = task["task"]["name"].rsplit(" : ", 1)[-1]
            found[name] = Step(_moment(duration["start"]), _moment(duration["end"]), result)
    return found


def _moment(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _times(steps: Mapping[str, Step], started: float, ended: float, landed: float) -> DeliveryTimes:
    edit, sync, gate = steps[EDIT], steps[SYNC], steps[GATE]
    window = float(gate.result["stable_window"])
    verified = gate.ended - window
    return DeliveryTimes(
        before=edit.began - started,
        edit=edit.ended - edit.began,
        sync=sync.ended - edit.ended,
        gate=verified - sync.ended,
        verified=verified - edit.began,
        from_landing=verified - landed,
        window=window,
        after=ended - gate.ended,
        whole=ended - started,
    )


def delivery_part(player: Player, shared: world.World, rounds: int) -> Findings:
    """Measure push-to-verified-healthy of whole deliveries over the floor."""
    site = Site()
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        floor = Floor(shared, site, Path(name) / "clone")
        _have_application(shared, site)
        try:
            floor.settle(floor.version())
            delivery = Delivery(player, shared, site)
            by_hand, by_role = _measure(floor, delivery, rounds)
        finally:
            _remove_application(shared, site)
            floor.remove_namespace()
    return _findings(by_hand, by_role)


def _measure(floor: Floor, delivery: Delivery, rounds: int) -> tuple[list[FloorTimes], list[DeliveryTimes]]:
    """Interleave deliveries by hand and by role, each of a version that does not run; drop the first of each."""
    by_hand, by_role = [], []
    for at in range(rounds + 1):
        version = _next(floor.version())
        by_hand.append(floor.deliver(version))
        floor.settle(version)
        version = _next(version)
        by_role.append(delivery.deliver(version, floor))
        floor.settle(version)
        label = "round %d of %d" % (at, rounds) if at else "to warm up"
        console.say(
            "  %s: floor %.2f s, delivery %.2f s (edit and push %.2f, sync %.2f, gate %.2f), whole run %.1f s"
            % (label, by_hand[-1].verified, by_role[-1].verified, by_role[-1].edit, by_role[-1].sync,
               by_role[-1].gate, by_role[-1].whole)
        )  # fmt: skip
    return by_hand[1:], by_role[1:]


def _next(version: str) -> str:
    return VERSIONS[(VERSIONS.index(version) + 1) % len(VERSIONS)]


def _have_application(shared: world.World, site: Site) -> None:
    source = {
        "repoURL": shared.variable("deploy_repository"),
        "targetRevision": site.branch,
        "path": site.path,
        "kustomize": {
            "commonAnnotations": {"slipway.dev/commit": "$ARGOCD_APP_REVISION"},
            "commonAnnotationsEnvsubst": True,
        },
    }
    spec = {
        "project": "default",
        "source": source,
        "destination": {"server": "https://kubernetes.default.svc", "namespace": site.namespace},
        "syncPolicy": {"automated": {"prune": True, "selfHeal": True}, "syncOptions": ["CreateNamespace=true"]},
    }
    shared.module(
        "slipway.gitops.argocd_app", name=site.application, spec=spec, wait=True, kubeconfig="{{ deploy_kubeconfig }}"
    )


def _remove_application(shared: world.World, site: Site) -> None:
    shared.module(
        "slipway.gitops.argocd_app", name=site.application, state="absent", kubeconfig="{{ deploy_kubeconfig }}"
    )


def _findings(by_hand: list[FloorTimes], by_role: list[DeliveryTimes]) -> Findings:
    hand = {
        "pushed": "floor: git push",
        "synced": "floor: synced and healthy in Argo CD",
        "running": "floor: rolled out, answers over HTTP",
        "verified": FLOOR,
        "from_landing": "floor, from the commit on the branch",
    }
    role = {
        "verified": ROLE,
        "from_landing": "delivery, from the commit on the branch",
        "edit": "delivery: fetch, edit, commit, push",
        "sync": "delivery: wait for Argo CD",
        "gate": "delivery: gate, window not counted",
        "window": "delivery: stability window",
        "before": "delivery: start of Ansible, preflight, queue",
        "after": "delivery: record, report, end of Ansible",
        "whole": "delivery: the whole run of ansible-playbook",
    }
    series = []
    for times, titles in ((by_hand, hand), (by_role, role)):
        for name, title in titles.items():
            values = [getattr(item, name) for item in times]
            series.append(Series(title, "s", values, name not in ("verified", "window", "whole")))
    found = {item.title: item.median for item in series}
    limit = TIMES * found[FLOOR] + PLUS_S
    text = "delivery at most %g times the floor plus %g s" % (TIMES, PLUS_S)
    reached = "%.2f s, limit %.2f s (%.2f times the floor)" % (found[ROLE], limit, found[ROLE] / found[FLOOR])
    return Findings("A whole delivery", _HOW, series, [Target(text, reached, found[ROLE] <= limit, True)])


FLOOR, ROLE = "floor, push to verified", "delivery, push to verified, window not counted"
_HOW = (
    "By one clock, interleaved, the same edit of the same application. Floor: from the start of git push in a prepared "
    "clone until Application, Deployment and HTTP, asked every 50 ms, all show the commit. Delivery: from the start of "
    "the task that fetches, edits, commits and pushes until the end of the gate, less its stability window; so it "
    "includes what the floor prepares before its clock starts"
)
