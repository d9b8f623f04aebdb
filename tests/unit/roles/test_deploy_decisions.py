# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions of the role deploy that depend on time or on rare states: evaluated as Ansible evaluates them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Mapping, Sequence

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._argocd.view import summary
from ansible_collections.slipway.gitops.tests.unit.repo import tree
from ansible_collections.slipway.gitops.tests.unit.repo.test_playbooks import ansible

ROLE = tree.ROOT / "roles/deploy"


def decided(folder: Path, expression: str, **variables: Any) -> str:
    """Return the value of a variable of the role, or of an expression with some, as text."""
    return all_decided(folder, expression, [variables])[0]


def all_decided(folder: Path, expression: str, cases: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the value for each set of variables, by one run of Ansible."""
    tasks: list[dict[str, Any]] = [{"ansible.builtin.include_vars": {"file": str(ROLE / "vars/main.yml")}}]
    for number, variables in enumerate(cases):
        tasks.append({"ansible.builtin.set_fact": {"answer%d" % number: "{{ %s }}" % expression}, "vars": variables})
    whole = "{{ [%s] | map('string') | to_json }}" % ", ".join("answer%d" % number for number in range(len(cases)))
    tasks.append({"ansible.builtin.copy": {"dest": str(folder / "answers"), "content": whole, "mode": "0600"}})
    defaults = tree.read_yaml(ROLE / "defaults/main.yml")
    play = {"hosts": "localhost", "gather_facts": False, "vars": defaults, "tasks": tasks}
    (folder / "book.json").write_text(json.dumps([play]), encoding="utf-8")
    interpreter = "ansible_python_interpreter={{ ansible_playbook_python }}"
    done = ansible("ansible-playbook", "-i", "localhost,", "-c", "local", "-e", interpreter, str(folder / "book.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    answers: list[str] = json.loads((folder / "answers").read_text(encoding="utf-8"))
    return [answer.strip() for answer in answers]


def release(days: float) -> dict[str, Any]:
    """Return a release that was verified so many days ago."""
    at = datetime.now(timezone.utc) - timedelta(days=days)
    text = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"version": "1", "images": [{"name": "shop", "newTag": "1"}], "commit": "1" * 40, "at": text}


CASES = [
    ("deploy", 1.5, 0, "True"),  # no limit
    ("deploy", 1.5, 2, "True"),
    ("deploy", 2.5, 2, "False"),  # too old
    ("rollback", 0.1, 0, "False"),  # no rollback of a rollback
]


@pytest.mark.parametrize(("kind", "days", "limit", "goes"), CASES)
def test_whether_a_failed_release_is_taken_back(tmp_path: Path, kind: str, days: float, limit: int, goes: str) -> None:
    failure = {
        "commit": "2" * 40,
        "error_class": "unhealthy",
        "code": "error",
        "verdict": "fail",
        "message": "it crashed",
    }
    claim = {"entry": {"kind": kind}, "last_verified": {"shop": release(days)}}
    given = {
        "deploy_application": "shop",
        "deploy_rollback_max_age": limit,
        "__deploy_claim": claim,
        "__deploy_failure": failure,
        "__deploy_edit": {"after": [{"name": "shop", "newTag": "2"}]},
    }
    told = decided(
        tmp_path, "__deploy_must_go_back ~ ' ' ~ __deploy_why_it_stays ~ ' ' ~ __deploy_failure_hold_scope", **given
    )
    assert told.startswith(goes), told
    if kind == "rollback":
        assert "a rollback is not rolled back" in told
        assert told.endswith("environment")
    elif goes == "False":
        assert "was verified 2 days ago, and deploy_rollback_max_age is 2" in told


@pytest.mark.parametrize(("days", "force", "refused"), [(1.5, False, False), (9.5, False, True), (9.5, True, False)])
def test_a_rollback_to_an_old_release_needs_force(tmp_path: Path, days: float, force: bool, refused: bool) -> None:
    earlier = dict(release(days), verified=True, refused="")
    given = {"__deploy_earlier": earlier, "deploy_rollback_max_age": 7, "deploy_rollback_force": force}
    told = decided(tmp_path, "__deploy_refused_rollback", deploy_application="shop", **given)
    assert bool(told) == refused, told
    assert "rollback_force" in told or not refused


SOURCE = {"repoURL": "https://git.example.com/team/deploy.git", "path": "apps/shop", "targetRevision": "main"}
IN_CLUSTER = "https://kubernetes.default.svc"


def application(**spec: Any) -> dict[str, Any]:
    """Return what argocd_app_info tells of an Application that follows the deploy repository of :data:`DELIVERY`."""
    destination = {"server": IN_CLUSTER, "namespace": "shop"}
    managed = [{"kind": "Deployment", "namespace": "web", "name": "shop"}]
    app = {"spec": {"source": SOURCE, "destination": destination, **spec}, "status": {"resources": managed}}
    return {"__deploy_found": {"applications": [summary(app)]}}


DELIVERY = {
    "deploy_application": "shop",
    "deploy_repository": "ssh://git@git.example.com/team/deploy.git",
    "deploy_path": "apps/shop",
}
ELSEWHERE = application(destination={"server": "https://far.example.com:6443", "namespace": "shop"})
#: What differs from a delivery that fits, and what the refusal says of it; nothing where it is accepted.
APPLICATIONS: list[tuple[dict[str, Any], list[str]]] = [
    (application(), []),
    (application(destination={"name": "in-cluster", "namespace": "shop"}), []),
    (application(destination={"server": IN_CLUSTER}), []),
    ({**ELSEWHERE, "deploy_cluster_server": "https://far.example.com:6443"}, []),
    ({**application(), "deploy_cluster_server": "https://far.example.com:6443"}, []),
    ({**application(), "deploy_namespace": "web"}, []),  # its manifests say so
    ({"__deploy_found": {"applications": []}}, ["does not exist", "deploy_argocd_application"]),
    (application(source=None, sources=[SOURCE]), ["several sources", "spec.source."]),
    (application(source={**SOURCE, "path": "apps/other"}), ["apps/other", "never be deployed", "deploy_path"]),
    (ELSEWHERE, ["the cluster https://far.example.com:6443", "deploy_kubeconfig", "deploy_cluster_server"]),
    (application(destination={"name": "far", "namespace": "shop"}), ["the cluster far", "deploy_cluster_server"]),
    (application(destination={}), ["the cluster none"]),
    (
        {**application(), "deploy_namespace": "shop-live"},
        ["namespace shop,", "namespace shop-live,", "deploy_namespace"],
    ),
    # The same repository, as it is written in other places.
    ({**application(), "deploy_repository": "git@git.example.com:team/deploy.git"}, []),
    ({**application(), "deploy_repository": "git.example.com:/team/deploy"}, []),
    ({**application(), "deploy_repository": "git@git.example.com:team/other.git"}, ["never be deployed"]),
    ({**application(), "deploy_repository": "git@other.example.com:team/deploy.git"}, ["never be deployed"]),
    ({**application(), "deploy_repository": "ssh://git@git.example.com:2222/team/deploy.git"}, []),
    ({**application(source={**SOURCE, "repoURL": "git@git.example.com:team/deploy.git"})}, []),
    (
        {
            **application(source={**SOURCE, "repoURL": "git@git.example.com:team/deploy.git"}),
            "deploy_repository": "git@git.example.com:team/deploy.git",
        },
        [],
    ),
]


def test_an_application_that_would_not_deploy_it_here_is_refused(tmp_path: Path) -> None:
    cases = [{**DELIVERY, **changes} for changes, _told in APPLICATIONS]
    answers = all_decided(tmp_path, "__deploy_refused_application", cases)
    for (changes, told), answer in zip(APPLICATIONS, answers):
        assert bool(answer) == bool(told), (changes, answer)
        assert all(text in answer for text in told), answer


def test_a_refusal_that_a_person_can_lift_tells_how(tmp_path: Path) -> None:
    outcomes = [{"verdict": "paused", "held": False}, {"verdict": "held", "held": True}, {"verdict": "declined"}]
    cases = [{"__deploy_outcome": outcome, "inventory_hostname": "shop_live"} for outcome in outcomes]
    paused, held, declined = all_decided(
        tmp_path, "__deploy_resume_advice if __deploy_is_closed | bool else 'nothing'", cases
    )
    assert paused == held
    assert "ansible-playbook slipway.gitops.resume -i localhost, -e" in paused
    assert paused.endswith('-e deploy_hosts=shop_live -e deploy_resume_reason="..."')
    assert declined == "nothing"
