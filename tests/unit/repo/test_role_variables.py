# SPDX-License-Identifier: GPL-3.0-or-later
"""Every role refuses a misspelt variable of its own before it does anything, whatever tag is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator

import pytest

from ansible_collections.slipway.gitops.tests.unit.repo import tree
from ansible_collections.slipway.gitops.tests.unit.repo.test_playbooks import ansible

#: Of each role a variable with a slip, and the option that was meant.
MISSPELT = {
    "access": ("access_stat", "access_state"),
    "argocd": ("argocd_namespce", "argocd_namespace"),
    "backup": ("backup_keep_lats", "backup_keep_last"),
    "cert_manager": ("cert_manager_remove_custom_resource", "cert_manager_remove_custom_resources"),
    "cluster_bootstrap": ("cluster_bootstrap_providr", "cluster_bootstrap_provider"),
    "deploy": ("deploy_relese", "deploy_release"),
    "git_server": ("git_server_repository", "git_server_repositories"),
    "gitops_base": ("gitops_base_aplications", "gitops_base_applications"),
    "image_build": ("image_build_image", "image_build_images"),
    "jenkins": ("jenkins_remove_hom", "jenkins_remove_home"),
    "library_manifests": ("library_manifests_checksums", "library_manifests_checksum"),
    "metallb": ("metallb_pool", "metallb_pools"),
    "rbac": ("rbac_right", "rbac_rights"),
    "registry": ("registry_prot", "registry_port"),
    "registry_credentials": ("registry_credentials_secret", "registry_credentials_secrets"),
    "sample_app": ("sample_app_tag", "sample_app_tags"),
}


def first_tasks(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the tasks of a file in their order, those of imported files in their place."""
    for task in tree.read_ansible(path):
        imported = task.get("ansible.builtin.import_tasks")
        if imported:
            yield from first_tasks(path.parent / imported)
        else:
            yield task


def test_every_role_has_a_misspelt_variable() -> None:
    assert sorted(MISSPELT) == tree.roles()


@pytest.mark.parametrize("role", sorted(set(MISSPELT) - {"backup", "deploy"}))
def test_names_are_looked_at_first_whatever_tag_is_asked_for(role: str) -> None:
    task = next(first_tasks(tree.ROOT / "roles" / role / "tasks/main.yml"))
    assert task["name"] == "Refuse misspelt variables"
    assert task["tags"] == ["always"]
    assert task["ansible.builtin.assert"]["that"] == "__%s_unknown | length == 0" % role


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What one run says in which every role is given its misspelt variable, each on a host of its own."""
    folder = tmp_path_factory.mktemp("roles")
    hosts = {role: {"ansible_connection": "local", given: "x"} for role, (given, _meant) in MISSPELT.items()}
    (folder / "hosts.yml").write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    include = {"name": "slipway.gitops.{{ inventory_hostname }}"}
    play = {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.include_role": include}]}
    (folder / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    done = ansible(
        "ansible-playbook", "-i", str(folder / "hosts.yml"), str(folder / "play.yml"),
        SLIPWAY_WORLD=str(folder / "world"), SLIPWAY_CACHE=str(folder / "cache"),
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["hosts.yml", "play.yml"]
    return " ".join(done.stdout.split())


@pytest.mark.parametrize("role", sorted(MISSPELT))
def test_misspelt_variable_is_refused_before_anything_is_done(role: str, said: str) -> None:
    assert "'%s' is not a variable of this role; did you mean '%s'?" % MISSPELT[role] in said
    recap = said[said.index("PLAY RECAP") :]
    assert "%s : ok=" % role in recap
    after = recap[recap.index("%s : ok=" % role) :]
    assert "changed=0" in after.split(" unreachable=")[0]
