# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups and restores of a release: what is in them, what is refused, in which order it comes back."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._backup.model import (
    BackupError,
    folder_for,
    newest_first,
    outlived,
    parse_manifest,
    parse_sums,
    render,
)
from ansible_collections.slipway.gitops.plugins.module_utils._backup.objects import clean, difference
from ansible_collections.slipway.gitops.plugins.module_utils._backup.service import inform
from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._errors import (
    FencedError,
    Forbidden,
    InvalidInput,
    NotFound,
    PermanentError,
    SlipwayError,
    TransientError,
)
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.backup_support import (
    CANARY,
    PLACE,
    RECIPIENT,
    Bench,
    FakeKube,
    thing,
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def objects(bench: Bench, name: str, file: str = "live.json") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads((bench.folder(name) / file).read_bytes())["items"]
    return items


def test_behaviour_67_backup_holds_the_release_and_what_it_needs(bench: Bench) -> None:
    result = bench.run()
    backup = result["backup"]
    kinds = [item["kind"] for item in objects(bench, backup["name"])]
    assert kinds == ["Namespace", "ServiceAccount", "ConfigMap", "Service", "Deployment"]
    assert [item["kind"] for item in objects(bench, backup["name"], "argocd.json")] == ["AppProject", "Application"]
    assert backup["commit"] == "c" * 40
    assert backup["release"] == "1.4.2"
    assert backup["cluster"]["uid"] == bench.kube.uid
    assert {item["name"]: item["reason"] for item in backup["left_out"]} == {
        "wide": "it belongs to the whole cluster",
        "far": "it lies in another namespace",
        "gone": "it does not exist",
    }
    assert result["changed"] is True


def test_behaviour_72_backup_is_free_of_what_the_cluster_adds(bench: Bench) -> None:
    name = bench.run()["backup"]["name"]
    for item in [*objects(bench, name), *objects(bench, name, "argocd.json")]:
        assert "status" not in item
        extra = {"uid", "resourceVersion", "managedFields", "creationTimestamp", "generation", "ownerReferences"}
        assert not extra & set(item["metadata"])
        assert item["metadata"]["annotations"] == {"kept": "yes"}
    service = next(item for item in objects(bench, name) if item["kind"] == "Service")
    assert service["spec"] == {"type": "NodePort"}
    app = objects(bench, name, "argocd.json")[-1]
    assert app["metadata"]["finalizers"] == ["resources-finalizer.argocd.argoproj.io"]


def test_g32_check_mode_makes_no_backup_and_no_folder(bench: Bench) -> None:
    result = bench.run(check_mode=True, keep_last=1)
    assert result["changed"] is True
    assert result["backup"]["files"] == ["argocd.json", "live.json"]
    assert not Path(bench.store.root).exists()


def test_g32_nothing_live_makes_no_empty_backup(tmp_path: Path) -> None:
    bench = Bench(tmp_path, FakeKube(thing("Namespace", "shop", "")))
    resources = [{"kind": "Service", "name": "shop", "group": "", "version": "v1"}]
    result = bench.run(application=None, namespace="shop", resources=resources)
    assert result == {"changed": False, "backup": {}, "pruned": []}
    assert "nothing to back up" in bench.warnings[0]
    assert not Path(bench.store.root).exists()


SETTINGS = "/api/v1/namespaces/shop/configmaps/settings"


def test_what_may_not_be_read_is_left_out_and_named_to_the_end(bench: Bench) -> None:
    bench.kube.unreadable = {SETTINGS, "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects/default"}
    backup = bench.run()["backup"]
    lacking = ["AppProject argocd/default", "ConfigMap shop/settings"]
    assert backup["unread"] == lacking
    reasons = {item["name"]: item["reason"] for item in backup["left_out"]}
    assert reasons["settings"] == reasons["default"] == "it may not be read"
    assert "ConfigMap" not in [item["kind"] for item in objects(bench, backup["name"])]
    assert "INCOMPLETE" in bench.warnings[0]
    for verify in ("none", "checksums", "cluster"):
        params = {"verify": verify, "missing_secrets": "warn", "identity_file": None}
        found = inform(params, bench.ports, Context())["backups"][0]
        assert found["complete"] is False
        assert found["problems"] == ["%s is not in it: it might not be read" % what for what in lacking]
    bench.kube.unreadable, bench.warnings = set(), []
    for check_mode in (True, False):
        plan = bench.run(check_mode, state="restored", name="latest", missing_secrets="warn")
        assert plan["backup"]["unread"] == lacking
    assert all(what in bench.warnings[0] for what in lacking)


def test_check_mode_names_what_may_not_be_read(bench: Bench) -> None:
    bench.kube.unreadable = {SETTINGS}
    assert bench.run(check_mode=True)["backup"]["unread"] == ["ConfigMap shop/settings"]
    assert "ConfigMap shop/settings" in bench.warnings[0]


def test_images_without_the_right_to_list_pods(bench: Bench) -> None:
    bench.kube.unreadable = {"/api/v1/namespaces/shop/pods"}
    assert bench.run()["backup"]["unread"] == ["Pod shop/(all)"]


def test_release_that_may_not_be_seen_is_not_taken_for_one_that_is_not_there(bench: Bench) -> None:
    bench.kube.unreadable = {
        "/apis/apps/v1/namespaces/shop/deployments/shop",
        "/api/v1/namespaces/shop/services/shop",
    }
    with pytest.raises(Forbidden, match="Deployment shop/shop, Service shop/shop: User deployer cannot get it"):
        bench.run()
    assert not Path(bench.store.root).exists()


def test_secret_that_may_not_be_read_is_missed_by_a_restore(bench: Bench) -> None:
    bench.kube.unreadable = {"/api/v1/namespaces/shop/secrets/shop"}
    backup = bench.run(secrets="encrypt", recipients=[RECIPIENT])["backup"]
    assert backup["unread"] == ["Secret shop/shop"]
    assert {entry["name"]: entry["required"] for entry in backup["secrets"]["names"]}["shop"] is True
    bench.kube = FakeKube(thing("Namespace", "shop", ""))
    with pytest.raises(PermanentError, match=r"Secret shop/shop .*create them") as caught:
        bench.run(state="restored", name="latest", identity_file="/key")
    assert caught.value.code == "secrets_missing"


def test_list_of_what_is_missing_must_be_one(bench: Bench) -> None:
    name = bench.run()["backup"]["name"]
    raw = json.loads((bench.folder(name) / "manifest.json").read_bytes())
    for given, is_good in ((["x"], True), ([{}], False), ("x", False)):
        files = {"live.json": (bench.folder(name) / "live.json").read_bytes()}
        described = {key: value for key, value in raw.items() if key not in ("format", "files")}
        content = render({**described, "unread": given}, files)
        sums = parse_sums(content["SHA256SUMS"])
        if is_good:
            assert parse_manifest(content["manifest.json"], PLACE, name, sums).unread == given
        else:
            with pytest.raises(BackupError, match="wrong type"):
                parse_manifest(content["manifest.json"], PLACE, name, sums)


def test_g32_two_backups_of_one_second_have_two_names(bench: Bench) -> None:
    names = [bench.run()["backup"]["name"] for _number in range(12)]
    assert len(set(names)) == 12
    assert bench.store.names(PLACE) == names[::-1]


def test_g32_and_g80_backup_is_restored_whole(bench: Bench) -> None:
    """Back up with encrypted Secrets, lose everything, restore: the objects are what they were."""
    before = {path: clean(item) for path, item in bench.kube.items.items() if "other" not in path}
    bench.run(secrets="encrypt", recipients=[RECIPIENT])
    bench.kube = FakeKube(bench.kube.items["/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects/default"])
    result = bench.run(state="restored", name="latest", identity_file="/key")
    after = {path: clean(item) for path, item in bench.kube.items.items()}
    assert after == before
    assert {item["action"] for item in result["restored"]} == {"created"}
    again = bench.run(state="restored", name="latest", identity_file="/key")
    assert again["changed"] is False


def test_g80_secrets_never_lie_in_the_clear(bench: Bench, tmp_path: Path) -> None:
    for options in ({}, {"secrets": "encrypt", "recipients": [RECIPIENT]}):
        result = bench.run(**options)
        assert CANARY not in json.dumps(result)
    content = everything(tmp_path)
    for canary in (CANARY.encode(), base64.b64encode(CANARY.encode())):
        assert canary not in content


def test_excluded_secrets_are_not_even_read(bench: Bench) -> None:
    bench.run()
    assert not [path for path in bench.kube.reads if path.startswith("/api/v1/namespaces/shop/secrets")]


def test_names_of_secrets_say_who_needs_them(bench: Bench) -> None:
    names = {entry["name"]: entry for entry in bench.run()["backup"]["secrets"]["names"]}
    assert names["shop"] == {"name": "shop", "required": True, "used_by": ["Deployment shop/shop"]}
    assert names["account-pull"]["used_by"] == ["ServiceAccount shop/runner"]
    assert names["extra"]["required"] is False


def test_restore_comes_in_the_order_of_need(bench: Bench) -> None:
    bench.run(secrets="encrypt", recipients=[RECIPIENT])
    bench.kube = FakeKube()
    bench.run(state="restored", name="latest", identity_file="/key")
    kinds = [path.rsplit("/", 2)[1] for _verb, path in bench.kube.writes]
    assert kinds == [
        "namespaces", "appprojects", "serviceaccounts", "configmaps", "secrets", "secrets", "secrets", "services",
        "deployments", "applications",
    ]  # fmt: skip


def test_restore_names_the_secrets_that_are_missing(bench: Bench) -> None:
    bench.run()
    bench.kube = FakeKube()
    with pytest.raises(PermanentError, match=r"shop/shop \(needed by Deployment shop/shop\)") as caught:
        bench.run(state="restored", name="latest")
    assert caught.value.code == "secrets_missing"
    assert len(caught.value.result["missing_secrets"]) == 3
    assert "kubectl create namespace shop" in str(caught.value)
    assert bench.kube.writes == []
    result = bench.run(state="restored", name="latest", missing_secrets="warn")
    assert len(result["missing_secrets"]) == 3
    assert bench.warnings[-1].count("Secret shop/") == 3


def test_restore_of_encrypted_secrets_without_identity_says_so(bench: Bench) -> None:
    bench.run(secrets="encrypt", recipients=[RECIPIENT])
    bench.kube = FakeKube()
    with pytest.raises(PermanentError, match="give identity_file"):
        bench.run(state="restored", name="latest")


def test_restore_brings_an_object_exactly_to_what_it_was(bench: Bench) -> None:
    """A server-side apply alone would leave a container that a later release added."""
    bench.run()
    path = "/apis/apps/v1/namespaces/shop/deployments/shop"
    live = bench.kube.items[path]
    live["spec"]["template"]["spec"]["containers"].append({"name": "sidecar", "image": "x"})
    live["spec"]["paused"] = True
    live["metadata"]["labels"] = {"added": "later"}
    result = bench.run(state="restored", name="latest", diff=True)
    assert "sidecar" in result["diff"]["before"]
    assert "sidecar" not in result["diff"]["after"]
    assert clean(bench.kube.items[path]) == next(
        item for item in objects(bench, result["backup"]["name"]) if item["kind"] == "Deployment"
    )


def test_restore_in_check_mode_writes_nothing_and_asks_the_server(bench: Bench) -> None:
    bench.run()
    bench.kube.items["/api/v1/namespaces/shop/configmaps/settings"]["data"] = {"a": "other"}
    result = bench.run(state="restored", name="latest", check_mode=True)
    assert bench.kube.writes == []
    assert bench.kube.dry_runs == ["/api/v1/namespaces/shop/configmaps/settings"]
    assert [item["name"] for item in result["restored"] if item["action"] == "changed"] == ["settings"]


def test_diff_shows_no_value_of_a_secret(bench: Bench) -> None:
    bench.run(secrets="encrypt", recipients=[RECIPIENT])
    bench.kube.items["/api/v1/namespaces/shop/secrets/shop"]["data"]["password"] = "b3RoZXI="
    result = bench.run(state="restored", name="latest", identity_file="/key", check_mode=True, diff=True)
    text = json.dumps([result["diff"], result["differences"]])
    assert "Secret shop/shop" in text
    assert "from the backup" in text
    assert "b3RoZXI" not in text
    assert CANARY not in text


def test_plan_that_was_overtaken_is_refused(bench: Bench) -> None:
    bench.run()
    bench.kube.items["/api/v1/namespaces/shop/configmaps/settings"]["data"] = {"a": "other"}
    seen = bench.run(state="restored", name="latest", check_mode=True)["hash"]
    assert bench.run(state="restored", name="latest", check_mode=True)["hash"] == seen
    bench.kube.items["/api/v1/namespaces/shop/configmaps/settings"]["data"] = {"a": "third"}
    with pytest.raises(PermanentError) as caught:
        bench.run(state="restored", name="latest", plan_hash=seen)
    assert caught.value.code == "plan_changed"
    assert bench.kube.writes == []


def _other_cluster(bench: Bench) -> dict[str, Any]:
    bench.kube.uid = "99999999-2222-3333-4444-555555555555"
    return {}


def _other_namespace(bench: Bench) -> dict[str, Any]:
    return {"namespace": "elsewhere"}


def _leaving(bench: Bench) -> dict[str, Any]:
    bench.kube.items["/api/v1/namespaces/shop"]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {}


def _unserved(bench: Bench) -> dict[str, Any]:
    path = "/apis/apps/v1/namespaces/shop/deployments/shop"
    bench.kube.items[path]["spec"]["replicas"] = 9
    bench.kube.refused[path] = PermanentError("apply", "Deployment", "spec.selector is immutable", code="invalid")
    return {}


@pytest.mark.parametrize(
    "prepare, code",
    [
        (_other_cluster, "other_cluster"),
        (_other_namespace, "other_namespace"),
        (_leaving, "deleting"),
        (_unserved, "invalid"),
    ],
)
def test_refused_before_anything_is_written(bench: Bench, prepare: Any, code: str) -> None:
    bench.run()
    options = prepare(bench)
    with pytest.raises(SlipwayError) as caught:
        bench.run(state="restored", name="latest", **options)
    assert caught.value.code == code
    assert bench.kube.writes == []


def test_restore_into_another_cluster_has_to_be_asked_for(bench: Bench) -> None:
    bench.run()
    bench.kube.uid = "99999999-2222-3333-4444-555555555555"
    assert bench.run(state="restored", name="latest", allow_other_cluster=True)["changed"] is False


def test_project_that_exists_is_left_alone(bench: Bench) -> None:
    """Other Applications live in it; its rules are not those of a release."""
    bench.run()
    project = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects/default"
    bench.kube.items[project]["spec"] = {"sourceRepos": ["ssh://only"]}
    assert bench.run(state="restored", name="latest")["changed"] is False


def test_application_that_syncs_itself_is_told(bench: Bench) -> None:
    app = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/shop"
    bench.kube.items[app]["spec"]["syncPolicy"] = {"automated": {"selfHeal": True}}
    bench.run()
    bench.run(state="restored", name="latest", check_mode=True)
    assert "syncs by itself" in bench.warnings[-1]


def test_failure_half_way_says_what_was_restored(bench: Bench) -> None:
    bench.run()
    bench.kube = FakeKube()
    bench.kube.refused["/api/v1/namespaces/shop/services/shop"] = TransientError("apply", "Service", "port is taken")
    with pytest.raises(TransientError) as caught:
        bench.run(state="restored", name="latest", missing_secrets="warn")
    assert caught.value.result["changed"] is True
    assert [item["kind"] for item in caught.value.result["restored"]][-1] == "ConfigMap"


class FakeLostLease:
    """A lease that is lost when it matters."""

    fence, entry, cancel_requested = 1, "e", False

    def renew_if_due(self) -> None:
        return None

    def require(self, seconds: float) -> None:
        raise FencedError("begin a write under", "the lease", "it is lost", code="lease_lost")


def test_lost_lease_leaves_no_backup_behind(bench: Bench) -> None:
    bench.lease = FakeLostLease()
    with pytest.raises(FencedError):
        bench.run()
    assert bench.store.names(PLACE) == []
    assert [path.name for path in bench.folder("").iterdir()] == [".lock"]


def test_lost_lease_restores_nothing(bench: Bench) -> None:
    bench.run()
    bench.kube.items["/api/v1/namespaces/shop/configmaps/settings"]["data"] = {"a": "other"}
    bench.lease = FakeLostLease()
    with pytest.raises(FencedError):
        bench.run(state="restored", name="latest")
    assert bench.kube.writes == []


def test_g32_retention_prunes_what_no_rule_keeps(bench: Bench) -> None:
    made = []
    for _day in range(6):
        made.append(bench.run()["backup"]["name"])
        bench.clock.now += 86400
    result = bench.run(keep_last=2, keep_days=3.5)
    assert result["pruned"] == made[:3]
    assert bench.store.names(PLACE) == [result["backup"]["name"], *made[:2:-1]]


def test_absent_removes_one_backup(bench: Bench) -> None:
    name = bench.run()["backup"]["name"]
    assert bench.run(state="absent", name=name, check_mode=True)["changed"] is True
    assert bench.store.names(PLACE) == [name]
    assert bench.run(state="absent", name=name)["changed"] is True
    assert bench.store.names(PLACE) == []
    assert bench.run(state="absent", name=name)["changed"] is False


@pytest.mark.parametrize(
    "option, options",
    [
        ("app", {"app": "../../etc"}),
        ("app", {"app": "/etc"}),
        ("app", {"app": ""}),
        ("environment", {"environment": ".."}),
        ("environment", {"environment": ".hidden"}),
        ("release", {"release": ""}),
        ("application", {"application": None}),
        ("namespace", {"namespace": "a/b"}),
        ("recipients", {"secrets": "encrypt"}),
        ("recipients", {"secrets": "encrypt", "recipients": ["-o/etc/passwd"]}),
        ("recipients", {"secrets": "encrypt", "recipients": ["AGE-SECRET-KEY-1QQQ"]}),
        ("keep_last", {"keep_last": 0}),
        ("keep_days", {"keep_days": float("nan")}),
        ("keep_days", {"keep_days": -1.0}),
        ("name", {"name": "20261121T114500Z-1"}),
        ("name", {"state": "restored"}),
        ("name", {"state": "restored", "name": "/etc/passwd"}),
        ("name", {"state": "restored", "name": "../production/20261121T114500Z-1"}),
        ("name", {"state": "absent", "name": ".."}),
        ("name", {"state": "absent", "name": "20269921T114500Z-1"}),
    ],
)
def test_bad_options_are_refused_before_anything_happens(bench: Bench, option: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        bench.run(**options)
    assert caught.value.option == option
    assert bench.kube.reads == []
    assert not Path(bench.store.root).exists()


def test_unknown_backup_names_the_newest(bench: Bench) -> None:
    name = bench.run()["backup"]["name"]
    with pytest.raises(NotFound, match=name):
        bench.run(state="restored", name="20200101T000000Z-1")


@pytest.mark.parametrize(
    "release, word",
    [("1.4.2", "1.4.2"), ("sha256:0a/b", "sha256_0a_b"), ("../x", "_x"), ("-v", "v"), ("ü", "_"), ("...", "unknown")],
)
def test_name_of_a_backup_is_a_plain_word(release: str, word: str) -> None:
    name = str(folder_for(0.0, release, []))
    assert name == "19700101T000000Z-" + word
    assert newest_first([name]) == [name]


@pytest.mark.parametrize(
    "keep_last, keep_days, left",
    [
        (None, None, [0, 1, 2, 3]),
        (2, None, [0, 1]),
        (None, 1.5, [0, 1]),
        (1, 2.5, [0, 1, 2]),
        (3, 0.1, [0, 1, 2]),
        (None, 0.1, [0]),
    ],
)
def test_retention_by_count_and_age(keep_last: Any, keep_days: Any, left: list[int]) -> None:
    now = 100 * 86400.0
    names = [str(folder_for(now - age * 86400 - 3600, "r", [])) for age in range(4)]
    gone = outlived(names, now, keep_last, keep_days)
    assert [number for number, name in enumerate(names) if name not in gone] == left


@pytest.mark.parametrize(
    "have, want, patch",
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1, "b": 2}, {"a": 1}, {"b": None}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [1]}),
        ({}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": "x"}, {"a": "x"}),
    ],
)
def test_difference_is_a_merge_patch(have: Any, want: Any, patch: Any) -> None:
    assert difference(have, want) == patch


