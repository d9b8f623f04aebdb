# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Argo CD does to a source before it renders it, as commands (private to the collection).

The commands are those that Argo CD's repo-server gives to kustomize and Helm, in its order, so
that the same programs see the same input here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Mapping, Sequence

from .._errors import InvalidInput, PermanentError
from .build_options import NO_OPTIONS, BuildOptions

#: Stands for the commit that the delivery will make, which is not known before it is made, and
#: which must not count: every commit of the repository has another one.
NO_COMMIT = "0" * 40
IN_CLUSTER = ("https://kubernetes.default.svc", "in-cluster")

_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))")
_TAKEN: Mapping[str, frozenset[str]] = {
    "kustomize": frozenset((
        "namePrefix", "nameSuffix", "images", "replicas", "commonLabels", "forceCommonLabels", "labelWithoutSelector",
        "labelIncludeTemplates", "commonAnnotations", "forceCommonAnnotations", "commonAnnotationsEnvsubst",
        "namespace", "patches", "components", "ignoreMissingComponents",
    )),
    "helm": frozenset((
        "releaseName", "valueFiles", "ignoreMissingValueFiles", "values", "valuesObject", "parameters",
        "fileParameters", "skipCrds", "skipTests", "skipSchemaValidation", "kubeVersion", "apiVersions", "namespace",
    )),
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """What is rendered, and for where. ``path`` is a folder of the repository.

    ``options`` are those of the Application for one renderer (``kind``: kustomize, helm, or
    nothing when the Application leaves it to what the folder holds). ``build`` is for
    ``kustomize build``.
    """

    path: str
    name: str
    namespace: str = ""
    server: str = IN_CLUSTER[0]
    kind: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    build: BuildOptions = NO_OPTIONS

    def with_variables(self, text: Any) -> str:
        """Return a text with Argo CD's build variables filled in; unknown ones are empty, as there."""

        def value(found: re.Match[str]) -> str:
            return "$" if found.group(1) else self.variables.get(found.group(2) or found.group(3), "")

        return _VARIABLE.sub(value, str(text))


def of_application(app: Mapping[str, Any]) -> Source:
    """Return what an Application renders. Raises PermanentError for what only Argo CD can render."""
    metadata, spec = app.get("metadata") or {}, app.get("spec") or {}
    resource = "Application %s/%s" % (metadata.get("namespace"), metadata.get("name"))
    if spec.get("sources"):
        hint = "Give it one source: spec.source instead of spec.sources."
        raise PermanentError("plan for", resource, "it has several sources", hint, code="multi_source")
    source = spec.get("source") or {}
    if source.get("plugin") or not source.get("path"):
        cause = "a plugin renders it" if source.get("plugin") else "its source is no folder of a repository"
        hint = "Only kustomize and Helm charts in the repository can be rendered here."
        raise PermanentError("plan for", resource, cause, hint, code="unrenderable")
    destination = spec.get("destination") or {}
    kind = next((name for name in ("kustomize", "helm") if source.get(name)), "")
    namespace = str(destination.get("namespace") or "")
    return Source(
        path=str(source["path"]).strip("/"),
        name=str(metadata.get("name")),
        namespace=namespace,
        server=str(destination.get("server") or destination.get("name") or IN_CLUSTER[0]),
        kind=kind,
        options=source.get(kind) or {},
        variables={
            "ARGOCD_APP_NAME": str(metadata.get("name")),
            "ARGOCD_APP_NAMESPACE": namespace,
            "ARGOCD_APP_PROJECT_NAME": str(spec.get("project") or ""),
            "ARGOCD_APP_REVISION": NO_COMMIT,
            "ARGOCD_APP_REVISION_SHORT": NO_COMMIT[:7],
            "ARGOCD_APP_REVISION_SHORT_8": NO_COMMIT[:8],
            "ARGOCD_APP_SOURCE_REPO_URL": str(source.get("repoURL") or ""),
            "ARGOCD_APP_SOURCE_PATH": str(source["path"]),
            "ARGOCD_APP_SOURCE_TARGET_REVISION": str(source.get("targetRevision") or ""),
        },
    )


def not_rendered(source: Source) -> list[str]:
    """Return the Application's options that the plan does not take into account."""
    taken = _TAKEN.get(source.kind, frozenset())
    return ["%s.%s" % (source.kind, name) for name in sorted(source.options) if name not in taken]


def kustomize_edits(source: Source) -> Iterator[Sequence[str]]:
    """Yield the arguments of the ``kustomize edit`` commands that Argo CD would run."""
    options = source.options
    for option, word in (("namePrefix", "nameprefix"), ("nameSuffix", "namesuffix")):
        if options.get(option):
            yield ["set", word, "--", str(options[option])]
    if options.get("images"):
        yield ["set", "image", "--", *map(source.with_variables, options["images"])]
    if options.get("replicas"):
        yield ["set", "replicas", "--", *("%s=%s" % (item["name"], item["count"]) for item in options["replicas"])]
    if options.get("commonLabels"):
        flags = _flags(
            options, forceCommonLabels="--force", labelWithoutSelector="--without-selector",
            labelIncludeTemplates="--include-templates",
        )  # fmt: skip
        yield ["add", "label", *flags, "--", *_pairs(options["commonLabels"], source.with_variables)]
    if options.get("commonAnnotations"):
        convert = source.with_variables if options.get("commonAnnotationsEnvsubst") else str
        flags = _flags(options, forceCommonAnnotations="--force")
        yield ["add", "annotation", *flags, "--", *_pairs(options["commonAnnotations"], convert)]
    if options.get("namespace"):
        yield ["set", "namespace", "--", str(options["namespace"])]


def _flags(options: Mapping[str, Any], **flags: str) -> list[str]:
    return [flag for option, flag in flags.items() if options.get(option)]


def _pairs(values: Mapping[str, Any], convert: Callable[[Any], str]) -> list[str]:
    return ["%s:%s" % (name, convert(values[name])) for name in sorted(values)]


@dataclass(frozen=True)
class Served:
    """What the API server serves, as charts may ask: its version and the groups with their versions."""

    version: str = ""
    groups: Sequence[str] = ()


def helm_arguments(source: Source, files: Sequence[str], served: Served) -> list[str]:
    """Return the arguments of ``helm template`` that Argo CD would use; ``files`` are values files in order."""
    options = source.options
    arguments = ["template", ".", "--name-template", str(options.get("releaseName") or source.name)]
    namespace = str(options.get("namespace") or source.namespace)
    arguments += ["--namespace", namespace] if namespace else []
    version = str(options.get("kubeVersion") or served.version).lstrip("v")
    arguments += ["--kube-version", version] if version else []
    for item in options.get("parameters") or []:
        flag = "--set-string" if item.get("forceString") else "--set"
        arguments += [flag, "%s=%s" % (item["name"], _set_value(source.with_variables(item.get("value", ""))))]
    for item in options.get("fileParameters") or []:
        arguments += ["--set-file", "%s=%s" % (item["name"], _set_value(source.with_variables(item.get("path", ""))))]
    for path in files:
        arguments += ["--values", path]
    for name in options.get("apiVersions") or served.groups:
        arguments += ["--api-versions", str(name)]
    arguments += [] if options.get("skipCrds") else ["--include-crds"]
    return arguments + _flags(options, skipTests="--skip-tests", skipSchemaValidation="--skip-schema-validation")


def _set_value(value: str) -> str:
    """Escape commas, which would begin another parameter, except inside a list."""
    return value if value.startswith("{") and value.endswith("}") else re.sub(r"(?<!\\),", r"\\,", value)


def value_files(source: Source) -> list[str]:
    """Return the Application's values files as paths in the repository.

    Raises InvalidInput for one that is fetched from elsewhere.
    """
    found = []
    for name in source.options.get("valueFiles") or []:
        path = source.with_variables(name)
        if "://" in path:
            raise InvalidInput("argocd", "its values file %s is not in the repository" % path, code="unrenderable")
        found.append(path[1:] if path.startswith("/") else "%s/%s" % (source.path, path))
    return found
