# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore asks at a terminal, and confirmed it brings back what was. Declining is tested with all that ask."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from ansible_collections.slipway.gitops.tests.integration.world.conftest import INVENTORY, World
from ansible_collections.slipway.gitops.tests.integration.world.play import Outcome, environment
from ansible_collections.slipway.gitops.tests.integration.world.terminal import answered

NAME = "backup-confirm"


@pytest.fixture
def namespace(world: World) -> Iterator[str]:
    """Return a namespace with a release that is one ConfigMap, so that no pod has to start."""
    world.kubectl("delete", "namespace", NAME, "--ignore-not-found", "--timeout=60s")
    world.kubectl("create", "namespace", NAME)
    world.kubectl("-n", NAME, "create", "configmap", "settings", "--from-literal=colour=blue")
    world.kubectl("-n", NAME, "label", "configmap", "settings", "app=" + NAME)
    yield NAME
    world.kubectl("delete", "namespace", NAME, "--ignore-not-found", "--timeout=60s")


def variables(world: World, folder: Path) -> dict[str, Any]:
    return {
        "backup_hosts": "local_world", "backup_application": NAME, "backup_environment": "here", "backup_release": "1",
        "backup_namespace": NAME, "backup_argocd_application": "", "backup_label_selectors": ["app=" + NAME],
        "backup_kubeconfig": str(world.kubeconfig), "backup_path": str(folder / "backups"),
    }  # fmt: skip


def at_a_terminal(given: dict[str, Any], folder: Path, answer: str) -> tuple[int, str]:
    """Run the restore at a terminal, answer, and return status and output."""
    program = str(Path(sys.executable).parent / "ansible-playbook")
    command = [program, "-i", str(INVENTORY), "slipway.gitops.restore", "-e", json.dumps(given)]
    return answered(command, environment(folder / "record.jsonl"), answer)


def test_confirmed_restore_shows_what_differs_and_restores(
    world: World, play: Callable[..., Outcome], namespace: str, tmp_path: Path
) -> None:
    given = variables(world, tmp_path)
    made = play("slipway.gitops.backup", "-e", json.dumps(given))
    assert made.status == 0, made.text
    world.kubectl("-n", NAME, "patch", "configmap", "settings", "-p", '{"data":{"colour":"red","more":"x"}}')

    status, text = at_a_terminal(given, tmp_path, "yes")
    assert status == 0, text
    assert '-    "colour": "red"' in text and '+    "colour": "blue"' in text
    assert world.get("-n", NAME, "configmap", "settings")["data"] == {"colour": "blue"}
