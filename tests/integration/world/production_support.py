# SPDX-License-Identifier: GPL-3.0-or-later
"""A shop with staging and production of its own: two Applications, one queue, an inventory."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Sequence

from ansible_collections.slipway.gitops.tests.integration.world.conftest import World
from ansible_collections.slipway.gitops.tests.integration.world.play import Outcome, environment, run_playbook
from ansible_collections.slipway.gitops.tests.integration.world.terminal import answered
from ansible_collections.slipway.gitops.tests.integration.world.test_deploy import Site, make_site, remove_site

APP = "shop"
PROGRAMS = Path(sys.executable).parent


@dataclass
class Shop:
    """Two environments of one application."""

    world: World
    folder: Path
    staging: Site
    production: Site

    @property
    def inventory(self) -> Path:
        """The inventory that all playbooks are given."""
        return self.folder / "inventory.json"

    @property
    def queue_path(self) -> Path:
        """File of the queue of both environments."""
        return self.folder / "queue" / "queue.db"

    @property
    def backups(self) -> Path:
        """Store of backups."""
        return self.folder / "backups"

    def write_inventory(self) -> None:
        """Write what an operator would keep in group_vars."""
        tools = self.world.tools
        common = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "deploy_environments": ["staging", "production"],
            "deploy_application": APP,
            "deploy_image": "registry.slipway.test/sample",
            "deploy_deployments": ["sample"],
            "deploy_git_key_file": str(self.world.folder / "git-client/id_ed25519"),
            "deploy_git_known_hosts": str(self.world.folder / "git-client/known_hosts"),
            "deploy_registry_mirrors": {"registry.slipway.test": "http://127.0.0.1:5001"},
            "deploy_verify_image": True,
            "deploy_queue_path": str(self.queue_path),
            "deploy_lease_ttl": 60,
            "deploy_stable_for": 2,
            "deploy_max_restarts": 1,
            "deploy_gate_timeout": 60,
            "deploy_kustomize_binary": str(sorted(tools.glob("kustomize-*/kustomize"))[-1]),
        }
        uid = self.world.get("namespace", "kube-system")["metadata"]["uid"]
        production = {
            **self._of(self.production, "production"),
            "deploy_confirmation": "required",
            "deploy_hold_scope": "environment",
            "deploy_cluster_uid": uid,
            "deploy_cluster_server": "https://127.0.0.1:6443",
            "deploy_plan_folder": str(self.folder / "plans"),
            "deploy_backup": True,
            "deploy_backup_path": str(self.backups),
        }
        staging = self._of(self.staging, "staging")
        groups = {
            "staging": {"hosts": {"shop_staging": staging}},
            "production": {"hosts": {"shop_production": production}},
        }
        self.inventory.write_text(json.dumps({"all": {"vars": common, "children": groups}}), encoding="utf-8")

    def _of(self, site: Site, name: str) -> dict[str, Any]:
        return {
            "deploy_environment": name,
            "deploy_repository": site.repository.url,
            "deploy_path": site.path,
            "deploy_argocd_application": site.repository.name,
            "deploy_namespace": site.repository.name,
            "deploy_url": "http://127.0.0.1:%d/version" % site.port,
            **{name: site.variables[name] for name in ("deploy_kubeconfig", "deploy_context")},
        }

    def arguments(self, *more: str, **variables: Any) -> list[str]:
        """Return arguments for ansible-playbook."""
        return ["-i", str(self.inventory), *(["-e", json.dumps(variables)] if variables else []), *more]

    def play(self, playbook: str, *more: str, **variables: Any) -> Outcome:
        """Run a playbook of the collection without a terminal."""
        return self.play_with({}, playbook, *more, **variables)

    def play_with(self, extra: dict[str, str], playbook: str, *more: str, **variables: Any) -> Outcome:
        """Run a playbook with more environment variables."""
        name = playbook if "/" in playbook else "slipway.gitops." + playbook
        return run_playbook(
            PROGRAMS, name, self.arguments(*more, **variables), self.folder / "record.jsonl", extra, timeout_s=300
        )

    def confirmed(self, playbook: str, *more: str, **variables: Any) -> Outcome:
        """Run a playbook for production twice: for its plan, and with the confirmation that it printed."""
        first = self.play(playbook, *more, **variables)
        assert first.status != 0, first.text
        return self.play(playbook, *more, **dict(variables, deploy_confirm=hash_of(first)))

    def run_again(self, outcome: Outcome) -> Outcome:
        """Run the very command that a refused run has printed."""
        words = shlex.split(told_command(outcome))
        assert words[0] == "ansible-playbook"
        return run_playbook(PROGRAMS, words[1], words[2:], self.folder / "record.jsonl", timeout_s=300)

    def record(self, name: str = "production") -> dict[str, Any]:
        """Return what the queue says of an environment, after checking that its record is whole."""
        task = {
            "name": "Info",
            "slipway.gitops.deploy_queue_info": {
                "environment": name,
                "environments": [name],
                "path": str(self.queue_path),
                "verify": True,
                "events": 200,
            },
        }
        result = self.book([task]).one("Info")
        assert result["verified"]["ok"], result["verified"]
        found: dict[str, Any] = result["environments"][0]
        return found

    def book(self, tasks: Sequence[dict[str, Any]]) -> Outcome:
        """Run tasks of a test."""
        path = self.folder / "book.json"
        path.write_text(
            json.dumps([{"hosts": "shop_production", "gather_facts": False, "tasks": list(tasks)}]), encoding="utf-8"
        )
        return self.play(str(path))

    def queue_task(self, **options: Any) -> dict[str, Any]:
        """Return a task that brings the queue of production into a state."""
        task = {"environment": "production", "path": str(self.queue_path), **options}
        return {"name": "Queue", "slipway.gitops.deploy_queue": task}

    def image(self) -> str:
        """Return what production's kustomization says of its image: tag or digest."""
        text = self.production.git("show", "main:%s/kustomization.yaml" % self.production.path)
        return next(line.split()[-1].strip('"') for line in text.splitlines() if re.match(r"\s+(newTag|digest):", line))

    def saved(self) -> list[str]:
        """Return the names of production's backups."""
        return sorted(path.name for path in (self.backups / APP / "production").glob("[!.]*"))

    def traces(self, but: str = "") -> dict[str, Any]:
        """Return what a run that writes nothing leaves as it is: Git, and the files of every folder but one."""
        kept = {name for name in ("queue", "backups", "plans") if name != but}
        found: dict[str, Any] = {
            site.repository.url: site.git("for-each-ref") for site in (self.production, self.staging)
        }
        for path in (path for name in kept for path in (self.folder / name).rglob("*")):
            found[str(path)] = path.read_bytes() if path.is_file() else "folder"
        return found


