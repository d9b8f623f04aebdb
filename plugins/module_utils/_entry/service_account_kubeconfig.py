# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module service_account_kubeconfig: arguments, and the use case with real ports (private to the collection)."""

from __future__ import annotations

import base64
import os
import re
from contextlib import closing
from datetime import datetime, timezone
from typing import Any, Mapping

from .._account.kubeconfig import Place, good_until, render
from .._argspec import KUBE_AUTH, merge
from .._clock import SystemClock
from .._context import Context, Entry
from .._errors import InvalidInput, PermanentError
from .._kube.auth import load_settings
from .._kube.client import KubeClient, connect
from .._kube.kubeconfig import KubeSettings
from .._kube.paths import object_path
from .._world.host import Host

_ACCOUNTS = ("v1", "serviceaccounts")
_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?\Z")
#: The API server gives no token for less.
_SHORTEST_S = 600
ARGUMENT_SPEC = merge(
    KUBE_AUTH,
    {
        "name": {"type": "str", "required": True},
        "namespace": {"type": "str", "required": True},
        "path": {"type": "path", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "ttl": {"type": "int", "default": 28800},
        "renew_before": {"type": "int"},
        "timeout": {"type": "float", "default": 30.0},
    },
)


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Have the file with a token that is good long enough, or have it no more."""
    _check(params)
    host, path = Host(ctx.env), params["path"]
    if params["state"] == "absent":
        is_there = host.exists(path)
        if is_there and not ctx.check_mode:
            host.forget_file(path)
        return {"changed": is_there, "path": path}
    clock = SystemClock()
    settings = load_settings(params, ctx)
    place = Place(params["name"], params["namespace"], settings.server, _authority(settings, host))
    text = (host.read(path) or b"").decode("utf-8", "replace")
    until = good_until(text, place)
    least_s = params["renew_before"] if params["renew_before"] is not None else params["ttl"] // 2
    if until - clock.wall() > least_s and host.mode(path) == 0o600:
        return _result(False, place, path, until)
    if ctx.check_mode:
        return _result(True, place, path, clock.wall() + params["ttl"])
    with closing(connect(settings, clock, ctx.agent, params["timeout"])) as client:
        token = _request(client, params)
    ctx.secrets.add(token)
    made = render(place, token)
    host.write(path, made.encode(), 0o600)
    return _result(True, place, path, good_until(made, place))


def _check(params: Mapping[str, Any]) -> None:
    for option in ("name", "namespace"):
        if not _NAME.match(params[option]):
            raise InvalidInput(option, "'%s' is not a Kubernetes name" % params[option])
    if not os.path.isabs(params["path"]):
        raise InvalidInput("path", "'%s' is not absolute" % params["path"])
    if params["ttl"] < _SHORTEST_S:
        raise InvalidInput("ttl", "%d s are less than the %d that Kubernetes gives" % (params["ttl"], _SHORTEST_S))
    if params["renew_before"] is not None and not 0 <= params["renew_before"] < params["ttl"]:
        raise InvalidInput("renew_before", "%d s are not between 0 and 'ttl'" % params["renew_before"])


def _authority(settings: KubeSettings, host: Host) -> str:
    if settings.ca_file:
        content = host.read(settings.ca_file)
        if content is None:
            raise InvalidInput("ca_cert", "%s does not exist" % settings.ca_file)
        return base64.b64encode(content).decode()
    return settings.ca_data


def _request(client: KubeClient, params: Mapping[str, Any]) -> str:
    path = object_path(_ACCOUNTS, params["namespace"], params["name"], "token")
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": params["ttl"]},
    }
    token = (client.create(path, body).get("status") or {}).get("token")
    if not token:
        resource = "ServiceAccount %s/%s" % (params["namespace"], params["name"])
        raise PermanentError("request a token for", resource, "the answer holds none")
    return str(token)


def _result(changed: bool, place: Place, path: str, until: float) -> dict[str, Any]:
    expires = datetime.fromtimestamp(until, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"changed": changed, "path": path, "user": place.user, "expires": expires}


ENTRY = Entry(
    name="service_account_kubeconfig",
    argument_spec=ARGUMENT_SPEC,
    run=run,
    libraries=(("yaml", "PyYAML"),),
    has_plain_progress=True,
)
