# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine a local world runs on: network, mounts, kernel settings, files (private to the collection)."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
from typing import Any, Mapping, Optional

from .._errors import PermanentError
from .._process import Command, Completed, run
from .._replace import replace_file
from .model import Mount, parse_mounts

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TIMEOUT_S = 60.0
_FAMILIES = ("iptables", "ip6tables")


class Host:
    """Changes to this machine. Every method raises PermanentError with the program's own words."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = dict(env, PATH=":".join(p for p in (env.get("PATH"), _PATH) if p), LC_ALL="C")

    def has(self, program: str) -> bool:
        """Tell whether ``program`` is in the PATH, system folders included."""
        return shutil.which(program, path=self.env["PATH"]) is not None

    def is_root(self) -> bool:
        return os.geteuid() == 0

    def has_filesystem(self, name: str) -> bool:
        """Tell whether the kernel knows a file system; its module is loaded when it can be."""
        if self._knows(name) or not self.has("modprobe"):
            return self._knows(name)
        self.attempt("modprobe", name)
        return self._knows(name)

    def _knows(self, name: str) -> bool:
        return name in (self.read("/proc/filesystems") or b"").decode().split()

    def run(self, *argv: str, text: str = "", timeout_s: float = _TIMEOUT_S, cwd: Optional[str] = None) -> str:
        """Run a program that must succeed; return its standard output."""
        done = self.attempt(*argv, text=text, timeout_s=timeout_s, cwd=cwd)
        if done.returncode:
            words = " ".join((done.err or done.out).strip().splitlines()[-3:])
            raise PermanentError("run", " ".join(argv[:6]), words or "exit status %d" % done.returncode)
        return done.out

    def attempt(
        self, *argv: str, text: str = "", timeout_s: float = _TIMEOUT_S, cwd: Optional[str] = None
    ) -> Completed:
        """Run a program and return how it ended."""
        return run(Command(argv, self.env, timeout_s, cwd=cwd, input=text.encode() if text else None))

    def try_lock(self, name: str) -> Optional[socket.socket]:
        """Take the machine's lock of this name; None when another process has it.

        It ends with the process that holds it and leaves nothing on disk.
        """
        digest = hashlib.sha256(name.encode()).hexdigest()
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            lock.bind("\0slipway.gitops:" + digest)
        except OSError:
            lock.close()
            return None
        return lock

    # Files

    def read(self, path: str) -> Optional[bytes]:
        """Return a file's content, or None when it does not exist."""
        try:
            with open(path, "rb") as handle:
                return handle.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PermanentError("read", path, error.strerror or str(error)) from error

    def write(self, path: str, content: bytes, mode: int) -> None:
        """Replace a file at once: after a power cut it has the old content or the new one."""
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        replace_file(path, content, mode)

    def mode(self, path: str) -> int:
        """Return the permission bits of a file."""
        return os.stat(path).st_mode & 0o7777

    def make_folder(self, path: str, mode: int) -> None:
        os.makedirs(path, mode=mode, exist_ok=True)

    def listing(self, path: str) -> list[str]:
        """Return the names in a folder; nothing when there is no such folder."""
        try:
            return sorted(os.listdir(path))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise PermanentError("look into", path, error.strerror or str(error)) from error

    def exists(self, path: str) -> bool:
        return os.path.lexists(path)

    def link_target(self, path: str) -> str:
        """Return where a symbolic link points; nothing when it is none."""
        try:
            return os.readlink(path)
        except OSError:
            return ""

    def is_listening(self, path: str) -> bool:
        """Tell whether somebody accepts on a Unix socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(1.0)
            try:
                client.connect(path)
            except OSError:
                return False
        return True

    def remove_if_empty(self, path: str) -> None:
        """Remove a folder that holds nothing; any other stays."""
        try:
            os.rmdir(path)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EBUSY, errno.EACCES, errno.EPERM):
                raise PermanentError("remove", path, error.strerror or str(error)) from error

    def forget_file(self, path: str) -> None:
        """Remove a file or socket if it is there."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass

    def remove(self, path: str) -> None:
        """Remove a file or a folder with everything in it, unless something is still mounted there."""
        busy = [mount.point for mount in self.mounts() if mount.point.startswith(path + "/")]
        if busy:
            raise PermanentError("remove", path, "%s is still mounted" % busy[0], "Unmount it and run again.")
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            self.forget_file(path)

    def sync(self) -> None:
        """Bring everything written so far to the disk."""
        os.sync()

    # Mounts and control groups

    def mounts(self) -> list[Mount]:
        return parse_mounts((self.read("/proc/self/mountinfo") or b"").decode("utf-8", "replace"))

    def unmount(self, point: str) -> None:
        if self.attempt("umount", point).returncode:
            self.run("umount", "--lazy", point)

    def remove_cgroup(self, folder: str) -> None:
        """Remove an empty control group with the empty ones in it; one that is gone or in use stays."""
        for base, _folders, _files in os.walk(folder, topdown=False):
            try:
                os.rmdir(base)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EBUSY, errno.ENOTEMPTY, errno.EPERM, errno.EROFS):
                    raise

    # Kernel settings

    def sysctl(self, name: str) -> Optional[str]:
        content = self.read("/proc/sys/" + name)
        return None if content is None else content.decode().strip()

    def set_sysctl(self, name: str, value: str) -> None:
        try:
            with open("/proc/sys/" + name, "w", encoding="ascii") as handle:
                handle.write(value)
        except OSError as error:
            raise PermanentError("set", "kernel setting " + name, str(error)) from error

    # Network

    def links(self, *selection: str) -> list[dict[str, Any]]:
        """Return network links as ``ip -j link show`` describes them."""
        done = self.attempt("ip", "-j", "-d", "link", "show", *selection)
        links: list[dict[str, Any]] = json.loads(done.out) if done.returncode == 0 and done.out.strip() else []
        return links

    def addresses(self, link: str) -> list[str]:
        found = json.loads(self.run("ip", "-j", "addr", "show", "dev", link) or "[]")
        return ["%s/%s" % (a.get("local"), a.get("prefixlen")) for entry in found for a in entry.get("addr_info", [])]

    def routes(self) -> list[dict[str, Any]]:
        routes: list[dict[str, Any]] = json.loads(self.run("ip", "-j", "route", "show", "table", "all") or "[]")
        return [route for route in routes if route.get("type", "unicast") in ("unicast", "local")]

    def ip(self, *arguments: str) -> None:
        self.run("ip", *arguments)

    def port_taken(self, address: str, port: int) -> str:
        """Return why a program could not listen on the port, or nothing."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                return error.strerror or str(error)
        return ""

    def filters(self) -> dict[str, str]:
        """Return the output of iptables-save for each address family that has one."""
        saved = {}
        for family in _FAMILIES:
            if self.has(family + "-save"):
                done = self.attempt(family + "-save")
                if done.returncode == 0:
                    saved[family] = done.out
        return saved

    def restore_filters(self, family: str, script: str) -> None:
        self.run(family + "-restore", "--noflush", "--wait", "10", text=script)
