# SPDX-License-Identifier: GPL-3.0-or-later
"""release_plan with real kustomize, Helm and API server: what it shows, and that it stores nothing.

The repository is one of the test on disk; the Application has no auto-sync, so that Argo CD
leaves the namespace of the test to it.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import pytest
import yaml

from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry import release_plan
from ansible_collections.slipway.gitops.plugins.module_utils._errors import PermanentError
from ansible_collections.slipway.gitops.tests.integration.world.audit import READING, AuditLog
from ansible_collections.slipway.gitops.tests.integration.world.conftest import World
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.git_support import Remote

NAME = "release-plan-test"
AGENT = "slipway.gitops/release-plan-test"
IMAGE = "registry.slipway.test/sample"
SECRET = "a value that nobody may read"
OVERLAY = "apps/shop/overlays/production"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
spec:
  replicas: 0
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: shop
          image: registry.slipway.test/sample
          env:
            - name: KEPT
              value: x
            - name: DROPPED
              value: x
          ports:
            - containerPort: 8080
"""
KUSTOMIZATION = """\
resources:
  - ../../base
secretGenerator:
  - name: login
    literals:
      - password=%s
generatorOptions:
  disableNameSuffixHash: true
images:
  - name: registry.slipway.test/sample
    newTag: "1"
"""
CHART = {
    "chart/Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.0.0\n",
    "chart/values.yaml": 'image:\n  tag: "1"\n',
    "chart/values-production.yaml": 'image:\n  tag: "1"\n',
    "chart/templates/deployment.yaml": DEPLOYMENT.replace(
        "sample\n          env", 'sample:{{ required "a tag is needed" .Values.image.tag }}\n          env'
    ).replace("replicas: 0", "replicas: {{ .Values.replicas | default 0 }}"),
}
FILES = {
    "apps/shop/base/deployment.yaml": DEPLOYMENT,
    "apps/shop/base/kustomization.yaml": "resources:\n  - deployment.yaml\n",
    OVERLAY + "/kustomization.yaml": KUSTOMIZATION % SECRET,
    **CHART,
}


