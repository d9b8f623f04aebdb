# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock among the pushers of one machine (private to the collection).

It makes nothing safe, for other machines do not see it: the push itself is the
compare-and-swap. It only saves the losers of a race their second and third attempt.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
from typing import Callable, Mapping, Optional

from .._context import Clock
from .._errors import TransientError

_POLL_S = 0.02


def lock_folder(env: Mapping[str, str]) -> Path:
    """Return the folder of the locks, below the collection's cache."""
    home = env.get("XDG_CACHE_HOME") or os.path.join(env.get("HOME") or "/", ".cache")
    return Path(env.get("SLIPWAY_CACHE") or os.path.join(home, "slipway-gitops")) / "locks"


class PushLock:
    """Lets one pusher per repository and branch through; use it as a context manager.

    ``waiting`` is called while another one holds it. A folder that cannot be used is told
    to ``warn``, and work goes on without the lock.
    """

    def __init__(self, folder: Path, name: str, clock: Clock, deadline: float) -> None:
        self._path = folder / (hashlib.sha256(name.encode("utf-8")).hexdigest() + ".lock")
        self._clock = clock
        self._deadline = deadline
        self._handle: Optional[int] = None
        self.waiting: Callable[[], None] = _nothing
        self.warn: Callable[[str], None] = _nothing_said

    def __enter__(self) -> PushLock:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._handle = os.open(str(self._path), flags, 0o600)
        except OSError as exc:
            self.warn("Pushes of this machine are not put in a row: %s" % exc)
            return self
        try:
            self._wait(self._handle)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _wait(self, handle: int) -> None:
        # Not a blocking flock: the wait has an end, and the lease is renewed meanwhile.
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                pass
            if self._clock.monotonic() >= self._deadline:
                raise TransientError("wait for", "the lock %s" % self._path, "another push holds it", code="timeout")
            self.waiting()
            self._clock.sleep(_POLL_S)


def _nothing() -> None:
    """Do nothing."""


def _nothing_said(message: str) -> None:
    """Drop a message."""
