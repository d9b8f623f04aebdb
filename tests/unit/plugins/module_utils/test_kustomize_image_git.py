# SPDX-License-Identifier: GPL-3.0-or-later
"""Setting images in a real repository: the normal path, races, faults and refusals."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from ansible_collections.slipway.gitops.plugins.module_utils import _process
from ansible_collections.slipway.gitops.plugins.module_utils._clock import SystemClock
from ansible_collections.slipway.gitops.plugins.module_utils._edit import service
from ansible_collections.slipway.gitops.plugins.module_utils._entry import _git_edit, kustomize_image
from ansible_collections.slipway.gitops.plugins.module_utils._errors import (
    CorruptError,
    FencedError,
    InvalidInput,
    NotFound,
    PermanentError,
    TransientError,
)
from ansible_collections.slipway.gitops.plugins.module_utils._git import repository
from ansible_collections.slipway.gitops.plugins.module_utils._lease import NoLease
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.git_support import (
    BASE,
    FILE,
    PATH,
    Remote,
    context,
    image,
    parameters,
    set_image,
)

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.fixture
def remote(tmp_path):
    return Remote(tmp_path)


@pytest.fixture
def private_temp(tmp_path, monkeypatch):
    """A temporary folder of our own, so that what is left in it can be counted."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


def lease(fence, entry="01ENTRY", environment="staging"):
    return {
        "backend": "sqlite",
        "path": "/q",
        "environment": environment,
        "entry": entry,
        "fence": fence,
        "token": "t",
        "ttl": 120,
    }


@pytest.fixture
def held(monkeypatch):
    """Replace the queue's answer by "still yours": these tests are about Git."""
    required = []

    class FakeLease(NoLease):
        def require(self, seconds):
            required.append(seconds)

    monkeypatch.setattr(_git_edit, "lease_of", lambda params, ctx: FakeLease())
    return required


@pytest.fixture
def before_push(monkeypatch):
    """Let something happen between our fetch and our push, once."""

    def install(action):
        real = repository.Repository.push
        pending = [action]

        def push(self, commit, parent, timeout_s):
            if pending:
                pending.pop()()
            real(self, commit, parent, timeout_s)

        monkeypatch.setattr(repository.Repository, "push", push)

    return install


# The normal path


def test_one_commit_changes_one_line_and_names_the_delivery(remote, tmp_path, held):
    old = remote.tip()
    result = set_image(
        tmp_path, remote.url, app="shop", version="v2", lease=lease(7), trailers={"Source-Commit": "abc"}
    )
    assert result["changed"] and result["pushed"]
    assert result["attempts"] == 1
    assert result["commit"] == remote.tip()
    assert remote.git("rev-parse", "main^") == old
    assert remote.read() == BASE.replace("newTag: v1", "newTag: v2", 1)
    assert remote.git("diff", "--numstat", old, "main", "--", FILE).split()[:2] == ["1", "1"]
    assert sorted(remote.git("diff", "--name-only", old, "main").split()) == [".slipway/fences/staging", FILE]
    assert remote.git("show", "-s", "--format=%s", "main") == "Deploy shop v2"
    trailers = remote.git("show", "-s", "--format=%(trailers:only,unfold)", "main").splitlines()
    assert trailers == [
        "Deploy-Kind: deploy", "Deploy-App: shop", "Deploy-Version: v2", "Deploy-Environment: staging",
        "Deploy-Entry: 01ENTRY", "Deploy-Fence: 7", "Source-Commit: abc",
    ]  # fmt: skip
    assert yaml.safe_load(remote.read(".slipway/fences/staging")) == {
        "fence": 7,
        "entry": "01ENTRY",
        "release": "shop v2",
    }
    assert held == [service.PUSH_S, service.PUSH_S]
    assert (result["before"][0]["newTag"], result["after"][0]["newTag"]) == ("v1", "v2")
    assert (result["branch"], result["path"]) == ("main", FILE)
    remote.git("fsck", "--strict")


def test_the_same_again_makes_no_commit_and_returns_the_tip(remote, tmp_path):
    first = set_image(tmp_path, remote.url)
    objects = remote.state()
    again = set_image(tmp_path, remote.url)
    assert not again["changed"]
    assert not again["pushed"]
    assert again["commit"] == first["commit"] == remote.tip()
    assert remote.state() == objects