def informed(bench: Bench, **options: Any) -> list[dict[str, Any]]:
    given = {"verify": "none", **options}
    result = inform(given, bench.ports, Context(warn=bench.warnings.append))
    assert result["changed"] is False
    found: list[dict[str, Any]] = result["backups"]
    return found


def test_backups_are_listed_newest_first(bench: Bench) -> None:
    names = []
    for environment in ("staging", "production", "staging"):
        bench.clock.now += 5
        names.append(bench.run(environment=environment)["backup"]["name"])
    assert [item["name"] for item in informed(bench)] == names[::-1]
    assert [item["name"] for item in informed(bench, environment="staging")] == [names[2], names[0]]
    assert [item["name"] for item in informed(bench, name="latest")] == [names[2], names[1]]
    assert informed(bench, app="none") == []
    assert all(item["complete"] and not item["problems"] for item in informed(bench, verify="checksums"))


def test_store_that_is_not_there_holds_no_backup(bench: Bench) -> None:
    assert informed(bench) == []
    assert not Path(bench.store.root).exists()


def test_verification_goes_as_deep_as_asked(bench: Bench) -> None:
    bench.run()
    folder = bench.folder(bench.store.names(PLACE)[0])
    (folder / "live.json").write_bytes(b"x" * 10)
    assert informed(bench)[0]["complete"] is True
    problem = informed(bench, verify="checksums")[0]
    assert problem["complete"] is False
    assert "live.json is not what was written" in problem["problems"][0]
    (folder / "live.json").unlink()
    assert informed(bench)[0]["problems"] == ["live.json is missing"]


