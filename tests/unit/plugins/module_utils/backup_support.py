# SPDX-License-Identifier: GPL-3.0-or-later
"""A release in a cluster of dictionaries, and a store with a good backup of it."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path
from typing import Any, Mapping, Optional

from ansible_collections.slipway.gitops.plugins.module_utils._backup.files import DirectoryStore
from ansible_collections.slipway.gitops.plugins.module_utils._backup.model import Place
from ansible_collections.slipway.gitops.plugins.module_utils._backup.ports import Ports
from ansible_collections.slipway.gitops.plugins.module_utils._backup.service import run
from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry.release_backup import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._errors import Forbidden, NotFound
from ansible_collections.slipway.gitops.plugins.module_utils._lease import NoLease

PLACE = Place("shop", "production")
UID = "11111111-2222-3333-4444-555555555555"
CANARY = "canary-7f2c9a1e-in-the-clear"
RECIPIENT = "age1" + "q" * 58

_SERVED = {
    "/api/v1": {
        "Namespace": ("namespaces", False),
        "Secret": ("secrets", True),
        "ConfigMap": ("configmaps", True),
        "Pod": ("pods", True),
        "Service": ("services", True),
        "ServiceAccount": ("serviceaccounts", True),
        "PersistentVolumeClaim": ("persistentvolumeclaims", True),
    },
    "/apis/apps/v1": {"Deployment": ("deployments", True)},
    "/apis/rbac.authorization.k8s.io/v1": {"ClusterRole": ("clusterroles", False)},
    "/apis/argoproj.io/v1alpha1": {"Application": ("applications", True), "AppProject": ("appprojects", True)},
}


def path_of(item: Mapping[str, Any]) -> str:
    """Return where the API serves an object."""
    version, meta = item["apiVersion"], item["metadata"]
    root = "/%s/%s" % ("apis" if "/" in version else "api", version)
    plural, _namespaced = _SERVED[root][item["kind"]]
    inside = "/namespaces/" + meta["namespace"] if meta.get("namespace") else ""
    return "%s%s/%s/%s" % (root, inside, plural, meta["name"])


def thing(kind: str, name: str, namespace: str = "shop", version: str = "v1", **fields: Any) -> dict[str, Any]:
    """Return an object as the API server would, with everything that it adds."""
    meta = {
        "name": name, "namespace": namespace, "uid": "u-" + name, "resourceVersion": "7", "generation": 3,
        "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{"manager": "kubectl"}],
        "annotations": {"deployment.kubernetes.io/revision": "4", "kept": "yes"},
    }  # fmt: skip
    if not namespace:
        meta.pop("namespace")
    return {"apiVersion": version, "kind": kind, "metadata": meta, "status": {"phase": "x"}, **fields}


def deployment() -> dict[str, Any]:
    """Return a Deployment that needs a Secret, a pull secret, a ConfigMap and an account."""
    container = {
        "name": "shop", "image": "registry.test/shop:1", "env": [{"name": "COLOUR", "value": "blue"}],
        "envFrom": [{"secretRef": {"name": "shop"}}, {"configMapRef": {"name": "settings"}}],
    }  # fmt: skip
    pod = {
        "containers": [container], "imagePullSecrets": [{"name": "pull"}], "serviceAccountName": "runner",
        "volumes": [{"name": "extra", "secret": {"secretName": "extra", "optional": True}}],
    }  # fmt: skip
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "shop"}}, "template": {"spec": pod}}
    return thing("Deployment", "shop", version="apps/v1", spec=spec)


def application() -> dict[str, Any]:
    """Return the Application that lists the release."""
    listed = [
        {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "shop", "name": "shop"},
        {"version": "v1", "kind": "Service", "namespace": "shop", "name": "shop"},
        {"group": "rbac.authorization.k8s.io", "version": "v1", "kind": "ClusterRole", "name": "wide"},
        {"version": "v1", "kind": "ConfigMap", "namespace": "other", "name": "far"},
        {"version": "v1", "kind": "ConfigMap", "namespace": "shop", "name": "gone"},
    ]
    spec = {
        "project": "default",
        "source": {"repoURL": "ssh://git@git.test/deploy.git", "path": "apps/shop"},
        "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"},
    }
    item = thing("Application", "shop", "argocd", "argoproj.io/v1alpha1", spec=spec)
    item["metadata"]["finalizers"] = ["resources-finalizer.argocd.argoproj.io"]
    item["status"] = {"resources": listed, "sync": {"revision": "c" * 40}}
    return item


def secret(name: str, **values: str) -> dict[str, Any]:
    """Return a Secret."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return thing("Secret", name, data=data, type="Opaque")