def test_check_mode_shows_the_diff_and_touches_nothing(remote, tmp_path, monkeypatch, private_temp):
    before = remote.state()
    commands = []
    real = _process.run
    monkeypatch.setattr(
        "ansible_collections.slipway.gitops.plugins.module_utils._git.session.run",
        lambda command, **more: commands.append(command.argv[1]) or real(command, **more),
    )
    ctx = context(tmp_path, check_mode=True, diff=True, env={"TMPDIR": str(private_temp)})
    result = set_image(tmp_path, remote.url, ctx)
    assert result["changed"]
    assert not result["pushed"]
    assert result["commit"] == remote.tip()
    assert result["diff"]["before"] == BASE
    assert result["diff"]["after"] == BASE.replace("v1", "v2", 1)
    assert remote.state() == before
    assert commands == ["fetch", "cat-file"]
    assert list(private_temp.iterdir()) == []


def test_the_normal_path_talks_to_the_server_twice(remote, tmp_path, monkeypatch):
    commands = []
    real = _process.run
    monkeypatch.setattr(
        "ansible_collections.slipway.gitops.plugins.module_utils._git.session.run",
        lambda command, **more: commands.append(command.argv[1]) or real(command, **more),
    )
    log = tmp_path / "connections"
    wrapper = tmp_path / "bin" / "git-upload-pack"
    wrapper.parent.mkdir()
    wrapper.write_text('#!/bin/sh\necho upload >>%s\nexec git upload-pack "$@"\n' % log, encoding="utf-8")
    wrapper.chmod(0o755)
    env = {"PATH": "%s:%s" % (wrapper.parent, os.environ["PATH"])}
    set_image(tmp_path, remote.url, context(tmp_path, env=env))
    assert commands == ["fetch", "cat-file", "fast-import", "push"]
    if log.exists():  # git takes upload-pack from its own folder where it is built that way
        assert log.read_text().split() == ["upload"]


def test_many_images_are_one_commit(remote, tmp_path):
    result = set_image(tmp_path, remote.url, images=[image(), image(name="other"), image(name="r/new", create=True)])
    assert remote.count() == 2
    assert [entry["newTag"] for entry in yaml.safe_load(remote.read())["images"]] == ["v2", "v2", "v2"]
    assert result["before"][2] == {"name": "r/new", "newName": None, "newTag": None, "digest": None}


def test_a_rollback_restores_the_recorded_state_and_leaves_other_files_alone(remote, tmp_path):
    good = set_image(tmp_path, remote.url, images=[image("v2")])["after"]
    set_image(tmp_path, remote.url, images=[{"name": "shop", "new_name": "r.io/shop", "digest": DIGEST}])
    remote.write({"README.md": "someone else\n"})
    recorded = [
        {"name": s["name"], "new_name": s["newName"], "new_tag": s["newTag"], "digest": s["digest"]} for s in good
    ]
    result = set_image(
        tmp_path, remote.url, images=recorded, kind="rollback", app="shop", version="v2", deny_tags=["v*"]
    )
    assert result["after"] == good
    assert remote.read() == BASE.replace("v1", "v2", 1)
    assert remote.read("README.md") == "someone else\n"
    assert remote.git("show", "-s", "--format=%s", "main") == "Roll back shop v2"


def test_a_file_or_folder_at_the_top_and_its_mode(tmp_path):
    remote = Remote(tmp_path, {"README.md": "x\n"})
    remote.write({"Kustomization": BASE}, mode="100755")
    result = set_image(tmp_path, remote.url, path=".")
    assert result["path"] == "Kustomization"
    assert remote.git("ls-tree", "main", "Kustomization").startswith("100755 ")
    assert not set_image(tmp_path, remote.url, path="./Kustomization")["changed"]


def test_a_large_file_and_a_server_without_filters_work_too(remote, tmp_path):
    large = BASE + "".join("# line %d\n" % number for number in range(2000))
    remote.write({FILE: large})
    assert set_image(tmp_path, remote.url)["changed"]
    remote.git("config", "uploadpack.allowFilter", "false")
    assert set_image(tmp_path, remote.url, images=[image("v3")])["changed"]
    assert remote.read() == large.replace("v1", "v3", 1)


