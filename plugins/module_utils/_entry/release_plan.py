# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module release_plan: arguments, and the use case with real ports (private to the collection)."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import Any, Iterator, Mapping

from .._argspec import GIT, IMAGE_EDIT, KUBE_AUTH_BESIDE_GIT, VALUE_EDIT, merge
from .._clock import SystemClock
from .._context import Context, Entry
from .._edit.subject import Subject
from .._git.session import Credentials, Session, check_credentials
from .._git.tree import BranchTree
from .._gitref import check_branch, check_repo
from .._plan import files, service
from .._plan.render import Programs, Renderer
from .._progress import Voice

_DIGESTS = {"now": {"type": "raw"}, "next": {"type": "raw"}}
_ARGOCD = {"name": {"type": "str", "required": True}, "namespace": {"type": "str", "default": "argocd"}}
ARGUMENT_SPEC = merge(
    GIT,
    KUBE_AUTH_BESIDE_GIT,
    IMAGE_EDIT,
    VALUE_EDIT,
    {
        "path": {"type": "str", "required": True},
        "kind": {"type": "str", "choices": ["deploy", "rollback"], "default": "deploy"},
        "environment": {"type": "str", "required": True},
        "application": {"type": "str", "required": True},
        "version": {"type": "str", "required": True},
        "cluster": {"type": "dict", "required": True},
        "since": {"type": "str"},
        "argocd": {"type": "dict", "options": _ARGOCD},
        "renderer": {"type": "str", "choices": ["auto", "kustomize", "helm"], "default": "auto"},
        "kustomize_binary": {"type": "path", "default": "kustomize"},
        "helm_binary": {"type": "path", "default": "helm"},
        "kustomize_build_options": {"type": "list", "elements": "str"},
        "digests": {"type": "dict", "options": _DIGESTS},
        "shown": {"type": "dict"},
        "dest": {"type": "path"},
    },
)


def subject_of(params: Mapping[str, Any]) -> Subject:
    """Return the edit that is asked for, by the code of the module that would make it."""
    if params["images"] is not None:
        from .._kustomize.kustomization import kustomization

        return kustomization(params)
    from .._values.file import values_file

    return values_file(params)


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Compute the plan; raises as :func:`service.run` does."""
    from .._kube.auth import load_settings
    from .._kube.client import connect

    clock = SystemClock()
    deadline = clock.monotonic() + params["timeout"]
    address = check_repo(params["repo"], params["allow_file_urls"])
    branch = check_branch(params["branch"])
    credentials = Credentials(
        **{name: params[name] or "" for name in ("key_file", "known_hosts", "username", "password", "ca_cert")}
    )
    check_credentials(credentials, address)
    subject = subject_of(params)
    settings = load_settings({**params, "ca_cert": params["kube_ca_cert"]}, ctx)
    programs = Programs(params["kustomize_binary"], params["helm_binary"])
    voice = Voice("Plan of %s" % params["application"], ctx.progress, clock.monotonic)

    @contextmanager
    def open_branch() -> Iterator[BranchTree]:
        with Session(address, credentials, ctx.env, clock, deadline) as session:
            session.on_tick = lambda _elapsed_s: voice.beat(lambda: "talking to the Git server")
            yield BranchTree(session, branch)

    def renderer() -> Renderer:
        made = Renderer(programs, ctx.env, clock, deadline)
        made.on_tick = lambda _elapsed_s: voice.beat(lambda: "rendering the manifests")
        return made

    def tell(what: str) -> None:
        voice.beat(lambda: what)

    with closing(connect(settings, clock, ctx.agent, params["timeout"])) as client:
        ports = service.Ports(client, settings.server, open_branch, renderer, files.write, tell, clock)
        return service.run(params, subject, ports, ctx)


ENTRY = Entry(
    name="release_plan",
    argument_spec=ARGUMENT_SPEC,
    run=run,
    constraints={"mutually_exclusive": [("images", "values")], "required_one_of": [("images", "values")]},
    libraries=(("yaml", "PyYAML"),),
    has_plain_progress=False,
)
