# SPDX-License-Identifier: GPL-3.0-or-later
"""A delivery to production that is killed inside one of its writes, and the run after it, elsewhere."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Iterator

import pytest

from ansible_collections.slipway.gitops.tests.integration.world.conftest import World
from ansible_collections.slipway.gitops.tests.integration.world.play import Outcome
from ansible_collections.slipway.gitops.tests.integration.world.production_support import (
    APP,
    Shop,
    make_shop,
    remove_shop,
    started,
    summary,
)
from ansible_collections.slipway.gitops.tests.size import FULL

EMERGENCY = {"deploy_break_glass": True, "deploy_break_glass_reason": "no plan is needed to be interrupted"}


@dataclass(frozen=True)
class Point:
    """Where the run is killed: before or after the nth call of a function whose arguments show a text."""

    module: str
    name: str
    when: str = "after"
    nth: int = 1
    match: str = ""


_RECORD = ("_queue.transaction", "Transaction.record")
#: A call that began a transaction and did not see its end: the commit never comes.
FORWARD = {
    "slot taken half": Point(*_RECORD, match="state='claimed'"),
    "slot taken, reply unseen": Point("_queue.service", "Operation.claim"),
    "backup begun": Point("_backup.files", "_write"),
    "backup half written": Point("_backup.files", "_write", nth=2),
    "backup listed, reply unseen": Point("_backup.files", "DirectoryStore.write"),
    "commit made, not pushed": Point("_git.repository", "Repository.push", when="before"),
    "push accepted, reply unseen": Point("_git.repository", "Repository.push"),
    "push noted half": Point(*_RECORD, match="phase='sync'"),
    "sync about to be requested": Point("_kube.client", "KubeClient.merge_patch", when="before"),
    "sync requested, reply unseen": Point("_kube.client", "KubeClient.merge_patch"),
    "release recorded half": Point(*_RECORD, match="state='succeeded'"),
    "release recorded, reply unseen": Point("_queue.service", "Operation.once", nth=2),
}
BACK = {
    "way back noted half": Point(*_RECORD, match="phase='rollback'"),
    "way back about to be pushed": Point("_git.repository", "Repository.push", when="before", nth=2),
    "way back pushed, reply unseen": Point("_git.repository", "Repository.push", nth=2),
    "way back recorded half": Point(*_RECORD, match="state='rolled_back'"),
}
#: One of each kind of write; the others at release size.
GATE = {
    "backup half written", "push accepted, reply unseen", "sync requested, reply unseen",
    "release recorded half", "way back pushed, reply unseen",
}  # fmt: skip
#: After these nothing is left to be settled: nothing was begun, or everything is recorded.
_NOTHING_TO_SETTLE = {"slot taken half", "release recorded, reply unseen"}


def rows(points: dict[str, Point]) -> list[Any]:
    """Return the rows of this size of the tests."""
    return [
        pytest.param(name, point, id=name.replace(" ", "-")) for name, point in points.items() if FULL or name in GATE
    ]


@pytest.fixture(scope="module")
def shop(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = make_shop(world, tmp_path_factory.mktemp("shop"), "interrupted", (30088, 30089))
    assert made.play("deploy_production", deploy_release="2", **EMERGENCY).status == 0
    yield made
    remove_shop(world, made)


def interrupted(shop: Shop, folder: Path, point: Point, release: str) -> str:
    """Deliver and be killed at the point; return what was said until then."""
    kill = dict(asdict(point), counter=str(folder / "calls"))
    extra = {"ANSIBLE_CALLBACKS_ENABLED": "record,killer", "SLIPWAY_TEST_KILL": json.dumps(kill)}
    run = started(shop, "deploy_production", folder / "killed.log", extra, deploy_release=release, **EMERGENCY)
    status = run.wait(timeout=120)
    text = (folder / "killed.log").read_text(encoding="utf-8", errors="replace")
    assert status == -9, text
    return text


def take_the_slot_from_the_dead(shop: Shop) -> None:
    """Break the lease as a person would, instead of waiting until it lapses."""
    shop.book([shop.queue_task(state="claimed", lease_ttl=5, force=True, reason="its runner was killed")])


def elsewhere(shop: Shop, folder: Path, release: str) -> Outcome:
    """Deliver again, as another machine would: no cache, another home."""
    extra = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), "SLIPWAY_CACHE": str(folder / "slipway")}
    return shop.play_with(extra, "deploy_production", deploy_release=release, **EMERGENCY)


def says_what_it_found(outcome: Outcome) -> bool:
    """Tell whether the run said that it found an interrupted delivery."""
    return "It is observed and settled first." in " ".join(outcome.text.split())


def assert_nothing_is_left(shop: Shop) -> None:
    """No slot, no half commit, no half backup, and Argo CD at work."""
    assert shop.record()["running"] is None
    name = shop.production.repository.name
    app = shop.world.get("-n", "argocd", "application", name)
    assert app["spec"]["syncPolicy"]["automated"]["selfHeal"]
    shop.production.git("fsck", "--strict")
    task = {
        "name": "Backups",
        "slipway.gitops.release_backup_info": {
            "path": str(shop.backups), "app": APP, "environment": "production", "verify": "checksums",
        },
    }  # fmt: skip
    for backup in shop.book([task]).one("Backups")["backups"]:
        assert backup["complete"], backup


@pytest.mark.parametrize(("name", "point"), rows(FORWARD))
def test_a_delivery_killed_on_its_way_forward_is_finished_by_the_next_run(
    shop: Shop, tmp_path: Path, name: str, point: Point
) -> None:
    release = "3" if shop.production.answer()["version"] == "2" else "2"
    interrupted(shop, tmp_path, point, release)
    take_the_slot_from_the_dead(shop)
    outcome = elsewhere(shop, tmp_path, release)
    assert outcome.status == 0, outcome.text
    assert says_what_it_found(outcome) == (name not in _NOTHING_TO_SETTLE), outcome.text
    assert shop.production.answer()["version"] == release
    assert shop.record()["last_verified"][APP]["version"] == release
    assert_nothing_is_left(shop)


@pytest.mark.parametrize(("name", "point"), rows(BACK))
def test_a_delivery_killed_on_its_way_back_is_back_and_held_after_the_next_run(
    shop: Shop, tmp_path: Path, name: str, point: Point
) -> None:
    good = shop.record()["last_verified"][APP]["version"]
    interrupted(shop, tmp_path, point, "4")
    take_the_slot_from_the_dead(shop)
    outcome = elsewhere(shop, tmp_path, "3" if good == "2" else "2")
    assert says_what_it_found(outcome), (name, outcome.text)
    assert outcome.status != 0
    assert "REFUSED" in summary(outcome)[0]
    record = shop.record()
    assert [hold["version"] for hold in record["holds"]] == ["4"]
    assert record["last_verified"][APP]["version"] == good
    assert shop.production.answer()["version"] == good
    assert_nothing_is_left(shop)
    assert shop.play("resume", deploy_hosts="shop_production", deploy_resume_reason="seen").status == 0