def test_odd_names_in_the_path(remote, tmp_path):
    odd = 'dir with space/ü"q\\x'
    tree = remote.git("mktree", data="100644 blob %s\tkustomization.yaml\n" % remote.git("rev-parse", "main:" + FILE))
    inner = remote.git("mktree", "-z", data='040000 tree %s\tü"q\0' % tree)
    top = remote.git("mktree", data="040000 tree %s\tdir with space\n" % inner)
    commit = remote.git("-c", "user.name=o", "-c", "user.email=o@o", "commit-tree", "-m", "m", "-p", "main", top)
    remote.git("update-ref", "refs/heads/main", commit)
    assert set_image(tmp_path, remote.url, path='dir with space/ü"q')["changed"]
    with pytest.raises(InvalidInput):
        set_image(tmp_path, remote.url, path=odd)


# Races


def test_a_race_about_another_file_lands_both(remote, tmp_path, before_push):
    before_push(lambda: remote.write({"README.md": "theirs\n"}))
    result = set_image(tmp_path, remote.url)
    assert result["attempts"] == 2
    assert remote.read("README.md") == "theirs\n"
    assert "newTag: v2" in remote.read()
    assert remote.count() == 3


def test_a_race_about_another_image_of_the_file_lands_both(remote, tmp_path, before_push):
    before_push(lambda: remote.write({FILE: BASE.replace("other\n  newTag: v1", "other\n  newTag: v9")}))
    set_image(tmp_path, remote.url)
    assert [entry["newTag"] for entry in yaml.safe_load(remote.read())["images"]] == ["v2", "v9"]


def test_a_race_about_the_same_image_is_told(remote, tmp_path, before_push):
    warnings = []
    before_push(lambda: remote.write({FILE: BASE.replace("v1", "v5", 1)}))
    set_image(tmp_path, remote.url, context(tmp_path, warn=warnings.append))
    assert "newTag: v2" in remote.read()
    assert len(warnings) == 1
    assert "image 'shop'" in warnings[0]
    assert "v5" in warnings[0]


def test_a_race_that_did_our_work_ends_without_a_commit(remote, tmp_path, before_push):
    before_push(lambda: remote.write({FILE: BASE.replace("v1", "v2", 1)}))
    result = set_image(tmp_path, remote.url)
    assert not result["changed"]
    assert result["commit"] == remote.tip()
    assert remote.count() == 2


def test_a_race_against_a_later_delivery_is_fenced(remote, tmp_path, held, before_push):
    before_push(lambda: set_image(tmp_path / "b", remote.url, images=[image("v3")], lease=lease(8, "LATER")))
    with pytest.raises(FencedError) as caught:
        set_image(tmp_path, remote.url, lease=lease(7))
    assert "number 8" in str(caught.value)
    assert "newTag: v3" in remote.read()
    assert remote.count() == 2


FENCES = [
    (7, "01ENTRY", b"fence: 6\nentry: X\n", None),
    (7, "01ENTRY", b"fence: 7\nentry: 01ENTRY\n", None),
    (7, "01ENTRY", b"fence: 8\nentry: X\n", FencedError),
    (7, "01ENTRY", b"fence: 7\nentry: X\n", FencedError),
    (7, "01ENTRY", b"garbage\n", CorruptError),
    (7, "01ENTRY", b"fence: -1\n", CorruptError),
]


@pytest.mark.parametrize(("fence", "entry", "stored", "error"), FENCES)
def test_the_fence_of_the_tip_decides_before_anything_is_written(remote, tmp_path, held, fence, entry, stored, error):
    remote.write({".slipway/fences/staging": stored.decode()})
    before = remote.state()
    if error is None:
        assert set_image(tmp_path, remote.url, lease=lease(fence, entry))["changed"]
    else:
        with pytest.raises(error):
            set_image(tmp_path, remote.url, lease=lease(fence, entry))
        assert remote.state() == before


def test_fences_of_other_environments_do_not_matter(remote, tmp_path, held):
    remote.write({".slipway/fences/production": "fence: 99\nentry: X\n"})
    assert set_image(tmp_path, remote.url, lease=lease(1))["changed"]


