# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps backups in a private folder on a disk (private to the collection).

A backup appears with one rename after everything in it was written and synced, so a killed run
leaves only a folder that no reader takes for a backup; the next run removes it. Every step
goes from an open folder to the next, so that no link is followed anywhere below the store.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import Callable, Iterator, Mapping

from .._container import container_mark
from .._errors import CorruptError, InvalidInput, NotFound, PermanentError, SlipwayError
from .._queue.files import locked
from .model import Folder, Place, is_word, newest_first

MIB = 1024 * 1024
MAX_FILE = 64 * MIB
#: Begins the name of what is not, or no longer, a backup. Only a holder of the lock makes one.
_UNFINISHED = ".unfinished-"
_LOCK = ".lock"
_LOCK_S = 30.0
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ADVICE = {errno.ENOSPC: "disk_full", errno.EDQUOT: "disk_full", errno.EROFS: "read_only", errno.EACCES: "not_allowed"}


def folder_of(path: str, env: Mapping[str, str], root: str = "/") -> str:
    """Return the folder of the store: ``path``, or the usual place where that outlives this run.

    Raises InvalidInput in a container, which goes with everything that was written into it.
    ``root`` is where the marks of container engines are looked for.
    """
    if path:
        return os.path.abspath(os.path.expanduser(path))
    mark = container_mark(env, root)
    if mark:
        raise InvalidInput(
            "path",
            "no store is named, and this runs in a container (%s), with which a backup would vanish" % mark,
            "Name a folder on a volume that stays, or set SLIPWAY_BACKUPS.",
            code="store_unset",
        )
    state = env.get("XDG_STATE_HOME") or os.path.join(env.get("HOME", "/"), ".local", "state")
    return os.path.join(state, "slipway-gitops", "backups")


