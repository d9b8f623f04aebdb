# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one run does to a world: the changes so far, and whether to make them (private to the collection)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Optional, Sequence

from .._context import Context
from .model import Network, Program
from .ports import Ports


@dataclass(frozen=True)
class File:
    """A file with its wanted content and permission bits."""

    path: str
    content: bytes
    mode: int


@dataclass(frozen=True)
class ControlPlane:
    """A cluster that kwokctl lays out: certificates, configuration, command lines."""

    kwokctl: str
    workdir: str
    name: str
    config: str

    @property
    def folder(self) -> str:
        return "%s/clusters/%s" % (self.workdir, self.name)


@dataclass(frozen=True)
class Spec:
    """A world as the caller wants it. Parts that are not given are left as they are."""

    path: str
    supervisord: str = ""
    runtime_path: str = ""
    container_socket: str = ""
    files: Sequence[File] = ()
    network: Optional[Network] = None
    control_plane: Optional[ControlPlane] = None
    programs: Sequence[Program] = ()
    ended_programs: Sequence[str] = ()
    free_ports: Sequence[str] = ()
    ready_timeout_s: float = 120.0

    def inside(self, *parts: str) -> str:
        return "/".join((self.path, *parts))


@dataclass
class Work:
    """A run: its ports, what it has changed, and the world's record on disk."""

    spec: Spec
    ports: Ports
    ctx: Context
    changes: list[str] = field(default_factory=list)

    def change(self, what: str, make: Callable[[], Any]) -> None:
        """Note a change and make it, unless in check mode."""
        self.changes.append(what)
        if not self.ctx.check_mode:
            make()

    def record(self) -> dict[str, Any]:
        """Return what earlier runs recorded about the host; empty when there is no usable record."""
        content = self.ports.host.read(self.spec.inside("state.json"))
        try:
            record = json.loads(content or b"{}")
        except ValueError:
            self.ctx.warn("%s/state.json is damaged: what the host was like before is not known" % self.spec.path)
            return {}
        return record if isinstance(record, dict) else {}

    def save(self, record: Mapping[str, Any]) -> None:
        """Write the record, so that it survives a power cut from now on."""
        text = json.dumps(record, indent=2, sort_keys=True) + "\n"
        self.ports.host.write(self.spec.inside("state.json"), text.encode(), 0o600)


class Ticker:
    """Says every few seconds that something is still awaited."""

    def __init__(self, work: Work, what: str, every_s: float = 5.0) -> None:
        self._work = work
        self._what = what
        self._every_s = every_s
        self._clock = work.ports.clock
        self._started = self._said = self._clock.monotonic()

    @property
    def elapsed_s(self) -> float:
        return self._clock.monotonic() - self._started

    def tick(self, detail: str = "") -> None:
        now = self._clock.monotonic()
        if now - self._said >= self._every_s:
            self._said = now
            text = "%s, %.0f s so far" % (self._what, now - self._started)
            self._work.ctx.progress(text + (": " + detail if detail else ""))
