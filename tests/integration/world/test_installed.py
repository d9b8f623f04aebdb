# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as people get it: a tarball, installed into an empty project."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.slipway.gitops.tests.integration.world.conftest import INVENTORY, World
from ansible_collections.slipway.gitops.tests.integration.world.play import CHECKOUT, Outcome, run_playbook

PROGRAMS = Path(sys.executable).parent


def alone(folder: Path) -> dict[str, str]:
    """Return what hides the checkout from Ansible, which also looks for collections where Python looks."""
    return {"ANSIBLE_COLLECTIONS_PATH": str(folder), "PYTHONPATH": ""}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty project with the collection below it."""
    folder = tmp_path_factory.mktemp("project")
    galaxy = [str(PROGRAMS / "ansible-galaxy"), "collection"]
    env = dict(os.environ, **alone(folder))
    build = [*galaxy, "build", str(CHECKOUT), "--output-path", str(folder)]
    subprocess.run(build, env=env, check=True, capture_output=True, timeout=120)
    (tarball,) = folder.glob("slipway-gitops-*.tar.gz")
    # What it depends on came with Ansible.
    install = [*galaxy, "install", str(tarball), "--collections-path", str(folder), "--no-deps", "--offline"]
    subprocess.run(install, env=env, check=True, capture_output=True, timeout=120)
    return folder


def run(project: Path, playbook: str, *arguments: str, **variables: Any) -> Outcome:
    """Run a playbook with nothing of the checkout but the inventory that describes the local world."""
    words = ["-i", str(INVENTORY), "-e", json.dumps(variables), *arguments]
    return run_playbook(PROGRAMS, playbook, words, project / "record.jsonl", alone(project))


def roles_of(outcome: Outcome) -> set[str]:
    """Return the roles of the collection that had a task which was not skipped."""
    names = {item["task"].split(" : ")[0] for item in outcome.results if item["kind"] in ("ok", "changed")}
    return {name.rpartition(".")[2] for name in names if name.startswith("slipway.gitops.")}


def test_tarball_holds_what_it_needs_and_nothing_else(project: Path) -> None:
    installed = project / "ansible_collections/slipway/gitops"
    names = {path.name for path in installed.iterdir()}
    assert names >= {"plugins", "roles", "playbooks", "meta", "README.md", "LICENSE", "docs", "changelogs"}
    assert not names & {"tests", "scripts", "inventories", "requirements", "extensions", ".git"}


def test_a_second_bootstrap_from_the_tarball_changes_nothing(project: Path) -> None:
    outcome = run(project, "slipway.gitops.bootstrap", "-vv")
    assert outcome.status == 0, outcome.text
    assert "changed=0" in outcome.text
    wanted = "cluster_bootstrap registry git_server argocd gitops_base image_build sample_app access"
    assert roles_of(outcome) >= set(wanted.split())
    paths = set(re.findall(r"^task path: (\S+)", outcome.text, re.MULTILINE))
    assert [path for path in paths if not path.startswith(str(project))] == []
    assert len(paths) > 50


@pytest.mark.parametrize(
    ("playbook", "roles", "variables"),
    [
        ("libraries", {"cert_manager", "metallb", "library_manifests"}, {}),
        ("deploy_staging", {"deploy"}, {"deploy_hosts": "sample_local", "deploy_release": "2"}),
        ("backup", {"backup"}, {"backup_hosts": "sample_local", "backup_path": "/tmp/slipway-none"}),
        ("rbac", {"rbac"}, {"rbac_hosts": "sample_local", "rbac_namespace": "installed-test"}),
    ],
)
def test_roles_of_the_tarball_look_without_writing(
    project: Path, playbook: str, roles: set[str], variables: dict[str, Any]
) -> None:
    outcome = run(project, "slipway.gitops." + playbook, "--check", **variables)
    assert outcome.status == 0, outcome.text
    assert roles_of(outcome) >= roles


def test_roles_for_a_play_of_ones_own(project: Path, world: World, tmp_path: Path) -> None:
    """Those that no playbook of the collection includes."""
    common = {"kubeconfig": str(world.kubeconfig)}
    secret = {
        "name": "pull", "registry": "registry.slipway.test", "username": "nobody", "password": "generated",
        "namespaces": ["sample"], "image": "registry.slipway.test/sample:1",
    }  # fmt: skip
    stand_in = str(CHECKOUT / "extensions/molecule/jenkins/stand-in")
    helm = str(sorted(world.tools.glob("helm-3*/helm"))[-1])
    given: dict[str, dict[str, Any]] = {
        "jenkins": {**common, "source": "file", "file": stand_in, "helm": helm, "namespace": "installed-test"},
        "registry_credentials": {**common, "secrets": [secret]},
    }
    roles = [
        {"role": "slipway.gitops." + role, **{"%s_%s" % (role, name): value for name, value in options.items()}}
        for role, options in given.items()
    ]
    book = tmp_path / "play.yml"
    book.write_text(json.dumps([{"hosts": "local_world", "gather_facts": False, "roles": roles}]), encoding="utf-8")
    outcome = run(project, str(book), "--check")
    assert outcome.status == 0, outcome.text
    assert roles_of(outcome) >= set(given)
