# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What workloads refer to: Secrets, ConfigMaps, accounts, claims (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Mapping

from .model import Object

#: Made anew by the cluster in every namespace.
_BY_CLUSTER = ("kube-root-ca.crt", "openshift-service-ca.crt")


@dataclass(frozen=True)
class Reference:
    """Something of the same namespace that an object needs by name."""

    kind: str
    name: str
    is_required: bool = True


def references(item: Object) -> Iterator[Reference]:
    """Yield what an object refers to. A name may come more than once."""
    kind = item.get("kind")
    if kind == "Ingress":
        for entry in _spec(item).get("tls") or []:
            yield from _named("Secret", entry, "secretName")
    elif kind == "ServiceAccount":
        # A pull secret that is missing keeps no pod from starting when the image can be had without.
        for entry in item.get("imagePullSecrets") or []:
            yield from _named("Secret", entry, "name")
    else:
        yield from _of_pod(pod_spec(item))


def pod_spec(item: Object) -> Mapping[str, Any]:
    """Return the specification of the pods that an object makes, or nothing."""
    spec = _spec(item)
    if item.get("kind") == "Pod":
        return spec
    if item.get("kind") == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    template = spec.get("template")
    return (template.get("spec") or {}) if isinstance(template, dict) else {}


def _spec(item: Mapping[str, Any]) -> Mapping[str, Any]:
    spec = item.get("spec")
    return spec if isinstance(spec, dict) else {}


def _of_pod(pod: Mapping[str, Any]) -> Iterator[Reference]:
    if not pod:
        return
    for entry in pod.get("imagePullSecrets") or []:
        yield from _named("Secret", entry, "name")
    yield from _named("ServiceAccount", pod, "serviceAccountName")
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in pod.get(kind) or []:
            yield from _of_container(container)
    for volume in pod.get("volumes") or []:
        yield from _of_volume(volume)


def _of_container(container: Mapping[str, Any]) -> Iterator[Reference]:
    for source in container.get("envFrom") or []:
        yield from _named("Secret", source.get("secretRef"), "name")
        yield from _named("ConfigMap", source.get("configMapRef"), "name")
    for variable in container.get("env") or []:
        source = variable.get("valueFrom") or {}
        yield from _named("Secret", source.get("secretKeyRef"), "name")
        yield from _named("ConfigMap", source.get("configMapKeyRef"), "name")


def _of_volume(volume: Mapping[str, Any]) -> Iterator[Reference]:
    yield from _named("Secret", volume.get("secret"), "secretName")
    yield from _named("ConfigMap", volume.get("configMap"), "name")
    yield from _named("PersistentVolumeClaim", volume.get("persistentVolumeClaim"), "claimName")
    for kind in ("csi", "flexVolume", "cephfs", "rbd", "iscsi", "scaleIO", "storageos"):
        for key in ("nodePublishSecretRef", "secretRef"):
            yield from _named("Secret", (volume.get(kind) or {}).get(key), "name")
    for source in (volume.get("projected") or {}).get("sources") or []:
        yield from _named("Secret", source.get("secret"), "name")
        yield from _named("ConfigMap", source.get("configMap"), "name")


def _named(kind: str, node: Any, key: str) -> Iterator[Reference]:
    if isinstance(node, Mapping) and node.get(key) and node[key] not in _BY_CLUSTER:
        yield Reference(kind, str(node[key]), not node.get("optional"))
