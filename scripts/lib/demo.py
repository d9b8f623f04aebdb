# SPDX-License-Identifier: GPL-3.0-or-later
"""The stories that scripts/demo tells, every part of them real and checked."""

from __future__ import annotations

import argparse
from typing import Sequence

from . import console, demo_production, env, world
from .story import Story


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
        epilog="It can be run again at any time, also after it was cut short.",
    )
    parser.add_argument(
        "--production",
        action="store_true",
        help="tell the story of production: a promotion with its plan, a confirmation and a backup; a release that "
        "crashes, its way back and the hold; a namespace that is lost, and its restore",
    )
    parser.add_argument("--down", action="store_true", help="remove the local world: processes, network, files")
    chosen = parser.parse_args(arguments)
    world.need_root()
    tools = env.prepare()
    story = Story(tools)
    if chosen.down:
        return story.world.playbook("bootstrap", story.logs / "down.log", "-e", "bootstrap_state=absent")
    try:
        if chosen.production:
            demo_production.tell(demo_production.Production(tools))
        else:
            tell(story)
    except RuntimeError as error:
        console.fail("%s; logs: %s" % (error, story.logs))
    return 0
