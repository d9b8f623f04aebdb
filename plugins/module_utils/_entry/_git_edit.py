# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An edit of a file in a branch with real ports (private to the collection)."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Mapping

from .._clock import SystemClock
from .._context import Context
from .._edit import service
from .._edit.subject import Subject
from .._git.lock import PushLock, lock_folder
from .._git.repository import Repository
from .._git.session import Credentials, Session, check_credentials
from .._gitref import check_branch, check_repo
from ._lease import lease_of

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


def run_edit(
    params: Mapping[str, Any], subject_of: Callable[[Mapping[str, Any]], Subject], ctx: Context
) -> dict[str, Any]:
    """Make the edit that ``subject_of`` reads from ``params``; raises as :func:`service.run` does."""
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
    return service.run(params, subject_of, ports, ctx)
