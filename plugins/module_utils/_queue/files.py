# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps a store in a private place on a local disk (private to the collection)."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import tempfile
import threading
from contextlib import contextmanager
from typing import Iterator

from .._errors import InvalidInput, TransientError

# Locks of these file systems are advisory between hosts at best, and SQLite needs them.
_SHARED = frozenset(
    ("nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afs", "ceph", "lustre", "gpfs", "beegfs")
    + ("glusterfs", "gfs2", "ocfs2", "9p", "vboxsf", "prl_fs", "acfs")
)


def check_folder(path: str, create: bool) -> None:
    """Make sure that the folder of the file ``path`` is ours and on a local disk.

    Raises InvalidInput (option ``path``) for a folder that is a link, belongs to somebody
    else, may be written to by others, or lies on a network file system.
    """
    folder = os.path.dirname(path)
    if create:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    found = os.lstat(folder)
    if stat.S_ISLNK(found.st_mode) or not stat.S_ISDIR(found.st_mode):
        raise InvalidInput("path", "%s is not a real folder" % folder, "Name the folder itself, not a link to it.")
    _check_owner(folder, found)
    if found.st_mode & 0o022:
        raise InvalidInput("path", "others may write to %s" % folder, "Use a private folder: chmod 700 %s" % folder)
    if os.major(found.st_dev) == 0:  # not on a block device, so it may be on the network; the table is slow to read
        check_file_system(folder)


def check_file_system(folder: str) -> None:
    """Raise InvalidInput (option ``path``) for a folder on a file system that other hosts write to."""
    kind = file_system_of(folder, "/proc/self/mountinfo")
    if kind in _SHARED or kind.startswith("fuse."):
        raise InvalidInput("path", "%s is on the file system %s, which is shared or not ours to lock" % (folder, kind))


def check_file(path: str) -> bool:
    """Tell whether the file exists. Raises InvalidInput when it is not a private regular file."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(found.st_mode):
        raise InvalidInput("path", "%s is not a regular file" % path, "Links, folders and pipes are refused.")
    _check_owner(path, found)
    if found.st_mode & 0o077:
        raise InvalidInput("path", "others may read or write %s" % path, "Make it private: chmod 600 %s" % path)
    if found.st_nlink > 1:
        raise InvalidInput("path", "%s has a second name (hard link)" % path)
    return True


def _check_owner(path: str, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise InvalidInput("path", "%s belongs to user %d and we are %d" % (path, found.st_uid, os.geteuid()))


def file_system_of(folder: str, mountinfo: str) -> str:
    """Return the type of the file system that holds ``folder``, or nothing if unknown."""
    folder = os.path.realpath(folder)
    best, kind = "", ""
    try:
        with open(mountinfo, encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                fields = line.split()
                mount = fields[4].replace("\\040", " ")
                inside = folder == mount or folder.startswith(mount.rstrip("/") + "/")
                if inside and len(mount) >= len(best):
                    best, kind = mount, fields[fields.index("-", 6) + 1]
    except OSError:
        return ""
    return kind


@contextmanager
def private_copy(path: str, *suffixes: str) -> Iterator[str]:
    """Yield the path of a short-lived copy of ``path`` and of the files beside it with ``suffixes``."""
    with tempfile.TemporaryDirectory(prefix="slipway-queue-") as folder:
        copy = os.path.join(folder, os.path.basename(path))
        for suffix in ("", *suffixes):
            if os.path.exists(path + suffix):
                shutil.copyfile(path + suffix, copy + suffix)
        yield copy


@contextmanager
def locked(path: str, timeout_s: float) -> Iterator[int]:
    """Hold the lock file ``path`` exclusively; yield its descriptor.

    The kernel queues those who block in flock, so nobody starves, as SQLite's own sleeping
    and retrying lets happen. Raises TransientError after ``timeout_s`` seconds.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if not _lock_at_once(descriptor) and not _wait_for(descriptor, timeout_s):
        raise TransientError(
            "lock",
            "store " + path,
            "another process held it for %.0f s" % timeout_s,
            "See who has it open: fuser -v %s" % path,
            code="store_busy",
        )
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock_at_once(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        os.close(descriptor)
        raise
    return True


def _wait_for(descriptor: int, timeout_s: float) -> bool:
    """Block in flock for at most ``timeout_s``; unless it returns True, the descriptor is gone.

    flock has no time limit and a signal handler belongs to Ansible, so a thread blocks for
    us. When we give up, the thread lets go of the lock as soon as it gets it.
    """
    outcome: list[str] = []
    agree = threading.Lock()
    done = threading.Event()

    def settle(result: str) -> str:
        with agree:
            outcome.append(result)
            return outcome[0]

    def block() -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if settle("locked") == "abandoned":
            os.close(descriptor)
        done.set()

    threading.Thread(target=block, daemon=True, name="slipway-queue-lock").start()
    waited = False
    try:
        waited = done.wait(timeout_s)
    finally:
        if not waited and settle("abandoned") == "locked":
            os.close(descriptor)
    return waited
