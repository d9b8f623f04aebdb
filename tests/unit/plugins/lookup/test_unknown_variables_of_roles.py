# SPDX-License-Identifier: GPL-3.0-or-later
"""A variable with the prefix of a role is told when it is no option of it, in the words of the filter."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleLookupError

from ansible_collections.slipway.gitops.plugins.lookup.unknown_variables import LookupModule, names_of_role


def ask(*roles: str, given: tuple[str, ...], also: tuple[str, ...] = ()) -> list[str]:
    return LookupModule().run(roles, dict.fromkeys(given, "x"), also=also)


@pytest.mark.parametrize(
    "role, given, told",
    [
        ("registry", ("registry_state", "registry_port"), []),
        ("registry", ("registry_prot",), [("registry_prot", "registry_port")]),
        ("registry", ("registry_credentials_secrets", "registry_credentials_secret"), []),
        ("registry_credentials", ("registry_credentials_secret",),
         [("registry_credentials_secret", "registry_credentials_secrets")]),
        ("cluster_bootstrap", ("cluster_bootstrap_result", "bootstrap_stat", "__cluster_bootstrap_x"), []),
        ("rbac", ("rbac_hosts",), []),
    ],
)  # fmt: skip
def test_names_of_a_role(role: str, given: tuple[str, ...], told: list[tuple[str, str]]) -> None:
    assert ask(role, given=given) == ["'%s' is not a variable of this role; did you mean '%s'?" % pair for pair in told]


def test_several_roles_are_told_one_after_the_other() -> None:
    said = ask("registry", "argocd", given=("argocd_stat", "registry_prot", "jenkins_x"))
    assert [line.split("'")[1] for line in said] == ["registry_prot", "argocd_stat"]


def test_names_of_a_playbook_are_given_to_it() -> None:
    assert ask("rbac", given=("rbac_purposes",), also=("rbac_purposes",)) == []
    assert len(ask("rbac", given=("rbac_purposes",))) == 1


def test_role_that_does_not_exist_is_refused() -> None:
    with pytest.raises(AnsibleLookupError, match="no role 'registri'"):
        ask("registri", given=())


def test_longer_name_of_another_role_takes_its_variables() -> None:
    names = ["a_x", "a_b_y", "a_bc", "ab_z"]
    assert names_of_role(names, "a", ["a", "a_b", "ab"]) == ["a_x", "a_bc"]
    assert names_of_role(names, "a_b", ["a", "a_b", "ab"]) == ["a_b_y"]
