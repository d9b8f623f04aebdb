# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Computes what a delivery would do, and the hash that stands for it (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, ContextManager, Mapping, Optional, Protocol, Sequence

from .._argocd.ports import Target, about
from .._argocd.view import View
from .._context import Backoff, Clock, Context
from .._edit.subject import Subject
from .._errors import Forbidden, NotFound, PermanentError, SlipwayError, TransientError
from .._gitref import File
from .._kube.paths import object_path
from .._manifests.cluster import Kube
from .._manifests.document import Object
from . import text
from .build_options import BuildOptions, of_config_map
from .document import Edit, Rendered, document
from .effect import check_images, check_values
from .live import LiveComparison
from .manifests import images, parse, plain
from .request import Request, check
from .source import IN_CLUSTER, Served, Source, of_application
from .touching import commits_of

_FETCH_TRIES = 3


class Branch(Protocol):
    """One branch of a remote repository, read only."""

    @property
    def label(self) -> str: ...

    def fetch(self, since: str) -> tuple[str, bool]: ...

    def read(self, commit: str, paths: Sequence[str]) -> dict[str, Optional[File]]: ...

    def contains(self, tip: str, commit: str) -> bool: ...

    def log(self, since: str, tip: str, paths: Sequence[str]) -> Sequence[Any]: ...

    def count(self, since: str, tip: str, paths: Sequence[str] = ()) -> int: ...

    def check_out(self, commit: str, folder: str) -> None: ...


class Render(Protocol):
    """The programs that turn files into manifests."""

    def tree(self, name: str) -> str: ...

    def put(self, tree: str, path: str, data: bytes) -> None: ...

    def kind(self, tree: str, source: Source, wish: str) -> str: ...

    def render(self, kind: str, tree: str, source: Source, served: Served) -> str: ...

    def version(self, kind: str) -> str: ...

    def sources(self, kind: str, tree: str, source: Source) -> Sequence[str]: ...


@dataclass(frozen=True)
class Ports:
    """What a plan touches.

    ``server`` is the API server that ``client`` talks to. ``tell`` gets what is going on, often;
    it decides how often a person hears of it.
    """

    client: Kube
    server: str
    branch: Callable[[], ContextManager[Branch]]
    render: Callable[[], ContextManager[Render]]
    write: Callable[[str, Mapping[str, str]], Sequence[str]]
    tell: Callable[[str], None]
    clock: Clock


@dataclass(frozen=True)
class Wanted:
    """What is rendered, and who tells charts what the API server serves."""

    request: Request
    source: Source
    client: Kube


def run(params: Mapping[str, Any], subject: Subject, ports: Ports, ctx: Context) -> dict[str, Any]:
    """Compute the plan and return the module's result.

    Raises InvalidInput; PermanentError ``build_failed``, ``no_effect``, ``cluster_mismatch``,
    ``multi_source``, ``unrenderable``; what Git and the API server raise.
    """
    request = check(params)
    _check_cluster(request, ports.client)
    app = _application(request, ports.client)
    source = of_application(app) if app else Source(request.folder, request.application)
    with ports.branch() as branch:
        tip, is_known = _fetch(branch, request.since, ports)
        edit = _edit(branch, tip, subject)
        with ports.render() as render:
            rendered, touched = _render(branch, render, edit, Wanted(request, source, ports.client))
        if params.get("images"):
            check_images(edit.path, edit.outcome.after, list(images(rendered.after)))
        else:
            check_values(edit.path, edit.changed, rendered.before == rendered.after)
        commits = commits_of(branch, (request.since if is_known else "", tip), touched, _live_commit(app))
    live = _live(ports, source, rendered)
    plan = document(request, (app, source), edit, rendered, {"commits": commits, "live": live})
    plan["git"]["branch"] = branch.label
    return _result(plain(plan), request, ports, ctx)


def _fetch(branch: Branch, since: str, ports: Ports) -> tuple[str, bool]:
    """Fetch the branch; a passing fault is retried a few times."""
    backoff = Backoff(0.2, 2.0, lambda: 1.0)
    for _number in range(_FETCH_TRIES - 1):
        try:
            return branch.fetch(since)
        except TransientError as error:
            if error.code == "timeout":
                raise
            ports.clock.sleep(backoff.delay())
    return branch.fetch(since)


def _check_cluster(request: Request, client: Kube) -> None:
    """Look once more that this is the cluster that was proved before: a kubeconfig can change meanwhile."""
    try:
        seen = client.get(object_path(("v1", "namespaces"), name="kube-system"))["metadata"]["uid"]
    except Forbidden:
        return  # whoever told the UID was able to read it
    if seen != request.cluster["uid"]:
        cause = "its UID is %s, and the plan is for %s" % (seen, request.cluster["uid"])
        raise PermanentError("plan for", "this cluster", cause, "Check kubeconfig and context.", "cluster_mismatch")