def test_a_lost_lease_stops_before_the_push(remote, tmp_path, monkeypatch):
    class FakeLostLease(NoLease):
        def require(self, seconds):
            raise FencedError("renew", "the lease", "it was taken over")

    monkeypatch.setattr(_git_edit, "lease_of", lambda params, ctx: FakeLostLease())
    before = remote.state()
    with pytest.raises(FencedError):
        set_image(tmp_path, remote.url, lease=lease(1))
    assert remote.state() == before


def _pusher(arguments):
    folder, url, number, rounds = arguments
    Path(folder).mkdir(exist_ok=True)
    ctx = context(Path(folder), env={"SLIPWAY_CACHE": str(Path(folder).parent / "cache")})
    results = []
    for turn in range(rounds):
        change = {"images": [image("t%d-%d" % (number, turn), "app%d" % number)], "timeout": 120.0}
        results.append(kustomize_image.run(parameters(url, **change), ctx))
    return [(result["commit"], result["attempts"]) for result in results]


def test_sixteen_pushers_lose_no_commit(tmp_path):
    pushers, rounds = 16, 6
    text = "images:\n" + "".join("- name: app%d\n  newTag: t0\n" % number for number in range(pushers))
    remote = Remote(tmp_path, {FILE: text})
    work = [(str(tmp_path / ("p%d" % number)), remote.url, number, rounds) for number in range(pushers)]
    with multiprocessing.get_context("fork").Pool(pushers) as pool:
        results = [pair for pairs in pool.map(_pusher, work, 1) for pair in pairs]
    commits = {commit for commit, _attempts in results}
    assert len(commits) == pushers * rounds
    assert remote.count() == 1 + pushers * rounds
    assert commits == set(remote.git("rev-list", "main").split()) - {remote.git("rev-list", "--max-parents=0", "main")}
    assert max(attempts for _commit, attempts in results) <= 2
    assert [entry["newTag"] for entry in yaml.safe_load(remote.read())["images"]] == [
        "t%d-5" % n for n in range(pushers)
    ]
    remote.git("fsck", "--strict")


def test_pushers_of_several_machines_lose_no_commit(tmp_path):
    """No lock in common: the compare-and-swap of the push alone."""
    pushers, rounds = 4, 3
    text = "images:\n" + "".join("- name: app%d\n  newTag: t0\n" % number for number in range(pushers))
    remote = Remote(tmp_path, {FILE: text})
    work = [(str(tmp_path / ("m%d" % n) / "p"), remote.url, n, rounds) for n in range(pushers)]
    for item in work:
        Path(item[0]).parent.mkdir()
    with multiprocessing.get_context("fork").Pool(pushers) as pool:
        pool.map(_pusher, work, 1)
    assert remote.count() == 1 + pushers * rounds


# Faults


def fake_git(folder, script):
    """Put a program named git before the real one: for faults that a real one does not show on demand."""
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    fake = folder / "fakebin" / "git"
    fake.parent.mkdir(exist_ok=True)
    fake.write_text(
        '#!/bin/sh\nreal=%s\nstate=%s\n%s\nexec $real "$@"\n' % (real, folder / "state", script), encoding="utf-8"
    )
    fake.chmod(0o755)
    return {"PATH": "%s:%s" % (fake.parent, os.environ["PATH"])}


LOSE_REPLY = """
if [ "$1" = push ] && [ ! -e $state ]; then
  touch $state
  $real "$@" >/dev/null 2>&1
  echo 'fatal: the remote end hung up unexpectedly' >&2
  exit 128
fi"""


def test_a_push_whose_answer_was_lost_is_recognised(remote, tmp_path):
    result = set_image(tmp_path, remote.url, context(tmp_path, env=fake_git(tmp_path, LOSE_REPLY)))
    assert result["changed"]
    assert result["commit"] == remote.tip()
    assert result["attempts"] == 1
    assert remote.count() == 2


@pytest.mark.parametrize(
    ("hook", "condition", "attempts"),
    [("pre-receive", "true", 2), ("reference-transaction", '[ "$1" = committed ]', 1)],
    ids=["before", "after"],
)
def test_a_server_that_dies_while_it_takes_the_push(remote, tmp_path, hook, condition, attempts):
    """The real thing: receive-pack is killed before or after it moved the branch."""
    once = tmp_path / "killed"
    remote.hook(hook, "%s && [ ! -e %s ] && touch %s && kill -9 $PPID\nexit 0\n" % (condition, once, once))
    result = set_image(tmp_path, remote.url)
    assert once.exists()
    assert result["changed"]
    assert result["commit"] == remote.tip()
    assert remote.count() == 2
    assert result["attempts"] == attempts


