# SPDX-License-Identifier: GPL-3.0-or-later
"""The fast path is the module: same calls, both ways, same results, on several cores.

The path is not believed but seen: -vvv names it with the process id of the worker, and in
test_fast_path_cluster.py the API server's audit log holds the same process id.
"""

from __future__ import annotations

import json

import pytest

from ansible_collections.slipway.gitops.tests.integration.world.both_ways import (
    CORES,
    VAULTED,
    WAYS,
    Table,
    comparable,
    differences,
    path_taken,
    run_both,
    tasks,
)
from ansible_collections.slipway.gitops.tests.integration.world.play import HERE

TASKS = tasks("fast_path.yml")


@pytest.fixture(scope="module", params=sorted(CORES))
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Run the table both ways on one core."""
    base = tmp_path_factory.mktemp("fast-path")
    for way in WAYS:
        (base / way / "queue").mkdir(parents=True, mode=0o700)
    return run_both(CORES[request.param], "fast_path.yml", base, {})


@pytest.mark.parametrize("task", TASKS)
def test_both_ways_give_the_same_result(table: Table, task: str) -> None:
    assert differences(table.results("auto", task), table.results("never", task)) == []


@pytest.mark.parametrize("task", TASKS)
def test_the_path_is_the_one_claimed(table: Table, task: str) -> None:
    only_module = task.endswith("(module)")
    assert path_taken(table.outcomes["auto"], task) == ("module" if only_module else "in-process")
    assert path_taken(table.outcomes["never"], task) == "module"


@pytest.mark.parametrize("way", WAYS)
def test_expected_failures_and_nothing_else_failed(table: Table, way: str) -> None:
    failed = {item["task"] for item in table.outcomes[way].results if item["kind"] == "failed"}
    assert failed == {task for task in TASKS if task.startswith("Fail ")}


@pytest.mark.parametrize("way", WAYS)
def test_no_secret_is_shown(table: Table, way: str) -> None:
    outcome = table.outcomes[way]
    assert "another-secret-token-than-ours" not in json.dumps([item["result"] for item in outcome.results])
    assert "another-secret-token-than-ours" not in outcome.text
    assert "censored" in outcome.one("Renew without a log")
    renewed = outcome.one("Renew with a secret in the arguments")
    assert renewed["invocation"]["module_args"]["lease"]["token"] == "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


@pytest.mark.parametrize("way", WAYS)
def test_vaulted_value_arrives_in_the_clear(table: Table, way: str) -> None:
    assert table.outcomes[way].one("Enqueue with a difference")["invocation"]["module_args"]["actor"] == VAULTED


@pytest.mark.parametrize("way", WAYS)
def test_programs_run_beside_the_playbook_with_the_task_environment(table: Table, way: str) -> None:
    shown = table.outcomes[way].one("Show the working folder and the environment of programs")["stdout_lines"]
    folder, variables = shown
    assert folder == str(HERE)
    # What an unset value becomes is the core's choice: nothing up to 2.18, the word None since.
    assert variables in ("%s 2 %s" % (table.folders[way], empty) for empty in ("", "None"))
    assert table.outcomes[way].one("Show the environment again, without what the task before had")["stdout"] == ""


@pytest.mark.parametrize("way", WAYS)
def test_option_and_alias_together_are_warned_about(table: Table, way: str) -> None:
    # Results of newer cores arrive at callbacks without their warnings: only the screen has them all.
    shown = " ".join(table.outcomes[way].section("Fail with an option and its alias").split())
    assert "Both option validate_certs and its alias verify_ssl are set." in shown


@pytest.mark.parametrize("task", TASKS)
def test_both_ways_warn_as_often(table: Table, task: str) -> None:
    counts = [table.outcomes[way].section(task).count("[WARNING]") for way in WAYS]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("way", WAYS)
def test_check_mode_kept_nothing(table: Table, way: str) -> None:
    first = table.outcomes[way].one("Enqueue in check mode with a difference")
    assert first["changed"] is True
    assert first["diff"]
    assert table.outcomes[way].one("Enqueue with a difference")["entry"]["seq"] == 1


def test_a_difference_would_be_found() -> None:
    fast = {"a": [1, {"b": "x"}], "token": "t1", "path": "/one/q"}
    assert differences(comparable(fast, "/one"), comparable({**fast, "token": "t2", "path": "/two/q"}, "/two")) == []
    assert differences(fast, {**fast, "a": [1, {"b": "y"}]}) == [".a[1].b: 'x' in-process, 'y' as a module"]
    assert differences(fast, {"a": fast["a"]}) == [".path: only one way has it", ".token: only one way has it"]
