# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks refuse misspelt variables, all in check mode and without a world, and use no reserved names."""

from __future__ import annotations

import json
import re
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, Iterator, Mapping

import pytest

from ansible_collections.slipway.gitops.tests.unit.repo import tree
from ansible_collections.slipway.gitops.tests.unit.repo.test_playbooks import INVENTORIES, PLAYBOOKS, ansible

#: Of each playbook a variable with a slip, and the name that was meant.
MISSPELT = {
    "access": ("access_stat", "access_state"),
    "backup": ("backup_nmae", "backup_name"),
    "bootstrap": ("bootstrap_stat", "bootstrap_state"),
    "delete_staging": ("deploy_namespce", "deploy_namespace"),
    "deploy_all": ("deploy_all_skip_library", "deploy_all_skip_libraries"),
    "deploy_production": ("deploy_confirmed", "deploy_confirm"),
    "deploy_staging": ("deploy_relese", "deploy_release"),
    "libraries": ("libraries_enable", "libraries_enabled"),
    "promote": ("promote_form", "promote_from"),
    "rbac": ("rbac_purpose", "rbac_purposes"),
    "restore": ("backup_confirmed", "backup_confirm"),
    "resume": ("deploy_resume_reson", "deploy_resume_reason"),
    "rollback": ("rollback_step", "rollback_steps"),
    "status": ("deploy_status_fil", "deploy_status_file"),
}
#: The environment to which a playbook is only given in its own inventory.
_ENVIRONMENTS = ("staging", "production")
#: Names that Ansible means something else by, or will.
RESERVED = {
    "environment",
    "hosts",
    "tags",
    "vars",
    "name",
    "serial",
    "port",
    "become",
    "connection",
    "action",
    "register",
}
_SETTING = re.compile(r"-e (?:'\{)?\"?([a-z_]+)\b")


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[CompletedProcess[str]]]]:
    """Run every playbook with its misspelt variable, two at a time, where no world and no cache is."""
    nowhere = tmp_path_factory.mktemp("nowhere")
    places = {"SLIPWAY_WORLD": str(nowhere / "world"), "SLIPWAY_CACHE": str(nowhere / "cache")}

    def run(playbook: str) -> CompletedProcess[str]:
        given = json.dumps({MISSPELT[playbook][0]: "x", "deploy_release": "1"})
        return ansible(
            "ansible-playbook", "slipway.gitops." + playbook, "--check", "-i", "inventories/local/hosts", "-e", given,
            **places,
        )  # fmt: skip

    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {playbook: pool.submit(run, playbook) for playbook in MISSPELT}
    assert list(nowhere.iterdir()) == []


def test_every_playbook_has_a_misspelt_variable() -> None:
    assert sorted(MISSPELT) == PLAYBOOKS


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_misspelt_variable_is_refused_first(
    playbook: str, refusals: Mapping[str, Future[CompletedProcess[str]]]
) -> None:
    given, meant = MISSPELT[playbook]
    done = refusals[playbook].result()
    said = " ".join(done.stdout.split())
    assert done.returncode == 2, done.stdout
    assert "'%s' is not a variable of this role; did you mean '%s'?" % (given, meant) in said
    assert "changed=0" in said and "unreachable=0" in said


def test_a_misspelt_variable_of_the_delivery_stops_deploy_all_before_the_libraries() -> None:
    given = json.dumps({"deploy_release": "1", "deploy_relese": "2"})
    done = ansible(
        "ansible-playbook", "slipway.gitops.deploy_all", "--check", "-i", "inventories/local/hosts", "-e", given
    )
    assert done.returncode == 2, done.stdout
    assert "did you mean 'deploy_release'" in done.stdout
    assert "PLAY [Install the libraries]" not in done.stdout


