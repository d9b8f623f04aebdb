# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Use case of the module cluster_preflight (private to the collection).

One connection, one identity, a handful of requests: first the one that tells which cluster it
is. On the wrong cluster nothing else is asked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Mapping, Optional, Protocol

from .._context import Clock, Context
from .._errors import Forbidden, NotFound, PermanentError, SlipwayError, TransientError
from .._kube.paths import object_path
from .._progress import Voice
from . import quota
from .identity import Seen, check_server, check_uid, unreadable
from .model import Kind, Object, Problem, Right, Wanted, namespace_problems, wanted

_NAMESPACES = ("v1", "namespaces")
_QUOTAS = ("v1", "resourcequotas")
_ACCESS = object_path(("authorization.k8s.io/v1", "selfsubjectaccessreviews"))
_WHO = object_path(("authentication.k8s.io/v1", "selfsubjectreviews"))
_CLASSES: Mapping[str, type[SlipwayError]] = {"forbidden": Forbidden, "not_found": NotFound}


class Kube(Protocol):
    """What is asked of the Kubernetes API; raises the typed errors of ``_errors``."""

    def get(self, path: str, query: Optional[Mapping[str, str]] = None) -> Object: ...

    def list(self, path: str, label_selector: str = "", field_selector: str = "") -> Object: ...

    def create(self, path: str, body: Mapping[str, Any], dry_run: bool = False) -> Object: ...


@dataclass(frozen=True)
class Ports:
    """``seen`` says which cluster ``kube`` talks to, as far as the kubeconfig knows."""

    kube: Kube
    seen: Seen
    clock: Clock


def run(params: Mapping[str, Any], ports: Ports, ctx: Context) -> dict[str, Any]:
    """Return what the cluster is and offers.

    Raises InvalidInput; PermanentError ``cluster_mismatch`` or ``cluster_unpinned``; Forbidden
    when the identity of the cluster may not be read although it has to be known. Other problems
    are raised together at the end, as Forbidden, NotFound or PermanentError by the first one,
    unless ``fail_on_problems`` is false.
    """
    ask = wanted(params)
    check_server(ask.pins, ports.seen)
    preflight = _Preflight(ports, ctx, ask)
    result = preflight.result()
    if preflight.problems and params.get("fail_on_problems", True):
        raise preflight.failure(result)
    return result


