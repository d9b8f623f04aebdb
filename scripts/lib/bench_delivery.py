# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole delivery through the role, beside the floor measured by hand in the same run."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping

from . import bench_steps, bench_way_back, console, places, world
from .bench_floor import Floor, FloorTimes, Site
from .bench_paths import Player, agents_of
from .bench_steps import EDIT, GATE, SYNC, Report, Step
from .bench_way_back import WayBack
from .measures import Findings, Series, Target

ENVIRONMENT = "bench"
VERSIONS = ("1", "2", "3")
#: The goal: at most so many times the floor, plus so many seconds.
TIMES, PLUS_S = 1.3, 0.5


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
        self._shared, self._queue = shared, queue
        if queue.exists():  # a benchmark that was cut short leaves its hold
            self.resume()

    def resume(self) -> None:
        """Lift pause and hold."""
        self._shared.module(
            "slipway.gitops.deploy_queue", state="resumed", environment=ENVIRONMENT, path=str(self._queue)
        )

    def run(self, version: str) -> Report:
        """Deliver one version, however that ends."""
        return bench_steps.deliver(self._tools, {**self._variables, "deploy_release": version})

    def deliver(self, version: str, floor: Floor) -> DeliveryTimes:
        """Deliver one version and return its times. Raises RuntimeError when it was not verified."""
        self._player.audit.rewind()
        report = self.run(version)
        if report.status:
            log = places.logs("bench") / "delivery.json"
            raise RuntimeError("the delivery of %s did not succeed; its report is %s" % (version, log))
        self._refuse_other_paths(report.last(), floor)
        return _times(report, floor.landed())

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


def _times(report: Report, landed: float) -> DeliveryTimes:
    steps = report.last()
    edit, sync, gate = steps[EDIT], steps[SYNC], steps[GATE]
    window = float(gate.result["stable_window"])
    verified = gate.ended - window
    return DeliveryTimes(
        before=edit.began - report.began,
        edit=edit.ended - edit.began,
        sync=sync.ended - edit.ended,
        gate=verified - sync.ended,
        verified=verified - edit.began,
        from_landing=verified - landed,
        window=window,
        after=report.ended - gate.ended,
        whole=report.ended - report.began,
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
            backwards = bench_way_back.measure(delivery.run, delivery.resume, floor, rounds)
        finally:
            _remove_application(shared, site)
            floor.remove_namespace()
    return _findings(by_hand, by_role, backwards)


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


def _findings(by_hand: list[FloorTimes], by_role: list[DeliveryTimes], backwards: list[WayBack]) -> Findings:
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
    series += bench_way_back.series(backwards)
    found = {item.title: item.median for item in series}
    limit = TIMES * found[FLOOR] + PLUS_S
    text = "delivery at most %g times the floor plus %g s" % (TIMES, PLUS_S)
    reached = "%.2f s, limit %.2f s (%.2f times the floor)" % (found[ROLE], limit, found[ROLE] / found[FLOOR])
    forward = Target(text, reached, found[ROLE] <= limit, True)
    back = bench_way_back.targets(found[bench_way_back.TITLE], found[ROLE])
    return Findings("A whole delivery", _HOW, series, [forward, *back])


FLOOR, ROLE = "floor, push to verified", "delivery, push to verified, window not counted"
_HOW = (
    "By one clock, interleaved, the same edit of the same application. Floor: from the start of git push in a prepared "
    "clone until Application, Deployment and HTTP, asked every 50 ms, all show the commit. Delivery: from the start of "
    "the task that fetches, edits, commits and pushes until the end of the gate, less its stability window; so it "
    "includes what the floor prepares before its clock starts. Way back: a release that crashes at its start, from the "
    "end of the gate that it failed until the end of the gate that the release before passes, less its window"
)
