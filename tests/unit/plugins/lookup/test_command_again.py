# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that a run prints is the command that was typed, with the confirmation and without secrets."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from ansible_collections.slipway.gitops.plugins.lookup.command_again import command_again

BASE: dict[str, Any] = {"args": ("slipway.gitops.deploy_production",), "inventory": ("inventories/production",)}


def test_variables_are_kept_and_the_new_one_is_last() -> None:
    arguments = dict(BASE, subset="shop_production", extra_vars=("deploy_release=1.4.2", "@more.yml"))
    assert shlex.split(command_again(arguments, {"deploy_confirm": "ab12"})) == [
        "ansible-playbook", "slipway.gitops.deploy_production", "-i", "inventories/production", "-l", "shop_production",
        "-e", "deploy_release=1.4.2", "-e", "@more.yml", "-e", "deploy_confirm=ab12",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "given, kept",
    [
        ("deploy_release=2 deploy_confirm=old", "deploy_release=2"),
        ("deploy_resume_reason='two words'", "deploy_resume_reason='two words'"),
        (json.dumps({"deploy_confirm": "old", "deploy_release": "1.10"}), json.dumps({"deploy_release": "1.10"})),
        ("deploy_git_password=hunter2", "deploy_git_password=..."),
        (json.dumps({"deploy_registry_password": "hunter2"}), json.dumps({"deploy_registry_password": "..."})),
        ("{deploy_git_password: hunter2}", "..."),
        ("deploy_git_password='hunter2", "..."),
    ],
)
def test_old_confirmations_go_and_secrets_are_masked(given: str, kept: str) -> None:
    words = shlex.split(command_again(dict(BASE, extra_vars=(given,)), {"deploy_confirm": "new"}))
    assert words[4:] == ["-e", kept, "-e", "deploy_confirm=new"]


def test_a_variable_that_only_was_the_old_confirmation_leaves_nothing() -> None:
    words = shlex.split(
        command_again(dict(BASE, extra_vars=("deploy_confirm=old",), tags=("all",)), {"deploy_confirm": "new"})
    )
    assert words[4:] == ["-e", "deploy_confirm=new"]


def test_another_playbook_gets_the_inventory_and_the_variables_but_not_the_limits() -> None:
    given = ("deploy_release=1.4.2 deploy_queue_path=/srv/queue.db", "@more.yml")
    arguments = dict(BASE, subset="shop_production", tags=("deploy_edit",), extra_vars=given)
    changes = {"deploy_hosts": "shop_production", "deploy_release": None}
    assert shlex.split(command_again(arguments, changes, "slipway.gitops.resume")) == [
        "ansible-playbook", "slipway.gitops.resume", "-i", "inventories/production",
        "-e", "deploy_queue_path=/srv/queue.db", "-e", "@more.yml", "-e", "deploy_hosts=shop_production",
    ]  # fmt: skip
