# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Applications a set of Applications leads to, who would own each, what is wrong (private to the collection).

An app-of-apps parent follows a folder of manifests; what is found there has to obey the same rules
as what is asked for directly, and no Application may have two owners, who would undo each other.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Sequence

from .._errors import InvalidInput
from .project import allows_namespace, matches, refusals
from .schema import Schema, unknown_fields
from .spec import sources

try:
    import yaml
except ImportError:  # named by the entry's list of libraries before any use
    yaml = None  # type: ignore[assignment]

MANAGER = "slipway.gitops"
TRACKING = "argocd.argoproj.io/tracking-id"
SUFFIXES = (".yaml", ".yml", ".json")
OTHER_TOOLS = ("kustomization.yaml", "kustomization.yml", "Kustomization", "Chart.yaml")
_MAX_PARENTS = 50
#: Gives the text of every manifest of a repository at a branch, by path.
Reader = Callable[[str, str], Mapping[str, str]]


class Problem(NamedTuple):
    """Something that has to be put right before anything is applied."""

    code: str
    application: str
    message: str


@dataclass(frozen=True)
class Found:
    """One Application, where it is defined, and through which parent it comes (none: it is asked for directly)."""

    name: str
    namespace: str
    origin: str
    spec: Mapping[str, Any]
    parent: str = ""

    @property
    def id(self) -> str:
        """Namespace and name."""
        return "%s/%s" % (self.namespace, self.name)


@dataclass(frozen=True)
class Rules:
    """What Applications are held against. Without a schema their fields are not judged."""

    namespace: str
    projects: Mapping[str, Mapping[str, Any]]
    schema: Schema
    live: Sequence[Mapping[str, Any]]


def _is_parent(found: Found) -> bool:
    """Tell whether an Application may lead to others: these live where Argo CD looks for Applications."""
    given = [source.get("directory") for _where, source in sources(found.spec)]
    return any(item is not None for item in given) or (
        (found.spec.get("destination") or {}).get("namespace") == found.namespace
    )


def selected(source: Mapping[str, Any], paths: Iterable[str]) -> list[str]:
    """Return those of ``paths`` that Argo CD would read in the folder of ``source``, sorted.

    They lie below the repository's top. Of a folder that another tool renders nothing is read.
    """
    folder = posixpath.normpath(str(source["path"]))
    prefix = "" if folder == "." else folder + "/"
    directory = source.get("directory") or {}
    below = sorted(path[len(prefix) :] for path in paths if path.startswith(prefix))
    if any(name in below for name in OTHER_TOOLS):
        return []
    return [prefix + path for path in below if _is_read(path, directory)]


def _is_read(path: str, directory: Mapping[str, Any]) -> bool:
    if not path.endswith(SUFFIXES) or ("/" in path and not directory.get("recurse")):
        return False
    if directory.get("exclude") and matches(str(directory["exclude"]), path):
        return False
    return not directory.get("include") or matches(str(directory["include"]), path)


def follow(wanted: Sequence[Found], read: Reader) -> list[Found]:
    """Return the wanted Applications and all that they lead to. Raises InvalidInput for a broken manifest."""
    found: list[Found] = []
    level = list(wanted)
    seen: set[tuple[str, str]] = set()
    while level and len(seen) < _MAX_PARENTS:
        found += level
        parents = [one for one in level if _is_parent(one) and (one.id, one.origin) not in seen]
        seen |= {(one.id, one.origin) for one in parents}
        level = [child for one in parents for child in _children(one, read)]
    return found


def _children(parent: Found, read: Reader) -> Iterator[Found]:
    for where, source in sources(parent.spec):
        if not source.get("path") or source.get("chart"):
            continue
        url, revision = str(source.get("repoURL") or ""), str(source.get("targetRevision") or "HEAD")
        if revision == "HEAD":
            hint = "Say which, so that what is checked is what Argo CD follows."
            raise InvalidInput("applications", "%s: %s.targetRevision names no branch" % (parent.id, where), hint)
        files = read(url, revision)
        for path in selected(source, files):
            for document in _documents(files[path], "%s of %s" % (path, url)):
                if _is_application(document):
                    yield _child(document, parent, "%s of %s" % (path, url))


