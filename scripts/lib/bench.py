# SPDX-License-Identifier: GPL-3.0-or-later
"""``scripts/bench``: measures, prints side by side, and fails when a ratio misses its target."""

from __future__ import annotations

import argparse
import json
import subprocess
from typing import Any, Callable, Sequence

from . import bench_delivery, bench_tasks, console, env, measures, places, world
from .bench_paths import Player
from .measures import Findings

Part = Callable[[Player, world.World, int], Findings]

PARTS: dict[str, Part] = {
    "task": bench_tasks.task_part,
    "delivery": bench_delivery.delivery_part,
    "queue": bench_tasks.queue_part,
}


def main(arguments: Sequence[str]) -> int:
    """Run the parts named on the command line, or all; return 1 when a ratio misses its target."""
    chosen = _parse(arguments)
    world.need_root()
    tools = env.prepare()
    shared = world.World(tools)
    _have_world(shared)
    player = Player(tools)
    parts: dict[str, Any] = {}
    for name in chosen.part or PARTS:
        console.say("\n== %s" % name)
        load = measures.Load()
        try:
            parts[name] = PARTS[name](player, shared, chosen.rounds).as_part()
        except RuntimeError as error:
            console.fail(str(error))
        parts[name]["others_percent"] = load.percent()
        console.say("\n" + "\n".join(measures.table(parts[name])))
    if chosen.record:
        _record(parts, tools)
    missed = [row["text"] for part in parts.values() for row in part["targets"] if row["gates"] and not row["met"]]
    console.say("\n" + ("missed: %s" % "; ".join(missed) if missed else "every ratio meets its target"))
    return 1 if missed else 0


def _have_world(shared: world.World) -> None:
    """Bring the local world up, unless Argo CD in it answers already."""
    try:
        shared.application()
    except RuntimeError:
        log = places.logs("bench") / "bootstrap.log"
        console.say("Bringing up the local world")
        if shared.playbook("bootstrap", log):
            console.fail("the local world did not come up; log: %s" % log)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    lines = ["  %-10s %s" % (name, (part.__doc__ or "").splitlines()[0]) for name, part in PARTS.items()]
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure against peers and floors on the local world. Without a part: all of them.",
        epilog="parts:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], metavar="part")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds of each series (default: 5)")
    parser.add_argument("--record", action="store_true", help="keep the figures in docs/measured.json and README.md")
    chosen = parser.parse_args(arguments)
    if chosen.rounds < 1 or (chosen.record and (chosen.part or chosen.rounds < 5)):
        parser.error("--record takes all parts and at least 5 rounds; --rounds at least 1")
    return chosen


def _record(parts: dict[str, Any], tools: env.Environment) -> None:
    has_place = measures.save(measures.record(parts, _versions(tools)))
    console.say(
        "\nrecorded in docs/measured.json" + (" and README.md" if has_place else "; README.md has no place for it")
    )


def _versions(tools: env.Environment) -> dict[str, str]:
    """Return the versions of what was measured."""
    probe = (
        "import sys, json, platform, importlib.metadata as m, ansible_collections.kubernetes.core as c, pathlib;"
        "print(json.dumps({'Python': platform.python_version(), 'ansible-core': m.version('ansible-core'),"
        "'kubernetes.core': json.load(open(pathlib.Path(list(c.__path__)[0]) / 'MANIFEST.json'))"
        "['collection_info']['version'], 'kubernetes': m.version('kubernetes')}))"
    )
    done = subprocess.run([tools.program("python"), "-c", probe], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found