class Place:
    """An Application, its namespace and its repository."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.remote = Remote(folder, dict(FILES))
        self._folder = folder
        self.cluster = {"uid": world.get("namespace", "kube-system")["metadata"]["uid"]}
        tools = world.tools
        self._programs = {
            name + "_binary": str(next(iter(sorted(tools.glob("%s-*/%s" % (name, name))))))
            for name in ("kustomize", "helm")
        }

    def apply(self, item: Mapping[str, Any], *arguments: str) -> None:
        path = self._folder / "object.json"
        path.write_text(json.dumps(item))
        self.world.kubectl("apply", "-f", str(path), *arguments)

    def follow(self, **source: Any) -> None:
        """Let the Application follow a source."""
        self.apply(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Application",
                "metadata": {"name": NAME, "namespace": "argocd"},
                "spec": {
                    "project": "default",
                    "source": {"repoURL": "ssh://nobody@127.0.0.1:9/none.git", "path": OVERLAY, **source},
                    "destination": {"server": "https://kubernetes.default.svc", "namespace": NAME},
                },
            }
        )

    def plan(self, **changes: Any) -> dict[str, Any]:
        """Compute a plan with real ports."""
        given: dict[str, Any] = {
            "repo": self.remote.url, "allow_file_urls": True, "path": OVERLAY, "version": "2",
            "images": [{"name": IMAGE, "new_tag": "2"}], "environment": "production", "application": "shop",
            "cluster": self.cluster, "argocd": {"name": NAME, "namespace": "argocd"},
            "kubeconfig": str(self.world.kubeconfig), **self._programs, **changes,
        }  # fmt: skip
        spec = release_plan.ARGUMENT_SPEC
        params = {name: given.get(name, option.get("default")) for name, option in spec.items()}
        return release_plan.run(params, Context(env=dict(os.environ), agent=AGENT))


@pytest.fixture(scope="module")
def namespace(world: World) -> Iterator[None]:
    world.kubectl("create", "namespace", NAME)
    yield
    world.kubectl("-n", "argocd", "delete", "application", NAME, "--ignore-not-found", "--timeout=60s")
    world.kubectl("delete", "namespace", NAME, "--wait=false")


@pytest.fixture
def place(world: World, namespace: None, tmp_path: Path) -> Place:
    made = Place(world, tmp_path)
    made.follow()  # nothing empty in it: Argo CD takes that out, a moment later, with what has come there meanwhile
    return made


def lines(diff: str, sign: str) -> list[str]:
    return [line[1:].strip() for line in diff.split("\n") if line.startswith(sign) and not line.startswith(sign * 3)]


def test_plan_of_one_to_two(place: Place, audit: AuditLog) -> None:
    live = yaml.safe_load(DEPLOYMENT.replace("sample\n          env", "sample:1\n          env"))
    place.apply({**live, "metadata": {"name": "shop", "namespace": NAME}}, "--field-manager=argocd-controller")
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "stringData": {"password": "an old value"}}
    place.apply({**secret, "metadata": {"name": "login", "namespace": NAME}}, "--field-manager=argocd-controller")
    dropped = "            - name: DROPPED\n              value: x\n"
    place.remote.write({"apps/shop/base/deployment.yaml": DEPLOYMENT.replace(dropped, "")})
    state = place.remote.state()
    audit.rewind()

    result = place.plan(renderer="auto")

    plan = result["plan"]
    changes = {item["name"]: item for item in plan["live"]["objects"]}
    deployment = changes["Deployment %s/shop" % NAME]
    assert deployment["change"] == "changed", result["text"]
    assert lines(deployment["diff"], "+") == ["image: %s:2" % IMAGE]
    assert lines(deployment["diff"], "-") == ["- name: DROPPED", "value: x", "image: %s:1" % IMAGE]
    assert changes["Secret %s/login" % NAME]["change"] == "changed"
    everything = json.dumps(result)
    for hidden in (SECRET, "an old value", base64.b64encode(SECRET.encode()).decode(), "last-applied"):
        assert hidden not in everything
    requests = audit.requests(AGENT)
    assert {item.verb for item in requests} == {*READING & {item.verb for item in requests}, "patch"}
    patches = [item for item in requests if item.verb == "patch"]
    assert len(patches) == 2
    assert all("dryRun=All" in item.uri and "fieldManager=argocd-controller" in item.uri for item in patches)
    assert audit.writes(AGENT) == []
    assert place.remote.state() == state


def test_missing_right_is_named_and_does_not_change_the_hash(place: Place) -> None:
    place.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader", "namespace": NAME}})
    reader = "--serviceaccount=%s:reader" % NAME
    place.world.kubectl("-n", NAME, "create", "rolebinding", "reader", "--clusterrole=view", reader)
    role = "release-plan-test-reader"
    place.world.kubectl("-n", "argocd", "create", "role", role, "--verb=get", "--resource=applications.argoproj.io")
    place.world.kubectl("-n", "argocd", "create", "rolebinding", role, "--role=" + role, reader)
    try:
        token = place.world.kubectl("-n", NAME, "create", "token", "reader").strip()
        config = yaml.safe_load(place.world.kubeconfig.read_text())
        for user in config["users"]:
            user["user"] = {"token": token}
        path = place.world.folder / "release-plan-test-kubeconfig"
        path.write_text(yaml.safe_dump(config))
        limited = place.plan(kubeconfig=str(path))
        path.unlink()
    finally:
        place.world.kubectl("-n", "argocd", "delete", "role,rolebinding", role)
    rights = limited["plan"]["live"]["missing_rights"]
    assert any('cannot patch resource "deployments"' in right and '"%s"' % NAME in right for right in rights), rights
    assert "a right is missing" in limited["text"]
    assert limited["hash"] == place.plan()["hash"]


def test_g51_tree_that_does_not_build(place: Place) -> None:
    broken = (KUSTOMIZATION % SECRET).replace("    literals:\n      - password=" + SECRET, "    envs: [.env.secret]")
    place.remote.write({OVERLAY + "/kustomization.yaml": broken})
    state = place.remote.state()
    with pytest.raises(PermanentError) as caught:
        place.plan()
    assert caught.value.code == "build_failed"
    assert ".env.secret" in str(caught.value)
    assert "/tmp/" not in str(caught.value)
    assert place.remote.state() == state


@pytest.mark.parametrize("now, wanted", [("", "2"), ("1", "")], ids=["fixed by this delivery", "broken by it"])
def test_chart_that_does_not_build(place: Place, now: str, wanted: str) -> None:
    path = "chart/values-production.yaml"
    place.remote.write({path: 'image:\n  tag: "%s"\n' % now})
    place.follow(path="chart", helm={"valueFiles": ["values-production.yaml"]})
    values = [{"key": "image.tag", "value": wanted, "state": "present"}]
    if wanted:
        problems = place.plan(path=path, images=None, values=values)["plan"]["problems"]
        assert [item["code"] for item in problems] == ["build_failed_before"]
        assert "a tag is needed" in problems[0]["message"]
        return
    with pytest.raises(PermanentError, match=r"a tag is needed") as caught:
        place.plan(path=path, images=None, values=values)
    assert caught.value.code == "build_failed"


def test_options_of_the_application_are_rendered(place: Place) -> None:
    patch = {"target": {"kind": "Deployment"}, "patch": "- op: add\n  path: /spec/minReadySeconds\n  value: 7\n"}
    place.follow(
        kustomize={
            "namePrefix": "blue-",
            "commonLabels": {"team": "a"},
            "labelWithoutSelector": True,
            "commonAnnotations": {"commit": "$ARGOCD_APP_REVISION", "app": "${ARGOCD_APP_NAME}"},
            "commonAnnotationsEnvsubst": True,
            "replicas": [{"name": "shop", "count": 2}],
            "patches": [patch],
            "version": "v9",
        }
    )
    plan = place.plan()["plan"]
    assert plan["render"]["not_rendered"] == ["kustomize.version"]
    shown = next(item for item in plan["live"]["objects"] if item["name"] == "Deployment %s/blue-shop" % NAME)
    assert shown["change"] == "created"
    for told in (
        "team: a",
        "commit: <the commit of this delivery>",
        "app: " + NAME,
        "replicas: 2",
        "minReadySeconds: 7",
    ):
        assert told in shown["diff"]
    assert place.plan(images=[{"name": IMAGE, "new_tag": "2"}])["hash"] == plan["hash"]


def test_g52_override_by_the_application_is_noticed(place: Place) -> None:
    place.follow(kustomize={"images": [IMAGE + ":pinned"]})
    with pytest.raises(PermanentError, match=r"no rendered workload uses .*:2; they use .*:pinned"):
        place.plan()


def test_helm_application(place: Place) -> None:
    helm = {"valueFiles": ["values-production.yaml"], "parameters": [{"name": "replicas", "value": "4"}]}
    place.follow(path="chart", helm=helm)
    values = [{"key": "image.tag", "value": "2", "state": "present"}]
    plan = place.plan(path="chart/values-production.yaml", images=None, values=values)["plan"]
    assert plan["render"]["renderer"] == "helm"
    assert [item["reference"] for item in plan["images"]] == [IMAGE + ":2"]
    assert "replicas: 4" in plan["live"]["objects"][0]["diff"]
    with pytest.raises(PermanentError, match=r"no manifest changes"):
        place.plan(path="chart/values.yaml", images=None, values=values)


def test_chart_with_a_random_value_is_told(place: Place) -> None:
    random = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: r}\ndata: {a: '{{ randAlpha 9 }}'}\n"
    place.remote.write({"chart/templates/random.yaml": random})
    place.follow(path="chart")
    values = [{"key": "image.tag", "value": "2", "state": "present"}]
    problems = place.plan(path="chart/values.yaml", images=None, values=values)["plan"]["problems"]
    assert [item["code"] for item in problems] == ["not_reproducible"]


def test_what_argocd_synced_is_what_is_rendered(place: Place) -> None:
    """Plan the release that is live: but for the commit, nothing may differ from what Argo CD applied."""
    git_client = place.world.folder / "git-client"
    sample = {
        "repo": "ssh://slipway-git@10.244.0.1:2222/sample.git",
        "key_file": str(git_client / "id_ed25519"),
        "known_hosts": str(git_client / "known_hosts"),
        "path": "apps/sample/overlays/local",
        "argocd": {"name": "sample", "namespace": "argocd"},
    }
    [now] = place.plan(**sample)["plan"]["release"]["now"]["set"]
    image = {"name": now["name"], "new_name": now["newName"], "new_tag": now["newTag"], "digest": now["digest"]}
    plan = place.plan(**sample, images=[image], kind="rollback")["plan"]
    assert plan["git"]["changed"] is False
    for item in plan["live"]["objects"]:
        for line in (*lines(item["diff"], "+"), *lines(item["diff"], "-")):
            assert line.startswith("slipway.dev/commit:"), item


RUN = """\
apiVersion: x/v1
kind: Y
metadata:
  name: y
  annotations:
    config.kubernetes.io/function: |
      exec: {path: %s}
