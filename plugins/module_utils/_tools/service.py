# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gets one tool by the first way that leads to it (private to the collection)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Optional

from .._context import Context
from .._errors import NotFound, PermanentError
from .._progress import Voice, duration
from .build import Builder
from .download import Downloader
from .plan import Tool
from .ports import Ports

_WORDS = {"path": "from PATH", "cache": "from the cache", "download": "downloaded", "build": "built"}


@dataclass(frozen=True)
class Found:
    """A tool that is there: by which way, where, and whether the cache has changed."""

    way: str
    path: str
    changed: bool = False


def provide(tool: Tool, ports: Ports, ctx: Context) -> dict[str, Any]:
    """Get the tool; return its path, the way it came and the seconds it took.

    Raises PermanentError ``checksum_mismatch`` (nothing is kept and no other way is tried:
    corruption or an attack is for a person to see), ``wrong_version``, ``no_way`` or what
    the last way raised; BusyError when another run has been at it for too long.
    """
    return _Provision(tool, ports, ctx).run()


class _Provision:
    """One tool on its way; ``reasons`` collects why a way did not lead to it."""

    def __init__(self, tool: Tool, ports: Ports, ctx: Context) -> None:
        self._tool = tool
        self._ports = ports
        self._check_mode = ctx.check_mode
        self._reasons: dict[str, str] = {}
        self._voice = Voice(tool.title, ctx.progress, ports.clock.monotonic)
        self._downloader = Downloader(tool, ports, self._voice, ctx.warn)
        self._builder = Builder(tool, ports, self._voice)

    def run(self) -> dict[str, Any]:
        found = self._on_path() or self._in_cache()
        if found is None:
            found = self._predicted() if self._check_mode else self._acquired()
        seconds = self._voice.elapsed_s
        would = "would be " if self._check_mode and found.changed else ""
        self._voice.say("%s%s, %s (%s)" % (would, _WORDS[found.way], duration(seconds), found.path))
        return {
            "changed": found.changed,
            "name": self._tool.name,
            "version": self._tool.version,
            "way": found.way,
            "path": found.path,
            "seconds": round(seconds, 3),
            "reasons": self._reasons,
        }

    def _on_path(self) -> Optional[Found]:
        tool, machine = self._tool, self._ports.machine
        if "path" not in tool.ways or not tool.is_program:
            return None
        path = machine.find(tool.name)
        if not path:
            self._reasons["path"] = "not in PATH"
            return None
        said = machine.ask(path, tool.version_command)
        if tool.is_right(said):
            return Found("path", path)
        self._reasons["path"] = "%s is version %s" % (path, tool.version_in(said) or "unknown")
        return None

    def _in_cache(self) -> Optional[Found]:
        if "cache" in self._tool.ways and self._ports.store.holds(self._tool):
            return Found("cache", self._cached_path())
        return None

    def _cached_path(self) -> str:
        folder = self._ports.store.folder(self._tool)
        return os.path.join(folder, self._tool.files[0]) if self._tool.is_program else folder

    def _predicted(self) -> Found:
        """Return what a real run would most likely do; the network is not asked."""
        way = "download" if self._may_download() else "build"
        if way == "build" and not self._builder.is_possible:
            raise self._no_way()
        return Found(way, self._cached_path(), changed=True)

    def _acquired(self) -> Found:
        tool, store, voice = self._tool, self._ports.store, self._voice
        if not (self._may_download() or self._builder.is_possible):
            raise self._no_way()

        def on_wait() -> None:
            voice.beat(lambda: "another run is getting it, waiting")

        with store.lock(tool, self._ports.lock_timeout_s, on_wait):
            # Another run may have finished it while this one waited.
            found = self._in_cache()
            if found is not None:
                return found
            with store.staging(tool) as staged:
                way = self._fill(staged)
                files = store.seal(tool, staged)
                self._check_version(staged, way)
                store.publish(tool, staged, {"name": tool.name, "version": tool.version, "way": way, "files": files})
        return Found(way, self._cached_path(), changed=True)

    def _fill(self, staged: str) -> str:
        """Put the tool's files into the staging folder; return the way that worked."""
        if self._may_download():
            reason = self._downloader.download(staged)
            if not reason:
                return "download"
            self._reasons["download"] = reason
        if not self._builder.is_possible:
            raise self._no_way()
        self._builder.build(staged)
        return "build"

    def _may_download(self) -> bool:
        obstacle = self._downloader.obstacle
        if obstacle and self._tool.downloads:
            self._reasons["download"] = obstacle
        return not obstacle

    def _check_version(self, staged: str, way: str) -> None:
        """Refuse a program that is not what it should be, before anything can use it."""
        tool = self._tool
        if not tool.is_program:
            return
        said = self._ports.machine.ask(os.path.join(staged, tool.files[0]), tool.version_command)
        if not tool.is_right(said):
            cause = "the result says that it is version %s" % (tool.version_in(said) or "unknown")
            hint = "Check the settings of option '%s' for this tool." % way
            raise PermanentError(way, tool.title, cause, hint, code="wrong_version")

    def _no_way(self) -> NotFound:
        tried = "".join("; %s: %s" % pair for pair in self._reasons.items())
        cause = "none of the allowed ways (%s) leads to it%s" % (", ".join(self._tool.ways), tried)
        return NotFound("get", self._tool.title, cause, "Install it in PATH or allow another way.", code="no_way")
