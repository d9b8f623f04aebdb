# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wanted Application: checked options, the object to apply, comparison (private to the collection)."""

from __future__ import annotations

import copy
import re
from typing import Any, Iterator, Mapping, Optional

from .._errors import InvalidInput
from .redact import LAST_APPLIED

MANAGER = "slipway.gitops"
RESOURCES_FINALIZER = "resources-finalizer.argocd.argoproj.io"
#: Finalizers by which Argo CD deletes an Application's resources, by policy; the first is the usual spelling.
_CASCADES: Mapping[str, tuple[str, ...]] = {
    "foreground": (RESOURCES_FINALIZER, RESOURCES_FINALIZER + "/foreground"),
    "background": (RESOURCES_FINALIZER + "/background",),
    "none": (),
}
_VOLATILE = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?\Z")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
_COMMIT = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\Z")
_SHORT_COMMIT = re.compile(r"[0-9a-f]{4,63}\Z")
_PASSWORD_IN_URL = re.compile(r"[a-z+]+://[^/@]*:[^/@]*@", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
_ONLY_FOR = {
    "present": ("spec", "labels", "annotations", "finalizers"),
    "absent": ("cascade",),
    "synced": ("revision", "expected", "operation", "retry_failed", "manual", "hard_refresh", "wait_for_health"),
}


def validate(params: Mapping[str, Any]) -> None:
    """Refuse options that cannot be right, before anything is read or written.

    Raises InvalidInput, which names the option.
    """
    check_names(params)
    for state, options in _ONLY_FOR.items():
        for option in options:
            if params["state"] != state and params.get(option) not in (None, False):
                raise InvalidInput(option, "it goes with state '%s' only, not with '%s'" % (state, params["state"]))
    if not 1 <= params["wait_timeout"] <= 86400:
        raise InvalidInput("wait_timeout", "%d is not between 1 and 86400 seconds" % params["wait_timeout"])
    if params["state"] == "present":
        _check_spec(params.get("spec"))
        for option in ("labels", "annotations"):
            _check_strings(option, params.get(option) or {})
    if params.get("revision") is not None:
        check_revision(params["revision"])


def check_names(params: Mapping[str, Any]) -> None:
    """Raise InvalidInput unless ``name`` (where given) and ``namespace`` are names Kubernetes allows."""
    if params.get("name") is not None:
        _name("name", params["name"], _SUBDOMAIN, 253)
    _name("namespace", params["namespace"], _LABEL, 63)


def check_revision(revision: str) -> None:
    """Raise InvalidInput unless ``revision`` is a full commit id (SHA-1 or SHA-256, lower case)."""
    if _COMMIT.match(revision):
        return
    cause = "'%s' is not a full commit id" % _CONTROL.sub("?", revision)[:80]
    if _SHORT_COMMIT.match(revision):
        cause = "'%s' is a shortened commit id, which can mean another commit tomorrow" % revision
    hint = "Give all 40 (or 64) hexadecimal digits, or leave it out for the head of targetRevision."
    raise InvalidInput("revision", cause, hint)


def _name(option: str, value: str, pattern: re.Pattern[str], longest: int) -> None:
    if len(value) > longest:
        raise InvalidInput(option, "%d characters are more than the %d Kubernetes allows" % (len(value), longest))
    if not pattern.match(value):
        rule = "lower-case letters, digits and '-'" + (" and '.'" if pattern is _SUBDOMAIN else "")
        cause = "'%s' is not a Kubernetes name" % _CONTROL.sub("?", value)
        raise InvalidInput(option, cause, "Allowed are %s, not at either end." % rule)


def _check_strings(option: str, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if not isinstance(value, str):
            raise InvalidInput(option, "the value of '%s' is not text" % key, "Put it in quotes.")
        if _CONTROL.search(key) or "\x00" in value:
            raise InvalidInput(option, "'%s' holds a control character" % _CONTROL.sub("?", key))


def _check_spec(spec: Any) -> None:
    if not isinstance(spec, Mapping) or not spec:
        raise InvalidInput("spec", "state 'present' needs the specification of the Application")
    for where, source in sources(spec):
        url = source.get("repoURL")
        if url is None:
            continue
        if not isinstance(url, str) or not url or _CONTROL.search(url) or url.startswith("-"):
            raise InvalidInput("spec", "%s.repoURL is not the address of a repository" % where)
        if url.lower().startswith("file:") or url.startswith("/"):
            hint = "Argo CD's repo-server has its own file system: serve the repository by SSH or HTTPS."
            raise InvalidInput("spec", "%s.repoURL is a local path" % where, hint)
        if _PASSWORD_IN_URL.match(url):
            hint = "Every reader of the Application would see it: use a repository Secret of Argo CD."
            raise InvalidInput("spec", "%s.repoURL carries a password" % where, hint)
        for field in ("targetRevision", "path", "chart"):
            value = source.get(field)
            if isinstance(value, str) and (_CONTROL.search(value) or value.startswith("-")):
                raise InvalidInput("spec", "%s.%s is not usable: %r" % (where, field, value[:80]))


def sources(spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (place, source) for each source that a specification names."""
    hydrator = spec.get("sourceHydrator")
    candidates = [("source", spec.get("source"))]
    if isinstance(hydrator, Mapping):
        candidates.append(("sourceHydrator.drySource", hydrator.get("drySource")))
    several = spec.get("sources")
    if isinstance(several, list):
        candidates += [("sources[%d]" % index, item) for index, item in enumerate(several)]
    for where, item in candidates:
        if isinstance(item, Mapping):
            yield where, item


def build(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Application to apply. Options that are not given are not ours to manage."""
    metadata: dict[str, Any] = {"name": params["name"], "namespace": params["namespace"]}
    for option in ("labels", "annotations", "finalizers"):
        if params.get(option) is not None:
            metadata[option] = copy.deepcopy(params[option])
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": metadata,
        "spec": copy.deepcopy(params["spec"]),
    }


def comparable(app: Optional[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a person or a controller decided: no status, no bookkeeping of the API server.

    What is kept is shared with ``app``, not copied: the bookkeeping alone can be most of it.
    """
    if app is None:
        return {}
    metadata = {key: value for key, value in (app.get("metadata") or {}).items() if key not in _VOLATILE}
    annotations = metadata.pop("annotations", None) or {}
    own = {key: value for key, value in annotations.items() if key not in (LAST_APPLIED, "argocd.argoproj.io/refresh")}
    if own:
        metadata["annotations"] = own
    return {**{key: value for key, value in app.items() if key not in ("status", "operation")}, "metadata": metadata}


def finalizers_for(cascade: str, present: list[str]) -> list[str]:
    """Return the finalizers that make Argo CD delete as ``cascade`` says; others stay.

    ``none`` takes Argo CD's own finalizer away, so that the resources live on.
    """
    wanted = _CASCADES[cascade]
    every = [item for spellings in _CASCADES.values() for item in spellings]
    kept = [item for item in present if item in wanted or item not in every]
    if wanted and not set(wanted) & set(kept):
        kept.append(wanted[0])
    return kept
