# SPDX-License-Identifier: GPL-3.0-or-later
"""Production on the real cluster: promoted, confirmed, backed up, taken back, held, rolled back. In this order."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from ansible_collections.slipway.gitops.tests.integration.world.argocd_support import apply, project
from ansible_collections.slipway.gitops.tests.integration.world.audit import AuditLog
from ansible_collections.slipway.gitops.tests.integration.world.conftest import World
from ansible_collections.slipway.gitops.tests.integration.world.play import CHECKOUT
from ansible_collections.slipway.gitops.tests.integration.world.production_support import (
    APP,
    Shop,
    at_a_terminal,
    hash_of,
    make_shop,
    remove_shop,
    started,
    summary,
    told_command,
)

DIGEST = "sha256:"


@pytest.fixture(scope="module")
def shop(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = make_shop(world, tmp_path_factory.mktemp("shop"), "production-test", (30086, 30087))
    yield made
    remove_shop(world, made)


def written(audit: AuditLog, shop: Shop) -> list[str]:
    """Return what our client wrote about this shop's production, and whatever the account that delivers there wrote."""
    name = shop.production.repository.name
    made = audit.writes(agent=None)
    return [item.uri for item in made if name in item.user or (item.is_ours and name in item.uri)]


def ends(shop: Shop) -> list[str]:
    """Return how the entries of production ended, oldest first."""
    over = ("succeeded", "failed", "rolled_back", "cancelled")
    return [event["after"] for event in shop.record()["events"] if event["after"] in over]


def live(shop: Shop) -> str:
    """Return the version that production answers."""
    return str(shop.production.answer()["version"])


#: Two hosts of one environment. Libraries that do not exist are refused as soon as it comes to them.
BOTH: dict[str, Any] = {
    "deploy_environment": "production",
    "deploy_hosts": "shop_production,shop_staging",
    "libraries_enabled": ["reached"],
}


def test_staging_verifies_digests(shop: Shop) -> None:
    outcome = shop.play("deploy_staging", deploy_release="2")
    assert outcome.status == 0, outcome.text
    (image,) = shop.record("staging")["last_verified"][APP]["images"]
    assert image["digest"].startswith(DIGEST)
    assert shop.staging.answer()["version"] == "2"


def test_regression_g33_g34_check_mode_of_production_changes_nothing(shop: Shop, audit: AuditLog) -> None:
    before = shop.traces()
    outcome = shop.play("deploy_production", "--check", "--diff", deploy_release="2")
    assert outcome.status == 0, outcome.text
    assert "Nothing was changed" in outcome.text
    assert "PLAN  shop 2 -> production" in outcome.text
    assert shop.play("promote", "--check").status == 0
    assert shop.traces() == before
    assert written(audit, shop) == []


def test_without_terminal_and_confirmation_it_fails_and_prints_the_command(shop: Shop, audit: AuditLog) -> None:
    """By the playbook that installs libraries before, for two hosts of one environment: the first ends it for all."""
    before = shop.traces(but="plans")
    outcome = shop.play("deploy_all", deploy_release="2", deploy_confirmation="required", **BOTH)
    assert outcome.status != 0
    assert "NOT CONFIRMED" in summary(outcome)[0]
    assert told_command(outcome).endswith(" -e deploy_hosts=shop_production -e deploy_confirm=" + hash_of(outcome))
    assert BOTH["deploy_hosts"] not in told_command(outcome)
    assert "PLAY [Install the libraries]" not in outcome.text
    assert "[shop_staging]" not in outcome.section("slipway.gitops.deploy : Summary")
    (_shown,) = outcome.of("slipway.gitops.deploy : Compute the plan")
    plan = json.loads((shop.folder / "plans/shop_production/plan.json").read_text(encoding="utf-8"))
    assert plan["hash"] == hash_of(outcome)
    assert shop.traces(but="plans") == before
    assert written(audit, shop) == []


