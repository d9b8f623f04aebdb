# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module kustomize_image: arguments, and the use case with real ports (private to the collection)."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import Any, Iterator, Mapping

from .._argspec import GIT, LEASE, merge
from .._clock import SystemClock
from .._context import Context, Entry
from .._git.lock import PushLock, lock_folder
from .._git.repository import Repository
from .._git.session import Credentials, Session, check_credentials
from .._gitref import check_branch, check_repo
from .._kustomize import service
from ._lease import lease_of

_IMAGE = {
    "name": {"type": "str", "required": True},
    "new_name": {"type": "str", "aliases": ["newName"]},
    "new_tag": {"type": "str", "aliases": ["newTag"]},
    "digest": {"type": "str"},
    "exact": {"type": "bool", "default": False},
    "create": {"type": "bool", "default": False},
}
ARGUMENT_SPEC = merge(
    GIT,
    LEASE,
    {
        "path": {"type": "str", "required": True},
        "images": {"type": "list", "elements": "dict", "required": True, "options": _IMAGE},
        "deny_tags": {"type": "list", "elements": "str", "default": ["latest"]},
        "kind": {"type": "str", "choices": ["deploy", "rollback"], "default": "deploy"},
        "environment": {"type": "str"},
        "app": {"type": "str"},
        "version": {"type": "str"},
        "commit_message": {"type": "str"},
        "trailers": {"type": "dict"},
    },
)
_REPORT_S = 5.0


class _Progress:
    """Says at most every few seconds that the server is still being talked to."""

    def __init__(self, ctx: Context, clock: SystemClock) -> None:
        self._ctx = ctx
        self._clock = clock
        self._started = self._told = clock.monotonic()

    def tell(self, what: str) -> None:
        now = self._clock.monotonic()
        if now - self._told >= _REPORT_S:
            self._told = now
            self._ctx.progress("%s, %.0f s so far" % (what, now - self._started))


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Set the images; raises as :func:`service.run` does."""
    clock = SystemClock()
    address = check_repo(params["repo"], params["allow_file_urls"])
    branch = check_branch(params["branch"])
    credentials = Credentials(
        **{name: params[name] or "" for name in ("key_file", "known_hosts", "username", "password", "ca_cert")}
    )
    check_credentials(credentials, address)
    lease = lease_of(params, ctx)
    progress = _Progress(ctx, clock)

    @contextmanager
    def open_branch(deadline: float) -> Iterator[Repository]:
        with Session(address, credentials, ctx.env, clock, deadline) as session:
            session.on_tick = lambda _elapsed_s: progress.tell("Talking to the Git server")
            yield Repository(session, branch)

    def waiting() -> None:
        lease.renew_if_due()
        progress.tell("Waiting for another push from this machine")

    def lock(deadline: float) -> PushLock:
        lock = PushLock(lock_folder(ctx.env), "%s %s" % (address.url, branch), clock, deadline)
        lock.waiting, lock.warn = waiting, ctx.warn
        return lock

    ports = service.Ports(open_branch, lock, clock, lease, random.random)
    return service.run(params, ports, ctx)


ENTRY = Entry(
    name="kustomize_image",
    argument_spec=ARGUMENT_SPEC,
    run=run,
    libraries=(("yaml", "PyYAML"),),
    has_plain_progress=True,
)
