# SPDX-License-Identifier: GPL-3.0-or-later
"""A real embedded queue under a clock that the test steers."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, Callable, Optional

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.slipway.gitops.plugins.module_utils._context import Context, Entry
from ansible_collections.slipway.gitops.plugins.module_utils._entry import deploy_queue, deploy_queue_info
from ansible_collections.slipway.gitops.plugins.module_utils._queue import info, service
from ansible_collections.slipway.gitops.plugins.module_utils._queue.clock import Reading
from ansible_collections.slipway.gitops.plugins.module_utils._queue.ports import QueuePorts
from ansible_collections.slipway.gitops.plugins.module_utils._queue.store import Store

NOON = 1_769_860_800.0  # 2026-01-31T12:00:00Z
RELEASE = {"version": "1", "images": [{"name": "shop", "newTag": "1"}], "commit": "a" * 40}


class SteeredClock:
    """Boot clock, wall clock and sleep; time passes only when the test or a sleep says so."""

    def __init__(self) -> None:
        self.boot = "boot-1"
        self.since_boot_ms = 5_000_000
        self.wall_s = NOON
        self.on_sleep: Callable[[], None] = lambda: None

    def read(self) -> Reading:
        return Reading(self.boot, self.since_boot_ms, self.wall_s)

    def monotonic(self) -> float:
        return self.since_boot_ms / 1000

    def wall(self) -> float:
        return self.wall_s

    def sleep(self, seconds: float) -> None:
        self.advance(max(seconds, 0.001))
        self.on_sleep()

    def advance(self, seconds: float) -> None:
        self.since_boot_ms += int(seconds * 1000)
        self.wall_s += seconds

    def restart(self, away_s: float = 60.0) -> None:
        """The machine is switched off and on again."""
        self.boot = "boot-%d" % (int(self.boot.split("-")[1]) + 1)
        self.since_boot_ms = 10_000
        self.wall_s += away_s


class VolatileStore(Store):
    """A real store that does not wait for the disk: what a process wrote outlives its death, not a power cut."""

    def _connect(self, mode: str) -> sqlite3.Connection:
        connection = super()._connect(mode)
        connection.execute("PRAGMA synchronous = OFF")
        return connection


def checked(entry: Entry, options: dict[str, Any]) -> dict[str, Any]:
    """Return ``options`` as Ansible hands them to a module."""
    result = ArgumentSpecValidator(entry.argument_spec, **entry.constraints).validate(options)
    assert not result.error_messages, result.error_messages
    return dict(result.validated_parameters)


class Queue:
    """Calls both modules' use cases on one store."""

    def __init__(self, folder: Path, clock: Optional[SteeredClock] = None) -> None:
        self.clock = clock or SteeredClock()
        self.path = folder / "private" / "queue.db"
        self.store = Store(str(self.path), self.clock, lock_timeout_s=5.0)
        self.lines: list[str] = []
        self.random = 0.5

    @property
    def ports(self) -> QueuePorts:
        return QueuePorts(self.store, self.clock, lambda: self.random)

    def call(self, state: str, check: bool = False, diff: bool = False, **options: Any) -> dict[str, Any]:
        if "lease" not in options:
            options.setdefault("environment", "staging")
        options.setdefault("actor", "ci@runner")
        params = checked(deploy_queue.ENTRY, dict(options, state=state))
        return service.run(params, self.ports, Context(check_mode=check, diff=diff, progress=self.lines.append))

    def enqueue(self, version: str = "1", **options: Any) -> dict[str, Any]:
        return dict(self.call("queued", **{"app": "shop", "version": version, **options})["entry"])

    def claim(self, version: str = "1", **options: Any) -> dict[str, Any]:
        """Enqueue and claim; a result with a lease."""
        result = self.call("claimed", **{"app": "shop", "version": version, **options})
        assert result["claimed"], result
        return result

    def deliver(self, version: str = "1", **options: Any) -> dict[str, Any]:
        """Run one delivery to its good end."""
        claim = self.claim(version, **options)
        return self.call("succeeded", lease=claim["lease"], release=dict(RELEASE, version=version))

    def info(self, **options: Any) -> dict[str, Any]:
        params = checked(deploy_queue_info.ENTRY, options)
        return info.run(params, self.ports, Context())

    def staging(self) -> dict[str, Any]:
        return dict(self.info(environment="staging")["environments"][0])

    def entry(self, entry_id: str) -> Any:
        with self.store.read() as tx:
            return tx.entry(entry_id)

    def assert_sound(self) -> None:
        verified = self.info(verify=True)["verified"]
        assert verified["ok"], verified["violations"]