def test_verification_asks_the_cluster_about_every_object(bench: Bench) -> None:
    bench.run()
    path = "/apis/apps/v1/namespaces/shop/deployments/shop"
    bench.kube.items[path]["spec"]["replicas"] = 9
    assert informed(bench, verify="cluster")[0]["complete"] is True
    assert bench.kube.dry_runs == [path]
    bench.kube.refused[path] = PermanentError("apply", "Deployment", "spec.template is invalid", code="invalid")
    assert "spec.template is invalid" in informed(bench, verify="cluster")[0]["problems"][0]
    assert bench.kube.writes == []


def test_verification_says_what_it_could_not_try(bench: Bench) -> None:
    bench.run()
    bench.kube = FakeKube()
    found = informed(bench, verify="cluster")[0]
    assert found["complete"] is True
    assert any("Namespace shop does not exist" in note for note in found["notes"])
    assert any("missing: Secret shop/account-pull" in note for note in found["notes"])
    bench.kube.uid = "99999999-2222-3333-4444-555555555555"
    assert "it is of the cluster" in informed(bench, verify="cluster")[0]["problems"][0]


def helm_secret(version: int, status: str) -> dict[str, Any]:
    """Return Helm's record of a revision, packed as Helm packs it."""
    manifest = (
        "---\n# Source: shop/templates/secret.yaml\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
        "stringData: {word: %s}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {echo: %s}\n"
        % (CANARY, CANARY)
    )
    release = {
        "name": "shop", "version": version, "manifest": manifest,
        "config": {"replicas": 2, "password": CANARY + "-value", "nested": {"innocent": "x=" + CANARY}},
        "chart": {"metadata": {"name": "shop", "version": "0.3.0"}, "values": {"replicas": 1}},
    }  # fmt: skip
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(release).encode()))).decode()
    item = thing("Secret", "sh.helm.release.v1.shop.v%d" % version, data={"release": packed}, type="helm.sh/release.v1")
    item["metadata"]["labels"] = {"owner": "helm", "name": "shop", "status": status, "version": str(version)}
    return item