def test_an_unrelated_commit_leaves_the_plan_as_it_is_a_related_one_voids_it(shop: Shop) -> None:
    first = shop.play("promote")
    shop.production.repository.commit({"docs/notes.txt": "not ours\n"})
    assert hash_of(shop.play("promote")) == hash_of(first)
    overlay = shop.production.path + "/kustomization.yaml"
    text = (shop.production.repository.clone / overlay).read_text(encoding="utf-8")
    shop.production.repository.commit({overlay: text + "commonAnnotations: {note: changed}\n"})
    tip = shop.production.git("rev-parse", "main")
    refused = shop.play("promote", deploy_confirm=hash_of(first))
    assert refused.status != 0
    assert "NOT CONFIRMED" in summary(refused)[0]
    assert "something it covers has changed" in " ".join(summary(refused))
    assert told_command(refused).endswith(hash_of(refused))
    assert hash_of(refused) != hash_of(first)
    assert shop.production.git("rev-parse", "main") == tip


PINS: list[tuple[dict[str, str], str]] = [
    ({"deploy_cluster_uid": "00000000-0000-0000-0000-000000000000"}, "the pinned one is 00000000"),
    ({"deploy_cluster_server": "https://nonprod.example.com:6443"}, "the pinned server is https://nonprod"),
    ({"deploy_cluster_uid": "", "deploy_cluster_server": ""}, "deploy_cluster_uid: "),
]


@pytest.mark.parametrize(("changes", "told"), PINS, ids=["uid", "server", "unpinned"])
def test_regression_g79_another_cluster_or_an_unpinned_one_is_refused_first(
    shop: Shop, audit: AuditLog, changes: dict[str, str], told: str
) -> None:
    before = shop.traces()
    outcome = shop.play("deploy_production", deploy_release="2", **changes)
    assert outcome.status != 0
    assert told in outcome.text
    assert "Look at the Application" not in outcome.text
    assert shop.traces() == before
    assert written(audit, shop) == []


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("deploy_production", {"deploy_release": "latest"}, "denied"),
    ("deploy_production", {"deploy_release": "6"}, "the registry has no such image"),
    ("deploy_production", {"deploy_release": "2", "deploy_namespace": "kube-system"}, "belongs to the cluster itself"),
    ("deploy_production", {"deploy_release": "2", "deploy_break_glass": True}, "deploy_break_glass_reason"),
    ("deploy_production", {"deploy_release": "2", "deploy_confirmed": "x"}, "did you mean 'deploy_confirm'"),
    ("deploy_production", {"deploy_release": "2", "deploy_repository": "ssh://git@127.0.0.1:9/none.git"}, "127.0.0.1"),
    ("promote", {"promote_form": "staging"}, "did you mean 'promote_from'"),
    ("promote", {"promote_from": "production"}, "is the environment that is delivered to"),
    ("promote", {"deploy_release": "3"}, "staging has verified 2"),
    ("rollback", {}, "no release of shop was ever verified here"),
    ("rollback", {"rollback_step": 2}, "did you mean 'rollback_steps'"),
    ("rollback", {"deploy_release": "1"}, "A rollback takes rollback_release"),
]


@pytest.mark.parametrize(
    ("playbook", "variables", "told"), REFUSED, ids=["%s-%s" % (row[0], row[2][:14]) for row in REFUSED]
)
def test_bad_input_is_refused_before_any_side_effect(
    shop: Shop, audit: AuditLog, playbook: str, variables: dict[str, Any], told: str
) -> None:
    before = shop.traces()
    outcome = shop.play(playbook, **variables)
    assert outcome.status != 0
    assert told in " ".join(outcome.text.split())
    assert shop.traces() == before
    assert written(audit, shop) == []


def test_the_printed_command_promotes_exactly_the_digest_of_staging(shop: Shop) -> None:
    outcome = shop.run_again(shop.play("promote"))
    assert outcome.status == 0, outcome.text
    assert "VERIFIED LIVE" in summary(outcome)[0]
    (promised,) = shop.record("staging")["last_verified"][APP]["images"]
    record = shop.record()["last_verified"][APP]
    assert shop.image() == promised["digest"] == record["images"][0]["digest"]
    assert record["origin"]["environment"] == "staging"
    assert live(shop) == "2"
    assert ends(shop) == ["succeeded", "succeeded"]  # the baseline and the delivery
    assert shop.saved() == [record["backup"]]


