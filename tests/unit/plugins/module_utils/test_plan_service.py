# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan of a delivery: its hash, what it finds out, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path
from typing import Any, Callable, Mapping, Optional

import pytest
import yaml

from ansible_collections.slipway.gitops.plugins.module_utils._errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    PermanentError,
    TransientError,
)
from ansible_collections.slipway.gitops.plugins.module_utils._git.tree import BranchTree
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.git_support import Remote
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.plan_support import (
    BASE,
    DIGEST,
    FILES,
    IMAGE,
    KUSTOMIZATION,
    PATH,
    UID,
    VALUES,
    FakeKube,
    application,
    deployment,
    make_plan,
)

LIVE = "/apis/apps/v1/namespaces/shop/deployments/shop"
OTHER_UID = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path, dict(FILES))


def edited(path: str, old: str, new: str) -> dict[str, Optional[str]]:
    text = FILES[path]
    assert old in text
    return {path: text.replace(old, new)}


def elsewhere() -> dict[str, Any]:
    """Return an Application that deploys to another namespace."""
    app = application()
    app["spec"]["destination"]["namespace"] = "shop-two"
    return app


Row = tuple[Mapping[str, Optional[str]], Mapping[str, Any], Mapping[str, Any]]
#: What changes between two plans: files in Git, the cluster, options.
VOID: dict[str, Row] = {
    "cluster": ({}, {"uid": OTHER_UID}, {"cluster": {"uid": OTHER_UID}}),
    "environment": ({}, {}, {"environment": "staging"}),
    "application": ({}, {}, {"application": "shop-two"}),
    "place of the application": ({}, {"app": elsewhere()}, {}),
    "digest now": ({}, {}, {"digests": {"now": "sha256:c", "next": "sha256:b"}}),
    "digest next": ({}, {}, {"digests": {"now": "sha256:a", "next": "sha256:c"}}),
    "touched file before": (edited(KUSTOMIZATION, "'1'", "'0'"), {}, {}),
    "touched file, a comment": (edited(KUSTOMIZATION, "images:", "# by hand\nimages:"), {}, {}),
    "what is set": ({}, {}, {"images": [{"name": IMAGE, "new_tag": "3"}]}),
    "rendered manifests": (edited(BASE, "replicas: 1", "replicas: 3"), {}, {}),
    "options of the Application": ({}, {"app": application(kustomize={"metadata": {"labels": {"a": "b"}}})}, {}),
}
SAME: dict[str, Row] = {
    "nothing": ({}, {}, {}),
    "unrelated file": ({"README.md": "other\n", "apps/other/x.yaml": "a: b\n"}, {}, {}),
    "file of the application that is not rendered": ({PATH + "/notes.txt": "x\n"}, {}, {}),
    "order of keys in a manifest": ({BASE: json.dumps(yaml.safe_load(FILES[BASE]), sort_keys=False)}, {}, {}),
    "commit of Argo CD": ({}, {"app": {**application(), "status": {"sync": {"revision": "f" * 40}}}}, {}),
    "health": ({}, {"app": {**application(), "status": {"health": {"status": "Degraded"}}}}, {}),
    "what is live": ({}, {"objects": {LIVE: deployment(replicas=9)}}, {}),
    "rights": ({}, {"refusal": lambda verb, path: Forbidden("apply", path, "no") if verb == "apply" else None}, {}),
    "server version": ({}, {}, {"cluster": {"uid": UID, "version": "v9.9.9"}}),
    "order of keys in the cluster's facts": ({}, {}, {"cluster": {"context": "x", "uid": UID}}),
    "server address": ({}, {}, {"cluster": {"uid": UID, "server": "https://elsewhere"}}),
    "queue": ({}, {}, {"shown": {"queue": {"holder": "somebody"}}}),
    "windows": ({}, {}, {"shown": {"windows": ["closed"]}}),
    "last backup": ({}, {}, {"shown": {"backup": "20260101T000000Z-1"}}),
    "order of keys in digests": ({}, {}, {"digests": {"next": "sha256:b", "now": "sha256:a"}}),
    "last verified release": ({}, {}, {"since": "e" * 40}),
    "name of the version": ({}, {}, {"version": "2.0"}),
}


def second_hash(remote: Remote, row: Row) -> tuple[str, str]:
    """Return the hash of a plan before and after one thing has changed."""
    digests = {"digests": {"now": "sha256:a", "next": "sha256:b"}}
    first = make_plan(remote, **digests)["hash"]
    written, kube, options = row
    if written:
        remote.write(dict(written))
    return first, make_plan(remote, FakeKube(**kube), **{**digests, **options})["hash"]


