# SPDX-License-Identifier: GPL-3.0-or-later
"""The fast path is the module: same calls, both ways, same results, on several cores.

The path is not believed but seen: -vvv names it with the process id of the worker, and the
API server's audit log holds the same process id in the User-Agent of the request.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Mapping

import pytest
import yaml

from ansible_collections.slipway.gitops.tests.integration.world.play import HERE, Outcome, run_playbook

#: ansible-core to run -> folder of its programs. scripts/test names those of this machine.
CORES = {name: Path(folder) for name, folder in json.loads(os.environ.get("SLIPWAY_TEST_CORES", "{}")).items()} or {
    "dev": Path(sys.executable).parent
}

#: Fields that two runs of the same call cannot share: times, identities, secrets of chance.
MASKED = {
    "at",
    "ansible_job_id",
    "claimed_at",
    "commit",
    "effective_priority",
    "enqueued_at",
    "finished_at",
    "id",
    "lease_remaining",
    "owner",
    "resourceVersion",
    "token",
    "uid",
    "waited",
}
_TEXTS = (
    (re.compile(r"\b[0-9a-f]{40}\b"), "<sha>"),
    (re.compile(r"\b[0-9A-HJKMNP-TV-Z]{26}\b"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)"), "<time>"),
)
#: What Ansible itself adds to one way only, or times.
_ANSIBLES_OWN = {"ansible_facts", "start", "end", "delta", "results_file", "exception", "deprecations"}

VAULT_PASSWORD = "a password for this test only"
VAULTED = "release-robot"


def comparable(value: Any, folder: str) -> Any:
    """Return a result without the masked fields and with the run's own folder made neutral."""
    if isinstance(value, Mapping):
        kept = {key: item for key, item in value.items() if not key.startswith("_ansible") and key not in _ANSIBLES_OWN}
        return {
            neutral(key, folder): "<masked>" if key in MASKED else comparable(item, folder)
            for key, item in kept.items()
        }
    if isinstance(value, list):
        return [comparable(item, folder) for item in value]
    return neutral(value, folder) if isinstance(value, str) else value


def neutral(text: str, folder: str) -> str:
    """Return a text with identities, times and the run's own folder replaced by their kind."""
    for pattern, mark in _TEXTS:
        text = pattern.sub(mark, text)
    return text.replace(folder, "<folder>")


def differences(left: Any, right: Any, where: str = "") -> list[str]:
    """Return where two comparable results differ."""
    if isinstance(left, dict) and isinstance(right, dict):
        found = ["%s.%s: only one way has it" % (where, key) for key in sorted(set(left) ^ set(right))]
        return found + [
            line
            for key in sorted(set(left) & set(right))
            for line in differences(left[key], right[key], where + "." + key)
        ]
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        return [line for at, pair in enumerate(zip(left, right)) for line in differences(*pair, "%s[%d]" % (where, at))]
    return [] if left == right else ["%s: %r in-process, %r as a module" % (where, left, right)]


def tasks() -> list[str]:
    """Return the names of all calls in the table, those inside blocks too."""
    pending = [task for play in yaml.safe_load((HERE / "fast_path.yml").read_text()) for task in play["tasks"]]
    names = []
    while pending:
        task = pending.pop(0)
        if "block" in task:
            pending = task["block"] + pending
        else:
            names.append(task["name"])
    return names


TASKS = tasks()


@pytest.fixture(scope="module", params=sorted(CORES))
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Outcome, str]]:
    """Run the table twice on one core; return the outcome and the folder of each way."""
    programs = CORES[request.param]
    base = tmp_path_factory.mktemp("fast-path")
    password = base / "vault-password"
    password.write_text(VAULT_PASSWORD)
    variables = base / "vaulted.yml"
    variables.write_text(_vaulted(programs, password))
    return {way: _run(programs, base / way, way, variables, password) for way in ("auto", "never")}


def _vaulted(programs: Path, password: Path) -> str:
    """Return a variables file with a vaulted value."""
    command = ["encrypt_string", "--vault-password-file", str(password), "--name", "vaulted_actor", VAULTED]
    done = subprocess.run([str(programs / "ansible-vault"), *command], capture_output=True, text=True, check=True)
    return done.stdout