class DirectoryStore:
    """Backups below one folder. What it cannot trust it refuses and never repairs."""

    def __init__(self, root: str) -> None:
        self.root = root

    def path(self, place: Place, name: str = "") -> str:
        """Return where a backup, or all of a place, are."""
        return os.path.join(self.root, place.app, place.environment, name).rstrip("/")

    def places(self) -> list[Place]:
        """Return every place that has a folder, whether or not there is a backup in it."""
        found = []
        for app in self._folders():
            found += [Place(app, environment) for environment in self._folders(app)]
        return found

    def names(self, place: Place) -> list[str]:
        """Return the names of the backups of a place, the newest first."""
        return newest_first(self._folders(*place))

    def files(self, place: Place, name: str) -> list[str]:
        """Return the names of everything in a backup. Raises NotFound."""
        with self._open(place.app, place.environment, name) as folder:
            return sorted(os.listdir(folder))

    def read(self, place: Place, name: str, file: str) -> bytes:
        """Return a file of a backup. Raises CorruptError for a link, a device or what is too large."""
        what = os.path.join(self.path(place, name), file)
        with self._open(place.app, place.environment, name) as folder, _told("read", what):
            try:
                descriptor = os.open(file, _READ, dir_fd=folder)
            except OSError as error:
                if error.errno == errno.ELOOP:
                    raise CorruptError("read", what, "it is a link", code="not_a_file") from error
                raise
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                os.close(descriptor)
                raise CorruptError("read", what, "it is no plain file with one name", code="not_a_file")
            with os.fdopen(descriptor, "rb") as stream:
                data = stream.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise CorruptError("read", what, "it is larger than %d MiB" % (MAX_FILE // MIB), code="too_large")
        return data

    @contextmanager
    def lock(self, place: Place) -> Iterator[None]:
        """Be the only one who writes in a place, and clear away what a killed run left there."""
        what = os.path.join(self.path(place), _LOCK)
        with self._open(*place, create=True), _told("lock", what), locked(what, _LOCK_S):
            self._sweep(place)
            yield

    def write(self, place: Place, name: str, files: Mapping[str, bytes], ready: Callable[[], None]) -> None:
        """Make a backup appear. ``ready`` is called before the rename and may raise; then there is none."""
        with self._open(*place) as parent, _told("write", self.path(place, name)):
            unfinished = _UNFINISHED + name
            os.mkdir(unfinished, 0o700, dir_fd=parent)
            try:
                with _opened(unfinished, parent) as folder:
                    for file, data in files.items():
                        _write(folder, file, data)
                    os.fsync(folder)
                ready()
                if name in os.listdir(parent):  # an empty folder would be replaced silently
                    raise FileExistsError(errno.EEXIST, "it exists")
                os.rename(unfinished, name, src_dir_fd=parent, dst_dir_fd=parent)
                os.fsync(parent)
            except BaseException:
                _remove(unfinished, parent)
                raise

    def remove(self, place: Place, name: str) -> None:
        """Remove a backup. From the first moment on it is no backup any more."""
        with self._open(*place) as parent, _told("remove", self.path(place, name)):
            os.rename(name, _UNFINISHED + name, src_dir_fd=parent, dst_dir_fd=parent)
            os.fsync(parent)
            _remove(_UNFINISHED + name, parent)

    def _sweep(self, place: Place) -> None:
        with self._open(*place) as parent, _told("clear", self.path(place)):
            for name in os.listdir(parent):
                if name.startswith(_UNFINISHED):
                    _remove(name, parent)

    def _folders(self, *parts: str) -> list[str]:
        try:
            with self._open(*parts) as folder:
                names = [name for name in os.listdir(folder) if is_word(name) or Folder.of(name)]
                return sorted(name for name in names if _is_folder(name, folder))
        except NotFound:
            return []

    @contextmanager
    def _open(self, *parts: str, create: bool = False) -> Iterator[int]:
        """Yield the descriptor of a folder below the store. Raises NotFound, InvalidInput for an unsafe store."""
        what = os.path.join(self.root, *parts)
        with _told("open", what):
            if create:
                os.makedirs(self.root, mode=0o700, exist_ok=True)
            descriptor = self._open_root()
        try:
            for part in parts:
                with _told("open", what):
                    if create:
                        _have_folder(part, descriptor)
                    inner = os.open(part, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)

    def _open_root(self) -> int:
        descriptor = os.open(self.root, _FOLDER)
        found = os.fstat(descriptor)
        problem = "others may write to it" if found.st_mode & 0o022 else ""
        if found.st_uid != os.geteuid():
            problem = "it belongs to user %d and we are %d" % (found.st_uid, os.geteuid())
        if problem:
            os.close(descriptor)
            hint = "Use a private folder: chmod 700 %s" % self.root
            raise InvalidInput("path", "%s: %s" % (self.root, problem), hint, code="store_not_private")
        return descriptor


def _have_folder(name: str, parent: int) -> None:
    """Make a folder where there is none. Another run may do the same at the same time."""
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        return
    os.fsync(parent)


def _write(folder: int, file: str, data: bytes) -> None:
    descriptor = os.open(file, _WRITE, 0o600, dir_fd=folder)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(descriptor)


@contextmanager
def _opened(name: str, parent: int) -> Iterator[int]:
    descriptor = os.open(name, _FOLDER, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _remove(name: str, parent: int) -> None:
    """Remove a folder with its files; a link in it is removed and not followed."""
    if not _is_folder(name, parent):
        os.unlink(name, dir_fd=parent)
        return
    with _opened(name, parent) as folder:
        for inner in os.listdir(folder):
            _remove(inner, folder)
    os.rmdir(name, dir_fd=parent)


def _is_folder(name: str, parent: int) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)


@contextmanager
def _told(verb: str, what: str) -> Iterator[None]:
    """Turn an error of the system into one of ours."""
    try:
        yield
    except SlipwayError:
        raise
    except FileNotFoundError as error:
        raise NotFound(verb, "backup " + what, "it does not exist") from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise InvalidInput("path", "%s is not a real folder" % what, "Links are not followed.", "link") from error
        code = _ADVICE.get(error.errno or 0, "store_failed")
        raise PermanentError(verb, "backup " + what, error.strerror or str(error), code=code) from error
