# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a release out of a cluster (private to the collection)."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Callable, Iterable, Mapping, Optional

from .._argocd.redact import masked
from .._errors import Forbidden, InvalidInput, NotFound, SlipwayError
from .._kube.paths import APPLICATIONS, object_path
from .._manifests.document import Id
from . import helm
from .cluster import Cluster
from .model import HELM_MANIFEST, HELM_VALUES, BackupError, Object
from .objects import clean, identify
from .reading import Reading
from .references import Reference, pod_spec, references
from .request import Request
from .snapshot import Snapshot

_IN_CLUSTER = ("https://kubernetes.default.svc", "in-cluster")
_PROJECTS = ("argoproj.io/v1alpha1", "appprojects")
_NO_SERVICE = "kubernetes.io/service-account-token"
#: What a selector is asked for; what controllers make of it is left out.
_KINDS = (
    ("v1", "ConfigMap"), ("v1", "PersistentVolumeClaim"), ("v1", "Service"), ("v1", "ServiceAccount"),
    ("apps/v1", "DaemonSet"), ("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("batch/v1", "CronJob"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"), ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"), ("policy/v1", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io/v1", "Role"), ("rbac.authorization.k8s.io/v1", "RoleBinding"),
)  # fmt: skip


class Capture:
    """Reads one release, with as few questions as it takes."""

    def __init__(self, cluster: Cluster, request: Request, beat: Callable[[], None]) -> None:
        self._cluster = cluster
        self._request = request
        self._beat = beat
        self._application: Optional[Object] = None
        self._snapshot = Snapshot(request.namespace, request.commit)
        self._reading = Reading(cluster, self._snapshot)

    def run(self) -> Optional[Snapshot]:
        """Return the release, or None when nothing of it is there.

        What may not be read is left out and noted. Raises Forbidden when that is all of it, and the other
        typed errors of the API.
        """
        self._read_application()
        for what in self._wanted():
            self._take(what)
        if not self._snapshot.live:
            self._reading.refuse_nothing()
            return None
        self._follow()
        self._take(Id("v1", "Namespace", "", self._snapshot.namespace))
        self._read_helm()
        self._read_secrets()
        self._read_images()
        return self._snapshot

    def _read_application(self) -> None:
        """Read the Application, its project, and which repositories it needs."""
        target = self._request.application
        if not target:
            return
        what = Id(APPLICATIONS[0], "Application", *target)
        found = self._cluster.find(what)
        if found is None:
            raise NotFound("back up", str(what), "it does not exist", "Check name and namespace.")
        self._application = found
        destination = (found.get("spec") or {}).get("destination") or {}
        where = destination.get("server") or destination.get("name") or ""
        if where and where not in _IN_CLUSTER:
            hint = "Name its resources and the kubeconfig of that cluster."
            raise InvalidInput("application", "%s deploys to the cluster %s" % (what, where), hint)
        snapshot = self._snapshot
        snapshot.namespace = snapshot.namespace or str(destination.get("namespace") or "")
        if not snapshot.namespace:
            raise InvalidInput(
                "namespace", "it is empty, and %s names none" % str(what), "Say where the release lives."
            )
        synced = ((found.get("status") or {}).get("sync") or {}).get("revision")
        snapshot.commit = snapshot.commit or str(synced or "")
        snapshot.argocd.append(clean(found))
        self._read_project(target[0], str((found.get("spec") or {}).get("project") or "default"))
        self._read_repositories(target[0])

    def _read_project(self, namespace: str, name: str) -> None:
        what = Id(_PROJECTS[0], "AppProject", namespace, name)
        found = self._reading.find(what)
        if found is not None:
            self._snapshot.argocd.append(clean(found))

    def _read_repositories(self, namespace: str) -> None:
        """Note which Secrets hold the credentials of the repositories; their content stays where it is."""
        urls = [str(source.get("repoURL") or "") for source in self._sources()]
        selector = "argocd.argoproj.io/secret-type in (repository,repo-creds)"
        try:
            listed = self._cluster.kube.list(object_path(("v1", "secrets"), namespace), selector).get("items") or []
        except Forbidden:
            self._snapshot.omit(Id("v1", "Secret", namespace, "(repositories)"), "they may not be read")
            return
        for item in listed:
            url = _decoded(item, "url")
            if url and any(address == url or address.startswith(url.rstrip("/") + "/") for address in urls):
                reference = {"namespace": namespace, "name": item["metadata"]["name"], "url": masked(url)}
                self._snapshot.repositories.append(reference)

    def _sources(self) -> list[Mapping[str, Any]]:
        spec = (self._application or {}).get("spec") or {}
        return [source for source in (spec.get("sources") or [spec.get("source")]) if isinstance(source, dict)]

    def _wanted(self) -> Iterable[Id]:
        """Yield what belongs to the release: what was named, else what matches, else what Argo CD lists."""
        if self._request.resources:
            return list(self._request.resources)
        if self._request.selector:
            return self._selected()
        listed = ((self._application or {}).get("status") or {}).get("resources") or []
        return [_listed_id(item) for item in listed]

    def _selected(self) -> list[Id]:
        found = []
        secrets = (("v1", "Secret"),) if self._request.is_encrypted else ()
        for version, kind in (*_KINDS, *secrets):
            for item in self._reading.items(version, kind, self._request.selector):
                if not any(owner.get("controller") for owner in item["metadata"].get("ownerReferences") or []):
                    found.append(Id(version, kind, self._snapshot.namespace, item["metadata"]["name"]))
            self._beat()
        return found

    def _take(self, what: Id) -> None:
        """Read one object into the backup, or note why it is not in it."""
        self._beat()
        snapshot = self._snapshot
        if what.is_secret:
            if what.namespace == snapshot.namespace:
                self._need(Reference("Secret", what.name), "the release itself")
            return
        if what in snapshot.live:
            return
        reason = ""
        if not what.namespace and what.name != snapshot.namespace:
            reason = "it belongs to the whole cluster"
        elif what.namespace and what.namespace != snapshot.namespace:
            reason = "it lies in another namespace"
        if reason:
            snapshot.omit(what, reason)
            return
        found = self._reading.find(what)
        if found is None:
            return
        if found["metadata"].get("deletionTimestamp"):
            snapshot.omit(what, "it is being deleted")
        else:
            snapshot.live[what] = clean(found)

    def _follow(self) -> None:
        """Take in what the workloads need and nobody lists: accounts, ConfigMaps, claims, names of Secrets."""
        snapshot = self._snapshot
        pending = list(snapshot.live.items())
        while pending:
            what, item = pending.pop(0)
            for reference in references(item):
                if reference.kind == "Secret":
                    self._need(reference, str(what))
                    continue
                target = Id("v1", reference.kind, snapshot.namespace, reference.name)
                known = set(snapshot.live)
                self._take(target)
                if target not in known and target in snapshot.live:
                    if _is_plain_default(snapshot.live[target]):
                        del snapshot.live[target]
                    else:
                        pending.append((target, snapshot.live[target]))

    def _need(self, reference: Reference, user: str) -> None:
        entry = self._snapshot.names.setdefault(
            reference.name, {"name": reference.name, "required": False, "used_by": []}
        )
        entry["required"] = entry["required"] or reference.is_required
        if user not in entry["used_by"]:
            entry["used_by"].append(user)

    def _read_secrets(self) -> None:
        """Read the Secrets, if they are to be encrypted. Otherwise they are not even asked for."""
        if not self._request.is_encrypted:
            return
        for name, entry in sorted(self._snapshot.names.items()):
            what = Id("v1", "Secret", self._snapshot.namespace, name)
            self._beat()
            found = self._reading.find(what)
            if found is not None and found.get("type") != _NO_SERVICE:
                # Not registered for masking: no result quotes it, and a value such as the name of the
                # application would mask the path of the backup.
                self._snapshot.secrets[what] = clean(found)
            elif str(what) not in self._snapshot.unread:
                entry["required"] = False  # the release lives without it now
                if found is not None:
                    self._snapshot.omit(what, "the cluster makes it")

    def _read_helm(self) -> None:
        """Keep values and manifest of a Helm release, or the values that Argo CD renders its chart with."""
        sources = [source for source in self._sources() if source.get("helm")]
        if sources:
            wanted = ("repoURL", "chart", "path", "targetRevision", "helm")
            shown = [{key: source[key] for key in wanted if key in source} for source in sources]
            self._snapshot.helm[HELM_VALUES] = json.dumps(masked(shown), indent=2).encode() + b"\n"
        name = helm.release_of(self._snapshot.live.values())
        if not name:
            return
        namespace = self._snapshot.namespace
        path = object_path(("v1", "secrets"), namespace)
        what = Id("v1", "Secret", namespace, "sh.helm.release.v1.%s" % name)
        try:
            secret = helm.newest(self._cluster.kube.list(path, "owner=helm,name=%s" % name).get("items") or [])
            if secret is None:
                self._snapshot.omit(what, "it does not exist")
                return
            release = helm.decode(secret)
            values, manifest = helm.files(release)
        except (Forbidden, BackupError) as error:
            if isinstance(error, Forbidden) and self._request.is_encrypted:
                self._snapshot.lack(what)
            else:
                self._snapshot.omit(what, "it may not be read" if isinstance(error, SlipwayError) else str(error))
            return
        self._snapshot.helm.update({HELM_VALUES: values, HELM_MANIFEST: manifest})
        self._need(Reference("Secret", secret["metadata"]["name"], False), "Helm")
        for made in helm.secret_names(release):
            self._need(Reference("Secret", made), "Helm release %s" % name)

    def _read_images(self) -> None:
        """Note which images run, by the digest that the node has: a tag may have moved since."""
        selectors = [_selector(item) for item in self._snapshot.live.values() if pod_spec(item)]
        found = {(image, "") for image in self._request.images}
        for selector in sorted(filter(None, set(selectors))):
            for pod in self._reading.items("v1", "Pod", selector):
                statuses = (pod.get("status") or {}).get("containerStatuses") or []
                digests = {item.get("name"): str(item.get("imageID") or "") for item in statuses}
                for container in (pod.get("spec") or {}).get("containers") or []:
                    digest = digests.get(container["name"], "").rpartition("@")[2]
                    found.add((container["image"], digest if digest.startswith("sha256:") else ""))
        known = {image for image, digest in found if digest}
        self._snapshot.images = [
            {"image": image, "digest": digest} for image, digest in sorted(found) if digest or image not in known
        ]


def _listed_id(item: Mapping[str, Any]) -> Id:
    group, version = str(item.get("group") or ""), str(item.get("version") or "v1")
    full = "%s/%s" % (group, version) if group else version
    return Id(full, str(item.get("kind")), str(item.get("namespace") or ""), str(item.get("name")))


def _is_plain_default(item: Object) -> bool:
    """Tell the account that every namespace gets from one that somebody set up."""
    what = identify(item)
    return what.kind == "ServiceAccount" and what.name == "default" and not item.get("imagePullSecrets")


def _selector(item: Object) -> str:
    labels = ((item.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    return ",".join("%s=%s" % pair for pair in sorted(labels.items()))


def _decoded(secret: Object, key: str) -> str:
    try:
        return base64.b64decode(str((secret.get("data") or {}).get(key) or "")).decode()
    except (ValueError, binascii.Error):
        return ""