"""
#: Options in Argo CD's ConfigMap, what is added to the kustomization, the option that it is said to need.
NEEDED = [
    ("--enable-helm", "helmCharts: [{name: shop, version: 1.0.0, repo: 'https://127.0.0.1:9'}]\n", "--enable-helm"),
    ("--enable-alpha-plugins --enable-exec", "transformers: [run.yaml]\n", "--enable-alpha-plugins --enable-exec"),
    (
        "--load-restrictor=LoadRestrictionsNone",
        "configMapGenerator: [{name: notes, files: [../../notes.txt]}]\n",
        "--load-restrictor=LoadRestrictionsNone",
    ),
]


@pytest.fixture
def configured(place: Place) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Return a function that plans with options of kustomize; Argo CD itself sees neither them nor the Application."""

    def plan(options: str, **changes: Any) -> dict[str, Any]:
        place.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "argocd-cm", "namespace": NAME},
                "data": {"kustomize.buildOptions": options},
            }
        )
        return place.plan(argocd={"name": NAME, "namespace": NAME}, **changes)

    app = place.world.get("-n", "argocd", "application", NAME)
    metadata = {"name": NAME, "namespace": NAME}
    place.apply({**{key: app[key] for key in ("apiVersion", "kind", "spec")}, "metadata": metadata})
    yield plan
    place.world.kubectl("-n", NAME, "delete", "configmap/argocd-cm", "application/" + NAME)


