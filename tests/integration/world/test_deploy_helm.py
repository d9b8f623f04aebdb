# SPDX-License-Identifier: GPL-3.0-or-later
"""The same delivery for a Helm application: a tag and a digest in a values file instead of a kustomization."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import Any, Callable, Iterator

import pytest
import yaml

from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry import deploy_queue_info
from ansible_collections.slipway.gitops.tests.integration.world.argocd_support import (
    CLUSTER,
    IMAGE,
    Repository,
    apply,
    register,
)
from ansible_collections.slipway.gitops.tests.integration.world.conftest import World
from ansible_collections.slipway.gitops.tests.integration.world.play import CHECKOUT, Outcome
from ansible_collections.slipway.gitops.tests.integration.world.shipped_account import make_account
from ansible_collections.slipway.gitops.tests.integration.world.test_deploy import (
    Site,
    deliver,
    remove_site,
    summary,
)

NAME = "deploy-helm-test"
PORT = 30096
VALUES = "apps/sample-helm/values.yaml"
SEED = CHECKOUT / "roles/sample_app/files/deploy"
Play = Callable[..., Outcome]

#: Written as people do: no quotes where none are needed, a comment behind the value, CRLF at one line.
WRITTEN = "---\nimage:\n  tag: \"1\" # set by deliveries\n  digest: ''\r\nnodePort: %d # ours\n" % PORT


class HelmSite(Site):
    """The chart of the sample application with a values file of the tests' own."""

    def values(self) -> str:
        """Return the values file as the deploy repository holds it, byte for byte."""
        return self.git_bytes("show", "main:" + VALUES).decode()

    def git_bytes(self, *arguments: str) -> bytes:
        """Ask the bare repository without reading line ends as anything."""
        command = ["git", "-c", "safe.directory=*", "--git-dir", str(self.repository.bare), *arguments]
        return subprocess.run(command, capture_output=True, check=True).stdout

    def live_image(self) -> str:
        """Return the image that the Deployment asks for."""
        found = self.world.get("-n", NAME, "deployment", "sample")
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


def application(repository: Repository) -> dict[str, Any]:
    """Return an Application that follows the chart with a values file beside it."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": NAME,
            "namespace": "argocd",
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        },
        "spec": {
            "project": "default",
            "source": {
                "repoURL": repository.url,
                "path": "charts/sample",
                "targetRevision": "main",
                "helm": {"valueFiles": ["/" + VALUES]},
            },
            "destination": {"server": CLUSTER, "namespace": NAME},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}, "syncOptions": ["CreateNamespace=true"]},
        },
    }


@pytest.fixture(scope="module")
def site(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HelmSite]:
    """Release 1 of the chart runs when this returns."""
    folder = tmp_path_factory.mktemp("helm")
    repository = Repository(world, folder / "clone", NAME)
    register(world, repository)
    shutil.copytree(SEED / "charts", repository.clone / "charts", dirs_exist_ok=True)
    (repository.clone / VALUES).parent.mkdir(parents=True, exist_ok=True)
    (repository.clone / VALUES).write_bytes(WRITTEN.encode())
    repository.commit({})
    made = HelmSite(world, repository, "", PORT, folder)
    made.variables = {
        "deploy_environment": "helm",
        "deploy_environments": ["helm"],
        "deploy_application": NAME,
        "deploy_argocd_application": NAME,
        "deploy_repository": repository.url,
        "deploy_path": "charts/sample",
        "deploy_values_file": VALUES,
        "deploy_values_key": "image.tag",
        "deploy_values_digest_key": "image.digest",
        "deploy_namespace": NAME,
        "deploy_deployments": ["sample"],
        "deploy_url": "http://127.0.0.1:%d/version" % PORT,
        "deploy_queue_path": str(folder / "queue" / "queue.db"),
        "deploy_verify_image": False,
        "deploy_lease_ttl": 60,
        "deploy_stable_for": 3,
    }
    apply(world, folder, application(repository))
    until_healthy(world)
    made.variables.update(make_account(world, folder, "deploy", NAME))
    yield made
    remove_site(world, made)


def until_healthy(world: World) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        status = world.get("-n", "argocd", "application", NAME).get("status", {})
        if status.get("health", {}).get("status") == "Healthy" and status.get("resources"):
            return
        time.sleep(0.5)
    raise AssertionError("the application did not come up: %s" % status)


def record(site: HelmSite) -> dict[str, Any]:
    """Return the queue's record of the environment, after checking that it is whole."""
    options = {"path": site.variables["deploy_queue_path"], "environment": "helm", "verify": True}
    spec = deploy_queue_info.ENTRY.argument_spec
    params = {name: options.get(name, option.get("default")) for name, option in spec.items()}
    result = deploy_queue_info.ENTRY.run(params, Context(env=dict(os.environ)))
    assert result["verified"]["ok"], result["verified"]
    found: dict[str, Any] = result["environments"][0]
    return found


