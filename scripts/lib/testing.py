# SPDX-License-Identifier: GPL-3.0-or-later
"""``scripts/test``: sets up what is missing, runs the parts, ends with one line of counts."""

from __future__ import annotations

import argparse
import shutil
import signal
from typing import Optional, Sequence

from . import console, env, lanes, machine, places, results, shared_world
from .parts import NEED_WORLD, PARTS, WORLD, size_from_environment
from .running import Run


def main(arguments: Sequence[str]) -> int:
    """Run the parts named on the command line, or all of them; return the exit status."""
    names, full = _parse(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is ended too
    # All at once and first: the world installs packages in the background.
    machine.install(machine.missing("git", "shellcheck", "ssh-keygen"))
    tools = env.prepare()
    beside = [name for name in names if name not in NEED_WORLD] if set(names) & NEED_WORLD else []
    done: list[results.Part] = []
    lane: Optional[lanes.SideLane] = None
    try:
        if set(names) & NEED_WORLD and not shared_world.obstacle():
            console.say("The local world is brought up in the background: %s" % WORLD.log)
            WORLD.begin(tools)
        if beside:
            lane = lanes.SideLane(beside, full)
            console.say("Beside it: %s; log %s" % (", ".join(beside), lane.log))
        for name in names:
            if name not in beside:
                done.append(_run(name, full, tools))
        done = [*(lane.wait() if lane else []), *done]
    except KeyboardInterrupt:
        console.say("\ninterrupted: the counts below are those of the finished parts")
        results.summarise(done)
        return 130
    finally:
        WORLD.end()
        if lane:
            lane.end()
    lanes.write_counts(done)
    return results.summarise(done)


def _parse(arguments: Sequence[str]) -> tuple[list[str], bool]:
    lines = ["  %-12s %s" % (name, (part.__doc__ or "").splitlines()[0]) for name, part in PARTS.items()]
    parser = argparse.ArgumentParser(
        prog="scripts/test",
        description="Test this checkout. Without a part: all of them.",
        epilog="parts:\n%s\n  %-12s %s" % ("\n".join(lines), "full", "Every part at release size."),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="*", choices=[*PARTS, "full", []], metavar="part")
    chosen = parser.parse_args(arguments).part
    wanted = {*chosen, "world"} if NEED_WORLD & set(chosen) else set(chosen)
    names = [name for name in PARTS if name in wanted]
    return names or list(PARTS), "full" in chosen or size_from_environment()


def _run(name: str, full: bool, tools: env.Environment) -> results.Part:
    folder = places.logs("test") / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    part = results.Part(name, folder)
    console.say("\n== %s" % name)
    try:
        PARTS[name](Run(part, full, tools))
    except (Exception, SystemExit) as error:  # a part that breaks must not hide the others
        part.record(name, False, "%s: %s" % (type(error).__name__, error))
    part.finish()
    console.say("== %s: %d passed, %d failed, %d skipped" % (name, part.passed, len(part.failures), len(part.skips)))
    return part
