# SPDX-License-Identifier: GPL-3.0-or-later
"""The story that scripts/demo tells, every part of it real and checked."""

from __future__ import annotations

import argparse
import json
import time
from contextlib import contextmanager
from typing import Any, Iterator, Sequence

from . import console, env, places, world


class Story:
    """Runs the chapters one after the other and keeps the time of each."""

    def __init__(self, tools: env.Environment) -> None:
        self.world = world.World(tools)
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
        wanted = {"deploy_release": release, "deploy_hosts": world.HOST}
        status = self.world.playbook("deploy_staging", log, "-e", json.dumps(wanted))
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
        command = ["-e", json.dumps({"deploy_resume_reason": "seen in the demonstration", "deploy_hosts": world.HOST})]
        if self.world.playbook("resume", self.logs / "resume.log", *command):
            console.fail("the hold could not be lifted; log: %s" % (self.logs / "resume.log"))

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


def tell(story: Story) -> None:
    """The whole story."""
    story.bring_up()
    with story.chapter("Deliver version 1"):
        first = story.deliver("1", "succeeded")
        story.check_answer("1", first["commit"])
    with story.chapter("Deliver version 2"):
        second = story.deliver("2", "succeeded")
        story.check_answer("2", second["commit"])
    with story.chapter("Deliver version 4, which crashes at its start"):
        fourth = story.deliver("4", "rolled_back")
        story.check_answer("2", fourth["commit"])
        story.show_rollback(fourth)
    with story.chapter("Resume after the hold, by the documented command"):
        story.resume()
    with story.chapter("Proof that it is real"):
        story.prove()
    story.tell_times()
    story.tell_what_next()


def main(arguments: Sequence[str]) -> int:
    """Tell the story, or remove the world with ``--down``."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Bring up a real Kubernetes with Argo CD on this machine and deliver an application to it.",
    )
    parser.add_argument("--down", action="store_true", help="remove the local world: processes, network, files")
    chosen = parser.parse_args(arguments)
    world.need_root()
    story = Story(env.prepare())
    if chosen.down:
        return story.world.playbook("bootstrap", story.logs / "down.log", "-e", "bootstrap_state=absent")
    try:
        tell(story)
    except RuntimeError as error:
        console.fail("%s; logs: %s" % (error, story.logs))
    return 0
