# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan on a real repository; the cluster and the program that renders are played."""

from __future__ import annotations

import copy
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Optional

import yaml

from ansible_collections.slipway.gitops.plugins.module_utils._clock import SystemClock
from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry import release_plan
from ansible_collections.slipway.gitops.plugins.module_utils._errors import NotFound
from ansible_collections.slipway.gitops.plugins.module_utils._git.session import Credentials, Session
from ansible_collections.slipway.gitops.plugins.module_utils._git.tree import BranchTree
from ansible_collections.slipway.gitops.plugins.module_utils._gitref import check_repo
from ansible_collections.slipway.gitops.plugins.module_utils._plan import files, service
from ansible_collections.slipway.gitops.plugins.module_utils._plan.render import Programs, Renderer
from ansible_collections.slipway.gitops.plugins.module_utils._plan.source import Served, Source
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.git_support import Remote

UID = "5eaebaa5-7d61-406e-b4d3-46685c908fad"
PATH = "apps/shop/overlays/production"
KUSTOMIZATION = PATH + "/kustomization.yaml"
BASE = "apps/shop/base/deployment.yaml"
VALUES = "apps/shop/values.yaml"
IMAGE = "registry.example.com/team/shop"
DIGEST = "sha256:" + "0123456789abcdef" * 4


def deployment(image: str = IMAGE, replicas: int = 1) -> dict[str, Any]:
    container = {"name": "shop", "image": image}
    spec = {"replicas": replicas, "template": {"spec": {"containers": [container]}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}, "spec": spec}


FILES = {
    BASE: yaml.safe_dump(deployment()),
    "apps/shop/base/kustomization.yaml": "resources:\n- deployment.yaml\n",
    KUSTOMIZATION: "resources:\n- ../../base\nimages:\n- name: %s\n  newTag: '1'\n" % IMAGE,
    VALUES: "image:\n  tag: '1'\nother: x\n",
    "README.md": "read me\n",
}


class FakeRenderer(Renderer):
    """Renders the one Deployment of these tests by hand; folders and files are handled for real."""

    def render(self, kind: str, tree: str, source: Source, served: Served) -> str:
        top = Path(tree)
        item = yaml.safe_load((top / BASE).read_text())
        container = item["spec"]["template"]["spec"]["containers"][0]
        if kind == "helm":
            container["image"] += ":" + yaml.safe_load((top / VALUES).read_text())["image"]["tag"]
            return yaml.safe_dump(item)
        kustomization = yaml.safe_load((top / KUSTOMIZATION).read_text())
        for entry in kustomization["images"]:
            if entry["name"] == container["image"]:
                suffix = "@" + entry["digest"] if "digest" in entry else ":" + entry["newTag"]
                container["image"] = entry.get("newName", entry["name"]) + suffix
        item["metadata"].update(source.options.get("metadata", {}))
        return yaml.safe_dump_all([item, *kustomization.get("more", [])])

    def version(self, kind: str) -> str:
        return "v1"


class FakeKube:
    """A cluster with an Application and what it deployed; remembers what was asked."""

    def __init__(self, **settings: Any) -> None:
        self.uid = UID
        self.app = application()
        self.objects: dict[str, dict[str, Any]] = {}
        self.refusal: Optional[Callable[[str, str], Optional[Exception]]] = None
        self.asked: list[tuple[str, str]] = []
        self.__dict__.update(settings)

    def get(self, path: str, query: Optional[Mapping[str, str]] = None) -> dict[str, Any]:
        self._note("get", path)
        fixed: dict[str, Any] = {
            "/api/v1/namespaces/kube-system": {"metadata": {"uid": self.uid}},
            "/apis": {"groups": [{"versions": [{"groupVersion": "apps/v1"}]}]},
            "/apis/apps/v1": {"resources": [{"kind": "Deployment", "name": "deployments", "namespaced": True}]},
            "/api/v1": {"resources": [{"kind": "Secret", "name": "secrets", "namespaced": True}]},
            "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/shop": self.app,
        }
        found = fixed.get(path) or self.objects.get(path)
        if found is None:
            raise NotFound("read", path, 'deployments.apps "shop" not found')
        return copy.deepcopy(found)

    def list(self, path: str, label_selector: str = "", field_selector: str = "") -> dict[str, Any]:
        raise AssertionError("nothing is listed")

    def delete(self, path: str, propagation: str = "", dry_run: bool = False) -> dict[str, Any]:
        raise AssertionError("nothing is deleted")

    def apply(
        self, path: str, body: Mapping[str, Any], manager: str, force: bool = False, dry_run: bool = False
    ) -> dict[str, Any]:
        assert dry_run and force and manager == "argocd-controller"
        self._note("apply", path)
        return copy.deepcopy(dict(body))

    def _note(self, verb: str, path: str) -> None:
        self.asked.append((verb, path))
        if self.refusal:
            error = self.refusal(verb, path)
            if error is not None:
                raise error


def application(**source: Any) -> dict[str, Any]:
    """Return the Application, with more in its source."""
    return {
        "metadata": {"name": "shop", "namespace": "argocd"},
        "spec": {
            "project": "default",
            "source": {"repoURL": "ssh://git@example.com/shop.git", "path": PATH, "targetRevision": "main", **source},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"},
        },
        "status": {"sync": {"status": "Synced", "revision": ""}},
    }


def parameters(repo: str, **changes: Any) -> dict[str, Any]:
    """Return the module's parameters with defaults filled in, as Ansible would hand them over."""
    given: dict[str, Any] = {
        "repo": repo, "path": PATH, "images": [{"name": IMAGE, "new_tag": "2"}], "allow_file_urls": True,
        "environment": "production", "application": "shop", "version": "2", "cluster": {"uid": UID},
        "argocd": {"name": "shop", "namespace": "argocd"}, "timeout": 20.0,
    }  # fmt: skip
    given.update(changes)
    spec = release_plan.ARGUMENT_SPEC
    assert not set(given) - set(spec)
    return {name: given.get(name, option.get("default")) for name, option in spec.items()}


def make_plan(
    remote: Remote, kube: Optional[FakeKube] = None, check_mode: bool = False, **changes: Any
) -> dict[str, Any]:
    """Compute a plan on the repository as it is."""
    params = parameters(remote.url, **changes)
    clock = SystemClock()
    deadline = clock.monotonic() + params["timeout"]
    env = {"PATH": os.environ["PATH"]}

    @contextmanager
    def branch() -> Iterator[BranchTree]:
        address = check_repo(params["repo"], True)
        with Session(address, Credentials(), env, clock, deadline) as session:
            yield BranchTree(session, "main")

    def render() -> FakeRenderer:
        return FakeRenderer(Programs("kustomize", "helm"), env, clock, deadline)

    ports = service.Ports(
        kube or FakeKube(), "https://127.0.0.1:6443", branch, render, files.write, lambda what: None, clock
    )
    return service.run(params, release_plan.subject_of(params), ports, Context(check_mode=check_mode, env=env))
