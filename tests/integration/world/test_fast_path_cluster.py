# SPDX-License-Identifier: GPL-3.0-or-later
"""The fast path on a real cluster: same results, and the API server saw which process asked."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from ansible_collections.slipway.gitops.tests.integration.world.audit import AuditLog, Request
from ansible_collections.slipway.gitops.tests.integration.world.both_ways import (
    CORES,
    WAYS,
    Table,
    differences,
    path_taken,
    run_both,
    tasks,
    workers,
)
from ansible_collections.slipway.gitops.tests.integration.world.conftest import World

TASKS = tasks("fast_path_cluster.yml")
SECRET = "a-secret-that-no-output-may-carry"
_AGENT = re.compile(r"^slipway\.gitops/[\d.]+ \((?P<module>\w+); (?P<path>in-process|module); pid=(?P<pid>\d+)\)")
_KUSTOMIZATION = "resources: []\nimages:\n  - name: shop # the shop\n    newTag: '1'\n"


@pytest.fixture(scope="module", params=sorted(CORES))
def seen(
    request: pytest.FixtureRequest, world: World, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Table, list[Request]]:
    """Run the table both ways on one core; return it with the requests that the API server saw."""
    base = tmp_path_factory.mktemp("fast-path-cluster")
    for way in WAYS:
        _make_repository(base / way)
    cluster = yaml.safe_load(world.kubeconfig.read_text())["clusters"][0]["cluster"]
    authority = base / "ca.crt"
    authority.write_bytes(_authority(world))
    variables = {"kubeconfig": str(world.kubeconfig), "server": cluster["server"], "ca_cert": str(authority)}
    log = AuditLog(world.audit_log)
    table = run_both(CORES[request.param], "fast_path_cluster.yml", base, variables)
    ours = {"fast-path", "fast-path-nowhere"}
    return table, [item for item in log.requests("slipway.gitops/") if {item.name, item.namespace} & ours]


def _authority(world: World) -> bytes:
    """Return the cluster's certificate authority, inline or from its file."""
    path = "jsonpath={.clusters[0].cluster.certificate-authority-data}"
    return base64.b64decode(world.kubectl("config", "view", "--raw", "--flatten", "--minify", "-o", path))


def _make_repository(folder: Path) -> None:
    """Make a bare repository with one kustomization, the same bytes and commit each time."""
    folder.mkdir(parents=True)
    bare = folder / "repository.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
    stream = (
        "commit refs/heads/main\ncommitter Test <test@example.com> 1767225600 +0000\n"
        "data 5\nstart\nM 644 inline app/kustomization.yaml\ndata %d\n%s\n" % (len(_KUSTOMIZATION), _KUSTOMIZATION)
    )
    command = ["git", "--git-dir", str(bare), "fast-import", "--quiet"]
    subprocess.run(command, input=stream, text=True, check=True)


@pytest.mark.parametrize("task", TASKS)
def test_both_ways_give_the_same_result(seen: tuple[Table, list[Request]], task: str) -> None:
    assert differences(seen[0].results("auto", task), seen[0].results("never", task)) == []


@pytest.mark.parametrize("task", TASKS)
def test_the_path_is_the_one_claimed(seen: tuple[Table, list[Request]], task: str) -> None:
    assert path_taken(seen[0].outcomes["auto"], task) == "in-process"
    assert path_taken(seen[0].outcomes["never"], task) == "module"


def test_the_api_server_saw_the_processes_that_were_named(seen: tuple[Table, list[Request]]) -> None:
    table, requests = seen
    fast = {pid for task in TASKS for pid in workers(table.outcomes["auto"], task)}
    agents = [match.groupdict() for item in requests if (match := _AGENT.match(item.agent))]
    assert len(agents) == len(requests), "a request without our full name"
    in_process = {int(item["pid"]) for item in agents if item["path"] == "in-process"}
    as_module = {int(item["pid"]) for item in agents if item["path"] == "module"}
    assert in_process
    assert as_module
    assert in_process <= fast
    assert not as_module & fast
    assert {item["module"] for item in agents} == {"argocd_app", "argocd_app_info", "cluster_preflight", "health_gate"}


def test_both_ways_asked_the_same(seen: tuple[Table, list[Request]]) -> None:
    """Verb, object and answer of every request about Applications are those of the other way, in order."""
    fast, plain = (
        [
            (item.verb, item.namespace, item.name, item.code)
            for item in seen[1]
            if "; %s; " % path in item.agent and item.resource == "applications"
        ]
        for path in ("in-process", "module")
    )
    assert len(fast) >= 8
    assert fast == plain


def test_check_mode_wrote_nothing(seen: tuple[Table, list[Request]]) -> None:
    writes = [(item.verb, item.name) for item in seen[1] if item.is_write]
    # Per way: one apply that makes, perhaps one that finds nothing to do, one delete.
    assert {name for _verb, name in writes} <= {"fast-path"}
    assert sum(1 for verb, _name in writes if verb == "delete") == 2


@pytest.mark.parametrize("way", WAYS)
def test_expected_failures_and_nothing_else_failed(seen: tuple[Table, list[Request]], way: str) -> None:
    failed = {item["task"] for item in seen[0].outcomes[way].results if item["kind"] == "failed"}
    assert failed == {task for task in TASKS if task.startswith("Fail ")}


@pytest.mark.parametrize("way", WAYS)
def test_no_secret_is_in_the_whole_output(seen: tuple[Table, list[Request]], way: str) -> None:
    outcome = seen[0].outcomes[way]
    assert SECRET not in json.dumps([item["result"] for item in outcome.results])
