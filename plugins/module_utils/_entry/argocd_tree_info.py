# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module argocd_tree_info: arguments, and the use case with real ports (private to the collection)."""

from __future__ import annotations

import os
import tempfile
from contextlib import closing
from typing import Any, Mapping

from .._argocd.schema import Schema, application_schema
from .._argocd.tree import OTHER_TOOLS, SUFFIXES, Found, Problem, Rules, follow, problems
from .._argspec import KUBE_AUTH, merge
from .._clock import SystemClock
from .._context import Context, Entry
from .._errors import InvalidInput, NotFound, PermanentError
from .._git.session import Credentials, Session, check_credentials
from .._git.tree import BranchTree
from .._gitref import check_branch, check_repo
from .._kube.auth import load_settings
from .._kube.client import KubeClient, connect
from .._kube.paths import APPLICATIONS, object_path

_OPENAPI = "/openapi/v3/apis/argoproj.io/v1alpha1"
_LARGEST = 1024 * 1024
_APPLICATION = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str"},
    "spec": {"type": "dict", "required": True},
}
_PROJECT = {"name": {"type": "str", "required": True}, "spec": {"type": "dict", "required": True}}
_REPOSITORY = {
    "url": {"type": "str", "required": True},
    "key_file": {"type": "path"},
    "known_hosts": {"type": "path"},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "ca_cert": {"type": "path"},
}
ARGUMENT_SPEC = merge(
    KUBE_AUTH,
    {
        "namespace": {"type": "str", "default": "argocd"},
        "applications": {"type": "list", "elements": "dict", "required": True, "options": _APPLICATION},
        "projects": {"type": "list", "elements": "dict", "default": [], "options": _PROJECT},
        "repositories": {"type": "list", "elements": "dict", "default": [], "options": _REPOSITORY},
        "allow_file_urls": {"type": "bool", "default": False},
        "fail_on_problems": {"type": "bool", "default": True},
        "timeout": {"type": "float", "default": 60.0},
    },
)


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Follow the Applications and judge them. Raises PermanentError ``problems`` unless told to return them."""
    clock = SystemClock()
    deadline = clock.monotonic() + params["timeout"]
    checkouts = _Checkouts(params, ctx, deadline)
    wanted = [_wanted(item, params["namespace"]) for item in params["applications"]]
    found = follow(wanted, checkouts.read)
    with closing(connect(load_settings(params, ctx), clock, ctx.agent, params["timeout"])) as client:
        rules = Rules(
            params["namespace"],
            {item["name"]: item["spec"] for item in params["projects"]},
            _schema(client),
            [item for place in sorted({one.namespace for one in found}) for item in _live(client, place)],
        )
    return _result(found, problems(found, rules), params)


def _wanted(item: Mapping[str, Any], namespace: str) -> Found:
    return Found(item["name"], item["namespace"] or namespace, "inventory", item["spec"])


def _schema(client: KubeClient) -> Schema:
    """Return the Application's schema; nothing before Argo CD is there."""
    try:
        return application_schema(client.get(_OPENAPI)) or {}
    except NotFound:
        return {}


def _live(client: KubeClient, namespace: str) -> list[Mapping[str, Any]]:
    try:
        items: list[Mapping[str, Any]] = client.list(object_path(APPLICATIONS, namespace)).get("items") or []
    except NotFound:
        return []
    return items


class _Checkouts:
    """Branches of repositories as texts by path, each fetched once."""

    def __init__(self, params: Mapping[str, Any], ctx: Context, deadline: float) -> None:
        self._params = params
        self._ctx = ctx
        self._deadline = deadline
        self._read: dict[tuple[str, str], dict[str, str]] = {}

    def read(self, url: str, revision: str) -> Mapping[str, str]:
        """Return the manifests of a branch. Raises as Session does, and InvalidInput for a repository without entry."""
        if (url, revision) not in self._read:
            self._read[url, revision] = self._fetch(url, revision)
        return self._read[url, revision]

    def _fetch(self, url: str, revision: str) -> dict[str, str]:
        entry = next((item for item in self._params["repositories"] if item["url"] == url), None)
        if entry is None:
            hint = "Give its address and how to read it, so that the children of the parent can be checked."
            raise InvalidInput("repositories", "a parent follows %s, which is not among them" % url, hint)
        address = check_repo(url, self._params["allow_file_urls"])
        branch = check_branch(revision)
        names = ("key_file", "known_hosts", "username", "password", "ca_cert")
        credentials = Credentials(**{name: entry[name] or "" for name in names})
        check_credentials(credentials, address)
        with Session(address, credentials, self._ctx.env, SystemClock(), self._deadline) as session:
            tree = BranchTree(session, branch)
            tip, _known = tree.fetch("")
            with tempfile.TemporaryDirectory(prefix="slipway-tree-") as folder:
                tree.check_out(tip, folder)
                return _texts(folder)


def _texts(folder: str) -> dict[str, str]:
    """Return what could be a manifest, by path below ``folder``; other files that matter by name only."""
    found = {}
    for place, _folders, files in os.walk(folder):
        for name in files:
            path = os.path.join(place, name)
            is_manifest = name.endswith(SUFFIXES) and os.path.getsize(path) <= _LARGEST
            if is_manifest or name in OTHER_TOOLS:
                with open(path, encoding="utf-8", errors="replace") as file:
                    found[os.path.relpath(path, folder)] = file.read()
    return found


def _result(found: list[Found], told: list[Problem], params: Mapping[str, Any]) -> dict[str, Any]:
    result = {
        "changed": False,
        "applications": [
            {
                "name": one.name,
                "namespace": one.namespace,
                "project": one.spec.get("project") or "",
                "parent": one.parent,
                "origin": one.origin,
            }
            for one in found
        ],
        "problems": [problem._asdict() for problem in told],
    }
    if told and params["fail_on_problems"]:
        lines = ["%s: %s" % (problem.application, problem.message) for problem in told]
        hint = "Nothing was applied."
        raise PermanentError("accept", "%d Applications" % len(found), "; ".join(lines), hint, "problems", result)
    return result


ENTRY = Entry(
    name="argocd_tree_info",
    argument_spec=ARGUMENT_SPEC,
    run=run,
    libraries=(("yaml", "PyYAML"),),
    has_plain_progress=True,
)
