# SPDX-License-Identifier: GPL-3.0-or-later
"""How scripts/demo tells its stories: chapters with their times, every part real and checked."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

from . import console, env, places, world


class Story:
    """Runs the chapters one after the other and keeps the time of each."""

    def __init__(self, tools: env.Environment, host: str = world.HOST) -> None:
        self.world = world.World(tools, host)
        self.logs = places.logs("demo")
        self.timeline: list[tuple[str, float]] = []
        self.phases: dict[int, list[str]] = {}

    @contextmanager
    def chapter(self, title: str) -> Iterator[None]:
        """Announce a chapter and note how long it took."""
        console.say()
        console.say("== %s" % title)
        started = time.monotonic()
        yield
        self.timeline.append((title, time.monotonic() - started))

    def bring_up(self) -> None:
        """Cluster, Argo CD, registry, Git server, the sample application's images."""
        with self.chapter("Bring up Kubernetes, Argo CD, a registry and a Git server"):
            if self.world.playbook("bootstrap", self.logs / "bootstrap.log"):
                console.fail("the world did not come up; log: %s" % (self.logs / "bootstrap.log"))

    def deliver(self, release: str, expect: str) -> dict[str, Any]:
        """Deliver a release and check that it ends as expected; return the queue's record of it."""
        log = self.logs / ("deliver-%s.log" % release)
        self._lift_left_over_hold(release)
        status = self.play("deploy_staging", log, deploy_release=release)
        return self.judge(release, expect, status, log)

    def play(self, playbook: str, log: Path, **variables: str) -> int:
        """Run a playbook for this environment alone; return its exit status."""
        wanted = {"deploy_hosts": self.world.host, **variables}
        return self.world.playbook(playbook, log, "-e", json.dumps(wanted))

    def judge(self, release: str, expect: str, status: int, log: Path) -> dict[str, Any]:
        """Compare how the newest delivery ended with what was expected; return the queue's record of it."""
        entry = self.world.last_delivery()
        if entry["state"] != expect or entry["version"] != release or (status == 0) != (expect == "succeeded"):
            console.fail("delivery of %s ended as %s, expected %s; log: %s" % (release, entry["state"], expect, log))
        self.phases[len(self.timeline)] = _phases(entry["measures"])
        return entry

    def _lift_left_over_hold(self, release: str) -> None:
        """A demo that was cut short leaves its hold; running it again must work."""
        if any(hold.get("version") == release for hold in self.world.queue()["holds"]):
            console.say("    (an earlier run left %s on hold; resumed)" % release)
            self.resume()

    def resume(self) -> None:
        """Run the documented command that lifts a hold."""
        log = self.logs / "resume.log"
        if self.play("resume", log, deploy_resume_reason="seen in the demonstration"):
            console.fail("the hold could not be lifted; log: %s" % log)

    def check_answer(self, release: str, commit: str) -> None:
        """Ask the application over HTTP and compare version and commit."""
        url = self.world.variable("deploy_url")
        answer = self.world.ask(url)
        console.say("    GET %s -> %s" % (url, json.dumps(answer)))
        if answer.get("version") != release or answer.get("commit") != commit:
            console.fail("expected version %s at commit %s" % (release, commit))

    def show_rollback(self, entry: dict[str, Any]) -> None:
        """Show the evidence of the rollback: Git, the hold, the diagnosis."""
        console.say("    Git history of the deploy repository, newest first:")
        for line in self.world.git_log(3):
            console.say("      " + line)
        for hold in self.world.queue()["holds"]:
            console.say("    Hold: %s %s: %s" % (hold.get("app", ""), hold.get("version", ""), hold.get("reason", "")))
        console.say("    Why, as recorded: %s" % entry.get("reason"))

    def prove(self) -> None:
        """Show that nothing here is simulated."""
        for line in self.world.kubectl("get", "nodes", "-o", "wide", "--no-headers").splitlines():
            console.say("    node     %s" % line)
        nodes = json.loads(self.world.kubectl("get", "nodes", "-o", "json"))["items"]
        if any("kwok.x-k8s.io/node" in item["metadata"].get("annotations", {}) for item in nodes):
            console.fail("a node of this world is a simulated one")
        for item in self.world.containers(["sample", "argocd"]):
            console.say("    pid %6d  %-8s %-52s %s" % (item.pid, item.namespace, item.pod, item.command))
        reported = self.world.application()
        console.say("    Argo CD reports: %s, %s at commit %s" % (
            reported["sync"]["status"], reported["health"], reported["sync"]["revision"]))  # fmt: skip

    def tell_times(self) -> None:
        """Print the timeline."""
        console.say()
        console.say("== Timeline")
        for number, (title, seconds) in enumerate(self.timeline):
            console.say("    %7.1f s  %s" % (seconds, title))
            for line in self.phases.get(number, []):
                console.say("               %s" % line)
        console.say("    %7.1f s  in all" % sum(seconds for _title, seconds in self.timeline))

    def tell_what_next(self) -> None:
        """Say how to look at everything and how to remove it."""
        shown = self.world
        kubectl = " ".join(shown.kubectl_command())
        console.say()
        console.say("== The world is left running. Look around:")
        console.say("    Argo CD          %s -n argocd get applications" % kubectl)
        console.say("                     %s -n argocd describe application sample" % kubectl)
        console.say("    Git history      git -c safe.directory=* --git-dir %s log -p main" % shown.repository())
        console.say("    the application  curl %s" % shown.variable("deploy_url"))
        console.say("    the queue        scripts/lib/run ansible-playbook slipway.gitops.deploy_staging \\")
        console.say("                       -i inventories/local -e deploy_hosts=%s --tags deploy_status" % world.HOST)
        console.say("    the node's logs  %s" % (world.folder() / "logs"))
        console.say("    remove all       scripts/demo --down")


def _phases(measures: dict[str, Any]) -> list[str]:
    """Return the seconds of each phase as lines: one for the way forward, one for the way back."""
    ways = measures if any(isinstance(value, dict) for value in measures.values()) else {"": measures}
    return [
        ("%s: " % way if way else "")
        + ", ".join("%s %.1f s" % (phase, float(seconds)) for phase, seconds in taken.items())
        for way, taken in ways.items()
    ]
