# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue as a page of plain Python, written from its rules and not from its code."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, Optional

LEASE_MS = WAITER_MS = 120_000
STEP_MS = 30_000
AT_WORK = ("claimed", "orphaned")
OVER = ("succeeded", "failed", "rolled_back", "cancelled", "expired", "superseded")


@dataclass
class Item:
    """One entry."""

    name: str
    app: str
    version: str
    kind: str
    priority: int
    detached: bool
    seq: int
    ready: int
    waiter: int
    state: str = "queued"
    attempt: int = 0
    fence: int = 0
    lease: int = 0
    asked: bool = False


@dataclass
class Model:
    """One environment. Every operation returns what the caller must be told."""

    now: int = 0
    fence: int = 0
    seq: int = 0
    max_attempts: int = 2
    items: dict[str, Item] = field(default_factory=dict)
    paused: bool = False
    closed: bool = False
    vetoes: set[tuple[str, str]] = field(default_factory=set)
    verified: dict[str, str] = field(default_factory=dict)
    delivered: dict[str, int] = field(default_factory=dict)

    def of(self, *states: str) -> list[Item]:
        return [item for item in self.items.values() if item.state in states]

    def settle(self) -> None:
        for item in self.of("claimed"):
            if item.lease <= self.now:
                item.state = "orphaned"
        for item in self.of("orphaned"):
            if item.attempt >= self.max_attempts:
                item.state, self.paused = "failed", True
        for item in self.of("queued"):
            if not item.detached and item.waiter <= self.now:
                item.state = "expired"
            elif item.kind == "deploy" and item.seq < self.delivered.get(item.app, 0):
                item.state = "superseded"

    def restart(self) -> None:
        for item in self.items.values():
            item.lease = item.waiter = -1

    def enqueue(self, name: str, wish: dict[str, Any]) -> str:
        if self.closed or (wish["app"], wish["version"]) in self.vetoes:
            return "held"  # a refused call leaves nothing behind, not even what was due
        self.settle()
        self.seq += 1
        self.items[name] = Item(name, seq=self.seq, ready=self.now, waiter=self.now + WAITER_MS, **wish)
        return "ok"

    def rank(self, item: Item) -> tuple[float, int, int]:
        aged = item.priority + (self.now - item.ready) / STEP_MS
        return (-(100 if item.priority == 100 else min(aged, 99)), item.ready, item.seq)

    def claim(self, name: Optional[str], force: bool = False) -> tuple[str, Optional[Item]]:
        """Return (code, granted entry); the code is ok, recovery, or why not."""
        self.settle()
        own = self.items[name] if name else None
        if own and own.state in OVER:
            return ("superseded" if own.state == "superseded" else "not_running"), None
        if force:
            for item in self.of("claimed"):
                self.fence += 1
                item.state, item.fence = "orphaned", self.fence
            self.settle()
        code, granted = self.decide(own)
        if granted is not None:
            self.fence += 1
            granted.state, granted.fence, granted.lease = "claimed", self.fence, self.now + LEASE_MS
            granted.attempt += 1
        elif own and own.state == "queued":
            own.waiter = max(self.now, own.ready) + WAITER_MS
        return code, granted

    def decide(self, own: Optional[Item]) -> tuple[str, Optional[Item]]:
        if self.paused:
            return "paused", None
        if self.closed or (own and (own.app, own.version) in self.vetoes):
            return "held", None
        for item in self.of("orphaned"):
            return "recovery", item
        if self.of("claimed"):
            return "busy", None
        if own and own.ready > self.now:
            return "not_before", None
        ready = [i for i in self.of("queued") if i.ready <= self.now and (i.app, i.version) not in self.vetoes]
        if not ready:
            return "empty", None
        first = min(ready, key=self.rank)
        if first is own or (own is None and first.detached):
            return "ok", first
        return "waiting", None

    def holds(self, name: str, fence: int) -> bool:
        item = self.items[name]
        return item.state == "claimed" and item.fence == fence

    def renew(self, name: str, fence: int) -> str:
        if not self.holds(name, fence):
            return "fenced"
        self.items[name].lease = self.now + LEASE_MS
        return "ok"

    def finish(self, name: str, fence: int, state: str, hold: Optional[str]) -> str:
        item = self.items[name]
        if item.state == state and item.fence == fence:
            return "same"
        if not self.holds(name, fence):
            return "fenced"
        if state == "rolled_back" and item.app not in self.verified:
            return "no_verified_release"
        item.state = state
        if state == "succeeded":
            self.verified[item.app] = item.version
            if item.kind != "adopt":
                self.delivered[item.app] = max(self.delivered.get(item.app, 0), item.seq)
        if hold == "environment":
            self.closed = True
        elif hold == "release":
            self.vetoes.add((item.app, item.version))
        return "ok"

    def requeue(self, name: str, fence: int) -> str:
        item = self.items[name]
        if not self.holds(name, fence):
            return "fenced"
        if item.attempt >= self.max_attempts:
            return "attempts_used_up"
        item.ready = self.now + min(30_000 * 2**item.attempt, 900_000) // 2
        item.state, item.waiter = "queued", item.ready + WAITER_MS
        return "ok"

    def cancel(self, name: str) -> str:
        before = copy.deepcopy((self.items, self.paused))
        self.settle()
        item = self.items[name]
        if item.state in OVER and item.state != "cancelled":
            self.items, self.paused = before
            return "not_running"
        if item.state == "cancelled" or (item.state in AT_WORK and item.asked):
            return "same"
        if item.state == "queued":
            item.state = "cancelled"
        else:
            item.asked = True
        return "ok"

    def resume(self) -> None:
        self.settle()
        self.paused = self.closed = False
        self.vetoes.clear()
