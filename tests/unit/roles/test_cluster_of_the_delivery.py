# SPDX-License-Identifier: GPL-3.0-or-later
"""Libraries and accounts go to the cluster of the delivery, unless somebody names another one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.slipway.gitops.tests.unit.repo import tree
from ansible_collections.slipway.gitops.tests.unit.repo.test_playbooks import ansible

ROLES = ("cert_manager", "metallb", "jenkins", "rbac")
DELIVERY = {"deploy_kubeconfig": "~/.kube/production.yml", "deploy_context": "production"}
#: Name of the case -> variables ("@" stands for the role), and kubeconfig and context that follow from them.
CASES: dict[str, tuple[dict[str, str], list[str]]] = {
    "nothing": ({}, ["", ""]),
    "delivery": (DELIVERY, ["~/.kube/production.yml", "production"]),
    "context_only": ({"deploy_context": "production"}, ["", "production"]),
    "own": ({**DELIVERY, "@_kubeconfig": "~/admin.yml"}, ["~/admin.yml", ""]),
    "own_both": ({**DELIVERY, "@_kubeconfig": "~/admin.yml", "@_context": "root"}, ["~/admin.yml", "root"]),
}
#: The same with both variables in the environment, which are for who says nothing.
FROM_ENVIRONMENT = {"nothing": ["/env.yml", "env"], "delivery": CASES["delivery"][1], "own": ["~/admin.yml", "env"]}


def seen(folder: Path, **environment: str) -> dict[str, dict[str, list[str]]]:
    """Return kubeconfig and context of every role in every case, as Ansible evaluates them."""
    defaults: dict[str, Any] = {}
    for role in ROLES:
        defaults.update(tree.read_yaml(tree.ROOT / "roles" / role / "defaults/main.yml"))
    hosts = {
        case: {name.replace("@", role): value for name, value in given.items() for role in ROLES}
        for case, (given, _expected) in CASES.items()
    }
    inventory, book = folder / "hosts.json", folder / "book.json"
    every = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    inventory.write_text(json.dumps({"all": {"vars": {**defaults, **every}, "hosts": hosts}}), encoding="utf-8")
    pairs = ", ".join("'%s': [%s_kubeconfig, %s_context]" % (role, role, role) for role in ROLES)
    copy = {"dest": "%s/{{ inventory_hostname }}" % folder, "content": "{{ {%s} | to_json }}" % pairs, "mode": "0600"}
    play = {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.copy": copy}]}
    book.write_text(json.dumps([play]), encoding="utf-8")
    done = ansible("ansible-playbook", "-i", str(inventory), str(book), **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return {case: json.loads((folder / case).read_text(encoding="utf-8")) for case in CASES}


def test_roles_follow_the_delivery_and_not_the_environment(tmp_path: Path) -> None:
    found = seen(tmp_path)
    for case, (_given, expected) in CASES.items():
        assert found[case] == dict.fromkeys(ROLES, expected), case
    found = seen(tmp_path, K8S_AUTH_KUBECONFIG="/env.yml", K8S_AUTH_CONTEXT="env")
    for case, expected in FROM_ENVIRONMENT.items():
        assert found[case] == dict.fromkeys(ROLES, expected), case
