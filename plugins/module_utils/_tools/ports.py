# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What getting a tool touches, as protocols (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, ContextManager, Mapping, Protocol, Sequence

from .._context import Clock
from .plan import Build, GoVersion, Tool


class Store(Protocol):
    """The cache of tools."""

    def folder(self, tool: Tool) -> str: ...
    def holds(self, tool: Tool) -> bool: ...
    def lock(self, tool: Tool, timeout_s: float, on_wait: Callable[[], None]) -> ContextManager[None]: ...
    def staging(self, tool: Tool) -> ContextManager[str]: ...
    def seal(self, tool: Tool, staged: str) -> dict[str, Any]: ...
    def publish(self, tool: Tool, staged: str, record: Mapping[str, Any]) -> None: ...
    def is_unreachable(self, host: str) -> bool: ...
    def mark_unreachable(self, host: str) -> None: ...


class Fetch(Protocol):
    """Downloads; an unreachable host is a TransientError with code ``unreachable``."""

    def text(self, url: str) -> str: ...
    def to_file(self, url: str, path: str, on_bytes: Callable[[int, int], None]) -> str: ...


@dataclass(frozen=True)
class Listener:
    """Who hears of a long step: each line of its output, and several times a second its time."""

    on_line: Callable[[str], None]
    on_tick: Callable[[float], None]


class Go(Protocol):
    """A Go toolchain."""

    def using(self, go: str) -> Go: ...
    def version(self) -> GoVersion: ...
    def required(self, build: Build) -> GoVersion: ...
    def outdated(self, build: Build, listener: Listener) -> int: ...
    def compile(self, build: Build, output: str, listener: Listener) -> None: ...
    def copy_files(self, build: Build, paths: Sequence[str], folder: str, listener: Listener) -> None: ...


class GoInstaller(Protocol):
    """Gets a Go toolchain for a machine that has none."""

    def install(self, folder: str, listener: Listener) -> None: ...


class Machine(Protocol):
    """Programs of this machine."""

    def find(self, name: str) -> str: ...
    def ask(self, path: str, arguments: Sequence[str]) -> str: ...
    def unpack(self, archive: str, member: str, target: str) -> None: ...


@dataclass(frozen=True)
class Ports:
    """What getting a tool touches."""

    clock: Clock
    random: Callable[[], float]
    machine: Machine
    store: Store
    fetch: Fetch
    go: Go
    go_installer: GoInstaller
    go_package: Tool
    lock_timeout_s: float
