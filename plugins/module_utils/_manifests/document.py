# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests as data: objects, their identity and order, the inventory of a release (private to the collection).

A release is a set of objects that are applied together. Its inventory, a ConfigMap in the
cluster, lists them, so that an upgrade removes what the new version lacks and removing the
release needs no manifest.
"""

from __future__ import annotations

import json
from typing import Any, Iterable, Iterator, Mapping, NamedTuple, Optional, Sequence

from .._context import MASK

try:
    import yaml
except ImportError:  # the entry reports it
    yaml = None  # type: ignore[assignment]

Object = dict[str, Any]

MANAGER = "slipway.gitops"
DEFINITION = "CustomResourceDefinition"
WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet")
#: Kind -> when it is applied. Kinds that are not named come in between, custom resources last.
NAMESPACES, DEFINITIONS, THINGS, RUNNING, HOOKS, CUSTOM = range(6)
_STAGES = {
    "Namespace": NAMESPACES,
    DEFINITION: DEFINITIONS,
    **dict.fromkeys((*WORKLOADS, "Job", "CronJob"), RUNNING),
    **dict.fromkeys(("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "APIService"), HOOKS),
}
#: The API server keeps these; they say nothing about what was asked for.
_KEPT_BY_SERVER = ("resourceVersion", "generation", "managedFields", "creationTimestamp", "uid", "selfLink")
_COLUMNS = 4


class ManifestError(ValueError):
    """A manifest that cannot be one; the text is the cause."""


class Id(NamedTuple):
    """What one object is: ``version`` as in apiVersion, no ``namespace`` for cluster-wide ones."""

    version: str
    kind: str
    namespace: str
    name: str

    @property
    def group(self) -> str:
        """API group, empty for the core's."""
        return self.version.rpartition("/")[0]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Identity over versions of the API: the same object may be served in several."""
        return (self.group, self.kind, self.namespace, self.name)

    @property
    def is_secret(self) -> bool:
        """Whether this is a Secret, which never lies in the clear."""
        return (self.group, self.kind) == ("", "Secret")

    @property
    def is_namespace(self) -> bool:
        """Whether this is a namespace."""
        return (self.group, self.kind) == ("", "Namespace")

    @property
    def is_claim(self) -> bool:
        """Whether this is a claim of a volume, which may take the volume and all data with it."""
        return (self.group, self.kind) == ("", "PersistentVolumeClaim")

    @property
    def outlives_its_release(self) -> bool:
        """Whether it stays when a release merely does not have it any more: it holds what others made."""
        return self.is_namespace or self.is_claim

    @property
    def stage(self) -> int:
        """When it is applied; removal goes the other way round."""
        is_custom = "." in self.group and not self.group.endswith(".k8s.io")
        return _STAGES.get(self.kind, CUSTOM if is_custom else THINGS)

    def __str__(self) -> str:
        return "%s %s" % (self.kind, "/".join(filter(None, (self.namespace, self.name))))

    def as_dict(self) -> dict[str, str]:
        """Return it as results and lists in files show it."""
        return {"apiVersion": self.version, "kind": self.kind, "namespace": self.namespace, "name": self.name}


def read_yaml(text: str) -> list[Object]:
    """Return the objects of a manifest, Lists taken apart. Raises ManifestError."""
    try:
        documents = list(yaml.load_all(text, Loader=_safe_loader()))
    except yaml.YAMLError as error:
        raise ManifestError("it is no YAML (%s)" % " ".join(str(error).split())[:300]) from error
    return [item for document in documents if document is not None for item in _flat(document)]


def _safe_loader() -> Any:
    """Return the fast loader where there is one; dates stay text, since JSON has none."""
    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    resolvers = {
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in base.yaml_implicit_resolvers.items()
    }
    return type("SafeLoaderOfText", (base,), {"yaml_implicit_resolvers": resolvers})


def _flat(document: Any) -> Iterator[Object]:
    if not isinstance(document, dict):
        raise ManifestError("a document of it is no mapping")
    if str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _flat(item)
        return
    yield document


def identify(item: Object, is_namespaced: Optional[bool], namespace: str) -> Id:
    """Return what an object is; ``namespace`` is the default of namespaced ones.

    ``is_namespaced`` is None where the kind is unknown: its own namespace is believed then.
    """
    meta = item.get("metadata")
    version, kind = item.get("apiVersion"), item.get("kind")
    name = meta.get("name") if isinstance(meta, dict) else None
    if not (version and kind and name and isinstance(meta, dict)):
        raise ManifestError("an object of it lacks apiVersion, kind or metadata.name")
    own = str(meta.get("namespace") or "")
    where = (own or namespace) if is_namespaced else own if is_namespaced is None else ""
    return Id(str(version), str(kind), where, str(name))


def without(item: Object, paths: Iterable[str]) -> Object:
    """Return a copy without the fields at dotted paths; other objects lack them anyway."""
    copy: Object = json.loads(json.dumps(item))
    for path in paths:
        node: Any = copy
        *parents, last = path.split(".")
        for parent in parents:
            node = node.get(parent) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node.pop(last, None)
    return copy


def comparable(item: Optional[Object]) -> Optional[Object]:
    """Return what an object says without what the server keeps, and which fields are ours.

    Two equal values mean that an apply would write nothing, ownership included.
    """
    if item is None:
        return None
    meta = item.get("metadata") or {}
    ours = [
        field.get("fieldsV1")
        for field in meta.get("managedFields") or []
        if field.get("manager") == MANAGER and field.get("operation") == "Apply" and not field.get("subresource")
    ]
    said = {key: value for key, value in item.items() if key not in ("status", "metadata")}
    said["metadata"] = {key: value for key, value in meta.items() if key not in _KEPT_BY_SERVER}
    return {"object": said, "ours": ours}


def shown(item: Optional[Object]) -> str:
    """Return an object as a diff shows it: nothing for none, the values of a Secret masked."""
    said = (comparable(item) or {}).get("object")
    if said is None:
        return ""
    if said.get("kind") == "Secret":
        hidden = {key: dict.fromkeys(said[key], MASK) for key in ("data", "stringData") if said.get(key)}
        said = {**said, **hidden}
    return json.dumps(said, indent=2, sort_keys=True) + "\n"


class Kind(NamedTuple):
    """How a kind is served: plural name of the resource, and whether objects have a namespace."""

    plural: str
    is_namespaced: bool


def defined_kinds(items: Iterable[Object]) -> dict[tuple[str, str], Kind]:
    """Return the kinds that CustomResourceDefinitions among the objects define, by (apiVersion, kind)."""
    found = {}
    for item in items:
        spec = item.get("spec") or {}
        names = spec.get("names") or {}
        if item.get("kind") != DEFINITION:
            continue
        for version in spec.get("versions") or []:
            key = ("%s/%s" % (spec.get("group"), version.get("name")), str(names.get("kind")))
            found[key] = Kind(str(names.get("plural")), spec.get("scope") == "Namespaced")
    return found


class Inventory(NamedTuple):
    """What a release consists of, as its ConfigMap says."""

    version: str = ""
    ids: tuple[Id, ...] = ()

    @classmethod
    def of(cls, config_map: Optional[Mapping[str, Any]]) -> Inventory:
        """Return the inventory in a ConfigMap, an empty one for none. Raises ManifestError."""
        data = (config_map or {}).get("data") or {}
        lines = [line.split(" ") for line in str(data.get("objects") or "").splitlines()]
        if any(len(line) != _COLUMNS for line in lines):
            raise ManifestError("its inventory is damaged")
        return cls(str(data.get("version") or ""), tuple(Id(*line) for line in lines))

    def config_map(self, name: str, namespace: str) -> Object:
        """Return the ConfigMap that keeps it."""
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {"app.kubernetes.io/managed-by": MANAGER},
            },
            "data": {"version": self.version, "objects": "".join("%s\n" % " ".join(item) for item in sorted(self.ids))},
        }

    def differs(self, other: Inventory) -> bool:
        """Whether the other is of another version or of other objects; their order says nothing."""
        return (self.version, sorted(self.ids)) != (other.version, sorted(other.ids))

    def joined(self, other: Inventory) -> Inventory:
        """Return both together, with the version of this one."""
        keys = {item.key for item in self.ids}
        return self._replace(ids=self.ids + tuple(item for item in other.ids if item.key not in keys))

    def lacking(self, other: Inventory) -> list[Id]:
        """Return what the other has and this one has not, in the order of removal."""
        keys = {item.key for item in self.ids}
        return removal_order([item for item in other.ids if item.key not in keys])


def removal_order(ids: Sequence[Id]) -> list[Id]:
    """Return ids in the order in which they are removed: the reverse of how they were applied."""
    return sorted(ids, key=lambda item: (-item.stage, item))