def _run(programs: Path, folder: Path, way: str, variables: Path, password: Path) -> tuple[Outcome, str]:
    (folder / "queue").mkdir(parents=True, mode=0o700)
    arguments = [
        *("-i", "here,", "-c", "local", "-vvv", "--vault-password-file", str(password), "-e", "@%s" % variables),
        *("-e", json.dumps({"slipway_test_folder": str(folder), "slipway_in_process": way})),
    ]
    outcome = run_playbook(programs, str(HERE / "fast_path.yml"), arguments, folder / "record.jsonl")
    return outcome, str(folder)


def path_taken(outcome: Outcome, task: str) -> str:
    """Return "in-process", "module" or what else -vvv says of a task."""
    text = outcome.section(task)
    workers = re.findall(r"slipway\.gitops\.\w+: in-process in worker (\d+)", text)
    fallbacks = re.findall(r"slipway\.gitops\.\w+: as a module, because", text)
    if workers and not fallbacks:
        assert all(int(pid) != os.getpid() for pid in workers)
        return "in-process"
    return "module" if fallbacks and not workers else "unclear: %d, %d" % (len(workers), len(fallbacks))


@pytest.mark.parametrize("task", TASKS)
def test_both_ways_give_the_same_result(runs: dict[str, tuple[Outcome, str]], task: str) -> None:
    fast, plain = (
        [[item["kind"], comparable(item["result"], folder)] for item in outcome.of(task)]
        for outcome, folder in (runs["auto"], runs["never"])
    )
    assert differences(fast, plain) == []


@pytest.mark.parametrize("task", TASKS)
def test_the_path_is_the_one_claimed(runs: dict[str, tuple[Outcome, str]], task: str) -> None:
    only_module = task.endswith("(module)")
    assert path_taken(runs["auto"][0], task) == ("module" if only_module else "in-process")
    assert path_taken(runs["never"][0], task) == "module"


@pytest.mark.parametrize("way", ["auto", "never"])
def test_expected_failures_and_nothing_else_failed(runs: dict[str, tuple[Outcome, str]], way: str) -> None:
    outcome = runs[way][0]
    failed = {item["task"] for item in outcome.results if item["kind"] == "failed"}
    assert failed == {task for task in TASKS if task.startswith("Fail ")}


@pytest.mark.parametrize("way", ["auto", "never"])
def test_no_secret_is_shown(runs: dict[str, tuple[Outcome, str]], way: str) -> None:
    outcome = runs[way][0]
    assert "another-secret-token-than-ours" not in _shown(outcome, "Fail by a lease that is not ours")
    assert "censored" in outcome.one("Renew without a log")
    renewed = json.dumps(outcome.one("Renew with a secret in the arguments"))
    assert "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" in renewed


def _shown(outcome: Outcome, task: str) -> str:
    """Return what a user sees of a task: its results, and its part of the output."""
    return json.dumps(outcome.of(task))


@pytest.mark.parametrize("way", ["auto", "never"])
def test_vaulted_value_arrives_in_the_clear(runs: dict[str, tuple[Outcome, str]], way: str) -> None:
    assert runs[way][0].one("Enqueue with a difference")["invocation"]["module_args"]["actor"] == VAULTED


@pytest.mark.parametrize("way", ["auto", "never"])
def test_check_mode_made_no_file(runs: dict[str, tuple[Outcome, str]], way: str) -> None:
    first = runs[way][0].one("Enqueue in check mode with a difference")
    assert first["changed"] is True
    assert first["diff"]
    assert runs[way][0].one("Enqueue with a difference")["changed"] is True


def test_a_difference_would_be_found() -> None:
    fast = {"a": [1, {"b": "x"}], "token": "t1", "path": "/one/q"}
    assert differences(comparable(fast, "/one"), comparable({**fast, "token": "t2", "path": "/two/q"}, "/two")) == []
    assert differences(fast, {**fast, "a": [1, {"b": "y"}]}) == [".a[1].b: 'x' in-process, 'y' as a module"]
    assert differences(fast, {"a": fast["a"]}) == [".path: only one way has it", ".token: only one way has it"]