def test_redelivery_needs_no_confirmation_makes_no_commit_and_no_backup(shop: Shop) -> None:
    tip = shop.production.git("rev-parse", "main")
    outcome = shop.play("deploy_production", deploy_release="2")
    assert outcome.status == 0, outcome.text
    assert shop.production.git("rev-parse", "main") == tip
    assert len(shop.saved()) == 1


def test_a_typed_yes_delivers(shop: Shop) -> None:
    """By the playbook that installs libraries before: it asks once, and before these."""
    status, text = at_a_terminal(shop, "deploy_all", "yes", deploy_environment="production", deploy_release="3")
    assert status == 0, text
    assert 0 < text.index("Ask at the terminal") < text.index("PLAY [Install the libraries]")
    assert live(shop) == "3"
    assert "confirmed at a terminal" in shop.record()["events"][-1]["reason"]


#: Every playbook that asks: what it is given besides, and what is typed.
ASKING: dict[str, tuple[dict[str, Any], str]] = {
    "deploy_production": ({"deploy_release": "2"}, "no"),
    "deploy_all": ({"deploy_release": "2", **BOTH}, "YES"),
    "promote": ({}, "y"),
    "rollback": ({}, ""),
    "restore": ({"backup_kubeconfig": "@admin", "backup_context": ""}, "no"),
}
SILENT = ["access", "backup", "bootstrap", "delete_staging", "libraries", "rbac", "resume", "status"]


def test_every_playbook_that_asks_is_declined() -> None:
    # deploy_staging is deploy_production for other hosts.
    assert sorted([*ASKING, *SILENT, "deploy_staging"]) == sorted(
        path.stem for path in (CHECKOUT / "playbooks").glob("*.yml")
    )


def test_declining_at_a_terminal_changes_nothing_in_any_playbook_and_is_no_failure(
    shop: Shop, audit: AuditLog, tmp_path: Path
) -> None:
    """One run: it goes on to the next playbook only because the one before did not end as a failure."""
    plays = [
        {
            "name": "Decline " + name,
            "ansible.builtin.import_playbook": "slipway.gitops." + name,
            "vars": {key: str(shop.world.kubeconfig) if value == "@admin" else value for key, value in given.items()},
        }
        for name, (given, _typed) in ASKING.items()
    ]
    book = tmp_path / "all.yml"
    book.write_text(json.dumps(plays), encoding="utf-8")
    before = shop.traces(but="plans")
    status, text = at_a_terminal(shop, str(book), *(typed for _given, typed in ASKING.values()))
    assert status == 0, text
    assert text.count(": DECLINED, nothing was changed") == len(ASKING) - 1, text
    assert text.count("Declined. Nothing was restored.") == 1, text
    told = "no library is installed, and nothing is delivered to shop_staging either"
    assert " ".join(text.split()).count(told) == 1, text
    assert shop.traces(but="plans") == before
    assert written(audit, shop) == []


def test_a_change_between_confirmation_and_slot_voids_the_plan_and_gives_the_slot_back(
    shop: Shop, tmp_path: Path
) -> None:
    """The run was confirmed and waits for the slot; meanwhile somebody else changes what the plan covers."""
    plan = hash_of(shop.play("deploy_production", deploy_release="2"))
    taken = shop.book([shop.queue_task(state="claimed", app="other", version="1", lease_ttl=120)]).one("Queue")
    run = started(shop, "deploy_production", tmp_path / "void.log", deploy_release="2", deploy_confirm=plan)
    waits = "Wait for the slot of the environment"
    while waits not in (tmp_path / "void.log").read_text() and run.poll() is None:
        time.sleep(0.05)
    shop.production.repository._git("pull", "-q", "--ff-only", "origin", "main")
    overlay = shop.production.path + "/kustomization.yaml"
    text = (shop.production.repository.clone / overlay).read_text(encoding="utf-8")
    tip = shop.production.repository.commit({overlay: text.replace("value: 3\n", "value: 2\n")})
    shop.book([shop.queue_task(state="cancelled", lease=taken["lease"])])
    assert run.wait(timeout=60) != 0
    assert "VOID" in (tmp_path / "void.log").read_text()
    assert shop.production.git("rev-parse", "main") == tip
    record = shop.record()
    assert record["running"] is None
    assert record["holds"] == []
    assert len(shop.saved()) == 2