def test_a_branch_that_stays_locked_on_the_server_is_told_in_the_end(remote, tmp_path):
    (remote.folder / "refs/heads/main.lock").touch()
    with pytest.raises(TransientError) as caught:
        set_image(tmp_path, remote.url, timeout=5.0)
    assert caught.value.code == "lost_race"
    assert remote.count() == 1


def test_a_lost_answer_with_another_commit_on_top_is_recognised(remote, tmp_path):
    script = LOSE_REPLY.replace(
        "echo 'fatal", "touch $state.push; while [ ! -e $state.other ]; do sleep 0.01; done; echo 'fatal"
    )
    ctx = context(tmp_path, env=fake_git(tmp_path, script))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(kustomize_image.run, parameters(remote.url), ctx)
        while not (tmp_path / "state.push").exists():
            assert not running.done()
            time.sleep(0.01)
        ours = remote.tip()
        remote.write({"README.md": "on top\n"})
        (tmp_path / "state.other").touch()
        result = running.result(20)
    assert result["commit"] == ours
    assert remote.count() == 3


def test_a_push_that_never_arrived_is_repeated(remote, tmp_path):
    script = LOSE_REPLY.replace('$real "$@" >/dev/null 2>&1', ":")
    result = set_image(tmp_path, remote.url, context(tmp_path, env=fake_git(tmp_path, script)))
    assert result["attempts"] == 2
    assert remote.count() == 2


def test_an_unknown_outcome_is_said_when_the_server_stays_away(remote, tmp_path):
    script = """
if [ "$1" = push ] || { [ "$1" = fetch ] && [ -e $state ]; }; then
  touch $state; echo 'ssh: connect to host x port 22: Connection refused' >&2; exit 128
fi"""
    with pytest.raises(TransientError) as caught:
        set_image(tmp_path, remote.url, context(tmp_path, env=fake_git(tmp_path, script)), timeout=1.5)
    assert caught.value.code == "push_unknown"
    assert re.fullmatch("[0-9a-f]{40}", caught.value.result["commit"])


def test_a_server_that_hangs_ends_at_the_timeout(remote, tmp_path, private_temp):
    env = dict(fake_git(tmp_path, '[ "$1" = fetch ] && sleep 60'), TMPDIR=str(private_temp))
    started = time.monotonic()
    with pytest.raises(TransientError) as caught:
        set_image(tmp_path, remote.url, context(tmp_path, env=env), timeout=1.0)
    assert caught.value.code == "timeout"
    assert time.monotonic() - started < 5
    assert list(private_temp.iterdir()) == []


def test_a_passing_fault_of_the_first_fetch_is_retried(remote, tmp_path):
    script = '[ "$1" = fetch ] && [ ! -e $state ] && { touch $state; echo "fatal: early EOF" >&2; exit 128; }'
    assert set_image(tmp_path, remote.url, context(tmp_path, env=fake_git(tmp_path, script)))["changed"]


def remove_branch(remote):
    remote.git("update-ref", "-d", "refs/heads/main")


def rewrite(remote):
    first = remote.git(
        "-c", "user.name=o", "-c", "user.email=o@o", "commit-tree", "-m", "new", remote.git("rev-parse", "main^{tree}")
    )
    remote.git("update-ref", "refs/heads/main", first)


def take_back(remote):
    remote.git("update-ref", "refs/heads/main", "main^")


@pytest.mark.parametrize(
    ("action", "code"),
    [(remove_branch, "ref_missing"), (rewrite, "history_rewritten"), (take_back, "history_rewritten")],
    ids=["deleted", "rewritten", "taken back"],
)
def test_a_branch_that_was_not_only_extended_is_left_alone(remote, tmp_path, before_push, action, code):
    remote.write({"README.md": "second\n"})
    before_push(lambda: action(remote))
    with pytest.raises(PermanentError) as caught:
        set_image(tmp_path, remote.url)
    assert caught.value.code == code
    refs = remote.git("for-each-ref")
    assert "v2" not in (remote.read() if refs else "")