def test_behaviour_67_values_and_manifest_of_helm_without_its_secrets(bench: Bench, tmp_path: Path) -> None:
    for number, status in ((9, "superseded"), (10, "deployed"), (11, "failed")):
        item = helm_secret(number, status)
        bench.kube.items["/api/v1/namespaces/shop/secrets/" + item["metadata"]["name"]] = item
    labelled = bench.kube.items["/apis/apps/v1/namespaces/shop/deployments/shop"]["metadata"]
    labelled["annotations"]["meta.helm.sh/release-name"] = "shop"
    backup = bench.run(secrets="encrypt", recipients=[RECIPIENT])["backup"]
    values = json.loads((bench.folder(backup["name"]) / "helm-values.json").read_bytes())
    assert (values["revision"], values["user"]["replicas"], values["chart"]["version"]) == (10, 2, "0.3.0")
    manifest = (bench.folder(backup["name"]) / "helm-manifest.yaml").read_text()
    assert "kind: ConfigMap" in manifest
    assert "kind: Secret" not in manifest
    assert CANARY.encode() not in everything(tmp_path)
    names = {entry["name"]: entry for entry in backup["secrets"]["names"]}
    assert names["sh.helm.release.v1.shop.v10"]["required"] is False
    assert names["s"]["used_by"] == ["Helm release shop"]