class _Preflight:
    """One run: asks, and collects problems instead of stopping at the first."""

    def __init__(self, ports: Ports, ctx: Context, ask: Wanted) -> None:
        self._kube = ports.kube
        self._ctx = ctx
        self._ask = ask
        self._voice = Voice("Preflight", ctx.progress, ports.clock.monotonic)
        self._seen = ports.seen
        self._identity = ""
        self.problems: list[Problem] = []

    def result(self) -> dict[str, Any]:
        """Ask everything and return the module's result."""
        self._seen = self._identified()
        version = self._version()
        namespace = self._namespace()
        quotas = self._quotas() if namespace else []
        self._check_kinds()
        access = self._access()
        cluster = {
            "uid": self._seen.uid,
            "server": self._seen.server,
            "context": self._seen.context,
            "version": version,
            "namespace": self._ask.namespace,
            "namespace_labels": dict((namespace or {}).get("metadata", {}).get("labels") or {}),
        }
        problems = [{"code": problem.code, "message": problem.message} for problem in self.problems]
        return {"changed": False, "cluster": cluster, "access": access, "quotas": quotas, "problems": problems}

    def failure(self, result: Mapping[str, Any]) -> SlipwayError:
        """Return one error for all problems; the first one gives class and code."""
        code = self.problems[0].code
        cause = "; ".join(problem.message for problem in self.problems)
        hints = dict.fromkeys(problem.hint for problem in self.problems if problem.hint)
        kind = _CLASSES.get(code, PermanentError)
        return kind("deliver to", str(self._seen), cause, " ".join(hints), code, result)

    def _identified(self) -> Seen:
        """Return the cluster with its UID, which is empty only where nothing depends on it."""
        pins = self._ask.pins
        try:
            metadata = self._kube.get(object_path(_NAMESPACES, name="kube-system")).get("metadata") or {}
        except Forbidden as error:
            told = unreadable(self._seen, error)
            if pins.uid or pins.is_required:
                raise told from error
            self._ctx.warn("The cluster cannot be told from another one. %s" % told)
            return self._seen
        if not metadata.get("uid"):
            raise PermanentError("identify", str(self._seen), "kube-system has no UID", code="not_an_api")
        seen = replace(self._seen, uid=str(metadata["uid"]))
        check_uid(pins, seen)
        return seen

    def _version(self) -> str:
        self._beat()
        try:
            return str(self._kube.get("/version").get("gitVersion") or "")
        except Forbidden:
            return ""  # nice to know, and nothing depends on it

    def _namespace(self) -> Optional[Object]:
        name = self._ask.namespace
        if not name:
            return None
        try:
            found = self._kube.get(object_path(_NAMESPACES, name=name))
        except Forbidden:
            self._miss(Right("get", "namespaces", namespace=name, name=name))
            return None
        except NotFound:
            hint = "Create it, or correct the name."
            self.problems.append(Problem("not_found", "namespace %s does not exist" % name, hint))
            return None
        self.problems += namespace_problems(found, self._ask.labels)
        return found

    def _quotas(self) -> list[dict[str, Any]]:
        """Return the quotas of the namespace; they inform, and what is used up is said aloud."""
        self._beat()
        name = self._ask.namespace
        try:
            found = self._kube.list(object_path(_QUOTAS, name)).get("items") or []
        except Forbidden:
            self._ctx.warn("Quotas are unknown: the right to list resourcequotas in namespace %s is missing." % name)
            return []
        quotas = sorted(map(quota.view, found), key=lambda item: str(item["name"]))
        for item in quotas:
            full = ", ".join(quota.exhausted(item))
            if full:
                self._ctx.warn("Quota %s in namespace %s is used up: %s." % (item["name"], name, full))
        return quotas

    def _check_kinds(self) -> None:
        """Ask once per group and version what is served."""
        listings: dict[str, Object] = {}
        for kind in self._ask.kinds:
            if kind.path not in listings:
                self._beat()
                listings[kind.path] = self._listing(kind)
            if not kind.is_served(listings[kind.path]):
                hint = "Install what brings it, such as a custom resource definition."
                self.problems.append(Problem("not_found", "the cluster does not serve %s" % kind, hint))

    def _listing(self, kind: Kind) -> Object:
        try:
            return self._kube.get(kind.path)
        except NotFound:
            return {}

    def _access(self) -> list[dict[str, Any]]:
        """Ask for each right once and return all of them, in the order they were asked for."""
        answers: dict[Right, Mapping[str, Any]] = {}
        for right in self._ask.rights:
            if right not in answers:
                self._beat()
                answers[right] = self._reviewed(right)
                if not answers[right].get("allowed"):
                    self._miss(right, str(answers[right].get("reason") or ""))
        return [self._shown(right, answers[right]) for right in self._ask.rights]

    def _reviewed(self, right: Right) -> Mapping[str, Any]:
        try:
            answer = self._kube.create(_ACCESS, right.review())
        except TransientError:
            answer = self._kube.create(_ACCESS, right.review())  # a question changes nothing: it may be asked twice
        status: Mapping[str, Any] = answer.get("status") or {}
        return status

    @staticmethod
    def _shown(right: Right, status: Mapping[str, Any]) -> dict[str, Any]:
        reason = str(status.get("reason") or status.get("evaluationError") or "")
        return dict(vars(right), allowed=bool(status.get("allowed")), reason=reason)

    def _miss(self, right: Right, reason: str = "") -> None:
        """Note that a right is missing, and who it is that lacks it."""
        self._identity = self._identity or self._who()
        message = "%s may not %s%s" % (self._identity, right, " (%s)" % reason if reason else "")
        self.problems.append(Problem("forbidden", message, right.hint))

    def _who(self) -> str:
        """Return the name of the identity in use, as the API server knows it."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            user = (self._kube.create(_WHO, body).get("status") or {}).get("userInfo") or {}
        except SlipwayError:
            return "the identity in use"  # an older cluster does not tell
        return str(user.get("username") or "the identity in use")

    def _beat(self) -> None:
        self._voice.beat(lambda: "the API server is slow")