@pytest.mark.parametrize("name", VOID)
def test_each_ingredient_alone_voids_a_confirmation(remote: Remote, name: str) -> None:
    first, second = second_hash(remote, VOID[name])
    assert first != second


@pytest.mark.parametrize("name", SAME)
def test_nothing_else_does(remote: Remote, name: str) -> None:
    first, second = second_hash(remote, SAME[name])
    assert first == second


def test_time_is_not_hashed_and_anybody_can_compute_the_hash(remote: Remote) -> None:
    plan = make_plan(remote)["plan"]
    hashed = json.dumps(plan["hashed"], sort_keys=True, separators=(",", ":")).encode()
    assert plan["hash"] == hashlib.sha256(hashed).hexdigest()
    assert set(plan["hashed"]) == {"cluster_uid", "environment", "application", "digests", "files", "manifests"}


def test_plan_tells_what_changes(remote: Remote) -> None:
    objects = {LIVE: {**deployment(IMAGE + ":1"), "metadata": {"name": "shop", "namespace": "shop"}}}
    result = make_plan(remote, FakeKube(objects=objects), shown={"queue": {"holder": None}})
    plan = result["plan"]
    assert result["changed"] is False and result["files"] == []
    assert (plan["release"]["now"]["version"], plan["release"]["next"]["version"]) == ("1", "2")
    assert "+  newTag: '2'" in plan["git"]["diff"]
    assert [item["change"] for item in plan["render"]["objects"]] == ["changed"]
    assert "+      - image: %s:2" % IMAGE in plan["live"]["objects"][0]["diff"]
    assert plan["images"] == [{"reference": IMAGE + ":2", "used_by": ["Deployment shop"], "is_new": True}]
    for told in ("shop 2 -> production", "1 -> 2", UID, "holder=none", plan["hash"], "deploy_confirm="):
        assert told in result["text"]


def test_delivery_of_what_is_there_changes_nothing(remote: Remote) -> None:
    result = make_plan(remote, images=[{"name": IMAGE, "new_tag": "1"}], version="1")
    assert result["plan"]["git"]["changed"] is False
    assert "no commit will be made" in result["text"]


def test_commits_since_the_last_verified_release(remote: Remote) -> None:
    since = remote.tip()
    live = remote.write(edited(BASE, "replicas: 1", "replicas: 2"))
    remote.write({"README.md": "other\n"})
    tip = remote.write(edited(KUSTOMIZATION, "images:", "# x\nimages:"))
    app = {**application(), "status": {"sync": {"revision": live}}}
    commits = make_plan(remote, FakeKube(app=app), since=since)["plan"]["commits"]
    assert commits["total"] == 3
    assert [item["sha"] for item in commits["of_application"]] == [tip, live]
    assert [item["sha"] for item in commits["brought_live"]] == [tip]
    assert commits["of_application"][0]["author"] == "Other"


