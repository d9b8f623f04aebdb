# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of Argo CD's options for kustomize a plan uses, and what it says of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional, Sequence

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._errors import Forbidden, PermanentError
from ansible_collections.slipway.gitops.plugins.module_utils._plan.build_options import of_config_map
from ansible_collections.slipway.gitops.plugins.module_utils._plan.render import Programs
from ansible_collections.slipway.gitops.plugins.module_utils._plan.source import Served, Source
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils import plan_support
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.git_support import Remote
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.plan_support import (
    FILES,
    VALUES,
    FakeKube,
    FakeRenderer,
    application,
    make_plan,
)

CONFIG_MAP = "/api/v1/namespaces/argocd/configmaps/argocd-cm"
NOT_READ = "kustomize.buildOptions: ConfigMap argocd/argocd-cm may not be read: the right get configmaps is missing"


def config_map(text: Optional[str], version: str = "") -> dict[str, Any]:
    key = "kustomize.buildOptions" + ("." + version if version else "")
    return {
        "metadata": {"name": "argocd-cm", "namespace": "argocd"},
        "data": {"x": "y", **({} if text is None else {key: text})},
    }


PARSED: list[tuple[Optional[str], str, str]] = [
    (None, "", ""),
    ("", "", ""),
    ("--reorder=none", "--reorder=none", ""),
    (" --reorder\n legacy\t--enable-managedby-label ", "--reorder legacy --enable-managedby-label", ""),
    ("--enable-helm --reorder none", "--reorder none", "--enable-helm"),
    ("--enable-helm=false --network=false", "", ""),
    ("--enable-helm --helm-command /tmp/x", "", "--enable-helm --helm-command /tmp/x"),
    ("--enable-alpha-plugins --enable-exec", "", "--enable-alpha-plugins --enable-exec"),
    ("--load-restrictor LoadRestrictionsRootOnly", "", ""),
    ("--load-restrictor=LoadRestrictionsNone", "", "--load-restrictor=LoadRestrictionsNone"),
    ("--load_restrictor none --reorder none", "--reorder none", "--load_restrictor none"),
    ("-e A=b --mount type=bind,src=/etc,dst=/x", "", "-e A=b --mount type=bind,src=/etc,dst=/x"),
]


@pytest.mark.parametrize(("text", "taken", "left_out"), PARSED)
def test_options_are_taken_or_left_out(text: Optional[str], taken: str, left_out: str) -> None:
    found = of_config_map(config_map(text), "")
    assert (" ".join(found.taken), " ".join(found.left_out)) == (taken, left_out)
    assert bool(found.notes()) == bool(found.hint()) == bool(left_out)


@pytest.mark.parametrize("text", ["-o /etc/x", "--output=/etc/x", "--new", "../elsewhere", "--reorder none --", "-v 6"])
def test_what_is_not_known_is_refused(text: str) -> None:
    with pytest.raises(PermanentError, match="ConfigMap argocd/argocd-cm") as caught:
        of_config_map(config_map(text), "")
    assert caught.value.code == "build_options"
    assert "kustomize_build_options" in caught.value.hint


def test_a_named_version_has_options_of_its_own() -> None:
    both = config_map("--reorder=none")
    both["data"].update(config_map("--reorder=legacy", "v4.5.7")["data"])
    assert of_config_map(both, "v4.5.7").taken == ["--reorder=legacy"]
    assert of_config_map(both, "v9").taken == []


class FakeBuild(FakeRenderer):
    """Notes what kustomize would be given, and fails where an option is needed."""

    needs = ""
    arguments: list[list[str]] = []

    def render(self, kind: str, tree: str, source: Source, served: Served) -> str:
        if kind == "kustomize":
            self.arguments.append(Programs("kustomize", "/helm").build(source.build.taken))
            if self.needs and self.needs not in source.build.taken:
                raise PermanentError("build", "the manifests", "kustomize says: no", code="build_failed")
        return super().render(kind, tree, source, served)


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    monkeypatch.setattr(plan_support, "FakeRenderer", FakeBuild)
    monkeypatch.setattr(FakeBuild, "arguments", [])
    return Remote(tmp_path, dict(FILES))


def refused(verb: str, path: str) -> Optional[Exception]:
    return Forbidden(verb, path, "no") if path == CONFIG_MAP else None


PLANNED: list[tuple[dict[str, Any], Optional[Sequence[str]], list[str], list[str]]] = [
    ({"objects": {CONFIG_MAP: config_map("--reorder=none")}}, None, ["--reorder=none"], []),
    (
        {"objects": {CONFIG_MAP: config_map("--enable-helm")}}, None, [],
        ["kustomize.buildOptions --enable-helm (these files build without)"],
    ),
    ({"objects": {CONFIG_MAP: config_map("--unknown")}}, [], [], []),
    ({"objects": {CONFIG_MAP: config_map("--unknown")}}, ["--enable-helm"], ["--enable-helm"], []),
    ({"refusal": refused}, None, [], [NOT_READ]),
    ({}, None, [], ["kustomize.buildOptions: ConfigMap argocd/argocd-cm does not exist"]),
]  # fmt: skip


@pytest.mark.parametrize(("kube", "given", "options", "notes"), PLANNED)
def test_plan_uses_and_tells_them(
    remote: Remote, kube: dict[str, Any], given: Optional[Sequence[str]], options: list[str], notes: list[str]
) -> None:
    client = FakeKube(**kube)
    result = make_plan(remote, client, kustomize_build_options=given)
    helm = ["--helm-command", "/helm"] if "--enable-helm" in options else []
    assert FakeBuild.arguments == [["build", *options, *helm, "."]] * 2
    assert result["plan"]["render"]["build_options"] == options
    assert result["plan"]["render"]["not_rendered"] == notes
    assert all(note in result["text"] for note in notes)
    assert ("get", CONFIG_MAP) in client.asked or given is not None


def test_a_build_that_needs_what_is_left_out_says_which(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeBuild, "needs", "--enable-helm")
    kube = FakeKube(objects={CONFIG_MAP: config_map("--enable-helm")})
    with pytest.raises(PermanentError, match=r"Argo CD builds with --enable-helm.*kustomize_build_options") as caught:
        make_plan(remote, kube)
    assert caught.value.code == "build_failed"
    assert make_plan(remote, kube, kustomize_build_options=["--enable-helm"])["hash"]


def test_charts_and_folders_without_an_application_do_not_ask(remote: Remote) -> None:
    chart = FakeKube(app=application(helm={"valueFiles": ["/" + VALUES]}))
    values = [{"key": "image.tag", "value": "2"}]
    make_plan(remote, chart, path=VALUES, images=None, values=values)
    alone = FakeKube()
    make_plan(remote, alone, argocd=None)
    assert ("get", CONFIG_MAP) not in chart.asked + alone.asked
