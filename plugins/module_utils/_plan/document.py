# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan as data (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence

from .._argocd.redact import masked
from .._argocd.view import View
from .._edit.subject import Outcome
from .._manifests.document import Id, Object
from .build_options import NO_OPTIONS, BuildOptions
from .hashing import Touched, ingredients, plan_hash
from .manifests import changes, difference, images
from .request import Request
from .source import Source, not_rendered


@dataclass(frozen=True)
class Edit:
    """The edit on the tip, not made."""

    tip: str
    path: str
    before: bytes
    outcome: Outcome

    @property
    def changed(self) -> bool:
        return self.before != self.outcome.data


@dataclass(frozen=True)
class Rendered:
    """The manifests without and with the edit, and what made them."""

    renderer: str
    version: str
    before: Mapping[Id, Object]
    after: Mapping[Id, Object]
    problems: Sequence[Mapping[str, str]] = ()
    build: BuildOptions = NO_OPTIONS


def document(
    request: Request,
    application: tuple[Optional[Object], Source],
    edit: Edit,
    rendered: Rendered,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the plan as plain data. ``facts`` are its parts commits and live, which others found out."""
    app, source = application
    place = {"name": request.application, "server": source.server, "namespace": source.namespace}
    target = {"cluster_uid": request.cluster["uid"], "environment": request.environment, "application": place}
    touched = [Touched(edit.path, edit.before, edit.outcome.data)]
    hashed = ingredients(target, request.digests, touched, rendered.after.values())
    live = dict(facts["live"])
    used_before = images(rendered.before)
    return {
        "environment": request.environment,
        "application": dict(place, argocd=_argocd(app) if app else {}),
        "cluster": dict(request.cluster),
        "release": _release(request, edit),
        "commits": facts["commits"],
        "git": {"path": edit.path, "tip": edit.tip, "changed": edit.changed, "diff": _git_diff(edit)},
        "render": {
            "renderer": rendered.renderer, "version": rendered.version,
            "build_options": list(rendered.build.taken),
            "not_rendered": [*not_rendered(source), *rendered.build.notes()],
            "objects": [item._asdict() for item in changes(rendered.before, rendered.after)],
        },
        "images": [
            {"reference": reference, "used_by": users, "is_new": reference not in used_before}
            for reference, users in images(rendered.after).items()
        ],
        "problems": [*rendered.problems, *live.pop("problems")],
        "live": live,
        "shown": request.shown,
        "hashed": hashed,
        "hash": plan_hash(hashed),
    }  # fmt: skip


def _git_diff(edit: Edit) -> str:
    before, after = (masked(data.decode("utf-8")) for data in (edit.before, edit.outcome.data))
    return difference(before, after, edit.path)


def _argocd(app: Object) -> dict[str, Any]:
    view, metadata = View(app), app["metadata"]
    return {
        "name": metadata["name"], "namespace": metadata["namespace"], "automated": view.is_automated,
        "sync": view.sync_status, "health": view.health, "revision": view.revision,
    }  # fmt: skip


def _release(request: Request, edit: Edit) -> dict[str, Any]:
    now = [_version(state) for state in edit.outcome.before]
    return {
        "now": {
            "version": ", ".join(filter(None, now)),
            "digest": request.digests.get("now"),
            "set": edit.outcome.before,
        },
        "next": {"version": request.version, "digest": request.digests.get("next"), "set": edit.outcome.after},
    }


def _version(state: Mapping[str, Any]) -> str:
    """Return what a state of an image or of a value says for people: the tag rather than the digest."""
    if "key" in state:
        return str(state.get("value") if state.get("value") is not None else "")
    return str(state.get("newTag") or (state.get("digest") or "")[:19])
