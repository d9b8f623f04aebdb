# SPDX-License-Identifier: GPL-3.0-or-later
"""When a person is asked; how that looks at a terminal is tested with Ansible itself."""

from __future__ import annotations

from typing import Any, Mapping, Optional

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._context import Answer, Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry import confirm
from ansible_collections.slipway.gitops.plugins.module_utils._errors import InvalidInput


def asked(check_mode: bool = False, env: Optional[Mapping[str, str]] = None, **params: Any) -> dict[str, Any]:
    """Run the entry with somebody who always enters the word."""
    ctx = Context(check_mode=check_mode, env=env or {}, ask=lambda prompt, timeout_s: Answer("yes"))
    return confirm.run({"prompt": "Go?", "word": "yes", "timeout": 900, **params}, ctx)


@pytest.mark.parametrize(
    "check_mode, env, confirmed",
    [(False, {}, True), (False, {"CI": "false"}, True), (True, {}, False), (False, {"CI": "1"}, False)],
)
def test_when_somebody_is_asked(check_mode: bool, env: dict[str, str], confirmed: bool) -> None:
    result = asked(check_mode, env)
    assert (result["confirmed"], result["interactive"], result["changed"]) == (confirmed, confirmed, False)


@pytest.mark.parametrize(
    "params", [{"word": ""}, {"word": " yes"}, {"word": "y\n"}, {"timeout": 0}, {"timeout": 86401}]
)
def test_impossible_question_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        asked(**params)


def test_plain_module_asks_nobody() -> None:
    assert confirm.run({"prompt": "Go?", "word": "yes", "timeout": 900}, Context())["interactive"] is False