class FakeKube:
    """An API server of dictionaries; it records every write and can be told to refuse one."""

    def __init__(self, *items: dict[str, Any], uid: str = UID) -> None:
        self.items = {path_of(item): item for item in items}
        self.uid = uid
        self.writes: list[tuple[str, str]] = []
        self.dry_runs: list[str] = []
        self.reads: list[str] = []
        self.refused: dict[str, Exception] = {}
        self.unreadable: set[str] = set()

    def get(self, path: str, query: Optional[Mapping[str, str]] = None) -> dict[str, Any]:
        self.reads.append(path)
        if path in _SERVED:
            served = _SERVED[path].items()
            return {"resources": [{"kind": kind, "name": name, "namespaced": many} for kind, (name, many) in served]}
        if path == "/api/v1/namespaces/kube-system":
            return {"metadata": {"uid": self.uid}}
        self._may_read(path)
        if path not in self.items:
            raise NotFound("read", path, "not found")
        return copy.deepcopy(self.items[path])

    def list(self, path: str, label_selector: str = "", field_selector: str = "") -> dict[str, Any]:
        self.reads.append(path)
        self._may_read(path)
        return {"items": [copy.deepcopy(item) for where, item in self.items.items() if where.startswith(path + "/")]}

    def _may_read(self, path: str) -> None:
        if path in self.unreadable:
            raise Forbidden("read", path, "User deployer cannot get it")

    def apply(
        self, path: str, body: Mapping[str, Any], manager: str, force: bool = False, dry_run: bool = False
    ) -> dict[str, Any]:
        if path in self.refused:
            raise self.refused[path]
        if dry_run:
            self.dry_runs.append(path)
            return dict(body)
        self.writes.append(("apply", path))
        stored = self.items.setdefault(path, {})
        _merge(stored, json.loads(json.dumps(body)))
        return copy.deepcopy(stored)

    def merge_patch(self, path: str, body: Mapping[str, Any], dry_run: bool = False) -> dict[str, Any]:
        self.writes.append(("patch", path))
        _merge(self.items[path], json.loads(json.dumps(body)))
        return copy.deepcopy(self.items[path])


def _merge(into: dict[str, Any], patch: Mapping[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


class FakeCipher:
    """Turns bytes around, so that nothing of the clear text can be found."""

    def encrypt(self, data: bytes, recipients: Any) -> bytes:
        return b"age-encryption.org/v1\n" + data[::-1]

    def decrypt(self, data: bytes, identity_file: str) -> bytes:
        return data[len(b"age-encryption.org/v1\n") :][::-1]


class FakeClock:
    """Time that passes only when the test says so."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def release() -> FakeKube:
    """Return a cluster in which the release is live."""
    return FakeKube(
        thing("Namespace", "shop", "", spec={"finalizers": ["kubernetes"]}),
        deployment(),
        thing("Service", "shop", spec={"clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9"], "type": "NodePort"}),
        thing("ConfigMap", "settings", data={"a": "1.10"}),
        thing("ServiceAccount", "runner", imagePullSecrets=[{"name": "account-pull"}]),
        secret("shop", password=CANARY),
        secret("pull", auth=CANARY + "-pull"),
        secret("account-pull", auth="x"),
        application(),
        thing("AppProject", "default", "argocd", "argoproj.io/v1alpha1", spec={"sourceRepos": ["*"]}),
    )


class Bench:
    """A store, a cluster and a clock, and the module's use case on them."""

    def __init__(self, folder: Path, kube: Optional[FakeKube] = None) -> None:
        self.kube = kube or release()
        self.store = DirectoryStore(str(folder / "store"))
        self.clock = FakeClock()
        self.lease: Any = NoLease()
        self.warnings: list[str] = []

    @property
    def ports(self) -> Ports:
        return Ports(lambda: self.kube, lambda: "https://api.test", self.store, FakeCipher(), self.clock, self.lease)

    def run(self, check_mode: bool = False, diff: bool = False, **options: Any) -> dict[str, Any]:
        given = {"app": PLACE.app, "environment": PLACE.environment, **options}
        if given.get("state", "present") == "present":
            given = {"release": "1.4.2", "application": {"name": "shop", "namespace": "argocd"}, **given}
        spec = ENTRY.argument_spec
        params = {name: given.get(name, option.get("default")) for name, option in spec.items()}
        return run(params, self.ports, Context(check_mode=check_mode, diff=diff, warn=self.warnings.append))

    def folder(self, name: str) -> Path:
        """Return the folder of a backup."""
        return Path(self.store.path(PLACE, name))
