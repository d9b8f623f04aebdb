# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of manifests share: an API server that stores, and a run of the service on it."""

from __future__ import annotations

import copy
import json
from typing import Any, Mapping, Optional

from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._errors import NotFound, SlipwayError
from ansible_collections.slipway.gitops.plugins.module_utils._manifests.cluster import Ports
from ansible_collections.slipway.gitops.plugins.module_utils._manifests.service import run

Object = dict[str, Any]


def thing(kind: str, name: str = "one", version: str = "v1", **more: Any) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **more}


class FakeKube:
    """An API server that stores, with an admission webhook that fails as ``faults`` says.

    Definitions are established and workloads ready at once, unless their name is in ``stuck``.
    """

    served = {
        "/api/v1": [
            ("ConfigMap", "configmaps", True),
            ("Namespace", "namespaces", False),
            ("Pod", "pods", True),
            ("PersistentVolumeClaim", "persistentvolumeclaims", True),
        ],
        "/apis/apps/v1": [("Deployment", "deployments", True), ("StatefulSet", "statefulsets", True)],
        "/apis/apiextensions.k8s.io/v1": [("CustomResourceDefinition", "customresourcedefinitions", False)],
    }

    def __init__(self) -> None:
        self.now = 0.0
        self.store: dict[str, Object] = {}
        self.calls: list[str] = []
        self.faults: list[SlipwayError] = []
        self.stuck: set[str] = set()

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def get(self, path: str, query: Optional[Mapping[str, str]] = None) -> Object:
        if path == "/apis/net.example.org/v1" and any("customresourcedefinitions" in key for key in self.store):
            return {"resources": [{"name": "pools", "kind": "Pool", "namespaced": True}]}
        if path in self.served:
            return {"resources": [{"name": p, "kind": k, "namespaced": n} for k, p, n in self.served[path]]}
        if path not in self.store:
            raise NotFound("read", path)
        return copy.deepcopy(self.store[path])

    def list(self, path: str, label_selector: str = "", field_selector: str = "") -> Object:
        base, plural = path.rsplit("/", 1)
        return {"items": [item for key, item in self.store.items() if key.startswith(base) and "/%s/" % plural in key]}

    def apply(
        self, path: str, body: Mapping[str, Any], manager: str, force: bool = False, dry_run: bool = False
    ) -> Object:
        if "/namespaces/lib/" in path and "/api/v1/namespaces/lib" not in self.store:
            raise NotFound("apply", path, "namespace not found")
        if "/pools/" in path and self.faults:
            raise self.faults.pop(0)
        stored = copy.deepcopy(dict(body))
        stored["metadata"]["managedFields"] = [{"manager": manager, "operation": "Apply", "fieldsV1": sorted(body)}]
        if body["metadata"]["name"] not in self.stuck:
            ready = {"updatedReplicas": 1, "readyReplicas": 1}
            stored["status"] = {"conditions": [{"type": "Established", "status": "True"}], **ready}
        if not dry_run:
            self.calls.append("apply " + path.rsplit("/", 2)[-2])
            self.store[path] = stored
        return stored

    def delete(self, path: str, propagation: str = "", dry_run: bool = False) -> Object:
        self.calls.append("delete " + path.rsplit("/", 2)[-2])
        return self.store.pop(path)


def keep(kube: FakeKube, *items: Object, check: bool = False, **options: Any) -> dict[str, Any]:
    """Run the module's service; ``warned`` in the result is what it warned of."""
    params = {
        "name": "lib", "namespace": "lib", "state": "present", "version": "1", "ignore_fields": None,
        "force_conflicts": False, "custom_resources": "refuse", "derived_kinds": None, "wait": True,
        "configurations": None, "wait_timeout": 60, **options,
    }  # fmt: skip
    documents = json.loads(json.dumps(items))
    warned: list[str] = []
    context = Context(check_mode=check, diff=True, warn=warned.append)
    return {**run(params, documents, Ports(kube, kube), context), "warned": warned}