def test_behaviour_67_values_that_argo_cd_renders_a_chart_with(bench: Bench, tmp_path: Path) -> None:
    app = bench.kube.items["/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/shop"]
    app["spec"]["source"]["helm"] = {"valueFiles": ["production.yaml"], "valuesObject": {"replicas": 3}}
    name = bench.run()["backup"]["name"]
    values = json.loads((bench.folder(name) / "helm-values.json").read_bytes())
    assert values[0]["helm"] == {"valueFiles": ["production.yaml"], "valuesObject": {"replicas": 3}}


@pytest.mark.parametrize("release", ["", "bm90IGd6aXA=", base64.b64encode(b"!").decode()])
def test_damaged_record_of_helm_is_told_and_left_out(bench: Bench, release: str) -> None:
    item = helm_secret(1, "deployed")
    item["data"]["release"] = release
    bench.kube.items["/api/v1/namespaces/shop/secrets/" + item["metadata"]["name"]] = item
    labelled = bench.kube.items["/apis/apps/v1/namespaces/shop/deployments/shop"]["metadata"]
    labelled["annotations"]["meta.helm.sh/release-name"] = "shop"
    backup = bench.run()["backup"]
    assert "helm-values.json" not in backup["files"]
    assert any("Helm's Secret" in item["reason"] for item in backup["left_out"])


def test_diff_masks_what_looks_like_a_password(bench: Bench) -> None:
    path = "/apis/apps/v1/namespaces/shop/deployments/shop"
    environment = bench.kube.items[path]["spec"]["template"]["spec"]["containers"][0]["env"]
    environment.append({"name": "DB_PASSWORD", "value": CANARY})
    bench.run()
    bench.kube.items[path]["spec"]["replicas"] = 9
    result = bench.run(state="restored", name="latest", check_mode=True, diff=True)
    assert "replicas" in result["differences"]
    assert CANARY not in json.dumps([result["diff"], result["differences"]])


def test_names_may_be_as_long_as_kubernetes_lets_them(bench: Bench) -> None:
    long = "sh.helm.release.v1.%s.v10" % ("x" * 200)
    pod = bench.kube.items["/apis/apps/v1/namespaces/shop/deployments/shop"]["spec"]["template"]["spec"]
    pod["imagePullSecrets"].append({"name": long})
    backup = bench.run()["backup"]
    assert long in [entry["name"] for entry in backup["secrets"]["names"]]
    assert informed(bench, verify="checksums")[0]["complete"] is True
