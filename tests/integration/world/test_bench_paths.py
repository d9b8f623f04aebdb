# SPDX-License-Identifier: GPL-3.0-or-later
"""Every benchmark takes the path whose name it carries, and a false claim is noticed."""

from __future__ import annotations

import dataclasses
import sys
from typing import Iterator

import pytest

from ansible_collections.slipway.gitops.tests.integration.world.conftest import World
from ansible_collections.slipway.gitops.tests.integration.world.play import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "scripts"))

from lib import bench_paths, bench_tasks, env
from lib import world as local

CASES = {case.title: case for case in [*bench_tasks.cases(), bench_tasks.queue_cases()[-1]]}


@pytest.fixture(scope="module")
def player(world: World) -> Iterator[bench_paths.Player]:
    """Return a player, while the Application that the cases read exists."""
    tools = env.prepare()
    with bench_tasks.application(local.World(tools)):
        yield bench_paths.Player(tools)


@pytest.mark.parametrize("title", CASES)
def test_path_is_the_one_claimed(player: bench_paths.Player, title: str) -> None:
    assert player.verify(CASES[title]) == []


#: Title of a case -> a way that it does not take.
FALSE_CLAIMS = {
    bench_tasks.INFO: bench_paths.OURS_AS_MODULE,
    bench_tasks.AS_MODULE: bench_paths.OURS_IN_PROCESS,
    bench_tasks.QUEUE: bench_paths.OURS_AS_MODULE,
    bench_tasks.PING: bench_paths.WORKER,
    bench_tasks.DEBUG: bench_paths.MODULE,
    bench_tasks.PEER_TITLE: bench_paths.OURS_IN_PROCESS,
}


@pytest.mark.parametrize("title", FALSE_CLAIMS)
def test_false_claim_is_noticed(player: bench_paths.Player, title: str) -> None:
    false = dataclasses.replace(CASES[title], way=FALSE_CLAIMS[title])
    assert player.verify(false) != []


@pytest.mark.parametrize("title", [bench_tasks.INFO, bench_tasks.AS_MODULE, bench_tasks.PEER_TITLE])
def test_false_claim_is_noticed_by_the_audit_log_alone(player: bench_paths.Player, title: str) -> None:
    player.audit.rewind()
    player.play(CASES[title], 2)
    assert player.audited(CASES[title], 2) == []
    assert player.audited(dataclasses.replace(CASES[title], way=FALSE_CLAIMS[title]), 2) != []
    assert player.audited(CASES[title], 3) != []
