# SPDX-License-Identifier: GPL-3.0-or-later
"""The story of production: plan, confirmation, backup, a way back, a hold, and a restore."""

from __future__ import annotations

import json
import re
from pathlib import Path

from . import console, env, world
from .story import Story

STAGING, PRODUCTION = "sample_staging", "sample_production"
#: Good releases, so that each telling has one that production does not run.
RELEASES = ("2", "3")


class Production(Story):
    """A story in two environments: what staging verified is promoted to production."""

    def __init__(self, tools: env.Environment) -> None:
        super().__init__(tools, PRODUCTION)
        self.staging = Story(tools, STAGING)
        self.staging.timeline, self.staging.phases = self.timeline, self.phases

    def begin(self) -> str:
        """Lift what an earlier telling may have left; return a release that production does not run."""
        for story in (self.staging, self):
            record = story.world.queue()
            if record["holds"] or record["paused"]:
                console.say("    (an earlier run left %s held or paused; resumed)" % story.world.host)
                story.resume()
        runs = self.world.ask(self.world.variable("deploy_url"))["version"]
        return next(release for release in RELEASES if release != runs)

    def confirmed(self, playbook: str, option: str, log: Path, **variables: str) -> int:
        """Run a playbook for its plan, without a terminal, then with the hash that it told; return the exit status."""
        console.say(
            "    Nobody can be asked here, so the first run only shows the plan and the command that confirms it."
        )
        seen = log.stat().st_size if log.exists() else 0
        first = self.play(playbook, log, **variables)
        said = log.read_bytes()[seen:].decode(errors="replace")
        told = re.findall(option + "=([0-9a-f]{64})", said)
        if first == 0 or not told:
            console.fail("%s did not ask for a confirmation; log: %s" % (playbook, log))
        console.say("    Nothing was written. The same again, confirmed: -e %s=%s" % (option, told[-1]))
        return self.play(playbook, log, **{**variables, option: told[-1]})

    def promote(self, release: str) -> None:
        """Deliver to production exactly what staging has verified."""
        log = self.logs / "promote.log"
        entry = self.judge(release, "succeeded", self.confirmed("promote", "deploy_confirm", log), log)
        self.check_answer(release, entry["commit"])
        self.show_backups()

    def crash(self, release: str, before: str) -> None:
        """Deliver a release that does not start; production goes back and is held."""
        log = self.logs / "production-4.log"
        status = self.confirmed("deploy_production", "deploy_confirm", log, deploy_release=release)
        entry = self.judge(release, "rolled_back", status, log)
        self.check_answer(before, entry["commit"])
        self.show_rollback(entry)

    def show_backups(self) -> None:
        """Show what was saved before the delivery wrote."""
        saved = self.world.module(
            "slipway.gitops.release_backup_info",
            path="{{ deploy_backup_path }}", app="{{ deploy_application }}", environment="{{ deploy_environment }}",
            verify="checksums",
        )["backups"]  # fmt: skip
        console.say("    Backups, newest first (%d in all):" % len(saved))
        for item in saved[:3]:
            state = "complete" if item["complete"] else "NOT GOOD: %s" % "; ".join(item["problems"])
            console.say("      %s  release %s  %s" % (item["name"], item["release"], state))
        if not saved or not saved[0]["complete"]:
            console.fail("the newest backup could not be restored")

    def lose(self) -> None:
        """Remove the Application, leave what it made, and delete the namespace with all of that."""
        self.world.module(
            "slipway.gitops.argocd_app", name="{{ deploy_argocd_application }}", state="absent", cascade="none",
            kubeconfig="{{ deploy_kubeconfig }}",
        )  # fmt: skip
        namespace = self.world.variable("deploy_namespace")
        console.say("    Application removed; deleting namespace %s" % namespace)
        console.say("    " + self.world.kubectl("delete", "namespace", namespace, "--timeout=50s").strip())
        try:
            self.world.ask(self.world.variable("deploy_url"), patience_s=0)
        except RuntimeError as error:
            console.say("    %s" % error)
        else:
            console.fail("the application still answers")

    def restore(self, release: str) -> None:
        """Bring it back from the backup that the last delivery made."""
        log = self.logs / "restore.log"
        if self.confirmed("restore", "backup_confirm", log, backup_hosts=PRODUCTION):
            console.fail("the restore failed; log: %s" % log)
        answer = self.world.ask(self.world.variable("deploy_url"))
        console.say("    GET -> %s" % json.dumps(answer))
        if answer.get("version") != release:
            console.fail("expected version %s" % release)

    def show_status(self) -> None:
        """One screen per environment; the exit status says whether all is well."""
        log = self.logs / "status.log"
        if self.play("status", log, deploy_hosts="%s:%s" % (STAGING, PRODUCTION)):
            console.fail("not all is well; log: %s" % log)

    def tell_what_next(self) -> None:
        """Say how to look at everything and how to remove it."""
        folder = world.folder()
        run = "scripts/lib/run ansible-playbook slipway.gitops."
        console.say()
        console.say("== The world is left running. Look around:")
        console.say("    the last plan    %s" % (folder / "plans" / PRODUCTION / "plan.txt"))
        console.say("    the backups      %s" % (folder / "backups"))
        console.say("    the state        %sstatus -i inventories/local" % run)
        console.say("    back one release %srollback -i inventories/local" % run)
        console.say("    the application  curl %s" % self.world.variable("deploy_url"))
        console.say("    remove all       scripts/demo --down")


def tell(story: Production) -> None:
    """The whole story."""
    story.bring_up()
    release = story.begin()
    with story.chapter("Deliver version %s to staging" % release):
        entry = story.staging.deliver(release, "succeeded")
        story.staging.check_answer(release, entry["commit"])
    with story.chapter("Promote it to production: plan, confirmation, backup, delivery"):
        story.promote(release)
    with story.chapter("Deliver version 4 to production, which crashes at its start"):
        story.crash("4", release)
    with story.chapter("Resume after the hold, by the documented command"):
        story.resume()
    with story.chapter("Lose the application and its namespace"):
        story.lose()
    with story.chapter("Restore them from the backup: plan, confirmation, gate"):
        story.restore(release)
    with story.chapter("Resume deliveries, which the restore has paused"):
        story.resume()
    with story.chapter("The state of staging and production"):
        story.show_status()
    story.tell_times()
    story.tell_what_next()