def make_shop(world: World, folder: Path, prefix: str, ports: tuple[int, int]) -> Shop:
    """Create both environments; each runs release 1 when this returns."""
    sites = []
    for overlay, port in zip(("staging", "production"), ports):
        below = folder / overlay
        below.mkdir()
        sites.append(make_site(world, below, overlay, port, prefix))
    shop = Shop(world, folder, *sites)
    shop.write_inventory()
    return shop


def remove_shop(world: World, shop: Shop) -> None:
    """Remove what :func:`make_shop` made."""
    for site in (shop.staging, shop.production):
        remove_site(world, site)


def summary(outcome: Outcome) -> list[str]:
    """Return the lines that a delivery ends with."""
    lines: list[str] = outcome.one("slipway.gitops.deploy : Summary")["msg"]
    return lines


def told_command(outcome: Outcome) -> str:
    """Return the command that a run without a confirmation has printed."""
    said: str = outcome.one(
        "slipway.gitops.deploy : End as failed, because the requested release is not verified live"
    )["msg"]
    command = said.rpartition("\n")[2]
    assert command.startswith("ansible-playbook ") and "deploy_confirm=" in command, outcome.text
    return command


def hash_of(outcome: Outcome) -> str:
    """Return the hash of the plan that a run has shown."""
    found: str = outcome.one("slipway.gitops.deploy : Compute the plan")["hash"]
    return found


def at_a_terminal(shop: Shop, playbook: str, *answers: str, **variables: Any) -> tuple[int, str]:
    """Run a playbook at a terminal, answer each time that it asks, and return status and output."""
    name = playbook if "/" in playbook else "slipway.gitops." + playbook
    command = [str(PROGRAMS / "ansible-playbook"), name, *shop.arguments(**variables)]
    return answered(command, environment(shop.folder / "terminal.jsonl"), *answers)


def started(
    shop: Shop, playbook: str, log: Path, extra: Optional[dict[str, str]] = None, **variables: Any
) -> subprocess.Popen[bytes]:
    """Start a playbook that is not waited for, as a process group of its own."""
    command = [str(PROGRAMS / "ansible-playbook"), "slipway.gitops." + playbook, *shop.arguments(**variables)]
    with log.open("wb") as output:
        return subprocess.Popen(
            command, env=environment(log.with_suffix(".jsonl"), extra), stdin=subprocess.DEVNULL, stdout=output,
            stderr=output, start_new_session=True,
        )  # fmt: skip
