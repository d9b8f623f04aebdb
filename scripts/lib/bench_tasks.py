# SPDX-License-Identifier: GPL-3.0-or-later
"""What one task costs: ours beside Ansible's own and kubernetes.core's, on the same object."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator, Sequence

from . import console, world
from .bench_paths import MODULE, OURS_AS_MODULE, OURS_IN_PROCESS, WORKER, Case, Player
from .measures import Findings, Series, Target

#: The Application that all cases read. It has no sync policy, so nothing is ever deployed.
OBJECT = "slipway-bench-task"
NAMESPACE = "argocd"
SPEC = {
    "project": "default",
    "source": {"repoURL": "https://deploy.invalid/none.git", "path": "none", "targetRevision": "main"},
    "destination": {"server": "https://kubernetes.default.svc", "namespace": OBJECT},
}

EMPTY, DEBUG, PING = "an action that does nothing", "ansible.builtin.debug", "ansible.builtin.ping"
PEER_TITLE = "kubernetes.core.k8s_info"
INFO, APP, AS_MODULE = (
    "argocd_app_info",
    "argocd_app, unchanged",
    "argocd_app_info as an ordinary module",
)
QUEUE = "deploy_queue, one durable entry"

#: The goal: so many times faster than kubernetes.core, and no slower than this (ms).
FASTER, AT_MOST_MS, OWN_PART_MS, QUEUE_PART_MS = 20.0, 25.0, 8.0, 3.0


def floors() -> list[Case]:
    """Return what Ansible itself costs."""
    return [
        Case(EMPTY, "slipway_bench_empty", {}, WORKER),
        Case(DEBUG, "ansible.builtin.debug", {"msg": "hello"}, WORKER),
    ]


def cases() -> list[Case]:
    """Return the cases of the part ``task``."""
    kubeconfig = str(world.folder() / "kubeconfig")
    named = {"name": OBJECT, "namespace": NAMESPACE, "kubeconfig": kubeconfig}
    kind = {"api_version": "argoproj.io/v1alpha1", "kind": "Application"}
    info, app = "slipway.gitops.argocd_app_info", "slipway.gitops.argocd_app"
    never = {"slipway_in_process": "never"}
    return [
        *floors(),
        Case(PING, "ansible.builtin.ping", {}, MODULE, 8),
        Case(PEER_TITLE, PEER_TITLE, {**kind, **named}, MODULE, 5, 1, OBJECT),
        Case(INFO, info, named, OURS_IN_PROCESS, requests=1, subject=OBJECT),
        Case(APP, app, {**named, "spec": SPEC}, OURS_IN_PROCESS, requests=1, subject=OBJECT),
        Case(AS_MODULE, info, named, OURS_AS_MODULE, 6, 1, OBJECT, never),
    ]


def queue_cases() -> list[Case]:
    """Return the cases of the part ``queue``."""
    entry = {
        "state": "queued", "environment": "bench", "app": "bench", "version": "1.0.@", "detached": True,
        "path": "%FOLDER%/queue/queue.db",
    }  # fmt: skip
    return [floors()[0], Case(QUEUE, "slipway.gitops.deploy_queue", entry, OURS_IN_PROCESS)]


def measure(player: Player, chosen: Sequence[Case], rounds: int) -> dict[str, Series]:
    """Return milliseconds per task of each case, from interleaved rounds after one to warm up.

    The first round proves the paths and is not measured; each later one is held against the
    audit log again. Raises RuntimeError when a case did not take the path it claims.
    """
    for case in chosen:
        console.say("  path of %s" % case.title)
        _refuse(player.verify(case))
        player.play(case, 2)
    series = {case.title: Series(case.title, "ms") for case in chosen}
    for at in range(rounds):
        idle = player.play(None, 0).seconds
        parts = []
        for case in chosen:
            cost = _cost(player, case, idle)
            series[case.title].values.append(cost)
            parts.append("%s %.1f" % (case.title.split(",")[0].rsplit(".", 1)[-1], cost))
        console.say("  round %d of %d, ms per task: %s" % (at + 1, rounds, ", ".join(parts)))
    return series


def _cost(player: Player, case: Case, idle: float) -> float:
    player.audit.rewind()
    seconds = player.play(case, case.count).seconds
    _refuse(player.audited(case, case.count))
    return (seconds - idle) * 1000 / case.count


def _refuse(contradictions: Sequence[str]) -> None:
    if contradictions:
        raise RuntimeError("a benchmark did not take the path it claims: %s" % "; ".join(contradictions))


@contextmanager
def application(shared: world.World) -> Iterator[None]:
    """Have the Application that all cases read."""
    arguments = {"name": OBJECT, "namespace": NAMESPACE, "kubeconfig": str(world.folder() / "kubeconfig")}
    shared.module("slipway.gitops.argocd_app", spec=SPEC, **arguments)
    try:
        yield
    finally:
        shared.module("slipway.gitops.argocd_app", state="absent", cascade="none", **arguments)


def task_part(player: Player, shared: world.World, rounds: int) -> Findings:
    """Measure single tasks against peers."""
    with application(shared):
        series = measure(player, cases(), rounds)
    return Findings("One task", _HOW, list(series.values()), task_targets(series))


def task_targets(series: dict[str, Series]) -> list[Target]:
    """Judge the ratios; milliseconds are told but not judged, the machine may be busy."""
    peer, floor = series[PEER_TITLE].median, series[EMPTY].median
    found = []
    for title in (INFO, APP):
        ours = series[title].median
        name = "%s in-process" % title.split(",")[0]
        times, own = peer / ours, ours - floor
        found += [
            _target(
                "%s at least %g times faster than k8s_info" % (name, FASTER),
                times >= FASTER,
                "%.1f times" % times,
                title == INFO,  # like for like: an apply is two requests, k8s_info is one
            ),
            _target("%s at most %g ms" % (name, AT_MOST_MS), ours <= AT_MOST_MS, "%.1f ms" % ours),
            _target("%s at most %g ms over an empty action" % (name, OWN_PART_MS), own <= OWN_PART_MS, "%.1f ms" % own),
        ]
    return found


def queue_part(player: Player, _shared: world.World, rounds: int) -> Findings:
    """Measure an operation of the queue over an empty action."""
    series = measure(player, queue_cases(), rounds)
    own = series[QUEUE].median - series[EMPTY].median
    text = "deploy_queue at most %g ms over an empty action" % QUEUE_PART_MS
    return Findings("The queue", _HOW, list(series.values()), [_target(text, own <= QUEUE_PART_MS, "%.1f ms" % own)])


def _target(text: str, is_met: bool, reached: str, gates: bool = False) -> Target:
    return Target(text, reached, is_met, gates)


_HOW = (
    "Per task: wall time of a playbook with many such tasks less that of one with none, divided by their number; "
    "series interleaved, the path of every run proven by the API server's audit log"
)
