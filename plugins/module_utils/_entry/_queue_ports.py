# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the queue's ports for modules (private to the collection)."""

from __future__ import annotations

import os
import pwd
import random
import socket
from typing import Any, Callable, Mapping, Optional

from .._clock import SystemClock
from .._container import container_mark
from .._context import Context
from .._errors import InvalidInput
from .._lease import Renewal
from .._queue.clock import BootClock
from .._queue.holder import Holder, renew
from .._queue.ports import QueuePorts
from .._queue.store import Store


def queue_ports(params: Mapping[str, Any], ctx: Context) -> QueuePorts:
    """Return the ports for the options ``backend``, ``path`` and ``lease``.

    Raises InvalidInput for a backend that does not exist, or a path that is not the lease's.
    """
    backend = params.get("backend") or "sqlite"
    if backend != "sqlite":
        raise InvalidInput("backend", _why_not(backend), "The embedded store is sqlite.")
    lease = params.get("lease") or {}
    path = params.get("path")
    if path and lease and os.path.abspath(path) != os.path.abspath(lease["path"]):
        raise InvalidInput("path", "%s is not the store of the lease, %s" % (path, lease["path"]))
    chosen = lease.get("path") or path or default_path(ctx.env, ctx.warn)
    if "\0" in chosen or not os.path.basename(chosen):
        raise InvalidInput("path", "%r is not the path of a file" % chosen)
    return QueuePorts(Store(os.path.abspath(chosen), BootClock()), SystemClock(), random.random)


def default_path(env: Mapping[str, str], warn: Callable[[str], None], root: str = "/") -> str:
    """Return where the queue of this user is kept; ``warn`` is told when that is in a container.

    ``root`` is where the marks of container engines are looked for.
    """
    data = env.get("XDG_DATA_HOME") or os.path.join(env.get("HOME") or os.path.expanduser("~"), ".local", "share")
    path = os.path.join(data, "slipway-gitops", "queue.db")
    mark = container_mark(env, root)
    if mark:
        # Not refused: many a container stays, as a workplace does. One that does not would go on without its holds.
        text = (
            "The queue is %s, in a container (%s). Where that does not stay, holds, pauses and what is verified are"
            " forgotten with it. Name a file on a volume that all deliveries use: path, deploy_queue_path in an"
            " inventory, or SLIPWAY_QUEUE."
        )
        warn(text % (path, mark))
    return path


def actor_of(env: Mapping[str, str]) -> str:
    """Return who acts when nobody says so: user and host."""
    user = env.get("LOGNAME") or env.get("USER")
    if not user:
        try:
            user = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            user = "uid-%d" % os.getuid()
    return "%s@%s" % (user, socket.gethostname())


def renew_lease(lease: Mapping[str, Any], ctx: Context) -> Renewal:
    """Renew the lease in the option ``lease`` of any module."""
    ports = queue_ports({"lease": lease, "backend": lease.get("backend")}, ctx)
    holder = Holder(lease["entry"], lease["fence"], lease["token"], lease["ttl"], actor_of(ctx.env))
    session = ports.store.write if ports.store.exists() else ports.store.rehearse
    with session() as tx:  # pylint: disable=not-context-manager
        entry = renew(tx, holder)
    return Renewal(float(lease["ttl"]), entry.cancel_requested)


def _why_not(backend: Optional[str]) -> str:
    if backend == "redis":
        return (
            "redis is not offered: a fail-over loses acknowledged writes, and a lock without a fence protects nothing"
        )
    return "%r is unknown" % backend