def test_a_refusing_hook_is_named_and_not_asked_again(remote, tmp_path):
    calls = tmp_path / "calls"
    remote.hook("pre-receive", "echo x >>%s\necho 'branch is protected' >&2\nexit 1\n" % calls)
    with pytest.raises(PermanentError) as caught:
        set_image(tmp_path, remote.url)
    assert caught.value.code == "rejected"
    assert "branch is protected" in str(caught.value)
    assert calls.read_text().count("x") == 1
    assert remote.count() == 1


def test_an_exception_from_ansible_leaves_nothing_behind(remote, tmp_path, private_temp, monkeypatch):
    class FakeTaskTimeout(BaseException):
        pass

    def interrupted(self, *_args):
        raise FakeTaskTimeout

    monkeypatch.setattr(repository.Repository, "push", interrupted)
    with pytest.raises(FakeTaskTimeout):
        set_image(tmp_path, remote.url, context(tmp_path, env={"TMPDIR": str(private_temp)}))
    assert list(private_temp.iterdir()) == []
    monkeypatch.undo()
    assert set_image(tmp_path, remote.url, timeout=3.0)["changed"], "the lock was released"


def test_a_cache_that_cannot_be_written_costs_only_the_lock(remote, tmp_path):
    warnings = []
    ctx = context(tmp_path, warn=warnings.append, env={"SLIPWAY_CACHE": "/proc/nowhere"})
    assert set_image(tmp_path, remote.url, ctx)["changed"]
    assert len(warnings) == 1


# Refusals: everything before any side effect, each naming its option

