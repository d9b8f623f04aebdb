# SPDX-License-Identifier: GPL-3.0-or-later
"""A dry run of every playbook, and a production run that nobody confirmed, change nothing anywhere.

All on the local world as its inventory describes it: the cluster by its audit log, the deploy
repositories, the queues, the backups, the plans and every other file of the world are compared.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Mapping

import pytest

from ansible_collections.slipway.gitops.tests.integration.world.audit import AuditLog
from ansible_collections.slipway.gitops.tests.integration.world.conftest import INVENTORY, World
from ansible_collections.slipway.gitops.tests.integration.world.play import CHECKOUT, Outcome, run_playbook

Play = Callable[..., Outcome]

#: Programs that playbooks write to the cluster with.
AGENTS = ("slipway.gitops/", "kubectl", "Helm/", "OpenAPI-Generator")
#: Folders of the world that only playbooks write to; the rest belongs to the running parts.
KEPT = (
    "queue",
    "backups",
    "plans",
    "access",
    "accounts",
    "git-client",
    "supervisor/services.d",
    "kubeconfig",
    "pins.yml",
)
#: Every playbook and what it is given, in one run: the environment of one must not leak into the next.
PLAYBOOKS: dict[str, Mapping[str, Any]] = {
    "bootstrap": {},
    "deploy_staging": {"deploy_release": "2"},
    "deploy_production": {"deploy_release": "3"},
    "deploy_all": {"deploy_release": "2"},
    "promote": {},
    "rollback": {"deploy_hosts": "staging"},
    "backup": {"backup_path": "@new"},
    "restore": {"backup_path": "@made"},
    "delete_staging": {},
    "resume": {"deploy_hosts": "staging:production"},
    "access": {},
    "rbac": {},
    "status": {"deploy_hosts": "staging"},
}


@pytest.fixture(scope="module")
def made(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a backup of production; staging has two verified releases to promote and to go back to."""
    folder = tmp_path_factory.mktemp("dry-run")
    wanted: list[tuple[str, dict[str, str]]] = [
        ("deploy_staging", {"deploy_release": "2"}),
        ("deploy_staging", {"deploy_release": "1"}),
        ("backup", {"backup_path": str(folder / "made")}),
    ]
    for playbook, given in wanted:
        arguments = ["-i", str(INVENTORY), "-e", json.dumps(given)]
        record = folder.parent / "record.jsonl"
        done = run_playbook(Path(sys.executable).parent, "slipway.gitops." + playbook, arguments, record)
        assert done.status == 0, done.text
    return folder


class Snapshot:
    """What a run may have changed."""

    def __init__(self, world: World, audit: AuditLog, folder: Path) -> None:
        self._world, self._audit, self._folder = world, audit, folder
        self.before = self._state()
        audit.rewind()

    def _state(self) -> dict[str, Any]:
        files = [path for name in KEPT for path in [self._world.folder / name, *(self._world.folder / name).rglob("*")]]
        files += self._folder.rglob("*")
        state: dict[str, Any] = {str(path): path.read_bytes() for path in files if path.is_file()}
        state.update({str(path): "folder" for path in files if path.is_dir()})
        for bare in sorted(
            Path("/var/lib/slipway-gitops", self._world.folder.name, "git-server/repositories").glob("*")
        ):
            refs = ["git", "-c", "safe.directory=*", "--git-dir", str(bare), "for-each-ref"]
            state[str(bare)] = subprocess.run(refs, capture_output=True, text=True, check=True).stdout
        return state

    def changes(self, but: str = "no such folder") -> list[str]:
        """Return the names of what has changed, except below one folder of the world, and the writes to the cluster."""
        after = self._state()
        names = [name for name in {*self.before, *after} if self.before.get(name) != after.get(name)]
        ours = [name for name in names if not name.startswith(str(self._world.folder / but))]
        writes = ["%s %s by %s" % (item.verb, item.uri, item.agent) for item in self._audit.requests() if item.is_write]
        return sorted(ours) + [text for text in writes if any(" by " + agent in text for agent in AGENTS)]


@pytest.fixture
def snapshot(world: World, audit: AuditLog, made: Path) -> Snapshot:
    return Snapshot(world, audit, made)


def test_every_playbook_is_dry_run() -> None:
    # deploy_all brings the libraries along.
    assert sorted([*PLAYBOOKS, "libraries"]) == sorted(path.stem for path in (CHECKOUT / "playbooks").glob("*.yml"))


def test_dry_run_of_every_playbook_changes_nothing(play: Play, snapshot: Snapshot, made: Path, tmp_path: Path) -> None:
    places = {"@made": str(made / "made"), "@new": str(made / "new")}
    plays = [
        {
            "name": "Dry run of " + name,
            "ansible.builtin.import_playbook": "slipway.gitops." + name,
            "vars": {key: places.get(value, value) for key, value in given.items()},
        }
        for name, given in PLAYBOOKS.items()
    ]
    book = tmp_path / "all.yml"
    book.write_text(json.dumps(plays), encoding="utf-8")
    outcome = play(str(book), "--check", "--diff")
    assert outcome.status == 0, outcome.text[-6000:]
    assert snapshot.changes() == []
    assert outcome.text.count("Nothing was changed") >= 5  # the five deliveries
    assert "nothing was asked, nothing was restored" in outcome.text


PHASES: dict[str, dict[str, str]] = {
    "deploy_plan": {"deploy_release": "3"},
    "deploy_edit": {"deploy_release": "3"},
    # Without a release the gate judges what runs, whatever it is.
    "deploy_gate,deploy_status": {},
}


@pytest.mark.parametrize("tags", PHASES)
def test_dry_run_of_one_phase_of_production_changes_nothing(play: Play, snapshot: Snapshot, tags: str) -> None:
    given = json.dumps(PHASES[tags])
    outcome = play("slipway.gitops.deploy_production", "--check", "--diff", "--tags", tags, "-e", given)
    assert outcome.status == 0, outcome.text
    assert snapshot.changes() == []


def test_production_that_nobody_confirmed_leaves_its_plan_and_nothing_else(play: Play, snapshot: Snapshot) -> None:
    outcome = play("slipway.gitops.deploy_production", "-e", '{"deploy_release": "3"}')
    assert outcome.status != 0
    assert "NOT CONFIRMED" in outcome.text
    assert snapshot.changes(but="plans") == []