def _application(request: Request, client: Kube) -> Optional[Object]:
    if not request.argocd:
        return None
    target = Target(request.argocd["namespace"], request.argocd["name"])
    with about(target):
        return client.get(target.path)


def _live_commit(app: Optional[Object]) -> str:
    return View(app).revision if app else ""


def _edit(branch: Branch, tip: str, subject: Subject) -> Edit:
    found = {name: file for name, file in branch.read(tip, subject.places).items() if file}
    path = subject.choose(list(found), branch.label)
    return Edit(tip, path, found[path].data, subject.edit(path, found[path].data))


def _render(branch: Branch, render: Render, edit: Edit, wanted: Wanted) -> tuple[Rendered, Sequence[str]]:
    """Render the tip without and with the edit; only the second has to succeed.

    Also return the paths in the repository that it is made of.
    """
    source = wanted.source
    tree = render.tree("after")
    branch.check_out(edit.tip, tree)
    render.put(tree, edit.path, edit.outcome.data)
    kind = render.kind(tree, source, wanted.request.renderer)
    touched = sorted({edit.path, *render.sources(kind, tree, source)})
    if kind == "kustomize":
        source = replace(source, build=_build_options(wanted))
    served = _served(wanted) if kind == "helm" else Served()
    try:
        after = parse(render.render(kind, tree, source, served), source.path)
    except PermanentError as error:
        error.hint = source.build.hint() or error.hint
        raise
    problems = []
    if kind == "helm" and parse(render.render(kind, tree, source, served), source.path) != after:
        message = "the chart renders something else each time, so this plan cannot be confirmed: give it that value"
        problems.append({"code": "not_reproducible", "message": message})
    before = after
    if edit.changed:
        tree = render.tree("before")
        branch.check_out(edit.tip, tree)
        try:
            before = parse(render.render(kind, tree, source, served), source.path)
        except PermanentError as error:
            message = "what is in Git now does not build: %s" % error.cause
            before, problems = {}, [*problems, {"code": "build_failed_before", "message": message}]
    return Rendered(kind, render.version(kind), before, after, problems, source.build), touched


def _build_options(wanted: Wanted) -> BuildOptions:
    """Return the options of ``kustomize build``: those that are given, else those that Argo CD has."""
    request, source = wanted.request, wanted.source
    if request.build_options is not None or not request.argocd:
        return BuildOptions(request.build_options or ())
    namespace = request.argocd["namespace"]
    version = str(source.options.get("version") or "") if source.kind == "kustomize" else ""
    where = "ConfigMap %s/argocd-cm" % namespace
    try:
        with about(where):
            found = wanted.client.get(object_path(("v1", "configmaps"), namespace, "argocd-cm"))
    except Forbidden:
        return BuildOptions(unknown_because=where + " may not be read: the right get configmaps is missing")
    except NotFound:
        return BuildOptions(unknown_because=where + " does not exist")
    return of_config_map(found, version)


def _served(wanted: Wanted) -> Served:
    """Return what charts may ask of the API server."""
    try:
        groups = wanted.client.get("/apis").get("groups") or []
    except SlipwayError:
        groups = []
    versions = [item["groupVersion"] for group in groups for item in group.get("versions") or []]
    return Served(str(wanted.request.cluster.get("version") or ""), ["v1", *sorted(versions)])


def _live(ports: Ports, source: Source, rendered: Rendered) -> dict[str, Any]:
    if source.server not in (*IN_CLUSTER, ports.server):
        note = "not compared: the Application deploys to another cluster, %s" % source.server
        return {"note": note, "objects": [], "missing_rights": [], "problems": []}
    comparison = LiveComparison(ports.client, source, rendered.after)
    count = len(rendered.after)
    comparison.run(lambda number: ports.tell("%d of %d objects compared" % (number, count)))
    return {
        "note": "server-side dry run as argocd-controller, compared with what is live; nothing was stored",
        "objects": [item._asdict() for item in comparison.changes],
        "missing_rights": comparison.missing_rights,
        "problems": comparison.problems,
    }


def _result(plan: dict[str, Any], request: Request, ports: Ports, ctx: Context) -> dict[str, Any]:
    import json

    shown = text.render(plan)
    files: Sequence[str] = []
    if request.dest and not ctx.check_mode:
        document = json.dumps(plan, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        files = ports.write(request.dest, {"plan.json": document, "plan.txt": shown})
    return {"changed": False, "plan": plan, "hash": plan["hash"], "text": shown, "files": list(files)}
