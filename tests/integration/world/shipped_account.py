# SPDX-License-Identifier: GPL-3.0-or-later
"""The service accounts that playbook rbac makes, for applications of tests: their deliveries have no other rights."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.slipway.gitops.plugins.filter.rbac_manifests import rbac_manifests
from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry import service_account_kubeconfig
from ansible_collections.slipway.gitops.tests.integration.world.conftest import World
from ansible_collections.slipway.gitops.tests.integration.world.play import CHECKOUT


def rights(role: str, purpose: str, application: str, namespace: str) -> list[dict[str, str]]:
    """Return the rights of one purpose, as the one list of a role has them, for an application."""
    text = (CHECKOUT / "roles" / role / "vars/access.yml").read_text(encoding="utf-8")
    names = {"namespace": namespace, "argocd_namespace": "argocd", "argocd_application": application}
    for name, value in names.items():
        text = text.replace("{{ %s_%s }}" % (role, name), value)
    lists = yaml.safe_load(text)
    # What stands in brackets is granted under a condition that no application of the tests fulfils.
    parts = re.findall(r"__\w+", re.sub(r"\([^)]*\)", "", lists["__%s_access" % role][purpose]))
    return [right for part in parts for right in lists[part]]


def make_account(world: World, folder: Path, purpose: str, application: str) -> dict[str, str]:
    """Give an application of the tests its account; return the variables that deliver under it.

    Application, namespace and account have the same name, so that the account goes with them.
    """
    manifest, kubeconfig = folder / "account.json", folder / "account.yml"
    objects = rbac_manifests(rights("deploy", purpose, application, application), application, application)
    manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}), encoding="utf-8")
    world.kubectl("apply", "-f", str(manifest))
    given = {
        "name": application,
        "namespace": application,
        "path": str(kubeconfig),
        "kubeconfig": str(world.kubeconfig),
    }
    spec = service_account_kubeconfig.ENTRY.argument_spec
    params: dict[str, Any] = {name: given.get(name, option.get("default")) for name, option in spec.items()}
    service_account_kubeconfig.ENTRY.run(params, Context(env={"HOME": str(folder)}))
    return {"deploy_kubeconfig": str(kubeconfig), "deploy_context": application}


def remove_account(world: World, folder: Path) -> None:
    """Take back what :func:`make_account` has granted."""
    world.kubectl("delete", "-f", str(folder / "account.json"), "--ignore-not-found", "--wait=false")