def _documents(text: str, origin: str) -> list[Any]:
    try:
        return list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        cause = "%s is not YAML: %s" % (origin, " ".join(str(error).split()))
        raise InvalidInput("applications", cause, code="invalid_manifest") from error


def _child(document: Mapping[str, Any], parent: Found, origin: str) -> Found:
    meta, destination = document["metadata"], parent.spec.get("destination") or {}
    namespace = str(meta.get("namespace") or destination.get("namespace") or "")
    return Found(str(meta["name"]), namespace, origin, document.get("spec") or {}, parent.id)


def _is_application(document: Any) -> bool:
    return (
        isinstance(document, Mapping)
        and document.get("kind") == "Application"
        and str(document.get("apiVersion")).startswith("argoproj.io/")
        and isinstance(document.get("metadata"), Mapping)
        and bool(document["metadata"].get("name"))
    )


def problems(found: Sequence[Found], rules: Rules) -> list[Problem]:
    """Return everything that is wrong, in the order of the Applications."""
    told = list(_owned_twice(found))
    for one in found:
        told += _project_problems(one, rules)
        told += _field_problems(one, rules.schema)
        told += _live_owner(one, rules.live)
    return told


def _owned_twice(found: Sequence[Found]) -> Iterator[Problem]:
    origins: dict[str, list[str]] = {}
    for one in found:
        origins.setdefault(one.id, []).append(
            "%s (%s)" % (one.origin, "through " + one.parent if one.parent else "asked for")
        )
    for name, places in origins.items():
        if len(places) > 1:
            yield Problem("owned_twice", name, "it is defined %d times: %s" % (len(places), "; ".join(places)))


def _project_problems(one: Found, rules: Rules) -> Iterator[Problem]:
    name = str(one.spec.get("project") or "")
    if name not in rules.projects:
        known = ", ".join(sorted(rules.projects)) or "none"
        yield Problem("project_unknown", one.id, "its project '%s' is not one of these: %s" % (name, known))
        return
    spec = rules.projects[name]
    said = [source for _where, source in sources(one.spec)]
    for code, cause in refusals(spec, said, one.spec.get("destination") or {}):
        yield Problem(code, one.id, "project %s does not allow it: %s" % (name, cause))
    if not allows_namespace(spec, one.namespace, rules.namespace):
        cause = "namespace %s is not among its sourceNamespaces" % one.namespace
        yield Problem("namespace_not_allowed", one.id, "project %s does not allow it there: %s" % (name, cause))


def _field_problems(one: Found, schema: Schema) -> Iterator[Problem]:
    if not schema:
        return
    for field in unknown_fields({"spec": one.spec}, {"properties": schema.get("properties") or {}}):
        near = "; did you mean %s?" % field.nearest if field.nearest else ""
        yield Problem("unknown_field", one.id, "%s has the unknown field %s%s" % (one.origin, field.path, near))


def _live_owner(one: Found, live: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """Tell when an Application that exists is kept by somebody else than would own it."""
    for item in live:
        meta = item.get("metadata") or {}
        if (meta.get("namespace"), meta.get("name")) != (one.namespace, one.name):
            continue
        owner = str((meta.get("annotations") or {}).get(TRACKING) or "").split(":", 1)[0]
        wanted = one.parent.rpartition("/")[2]
        if owner and owner.rpartition("_")[2] != wanted:
            message = "it exists and is a child of Application %s" % owner
            yield Problem("owned_by_other", one.id, message + (", not of %s" % wanted if wanted else ""))
        elif not owner and wanted and any(field.get("manager") == MANAGER for field in meta.get("managedFields") or []):
            message = "it exists and is kept by %s, and %s would own it as well" % (MANAGER, wanted)
            yield Problem("owned_by_other", one.id, message)
