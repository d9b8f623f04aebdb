# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a release back from a backup (private to the collection).

Everything is planned against the cluster first, by a server-side dry run; only a plan without
a problem is carried out. Nothing is ever removed: what is there and not in the backup stays.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional

from .._context import Context
from .._errors import Forbidden, PermanentError, SlipwayError, TransientError
from .._manifests.document import Id
from .cluster import Cluster
from .model import SECRETS, BackupError, Object
from .objects import clean, difference, identify, in_order, shown
from .ports import Ports
from .reader import Backup, corrupt

_WRITE_S = 30.0


@dataclass(frozen=True)
class Step:
    """One object: as it is now (clean, None when absent) and as it is in the backup."""

    what: Id
    before: Optional[Object]
    after: Object

    @property
    def action(self) -> str:
        """What has to be done: create, change or nothing."""
        if self.before is None:
            return "created"
        return "changed" if self.before != self.after else "unchanged"


class Restore:
    """One backup on its way into a cluster."""

    def __init__(self, backup: Backup, params: Mapping[str, Any], ports: Ports, ctx: Context) -> None:
        self._backup = backup
        self._params = params
        self._ports = ports
        self._ctx = ctx
        self._cluster = Cluster(ports.connect())
        self._cluster_uid = ""
        self._has_namespace = True
        self._brought: set[str] = set()
        self.missing: list[str] = []
        self.notes: list[str] = []

    def plan(self) -> list[Step]:
        """Return what has to be done, in order. Raises the typed errors; nothing is written."""
        self._check_target()
        try:
            items = in_order([*self._backup.live, *self._argocd(), *self._secrets()])
        except BackupError as error:
            raise corrupt(self._ports.store, self._backup.place, self._backup.name, str(error)) from error
        self._find_missing()
        if not self._has_namespace:
            self.notes.append(
                "Namespace %s does not exist: what lies in it was not tried." % self._backup.manifest.namespace
            )
        return [self._step(item) for item in items]

    def fingerprint(self, steps: list[Step]) -> str:
        """Return a hash over the backup and everything that would be changed in this cluster.

        The content of a Secret is in it by the checksum of the encrypted file only.
        """
        changes = [
            [step.what, step.action, None if step.what.is_secret else step.before]
            for step in steps
            if step.action != "unchanged"
        ]
        text = json.dumps([self._backup.fingerprint, self._cluster_uid, changes], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def carry_out(self, steps: list[Step], beat: Callable[[str], None]) -> None:
        """Apply what differs. A failure says what was restored before it."""
        done: list[dict[str, str]] = []
        for step in steps:
            if step.action == "unchanged":
                continue
            beat("restoring %s" % str(step.what))
            try:
                self._apply(step)
            except SlipwayError as error:
                error.result.update(changed=bool(done), restored=done)
                raise
            done.append({**step.what.as_dict(), "action": step.action})

    def _check_target(self) -> None:
        """Refuse another cluster or another namespace than the backup is of."""
        manifest = self._backup.manifest
        self._cluster_uid = self._cluster.uid()
        if self._cluster_uid != manifest.cluster_uid and not self._params["allow_other_cluster"]:
            cause = "it is of the cluster %s (%s), and this is %s" % (
                manifest.cluster_uid, manifest.raw["cluster"]["server"], self._cluster_uid,
            )  # fmt: skip
            hint = "Check kubeconfig and context. After a disaster set allow_other_cluster for a new cluster."
            raise self._refusal(cause, hint, "other_cluster")
        wanted = self._params.get("namespace") or manifest.namespace
        if wanted != manifest.namespace:
            cause = "it is of the namespace %s, not %s" % (manifest.namespace, wanted)
            raise self._refusal(cause, "Name the backup of the right application and environment.", "other_namespace")
        found = self._cluster.find(Id("v1", "Namespace", "", manifest.namespace))
        self._has_namespace = found is not None
        if found and found["metadata"].get("deletionTimestamp"):
            raise TransientError(
                "restore into", "Namespace %s" % manifest.namespace, "it is being deleted",
                "Wait until it is gone, then restore.", code="deleting",
            )  # fmt: skip

    def _refusal(self, cause: str, hint: str, code: str) -> PermanentError:
        path = self._ports.store.path(self._backup.place, self._backup.name)
        return PermanentError("restore", "backup " + path, cause, hint, code=code)

    def _argocd(self) -> list[Object]:
        """Return the Application, and its project only where there is none: others live in it, too."""
        found = []
        for item in self._backup.argocd:
            live = self._cluster.find(identify(item))
            if item["kind"] == "AppProject" and live is not None:
                continue
            automated = (((live or {}).get("spec") or {}).get("syncPolicy") or {}).get("automated")
            if automated is not None and not (live or {})["metadata"].get("deletionTimestamp"):
                self._ctx.warn(
                    "%s syncs by itself: what differs from Git will be set back. To return to another release, "
                    "roll back by Git." % str(identify(item))
                )
            found.append(item)
        return found

    def _secrets(self) -> list[Object]:
        identity = self._params.get("identity_file")
        if SECRETS not in self._backup.files or not identity:
            return []
        clear = self._ports.cipher.decrypt(self._backup.files[SECRETS], identity)
        items = self._backup.secrets(clear)
        self._brought = {item["metadata"]["name"] for item in items}
        return items

    def _find_missing(self) -> None:
        """Find the Secrets that the release needs, that are neither in the cluster nor brought along."""
        namespace = self._backup.manifest.namespace
        for entry in self._backup.manifest.secrets:
            if entry["name"] in self._brought or not entry.get("required"):
                continue
            if not self._is_there(Id("v1", "Secret", namespace, entry["name"])):
                users = ", ".join(str(user) for user in entry.get("used_by") or [])
                self.missing.append("%s/%s (needed by %s)" % (namespace, entry["name"], users))
        if not self.missing:
            return
        text = "what it needs is missing: Secret %s" % ", Secret ".join(self.missing)
        if self._params["missing_secrets"] == "warn":
            self._ctx.warn("In this cluster %s. Pods that need it will not start." % text)
            return
        hint = "The backup has them encrypted: give identity_file."
        if SECRETS not in self._backup.files or self._params.get("identity_file"):
            hint = "They are not in the backup: create them (kubectl create namespace %s first)." % namespace
        error = self._refusal(text, hint + " Or set missing_secrets=warn to restore the rest.", "secrets_missing")
        error.result["missing_secrets"] = self.missing
        raise error

    def _is_there(self, what: Id) -> bool:
        try:
            return self._has_namespace and self._cluster.find(what) is not None
        except Forbidden:
            self._ctx.warn("Whether %s exists may not be looked at." % str(what))
            return True

    def _step(self, item: Object) -> Step:
        """Compare with the cluster, and let the API server judge the object as far as it can now."""
        what = identify(item)
        _plural, is_namespaced = self._cluster.kind(what.version, what.kind)
        if is_namespaced != bool(what.namespace):
            raise self._refusal(
                "%s belongs to the whole cluster" % str(what), "Only a release is restored.", "cluster_wide"
            )
        found = self._cluster.find(what)
        if found and found["metadata"].get("deletionTimestamp"):
            raise TransientError("restore", str(what), "it is being deleted", "Wait until it is gone.", code="deleting")
        step = Step(what, clean(found) if found else None, item)
        can_ask = self._has_namespace or what.is_namespace or what.namespace != self._backup.manifest.namespace
        if can_ask and step.action != "unchanged":
            self._cluster.apply(item, what, dry_run=True)
        return step

    def _apply(self, step: Step) -> None:
        self._ports.lease.require(_WRITE_S)
        stored = self._cluster.apply(step.after, step.what, dry_run=False)
        rest = difference(clean({**stored, "apiVersion": step.what.version, "kind": step.what.kind}), step.after)
        if rest and step.before is not None:
            self._ports.lease.require(_WRITE_S)
            self._cluster.kube.merge_patch(self._cluster.path(step.what), rest)


def differences(steps: list[Step]) -> str:
    """Return what changes as a unified diff, for those who show it themselves."""
    diff = diff_of(steps, "")
    sides = [diff[side].splitlines() for side in ("before", "after")]
    return "\n".join(list(difflib.unified_diff(sides[0], sides[1], n=2, lineterm=""))[2:])


def diff_of(steps: list[Step], name: str) -> dict[str, str]:
    """Return a diff for people over everything that changes."""
    pairs = [shown(step.before, step.after) for step in steps if step.action != "unchanged"]
    return {
        "before_header": "in the cluster",
        "after_header": "in the backup %s" % name,
        "before": "".join(before for before, _after in pairs),
        "after": "".join(after for _before, after in pairs),
    }
