# SPDX-License-Identifier: GPL-3.0-or-later
"""``scripts/test``: sets up what is missing, runs the parts, ends with one line of counts."""

from __future__ import annotations

import argparse
import shutil
import signal
from typing import Iterable, Optional, Sequence

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
    done: list[results.Part] = []
    beside: list[lanes.SideLane] = []
    try:
        _run_all(names, full, tools, done, beside)
    except KeyboardInterrupt:
        console.say("\ninterrupted: the counts below are those of the finished parts")
        results.summarise(done)
        return 130
    finally:
        WORLD.end()
        for lane in reversed(beside):  # one waits for another
            lane.end()
    lanes.write_counts(done)
    return results.summarise(done)


def _run_all(
    names: Sequence[str], full: bool, tools: env.Environment, done: list[results.Part], beside: list[lanes.SideLane]
) -> None:
    """Run the parts, some of them beside others; the results go into ``done``, the lanes into ``beside``."""
    on_world = [name for name in names if name in NEED_WORLD]
    others = [name for name in names if name not in NEED_WORLD]
    lane = lanes.current()
    if on_world and not lane and not shared_world.obstacle():
        console.say("The local world is brought up in the background: %s" % WORLD.log)
        WORLD.begin(tools)
    no_world = _beside(others, full=full) if on_world and others else None
    if no_world:
        beside.append(no_world)
    # At full size each test has the world for itself.
    if set(on_world) == NEED_WORLD and not full:
        done.append(_run(on_world.pop(0), full, tools))
        if done[0].passed:
            done.extend(_run(name, full, tools, "quiet") for name in lanes.LANES["quiet"])
            beside.append(_beside(lanes.LANES["libraries"], lane="libraries"))
            beside.append(_beside(lanes.LANES["production"], lane="production", after=no_world))
            lane = lanes.REST
    for name in on_world or others:
        done.append(_run(name, full, tools, lane))
    for other in beside:
        done.extend(other.wait())


def _beside(
    names: Iterable[str], *, full: bool = False, lane: str = "", after: Optional[lanes.SideLane] = None
) -> lanes.SideLane:
    started = lanes.SideLane(list(names), full=full, lane=lane, after=after)
    console.say("Beside it: %s; log %s" % (", ".join(started.names), started.log))
    return started


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
    wanted = {*chosen, "world"} if NEED_WORLD & set(chosen) and not lanes.current() else set(chosen)
    names = [name for name in PARTS if name in wanted]
    return names or list(PARTS), "full" in chosen or size_from_environment()


def _run(name: str, full: bool, tools: env.Environment, lane: str = "") -> results.Part:
    """Run one part, or what of it is in a lane of the world's tests."""
    title = lanes.title(name, lane)
    folder = places.logs("test") / title.replace(" ", "-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    part = results.Part(title, folder)
    console.say("\n== %s" % title)
    try:
        PARTS[name](Run(part, full, tools, lane=lane))
    except (Exception, SystemExit) as error:  # a part that breaks must not hide the others
        part.record(title, False, "%s: %s" % (type(error).__name__, error))
    part.finish()
    console.say("== %s: %d passed, %d failed, %d skipped" % (title, part.passed, len(part.failures), len(part.skips)))
    return part