def test_both_forms_of_the_sample_application_deploy_the_same(world: World) -> None:
    """But for the commit, which only the kustomization shows, and the port of the environment."""
    helm = str(sorted(world.tools.glob("helm-*/helm"))[-1])
    command = [helm, "template", "sample", str(SEED / "charts/sample"), "--values", str(SEED / VALUES)]
    rendered = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    chart = {item["kind"]: item for item in yaml.safe_load_all(rendered)}
    built = world.kubectl("kustomize", str(SEED / "apps/sample/overlays/local"))
    overlay = {item["kind"]: item for item in yaml.safe_load_all(built)}
    overlay["Deployment"]["spec"]["template"]["spec"]["containers"][0].pop("env")
    for service in (chart["Service"], overlay["Service"]):
        service["spec"]["ports"][0].pop("nodePort")
    assert chart == overlay


def test_what_would_never_be_deployed_is_refused_and_check_mode_only_looks(play: Play, site: HelmSite) -> None:
    before = site.git("for-each-ref")
    shown = deliver(play, site, "2", "--check", "--diff")
    assert shown.status == 0, shown.text
    assert '+  tag: "2" # set by deliveries' in shown.text
    for release, changes, told in (
        ("latest", {}, "latest"),
        ("2", {"deploy_values_key": "image.tga"}, "keys of image: digest, tag"),
        ("2", {"deploy_values_file": "apps/sample-helm/other.yaml"}, "reads the values of " + VALUES),
    ):
        refused = deliver(play, site, release, **changes)
        assert refused.status != 0
        assert told in refused.text
    assert site.git("for-each-ref") == before
    assert site.store() == b""


def test_a_release_goes_forward_by_its_digest(play: Play, site: HelmSite) -> None:
    digest = site.world.image_digest("2")
    outcome = deliver(play, site, "2", deploy_digest=digest)
    assert outcome.status == 0, outcome.text
    assert "VERIFIED LIVE" in summary(outcome)[0]
    assert site.answer()["version"] == "2"
    assert site.live_image() == "%s@%s" % (IMAGE, digest)
    assert site.values() == WRITTEN.replace('"1"', '"2"').replace("''", "'%s'" % digest)
    assert sorted(site.git("diff", "--name-only", "main^", "main").split()) == [".slipway/fences/helm", VALUES]
    verified = record(site)["last_verified"][NAME]
    assert (verified["version"], verified["commit"]) == ("2", site.git("rev-parse", "main"))
    assert [(value["key"], value["value"]) for value in verified["values"]] == [
        ("image.tag", "2"),
        ("image.digest", digest),
    ]


def test_a_crashing_release_goes_back_to_the_values_that_were_verified(play: Play, site: HelmSite) -> None:
    """4 is delivered by its tag, so that the digest has to be emptied first and to come back afterwards."""
    verified = site.values()
    outcome = deliver(play, site, "4")
    assert outcome.status != 0
    lines = summary(outcome)
    assert "ROLLED BACK to 2" in lines[0]
    assert any("cannot start" in line for line in lines), lines
    assert site.values() == verified
    assert "digest: ''" in site.git("show", "main^:" + VALUES)
    assert site.answer()["version"] == "2"
    assert [hold["version"] for hold in record(site)["holds"]] == ["4"]
