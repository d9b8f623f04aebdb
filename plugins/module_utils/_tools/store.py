# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache folder of tools (private to the collection).

::

    <cache>/tools/<tool>-<version>-<os>-<arch>/   the tool, whole or not there at all
        <file> ...
        tool.json                                 size and SHA-256 of each file, way it came
    <cache>/tools/.staging-<folder>-*/            work in progress; worthless without its run
    <cache>/tools/.lock-<folder>                  held (flock) while the tool is fetched or built
    <cache>/tools/.unreachable-<host>             touched when the host did not answer
    <cache>/logs/<folder>.log                     output of the last build

A folder gets its final name in one rename, after its contents are on disk. So a run that
is killed, or a machine that loses power, leaves only staging folders, and the next run
that gets the lock removes them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Mapping, Optional

from .._context import Clock
from .._errors import BusyError, PermanentError
from .plan import Tool

_RECORD = "tool.json"
_UNREACHABLE_FOR_S = 300.0
_LOCK_POLL_S = 0.25


class ToolStore:
    """Reads and writes the cache folder. Raises PermanentError (``cache``) when it cannot."""

    def __init__(self, cache_dir: str, clock: Clock) -> None:
        self._tools = os.path.join(cache_dir, "tools")
        self._logs = os.path.join(cache_dir, "logs")
        self._clock = clock

    def folder(self, tool: Tool) -> str:
        """Return the tool's final folder, whether it exists or not."""
        return os.path.join(self._tools, tool.folder)

    def holds(self, tool: Tool) -> bool:
        """True when the tool is there whole: recorded, and each file of the recorded size."""
        folder = self.folder(tool)
        try:
            with open(os.path.join(folder, _RECORD), encoding="utf-8") as file:
                recorded = json.load(file)["files"]
            return all(os.path.getsize(os.path.join(folder, path)) == recorded[path]["size"] for path in tool.files)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    @contextmanager
    def lock(self, tool: Tool, timeout_s: float, on_wait: Callable[[], None]) -> Iterator[None]:
        """Keep other runs from fetching the same tool; ``on_wait`` is called while waiting.

        The kernel releases the lock with its holder, however that ends. Raises BusyError
        after ``timeout_s`` seconds.
        """
        with self._open_lock(tool) as file:
            started = self._clock.monotonic()
            while not _try_lock(file.fileno()):
                waited_s = self._clock.monotonic() - started
                if waited_s > timeout_s:
                    raise BusyError("get", tool.title, "another run has been getting it for %d s" % waited_s)
                on_wait()
                self._clock.sleep(_LOCK_POLL_S)
            yield

    def _open_lock(self, tool: Tool) -> Any:
        path = os.path.join(self._tools, ".lock-" + tool.folder)
        with _cache_errors(path):
            os.makedirs(self._tools, exist_ok=True)
            return open(path, "a", encoding="utf-8")

    @contextmanager
    def staging(self, tool: Tool) -> Iterator[str]:
        """Give an empty folder to work in, gone afterwards. Only while the lock is held.

        Leftovers of runs that were killed are removed first.
        """
        with _cache_errors(self._tools):
            self._remove_staging(tool)
            folder = self._new_staging(tool)
        try:
            yield folder
        finally:
            with _cache_errors(self._tools):
                self._remove_staging(tool)

    def _new_staging(self, tool: Tool) -> str:
        return tempfile.mkdtemp(prefix=_staging_prefix(tool), dir=self._tools)

    def _remove_staging(self, tool: Tool) -> None:
        for name in os.listdir(self._tools):
            if name.startswith(_staging_prefix(tool)):
                shutil.rmtree(os.path.join(self._tools, name))

    def seal(self, tool: Tool, staged: str) -> dict[str, Any]:
        """Set the modes of the staged files, force them to disk, return size and digest of each."""
        with _cache_errors(staged):
            mode = 0o755 if tool.is_program else 0o644
            return {path: _seal(os.path.join(staged, path), mode) for path in tool.files}

    def publish(self, tool: Tool, staged: str, record: Mapping[str, Any]) -> None:
        """Give a sealed folder its final name, in one step and durably; ``record`` tells its files."""
        final = self.folder(tool)
        with _cache_errors(final):
            path = os.path.join(staged, _RECORD)
            with open(path, "w", encoding="utf-8") as file:
                json.dump(record, file, indent=2, sort_keys=True)
            _seal(path, 0o644)
            os.chmod(staged, 0o755)  # noqa: S103  (programs for everybody; mkdtemp made it private)
            for folder, _folders, _names in os.walk(staged):
                _sync_folder(folder)
            if os.path.lexists(final):
                # It was found incomplete: a rename cannot replace a folder that has contents.
                os.rename(final, os.path.join(self._new_staging(tool), "replaced"))
            os.rename(staged, final)
            _sync_folder(self._tools)

    def log_path(self, tool: Tool) -> str:
        """Return the file for the output of the tool's build; the build makes its folder."""
        return os.path.join(self._logs, tool.folder + ".log")

    def is_unreachable(self, host: str) -> bool:
        """True when the host did not answer within the last minutes."""
        try:
            age_s = self._clock.wall() - os.path.getmtime(self._mark(host))
        except OSError:
            return False
        return 0 <= age_s < _UNREACHABLE_FOR_S

    def mark_unreachable(self, host: str) -> None:
        """Remember for some minutes that the host does not answer."""
        mark, now = self._mark(host), self._clock.wall()
        with _cache_errors(mark), open(mark, "w", encoding="utf-8"):
            os.utime(mark, (now, now))

    def _mark(self, host: str) -> str:
        return os.path.join(self._tools, ".unreachable-" + re.sub(r"[^\w.-]", "_", host))


def _staging_prefix(tool: Tool) -> str:
    return ".staging-%s-" % tool.folder


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _seal(path: str, mode: int) -> dict[str, Any]:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        os.fchmod(file.fileno(), mode)
        for chunk in iter(lambda: file.read(1024 * 1024), b""):
            digest.update(chunk)
        os.fsync(file.fileno())
        return {"size": file.tell(), "sha256": digest.hexdigest()}


def _sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _cache_errors(path: str) -> Iterator[Optional[str]]:
    try:
        yield path
    except OSError as error:
        raise PermanentError(
            "use",
            "cache %s" % path,
            error.strerror or str(error),
            "Point SLIPWAY_CACHE or the option 'cache_dir' at a folder that can be written.",
            code="cache",
        ) from error