def test_a_bad_release_goes_back_and_the_environment_is_held(shop: Shop) -> None:
    outcome = shop.confirmed("deploy_production", deploy_release="4")
    assert outcome.status != 0
    assert "ROLLED BACK to 3" in summary(outcome)[0]
    assert live(shop) == "3"
    assert [hold["scope"] for hold in shop.record()["holds"]] == ["environment"]
    refused = shop.play("deploy_production", deploy_release="2")
    assert "REFUSED" in summary(refused)[0]
    assert "slipway.gitops.resume" in refused.text


@pytest.fixture
def windows(world: World, shop: Shop, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Have production in an AppProject of its own, and return a function that opens or closes its window."""
    name = shop.production.repository.name

    def now(kind: str, **more: Any) -> None:
        window = {"kind": kind, "schedule": "* * * * *", "duration": "24h", "applications": [name], **more}
        apply(world, tmp_path, project(name, syncWindows=[window]))

    def belongs_to(to: str) -> None:
        world.kubectl("-n", "argocd", "patch", "app", name, "--type=merge", "-p", '{"spec": {"project": "%s"}}' % to)

    now("allow")
    belongs_to(name)
    yield now
    belongs_to("default")
    world.kubectl("-n", "argocd", "delete", "appproject", name)


def test_break_glass_goes_through_holds_and_by_hand_through_windows_and_is_recorded(
    shop: Shop, windows: Callable[..., None]
) -> None:
    """No confirmation, and a hold: both are passed. A window is passed where it says so itself."""
    why = {"deploy_break_glass": True, "deploy_break_glass_reason": "checkout is down"}
    windows("deny")
    refused = shop.play("deploy_production", deploy_release="2", **why)
    assert refused.status != 0
    assert "BREAK GLASS: shop 2 goes to production" in " ".join(refused.text.split())
    assert "a deny window is open" in " ".join(summary(refused))
    assert "It is in Git and was not judged: run it again to have it judged." in " ".join(summary(refused))
    pushed = shop.production.git("rev-parse", "main")
    record = shop.record()
    assert (record["running"], [hold["scope"] for hold in record["holds"]]) == (None, ["environment"])
    assert (live(shop), record["last_verified"][APP]["version"]) == ("3", "3")

    windows("deny", manualSync=True)
    outcome = shop.play("deploy_production", deploy_release="2", **why)
    assert outcome.status == 0, outcome.text
    assert outcome.one("slipway.gitops.deploy : Wait until Argo CD synced the commit")["operation_started"]
    assert (live(shop), shop.production.git("rev-parse", "main")) == ("2", pushed)
    record = shop.record()
    assert record["last_verified"][APP]["break_glass"] == "checkout is down"
    said = [event["reason"] for event in record["events"] if "BREAK GLASS: checkout is down" in event["reason"]]
    assert len(said) >= 5  # twice the hold lifted and the entry, and the end of the second
    assert record["holds"] == []


def test_regression_g30_rollback_goes_to_the_release_before_and_not_to_the_first(shop: Shop) -> None:
    refused = shop.play("rollback", rollback_release="4")
    assert "was delivered at" in " ".join(refused.text.split())
    assert "never verified" in " ".join(refused.text.split())
    outcome = shop.confirmed("rollback")
    assert outcome.status == 0, outcome.text
    assert live(shop) == "3"
    assert shop.record()["last_verified"][APP]["version"] == "3"
    assert (
        shop.production.git("log", "-1", "--format=%(trailers:key=Deploy-Kind,valueonly)", "main").strip() == "rollback"
    )


def verified(shop: Shop, version: str) -> list[dict[str, Any]]:
    """Return what the record says of each time a version was verified in production, oldest first."""
    ended = [event["data"].get("release") or {} for event in shop.record()["events"] if event["after"] == "succeeded"]
    return [release["record"] for release in ended if (release.get("record") or {}).get("version") == version]


def test_rollback_steps_counts_verified_releases_only(shop: Shop) -> None:
    """Before the live 3 came 2 and 1; the 4 that went back does not count, and what was gone back over neither."""
    refused = shop.play("rollback", rollback_steps=9)
    assert "there are not 9 verified releases before the live one" in " ".join(refused.text.split())
    assert live(shop) == "3"
    outcome = shop.confirmed("rollback", rollback_steps=2)
    assert outcome.status == 0, outcome.text
    assert live(shop) == "1"
    assert shop.record()["last_verified"][APP]["version"] == "1"


def test_rollback_commit_brings_back_what_was_verified_with_that_commit(shop: Shop) -> None:
    wanted = verified(shop, "3")[0]
    refused = shop.play("rollback", rollback_commit=wanted["commit"][:6])
    assert "is too short: give at least 7 digits" in " ".join(refused.text.split())
    outcome = shop.confirmed("rollback", rollback_commit=wanted["commit"][:10])
    assert outcome.status == 0, outcome.text
    assert live(shop) == "3"
    assert shop.record()["last_verified"][APP]["images"] == wanted["images"]
    assert shop.record()["last_verified"][APP]["commit"] != wanted["commit"]  # a new commit, forward


def test_regression_g28_g29_g31_rollback_is_a_guarded_forward_commit_that_stays(shop: Shop) -> None:
    """By the name of a recorded release; a number is as good as text."""
    tip = shop.production.git("rev-parse", "main")
    elsewhere = shop.play("rollback", rollback_release=2, deploy_cluster_uid="00000000-0000-0000-0000-000000000000")
    assert "the pinned one is" in elsewhere.text
    unconfirmed = shop.play("rollback", rollback_release=2)
    assert "NOT CONFIRMED" in summary(unconfirmed)[0]
    assert shop.production.git("rev-parse", "main") == tip
    outcome = shop.run_again(unconfirmed)
    assert outcome.status == 0, outcome.text
    assert live(shop) == "2"
    assert shop.production.git("rev-list", "--count", tip + "..main") == "1"
    shop.production.git("merge-base", "--is-ancestor", tip, "main")


def test_sync_windows_are_shown_and_a_closed_one_is_refused_before_the_push(
    shop: Shop, audit: AuditLog, windows: Callable[..., None]
) -> None:
    opened = shop.play("deploy_production", deploy_release="3")
    assert "NOT CONFIRMED" in summary(opened)[0]
    plan = (shop.folder / "plans/shop_production/plan.txt").read_text(encoding="utf-8")
    assert "sync now: allowed\n" in plan
    assert "sync windows:\n    - duration=24h, is_active=yes, kind=allow, manualSync=no, schedule=* * * * *" in plan
    windows("deny")
    before = shop.traces(but="plans")
    refused = shop.play("deploy_production", deploy_release="3", deploy_confirm=hash_of(opened))
    assert hash_of(refused) == hash_of(opened), "windows are shown, not hashed"
    assert refused.status != 0
    assert summary(refused)[0] == "shop 3 on production: REFUSED, a sync window is closed; nothing was written"
    assert "a deny window is open ('* * * * *' for 24h)" in " ".join(summary(refused))
    plan = (shop.folder / "plans/shop_production/plan.txt").read_text(encoding="utf-8")
    assert "sync now: REFUSED by Argo CD: a deny window is open ('* * * * *' for 24h)\n" in plan
    assert shop.traces(but="plans") == before
    assert written(audit, shop) == []


def test_a_window_that_closes_between_confirmation_and_slot_stops_before_the_push(
    shop: Shop, windows: Callable[..., None], tmp_path: Path
) -> None:
    plan = hash_of(shop.play("deploy_production", deploy_release="3"))
    tip = shop.production.git("rev-parse", "main")
    taken = shop.book([shop.queue_task(state="claimed", app="other", version="1", lease_ttl=120)]).one("Queue")
    log = tmp_path / "closed.log"
    run = started(shop, "deploy_production", log, deploy_release="3", deploy_confirm=plan)
    while "Wait for the slot of the environment" not in log.read_text() and run.poll() is None:
        time.sleep(0.05)
    windows("deny")
    shop.book([shop.queue_task(state="cancelled", lease=taken["lease"])])
    assert run.wait(timeout=60) != 0
    assert "a deny window is open" in log.read_text()
    assert "Nothing was pushed." in log.read_text()
    assert shop.production.git("rev-parse", "main") == tip
    record = shop.record()
    assert (record["running"], record["holds"]) == (None, [])