def test_passing_fault_of_git_is_ridden_out(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = BranchTree.fetch, []

    def fetch(self: BranchTree, since: str) -> tuple[str, bool]:
        calls.append(since)
        if len(calls) < 3:
            raise TransientError("fetch", "x", code="unreachable")
        return real(self, since)

    monkeypatch.setattr(BranchTree, "fetch", fetch)
    make_plan(remote)
    assert len(calls) == 3


def test_unknown_last_release_is_told(remote: Remote) -> None:
    assert "not listed" in make_plan(remote, since="e" * 40)["text"]


def test_g52_image_entry_that_changes_no_workload(remote: Remote) -> None:
    remote.write({KUSTOMIZATION: FILES[KUSTOMIZATION] + "- name: shop\n  newTag: '1'\n"})
    before = remote.state()
    with pytest.raises(PermanentError) as caught:
        make_plan(remote, images=[{"name": "shop", "new_tag": "2"}])
    assert caught.value.code == "no_effect"
    assert IMAGE + ":1" in str(caught.value)
    assert remote.state() == before


@pytest.mark.parametrize(
    "image, reference",
    [
        ({"name": IMAGE, "digest": DIGEST}, "%s@%s" % (IMAGE, DIGEST)),
        ({"name": IMAGE, "new_tag": "2", "new_name": "mirror.example.com/shop"}, "mirror.example.com/shop:2"),
    ],
)
def test_image_by_digest_and_from_elsewhere_counts(remote: Remote, image: dict[str, str], reference: str) -> None:
    assert [item["reference"] for item in make_plan(remote, images=[image])["plan"]["images"]] == [reference]


@pytest.mark.parametrize("key, code", [("image.tag", ""), ("other", "no_effect")])
def test_values_of_a_chart(remote: Remote, key: str, code: str) -> None:
    options = {"path": VALUES, "images": None, "values": [{"key": key, "value": "2"}], "renderer": "helm"}
    if not code:
        assert make_plan(remote, **options)["plan"]["images"][0]["reference"] == IMAGE + ":2"
        return
    with pytest.raises(PermanentError) as caught:
        make_plan(remote, **options)
    assert caught.value.code == code


def test_missing_right_is_named_and_the_plan_goes_on(remote: Remote) -> None:
    cause = 'deployments.apps "shop" is forbidden: User "x" cannot patch resource "deployments"'
    kube = FakeKube(refusal=lambda verb, path: Forbidden("apply", path, cause) if verb == "apply" else None)
    result = make_plan(remote, kube)
    assert result["plan"]["live"]["missing_rights"] == [cause]
    assert "a right is missing: " + cause in result["text"]
    assert "+      - image: %s:2" % IMAGE in result["text"], "the manifests' own diff takes its place"


def test_what_the_api_server_would_refuse_is_told_first(remote: Remote) -> None:
    error = PermanentError("apply", LIVE, "spec.selector: field is immutable", code="invalid")
    result = make_plan(remote, FakeKube(refusal=lambda verb, path: error if verb == "apply" else None))
    assert [item["code"] for item in result["plan"]["problems"]] == ["dry_run_refused"]
    assert "! Deployment shop/shop: spec.selector: field is immutable" in result["text"]


@pytest.mark.parametrize(
    "kube, options, code",
    [
        ({"uid": OTHER_UID}, {}, "cluster_mismatch"),
        ({}, {"cluster": {"server": "x"}}, "cluster_unpinned"),
        ({"app": {**application(), "spec": {"sources": [{}]}}}, {}, "multi_source"),
        ({"app": application(plugin={"name": "x"})}, {}, "unrenderable"),
        ({}, {"since": "abc"}, "invalid_input"),
        ({}, {"version": ""}, "invalid_input"),
        ({}, {"images": [{"name": "absent", "new_tag": "2"}]}, "image_missing"),
        ({}, {"images": [{"name": IMAGE, "new_tag": "latest"}]}, "tag_denied"),
        ({"app": application(path="../elsewhere")}, {}, "invalid_input"),
    ],
)
def test_refusals(remote: Remote, kube: dict[str, Any], options: dict[str, Any], code: str) -> None:
    with pytest.raises(PermanentError) as caught:
        make_plan(remote, FakeKube(**kube), **options)
    assert caught.value.code == code


def test_missing_folder_of_the_application(remote: Remote) -> None:
    with pytest.raises(NotFound, match="no such folder"):
        make_plan(remote, FakeKube(app=application(path="apps/none")))


def test_link_out_of_the_repository_is_refused(remote: Remote) -> None:
    remote.write({"apps/shop/link": "/etc/passwd"}, mode="120000")
    with pytest.raises(PermanentError, match=r"apps/shop/link leads out"):
        make_plan(remote)


@pytest.mark.parametrize("make", [lambda: "\x1b[31mred", lambda: {"a\x07": ["\x1b]0;title"]}])
def test_terminal_is_not_steered_by_what_is_shown(remote: Remote, make: Callable[[], Any]) -> None:
    result = make_plan(remote, shown={"note": make()})
    assert "\x1b" not in result["text"] and "\x07" not in json.dumps(result["plan"], ensure_ascii=False)


def test_files_are_private_whole_and_not_written_in_check_mode(remote: Remote, tmp_path: Path) -> None:
    dest = tmp_path / "plans"
    assert make_plan(remote, check_mode=True, dest=str(dest))["files"] == []
    assert not dest.exists()
    result = make_plan(remote, dest=str(dest))
    assert sorted(result["files"]) == [str(dest / "plan.json"), str(dest / "plan.txt")]
    assert json.loads((dest / "plan.json").read_text()) == result["plan"]
    assert (dest / "plan.txt").read_text() == result["text"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in dest.iterdir()} == {0o600}
    assert sorted(path.name for path in dest.iterdir()) == ["plan.json", "plan.txt"]


def test_other_cluster_of_the_application_is_not_compared(remote: Remote) -> None:
    app = application()
    app["spec"]["destination"]["server"] = "https://other.example.com"
    kube = FakeKube(app=app)
    assert "another cluster" in make_plan(remote, kube)["plan"]["live"]["note"]
    assert "apply" not in {verb for verb, _path in kube.asked}


def test_facts_must_be_plain_data(remote: Remote) -> None:
    with pytest.raises(InvalidInput):
        make_plan(remote, shown={"x": {1, 2}})