def test_one_host_that_fails_before_the_libraries_stops_deploy_all_for_the_others(tmp_path: Path) -> None:
    """Both at a time, and one has nothing to confirm; what was declined before in the same run does not matter."""
    common = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "deploy_environments": ["one", "two"],
        "deploy_application": "shop",
        "deploy_image": "registry.example.com/shop",
        "deploy_repository": "https://127.0.0.1:9/none.git",
        "deploy_path": "shop",
        "deploy_kubeconfig": str(tmp_path / "none"),
    }
    hosts = {
        "one": {"deploy_environment": "one", "deploy_confirmation": "required"},
        "two": {"deploy_environment": "two"},
    }
    groups = {"production": {"hosts": hosts}, "others": {"hosts": {"other": {}}}}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"vars": common, "children": groups}}), encoding="utf-8")
    before = {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.set_fact": {"deploy_declined": True}}]}
    book = [before, {"ansible.builtin.import_playbook": "slipway.gitops.deploy_all"}]
    (tmp_path / "book.json").write_text(json.dumps(book), encoding="utf-8")
    given = json.dumps({"deploy_release": "1", "deploy_hosts": "production", "deploy_serial": 2})
    done = ansible("ansible-playbook", "-i", str(tmp_path / "hosts.json"), "-e", given, str(tmp_path / "book.json"))
    assert done.returncode == 2, done.stdout
    assert "[one]: FAILED!" in done.stdout.rpartition("Compare the cluster with the pinned one")[2], done.stdout
    assert "PLAY [Install the libraries]" not in done.stdout


def test_deploy_all_takes_the_only_environment_of_an_inventory_and_chooses_none_of_several(tmp_path: Path) -> None:
    """A run that shows a plan, installs libraries and delivers nothing must not end as a success."""
    only = str(tree.ROOT / "inventories/production")
    listed = ansible("ansible-playbook", "-i", only, "--list-hosts", "slipway.gitops.deploy_all")
    assert "shop_production" in listed.stdout.rpartition("Deliver the application")[2], listed.stdout
    groups = {name: {"hosts": {name + "_host": {"deploy_environment": name}}} for name in ("one", "two")}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"children": groups}}), encoding="utf-8")
    given = ["-e", json.dumps({"deploy_release": "1"}), "-e", "ansible_connection=local"]
    done = ansible("ansible-playbook", "-i", str(tmp_path / "hosts.json"), *given, "slipway.gitops.deploy_all")
    assert done.returncode == 2, done.stdout
    assert "Option 'deploy_environment': it is not given" in " ".join(done.stdout.split())
    assert "PLAY [Install the libraries]" not in done.stdout


@pytest.mark.parametrize(
    ("playbook", "given", "meant"),
    [
        ("bootstrap", {"argocd_namespce": "x"}, "argocd_namespace"),
        ("libraries", {"libraries_enabled": ["metallb"], "metallb_pool": []}, "metallb_pools"),
    ],
)
def test_misspelt_variable_of_a_role_stops_the_playbook_before_its_first_role(
    playbook: str, given: Mapping[str, Any], meant: str
) -> None:
    done = ansible(
        "ansible-playbook", "slipway.gitops." + playbook, "--check", "-i", "inventories/local/hosts",
        "-e", json.dumps(given),
    )  # fmt: skip
    assert done.returncode == 2, done.stdout
    assert "did you mean '%s'" % meant in " ".join(done.stdout.split())
    assert "TASK [slipway.gitops." not in done.stdout


def test_libraries_that_are_not_enabled_do_not_claim_their_names() -> None:
    given = json.dumps({"libraries_enabled": [], "jenkins_home_of_another_role": "x"})
    done = ansible(
        "ansible-playbook", "slipway.gitops.libraries", "--check", "-i", "inventories/local/hosts", "-e", given
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_playbooks_parse_with_the_inventory(inventory: str) -> None:
    playbooks = [name for name in PLAYBOOKS if _fits(name, inventory)]
    names = ["slipway.gitops." + name for name in playbooks]
    done = ansible("ansible-playbook", "--syntax-check", "-i", "inventories/%s/hosts" % inventory, *names)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Could not match" not in done.stderr, done.stderr
    assert [Path(line).stem for line in done.stdout.splitlines() if line.startswith("playbook: ")] == playbooks


def _fits(playbook: str, inventory: str) -> bool:
    """Whether a playbook is run on an inventory: production is not in the one of staging."""
    of = next((name for name in _ENVIRONMENTS if playbook.endswith("_" + name)), inventory)
    return inventory in ("local", of)


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_playbook_takes_no_reserved_name(playbook: str) -> None:
    path = tree.ROOT / "playbooks" / (playbook + ".yml")
    told = set(_SETTING.findall(path.read_text(encoding="utf-8")))
    assert (told | set(names_set(tree.read_ansible(path)))) & RESERVED == set()


def names_set(node: Any) -> Iterator[str]:
    """Yield the names of variables that plays and tasks set."""
    if isinstance(node, dict):
        for key in ("vars", "ansible.builtin.set_fact"):
            yield from node.get(key) or {}
        yield from [node["register"]] if "register" in node else []
        yield from [(node.get("loop_control") or {}).get("loop_var", "")]
        node = list(node.values())
    for item in node if isinstance(node, list) else []:
        yield from names_set(item)


def test_planted_reserved_name_is_found() -> None:
    assert "environment" in set(names_set([{"tasks": [{"block": [{"vars": {"environment": "x"}}]}]}]))
    assert _SETTING.findall("ansible-playbook x -e environment=prod -e '{\"tags\": 1}'") == ["environment", "tags"]