LONG = "a" * 5000
REFUSED = [
    ("repo", {"repo": "ext::sh -c touch% pwned"}),
    ("repo", {"repo": "--upload-pack=touch pwned"}),
    ("repo", {"repo": "-oProxyCommand=touch pwned"}),
    ("repo", {"repo": "ssh://-oProxyCommand=x/y"}),
    ("repo", {"repo": "-x@host:path"}),
    ("repo", {"repo": "git@-host:path"}),
    ("repo", {"repo": "git@host:-path"}),
    ("repo", {"repo": "git://host/path"}),
    ("repo", {"repo": "ftp://host/path"}),
    ("repo", {"repo": "fd::17/foo"}),
    ("repo", {"repo": "https:///host"}),
    ("repo", {"repo": "https://user:%s@host/path" % "canary"}),
    ("repo", {"repo": "https://user@host/path"}),
    ("repo", {"repo": "http://example.org/path"}),
    ("repo", {"repo": "https://host/path\nX: y"}),
    ("repo", {"repo": "https://host/pa th"}),
    ("repo", {"repo": "https://host/$(id)"}),
    ("repo", {"repo": ""}),
    ("repo", {"repo": "relative/path"}),
    ("repo", {"repo": "https://host/" + LONG}),
    ("repo", {"allow_file_urls": False}),
    ("repo", {"repo": "{{ lookup('pipe', 'id') }}"}),
    ("branch", {"branch": "-f"}),
    ("branch", {"branch": "--force"}),
    ("branch", {"branch": "refs/heads/../x"}),
    ("branch", {"branch": "refs/heads/main"}),
    ("branch", {"branch": "@{-1}"}),
    ("branch", {"branch": "@"}),
    ("branch", {"branch": "a..b"}),
    ("branch", {"branch": "a.lock"}),
    ("branch", {"branch": "a/.b"}),
    ("branch", {"branch": "a//b"}),
    ("branch", {"branch": "a b"}),
    ("branch", {"branch": "a:b"}),
    ("branch", {"branch": "+main"}),
    ("branch", {"branch": "main^"}),
    ("branch", {"branch": "HEAD"}),
    ("branch", {"branch": ""}),
    ("branch", {"branch": "0" * 40}),
    ("path", {"path": ""}),
    ("path", {"path": "/etc"}),
    ("path", {"path": "../x"}),
    ("path", {"path": "apps/../../x"}),
    ("path", {"path": "apps/../shop"}),
    ("path", {"path": ".git/config"}),
    ("path", {"path": "apps/.GIT/x"}),
    ("path", {"path": "apps/git~1/x"}),
    ("path", {"path": "a\nb"}),
    ("path", {"path": "a\\b"}),
    ("path", {"path": "~/x"}),
    ("path", {"path": "apps/nowhere"}),
    ("path", {"path": "README.md"}),
    ("path", {"path": "two"}),
    ("path", {"path": "link"}),
    ("path", {"path": "link/kustomization.yaml"}),
    ("path", {"path": "linked-file"}),
    ("path", {"path": "sub"}),
    ("path", {"path": "sub/x"}),
    ("images", {"images": []}),
    ("images", {"images": [image(name="absent")]}),
    ("images", {"images": [image(), image("v3")]}),
    ("images[0].new_tag", {"images": [image("latest")]}),
    ("images[0].new_tag", {"images": [image("")]}),
    ("images[0].new_tag", {"images": [image("{{ x }}")]}),
    ("images[0].digest", {"images": [{"name": "shop", "digest": "sha256:abc"}]}),
    ("author_name", {"author_name": "a\nb"}),
    ("author_name", {"author_name": "a <b>"}),
    ("author_email", {"author_email": "<>"}),
    ("commit_message", {"commit_message": "a\x00b"}),
    ("commit_message", {"commit_message": "a\rb"}),
    ("commit_message", {"commit_message": LONG}),
    ("app", {"app": "a\nDeploy-Fence: 99"}),
    ("app", {"app": ""}),
    ("version", {"version": ""}),
    ("version", {"version": "1\n2"}),
    ("trailers", {"trailers": {"Deploy-Fence": "9"}}),
    ("trailers", {"trailers": {"a b": "9"}}),
    ("trailers.X", {"trailers": {"X": "9\nDeploy-Fence: 99"}}),
    ("timeout", {"timeout": 0.0}),
    ("timeout", {"timeout": -1.0}),
    ("timeout", {"timeout": float("nan")}),
    ("key_file", {"key_file": "/nonexistent"}),
    ("known_hosts", {"known_hosts": "/nonexistent"}),
    ("ca_cert", {"ca_cert": "/nonexistent"}),
    ("password", {"password": "secret"}),
    ("username", {"username": "a'b"}),
    ("lease.environment", {"lease": lease(1, environment="../x")}),
    ("lease.entry", {"lease": lease(1, entry="a\nb")}),
    ("lease.fence", {"lease": lease(0)}),
]


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """A repository with everything a path should not name."""
    remote = Remote(tmp_path_factory.mktemp("crowded"))
    remote.write({"two/kustomization.yaml": BASE, "two/kustomization.yml": BASE})
    remote.write({"link": PATH, "linked-file": FILE}, mode="120000")
    remote.write({"sub": "1" * 40}, mode="160000")
    return remote


@pytest.mark.parametrize(
    ("option", "changes"), REFUSED, ids=lambda value: None if isinstance(value, str) else json.dumps(value)[:40]
)
def test_bad_input_is_refused_with_its_option_and_no_side_effect(crowded, tmp_path, held, monkeypatch, option, changes):
    monkeypatch.chdir(tmp_path)
    before = crowded.state()
    with pytest.raises(InvalidInput) as caught:
        set_image(tmp_path, **dict({"repo": crowded.url}, **changes))
    assert caught.value.option == option
    assert "Option '%s'" % option in str(caught.value)
    assert "canary" not in str(caught.value)
    assert crowded.state() == before
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("link", "symbolic link"),
        ("link/kustomization.yaml", "symbolic link"),
        ("linked-file", "symbolic link"),
        ("sub", "submodule"),
        ("sub/x", "submodule"),
    ],
)
def test_what_leads_elsewhere_is_named(crowded, tmp_path, path, kind):
    with pytest.raises(InvalidInput) as caught:
        set_image(tmp_path, crowded.url, path=path)
    assert kind in str(caught.value)


def test_a_repository_that_does_not_exist_or_answer(tmp_path):
    with pytest.raises(NotFound) as caught:
        set_image(tmp_path, "file://%s/none.git" % tmp_path)
    assert caught.value.code == "repo_missing"
    with pytest.raises(TransientError) as unreachable:
        set_image(tmp_path, "https://127.0.0.1:9/none.git", allow_file_urls=False, timeout=5.0)
    assert unreachable.value.code == "unreachable"
    assert "option repo" in str(unreachable.value)