@pytest.mark.parametrize(("options", "more", "told"), NEEDED, ids=["helm", "programs", "files"])
def test_options_of_argocd_run_no_program_and_read_no_other_file(
    place: Place, configured: Callable[..., dict[str, Any]], tmp_path: Path, options: str, more: str, told: str
) -> None:
    plain = configured(options)
    assert plain["plan"]["render"]["not_rendered"] == [
        "kustomize.buildOptions %s (these files build without)" % options
    ]
    program, mark = tmp_path / "program", tmp_path / "ran"
    program.write_text("#!/bin/sh\ntouch %s\ncat\n" % mark)
    program.chmod(0o755)
    place.remote.write(
        {
            OVERLAY + "/kustomization.yaml": KUSTOMIZATION % SECRET + more,
            OVERLAY + "/run.yaml": RUN % program,
            "apps/shop/notes.txt": "notes\n",
        }
    )
    with pytest.raises(PermanentError) as caught:
        configured(options)
    assert caught.value.code == "build_failed"
    assert "Argo CD builds with %s" % told in caught.value.hint
    assert not mark.exists()
    if told != "--enable-helm":  # its chart is nowhere
        trusted = configured(options, kustomize_build_options=options.split())
        assert trusted["plan"]["render"]["build_options"] == options.split()
        assert mark.exists() == ("exec" in options)


def test_options_of_argocd_that_only_change_the_manifests_are_used(
    place: Place, configured: Callable[..., dict[str, Any]]
) -> None:
    label = "app.kubernetes.io/managed-by"
    plans = {options: configured(options) for options in ("", "--enable-managedby-label")}
    shown = {options: label in json.dumps(result["plan"]["live"]) for options, result in plans.items()}
    assert shown == {"": False, "--enable-managedby-label": True}
    assert plans["--enable-managedby-label"]["plan"]["render"]["build_options"] == ["--enable-managedby-label"]
    assert len({result["hash"] for result in plans.values()}) == 2
    assert place.plan()["plan"]["render"]["not_rendered"] == []
    with pytest.raises(PermanentError, match="--output") as caught:
        configured("--output /tmp/elsewhere")
    assert caught.value.code == "build_options"
