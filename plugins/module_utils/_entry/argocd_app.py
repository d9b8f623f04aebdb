# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wiring of the module argocd_app (private to the collection)."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Any, Callable, Iterator, Mapping

from .._argocd.descent import Delivered
from .._argocd.ports import Ports, Sight
from .._argocd.service import run as manage
from .._argocd.spec import validate
from .._argocd.state import UNKNOWN
from .._argspec import GIT, KUBE_AUTH, LEASE, merge
from .._clock import SystemClock
from .._context import Context, Entry
from .._errors import InvalidInput
from .._kube.auth import load_settings
from .._kube.client import connect
from .._kube.observe import Observer
from .._kube.paths import APPLICATIONS, object_path
from .._kube.stream import Stream
from .._lease import Lease
from ._lease import lease_of

_RESOURCE: dict[str, Any] = {
    "group": {"type": "str", "default": ""},
    "kind": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str"},
}
_OPERATION: dict[str, Any] = {
    "prune": {"type": "bool", "default": False},
    "sync_options": {"type": "list", "elements": "str"},
    "resources": {"type": "list", "elements": "dict", "options": _RESOURCE},
    "retry_limit": {"type": "int"},
    "force": {"type": "bool", "default": False},
}
_WRITE_GIT = ("author_name", "author_email")
_EXPECTED: dict[str, Any] = {
    **{name: option for name, option in GIT.items() if name not in _WRITE_GIT},
    "path": {"type": "str", "required": True},
    "images": {"type": "list", "elements": "str"},
    "values": {"type": "list", "elements": "str"},
}
_ONE_KIND = [["images", "values"]]
_OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "default": "argocd"},
    "state": {"type": "str", "choices": ["present", "absent", "synced"], "default": "present"},
    "spec": {"type": "dict"},
    "labels": {"type": "dict"},
    "annotations": {"type": "dict"},
    "finalizers": {"type": "list", "elements": "str"},
    "force_conflicts": {"type": "bool", "default": False},
    "cascade": {"type": "str", "choices": ["foreground", "background", "none"]},
    "revision": {"type": "str"},
    "expected": {
        "type": "dict",
        "options": _EXPECTED,
        "required_one_of": _ONE_KIND,
        "mutually_exclusive": _ONE_KIND,
    },
    "operation": {"type": "dict", "options": _OPERATION},
    "retry_failed": {"type": "bool", "default": False},
    "manual": {"type": "bool", "default": False},
    "hard_refresh": {"type": "bool", "default": False},
    "wait": {"type": "bool"},
    "wait_timeout": {"type": "int", "default": 300},
    "wait_for_health": {"type": "bool", "default": False},
    "return_object": {"type": "bool", "default": False},
}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Build the ports and bring the Application to the wanted state."""
    validate(params)  # before anything is opened, read or sent
    clock = SystemClock()
    client = connect(load_settings(params, ctx), clock, ctx.agent, params["wait_timeout"])

    def observe(namespace: str, name: str, deadline: float) -> Iterator[Sight]:
        path = object_path(APPLICATIONS, namespace)
        observer = Observer(client, [Stream("app", path, field_selector="metadata.name=" + name)], clock)
        with closing(observer.snapshots(deadline)) as snapshots:
            for seen in snapshots:
                yield Sight(seen["app"].get(name), observer.faults.get("app"))

    lease = lease_of(params, ctx)
    ask = _oracle(params["expected"], ctx, clock, lease) if params.get("expected") else _nobody
    with closing(client):
        return manage(params, Ports(client, clock, observe, lambda: os.urandom(8).hex(), ask, lease), ctx)


def _nobody(_ours: str, _other: str) -> str:
    return UNKNOWN


def _oracle(expected: Mapping[str, Any], ctx: Context, clock: SystemClock, lease: Lease) -> Callable[[str, str], str]:
    """Return the port that asks the deploy repository; git does not run before the first question."""
    from .._argocd.descent import relation
    from .._git.history import BranchHistory
    from .._git.session import Credentials, Session, check_credentials
    from .._gitref import check_branch, check_repo

    address = check_repo(expected["repo"], expected["allow_file_urls"])
    branch, delivered = check_branch(expected["branch"]), _delivered(expected)
    names = ("key_file", "known_hosts", "username", "password", "ca_cert")
    credentials = Credentials(**{name: expected[name] or "" for name in names})
    check_credentials(credentials, address)

    def ask(ours: str, other: str) -> str:
        with Session(address, credentials, ctx.env, clock, clock.monotonic() + expected["timeout"]) as session:
            session.on_tick = lambda _seconds: lease.renew_if_due()
            return relation(BranchHistory(session, branch), delivered, ours, other)

    return ask


def _delivered(expected: Mapping[str, Any]) -> Delivered:
    """Return what was edited, in a kustomization or in a values file."""
    from .._edit.document import DocumentError
    from .._gitref import check_path

    path, state_of = check_path(expected["path"]), _image if expected.get("images") else _value

    def quietly(data: bytes, name: str) -> Any:
        try:
            return state_of(data, name)
        except DocumentError:
            return None

    if expected.get("images"):
        from .._kustomize.kustomization import places

        return Delivered(places(path), expected["images"], quietly)
    for key in expected["values"]:
        _check_key(key)
    return Delivered([path], expected["values"], quietly, "expected.values")


def _check_key(key: str) -> None:
    from .._values.keys import parse_key

    try:
        parse_key(key)
    except ValueError as error:
        raise InvalidInput("expected.values", "%r: %s" % (key[:300], error)) from error


def _image(data: bytes, name: str) -> Any:
    from .._kustomize.image import Wish, set_images

    return set_images(data, [Wish(name)]).before[0]


def _value(data: bytes, key: str) -> Any:
    from .._values.edit import look_up

    return look_up(data, key)


ENTRY = Entry(
    name="argocd_app",
    argument_spec=merge(_OPTIONS, LEASE, KUBE_AUTH),
    run=run,
    constraints={"required_if": [("state", "present", ["spec"])]},
    libraries=(("yaml", "PyYAML"),),
)
