# SPDX-License-Identifier: GPL-3.0-or-later
"""Setting values in a real repository: what is its own beside the edit of a branch, which kustomize_image tests."""

from __future__ import annotations

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._entry import _git_edit, yaml_value
from ansible_collections.slipway.gitops.plugins.module_utils._errors import FencedError, InvalidInput
from ansible_collections.slipway.gitops.plugins.module_utils._git import repository
from ansible_collections.slipway.gitops.plugins.module_utils._lease import NoLease
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.git_support import Remote, context

PATH = "apps/shop/values.yaml"
VALUES = '# shop\r\nimage:\r\n  tag: "1"  # set by deliveries\r\n  digest: ""\r\nreplicas: 2\r\n'


@pytest.fixture
def remote(tmp_path):
    return Remote(tmp_path, {PATH: VALUES, "README.md": "read me\n"})


def set_values(folder, repo, ctx=None, **changes):
    """Run the module's use case with its real ports and its defaults."""
    given = {
        "repo": repo,
        "path": PATH,
        "values": [{"key": "image.tag", "value": "1.10"}],
        "allow_file_urls": True,
        "timeout": 20.0,
        **changes,
    }
    params = {name: given.get(name, option.get("default")) for name, option in yaml_value.ARGUMENT_SPEC.items()}
    return yaml_value.run(params, ctx or context(folder))


def lease(fence):
    return {"backend": "sqlite", "path": "/q", "environment": "helm", "entry": "01ENTRY", "fence": fence, "token": "t"}


@pytest.fixture
def held(monkeypatch):
    """Replace the queue's answer by "still yours": these tests are about Git."""

    class FakeLease(NoLease):
        pass

    monkeypatch.setattr(_git_edit, "lease_of", lambda params, ctx: FakeLease())


def test_one_commit_changes_one_line_and_names_the_delivery(remote, tmp_path, held):
    old = remote.tip()
    result = set_values(tmp_path, remote.url, app="shop", version="1.10", lease=lease(7))
    assert result["changed"] and result["pushed"]
    assert result["commit"] == remote.tip()
    assert remote.git("rev-parse", "main^") == old
    assert remote.read(PATH) == VALUES.replace('"1"', '"1.10"')
    assert sorted(remote.git("diff", "--name-only", old, "main").split()) == [".slipway/fences/helm", PATH]
    assert remote.git("show", "-s", "--format=%s", "main") == "Deploy shop 1.10"
    trailers = remote.git("show", "-s", "--format=%(trailers:only,unfold)", "main").splitlines()
    assert trailers == [
        "Deploy-Kind: deploy", "Deploy-App: shop", "Deploy-Version: 1.10", "Deploy-Environment: helm",
        "Deploy-Entry: 01ENTRY", "Deploy-Fence: 7",
    ]  # fmt: skip
    assert result["before"] == [{"key": "image.tag", "value": "1", "state": "present"}]
    assert result["after"] == [{"key": "image.tag", "value": "1.10", "state": "present"}]
    assert (result["path"], result["branch"], result["attempts"]) == (PATH, "main", 1)
    with pytest.raises(FencedError):
        set_values(tmp_path, remote.url, values=[{"key": "image.tag", "value": "2"}], lease=lease(6))


def test_the_same_again_makes_no_commit_and_returns_the_tip(remote, tmp_path):
    first = set_values(tmp_path, remote.url)
    objects = remote.state()
    again = set_values(tmp_path, remote.url)
    assert not again["changed"]
    assert again["commit"] == first["commit"] == remote.tip()
    assert remote.state() == objects
    assert remote.git("show", "-s", "--format=%s", "main") == "Deploy image.tag 1.10"


def test_check_mode_shows_the_diff_and_touches_nothing(remote, tmp_path):
    before = remote.state()
    result = set_values(tmp_path, remote.url, context(tmp_path, check_mode=True, diff=True))
    assert (result["changed"], result["pushed"], result["commit"]) == (True, False, remote.tip())
    assert result["diff"]["before"] == VALUES
    assert result["diff"]["after"] == VALUES.replace('"1"', '"1.10"')
    assert result["diff"]["after_header"] == PATH
    assert remote.state() == before


def test_a_lost_race_is_taken_up_from_the_new_tip_and_a_rival_is_told(remote, tmp_path, monkeypatch):
    real = repository.Repository.push
    theirs = [VALUES.replace('"1"', '"9"').replace("replicas: 2", "replicas: 5")]

    def push(self, commit, parent, timeout_s):
        if theirs:
            remote.write({PATH: theirs.pop()})
        real(self, commit, parent, timeout_s)

    monkeypatch.setattr(repository.Repository, "push", push)
    warnings = []
    result = set_values(tmp_path, remote.url, context(tmp_path, warn=warnings.append))
    assert result["attempts"] == 2
    assert remote.read(PATH) == VALUES.replace('"1"', '"1.10"').replace("replicas: 2", "replicas: 5")
    assert warnings == ["Another commit changed image.tag (now 9) meanwhile; it is set as asked for here."]


def test_a_rollback_restores_the_recorded_state_and_leaves_other_values_alone(remote, tmp_path):
    changes = [
        {"key": "image.tag", "value": "2"},
        {"key": "image.digest", "value": "sha256:" + "0" * 64},
        {"key": "image.pullPolicy", "value": "Always", "create": True},
    ]
    recorded = set_values(tmp_path, remote.url, values=changes)["before"]
    remote.write({PATH: remote.read(PATH).replace("replicas: 2", "replicas: 5")})
    result = set_values(tmp_path, remote.url, values=recorded, kind="rollback", deny_values=["*"])
    assert result["after"] == recorded
    assert remote.read(PATH) == VALUES.replace("replicas: 2", "replicas: 5")
    assert (
        remote.git("show", "-s", "--format=%s", "main")
        == 'Roll back image.tag 1, image.digest "", image.pullPolicy absent'
    )


REFUSED = [
    ({"path": "apps/shop"}, "file_missing", "path"),
    ({"path": "apps/none.yaml"}, "file_missing", "path"),
    ({"path": "README.md"}, "yaml_invalid", "path"),
    ({"path": "../values.yaml"}, "invalid_input", "path"),
    ({"path": "."}, "invalid_input", "path"),
    ({"path": "apps/link.yaml"}, "invalid_input", "path"),
    ({"path": "linked/values.yaml"}, "invalid_input", "path"),
    ({"path": ".slipway/fences/helm"}, "invalid_input", "path"),
    ({"path": ".git/config"}, "invalid_input", "path"),
    ({"values": [{"key": "image.tga", "value": "2"}]}, "key_missing", "values"),
    ({"values": [{"key": "image", "value": "2"}]}, "value_unusable", "values"),
    ({"deny_values": ["1.*"]}, "value_denied", "values[0].value"),
]


@pytest.mark.parametrize(("changes", "code", "option"), REFUSED, ids=[str(case[0]) for case in REFUSED])
def test_bad_input_names_its_option_and_changes_nothing(remote, tmp_path, changes, code, option):
    remote.write({"apps/link.yaml": "shop/values.yaml"}, mode="120000")
    remote.write({"linked": "apps/shop"}, mode="120000")
    remote.write({".slipway/fences/helm": "fence: 1\nentry: x\n"})
    before = remote.state()
    with pytest.raises(InvalidInput) as caught:
        set_values(tmp_path, remote.url, **changes)
    assert (caught.value.code, caught.value.option) == (code, option)
    assert remote.state() == before
