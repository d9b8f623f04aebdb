# SPDX-License-Identifier: GPL-3.0-or-later
"""A misspelt variable is told with the name that was meant."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.slipway.gitops.plugins.filter.unknown_variables import unknown_variables

KNOWN = ["deploy_release", "deploy_environment", "deploy_path"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["deploy_release"], []),
        ([], []),
        (["deploy_relese"], ["'deploy_relese' is not a variable of this role; did you mean 'deploy_release'?"]),
        (["deploy_zzzzzzzzzz"], ["'deploy_zzzzzzzzzz' is not a variable of this role."]),
    ],
)
def test_names(names: list[str], expected: list[str]) -> None:
    assert unknown_variables(names, KNOWN) == expected


def test_a_string_is_not_a_list_of_names() -> None:
    with pytest.raises(AnsibleFilterError, match="two lists"):
        unknown_variables("deploy_release", KNOWN)