def test_a_branch_that_does_not_exist(remote, tmp_path):
    with pytest.raises(NotFound) as caught:
        set_image(tmp_path, remote.url, branch="gone")
    assert caught.value.code == "ref_missing"


def test_a_tag_of_the_same_name_is_not_taken_for_the_branch(remote, tmp_path):
    remote.git("tag", "main", remote.write({FILE: BASE.replace("v1", "tagged")}, branch="elsewhere"))
    result = set_image(tmp_path, remote.url)
    assert result["before"][0]["newTag"] == "v1"
    assert remote.git("rev-parse", "refs/heads/main") == result["commit"]


def test_trailers_cannot_be_forged(remote, tmp_path, held):
    text = "Ship it\n\nbecause\nDeploy-Fence: 99\n deploy-entry : X\nDEPLOY-FENCE: 98"
    set_image(tmp_path, remote.url, commit_message=text, lease=lease(3))
    trailers = remote.git("show", "-s", "--format=%(trailers:only,unfold)", "main")
    assert re.findall("(?im)^deploy-(?:fence|entry) ?:.*", trailers) == ["Deploy-Entry: 01ENTRY", "Deploy-Fence: 3"]
    set_image(tmp_path, remote.url, commit_message="Deploy-Fence: 99", images=[image("v3")])
    assert not re.search("(?im)^deploy-fence", remote.git("show", "-s", "--format=%B", "main"))


# What git is allowed to do


def test_nothing_of_the_user_the_machine_or_the_repository_takes_part(remote, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        '[url "file:///nowhere/"]\n\tinsteadOf = file://\n'
        "[core]\n\thooksPath = %s\n[alias]\n\tfetch = !touch %s/pwned\n" % (home, home)
    )
    for name in ("pre-push", "reference-transaction", "post-commit"):
        (home / name).write_text("#!/bin/sh\ntouch %s/pwned\n" % home)
        (home / name).chmod(0o755)
    remote.write({".gitattributes": "* filter=evil diff=evil\n", "link": "/etc/passwd"})
    hostile = {
        "HOME": str(home),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.hooksPath",
        "GIT_CONFIG_VALUE_0": str(home),
        "GIT_SSH_COMMAND": "touch %s/pwned" % home,
        "GIT_EXTERNAL_DIFF": "touch %s/pwned" % home,
        "GIT_TRACE": "%s/pwned" % home,
        "GIT_INDEX_FILE": "/nowhere",
        "GIT_WORK_TREE": "/nowhere",
        "GIT_SSL_NO_VERIFY": "1",
    }
    assert set_image(tmp_path, remote.url, context(tmp_path, env=hostile))["changed"]
    assert not (home / "pwned").exists()


def test_git_gets_clean_arguments_and_environment(remote, tmp_path):
    log = tmp_path / "argv"
    env = fake_git(tmp_path, 'printf "%%s\\0" "$@" >>%s; echo >>%s; env | grep -c CANARY >>%s' % (log, log, log))
    set_image(tmp_path, remote.url, context(tmp_path, env=dict(env, CANARY_TOKEN="canary")))
    text = log.read_text()
    assert "--end-of-options" in text
    assert "--force\0" not in text
    assert "\0-f\0" not in text
    assert "+refs/heads/main:refs/heads" not in text
    assert re.findall("(?m)^[0-9]+$", text) == ["0"] * 4


def test_a_bare_edit_of_500_files_stays_fast(tmp_path):
    remote = Remote(tmp_path, dict({"f%d/a.yaml" % n: "x: %d\n" % n for n in range(500)}, **{FILE: BASE}))
    durations = []
    for turn in range(5):
        started = time.perf_counter()
        set_image(tmp_path, remote.url, images=[image("t%d" % turn)])
        durations.append(time.perf_counter() - started)
    assert min(durations) < 1  # 80 ms is the aim on a memory disk; the margin is for busy test machines


def test_time_is_taken_from_the_clock(remote, tmp_path):
    result = set_image(tmp_path, remote.url)
    assert 0 < result["seconds"] < 20
    assert abs(int(remote.git("show", "-s", "--format=%ct", "main")) - SystemClock().wall()) < 20
