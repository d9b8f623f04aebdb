# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of this machine that belong to a world (private to the collection).

A process is named by the kernel's handle on it (a pidfd) from the moment its identity
was checked to the signal, so that a process id which was reused in between is not hit.
"""

from __future__ import annotations

import os
import select
import signal
import time
from dataclasses import dataclass
from typing import Callable, Iterable, Iterator, Optional

from .model import MARKER, is_within, parse_mounts


@dataclass(frozen=True)
class Process:
    """A process as it was when it was looked at; ``started`` are clock ticks since boot."""

    pid: int
    parent: int
    started: str
    exe: str
    command: tuple[str, ...]


def _read(pid: int, name: str) -> bytes:
    try:
        with open("/proc/%d/%s" % (pid, name), "rb") as handle:
            return handle.read()
    except OSError:  # it ended, or it is not ours to look at
        return b""


def look(pid: int) -> Optional[Process]:
    """Return the process ``pid``; None when there is none or it has ended (zombie)."""
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    if len(fields) < 20 or fields[0] == b"Z":
        return None
    try:
        exe = os.readlink("/proc/%d/exe" % pid)
    except OSError:
        exe = ""
    command = tuple(part.decode("utf-8", "replace") for part in _read(pid, "cmdline").split(b"\0") if part)
    return Process(pid, int(fields[1]), fields[19].decode(), exe, command)


def everything() -> list[Process]:
    """Return all processes that can be seen."""
    found = (look(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [process for process in found if process is not None]


def kept(path: str) -> list[Process]:
    """Return what a supervisor of the world in ``path`` started, container shims and pods excepted.

    Shims outlive their containerd by design: a new containerd takes them over.
    """
    marker = ("%s=%s" % (MARKER, path)).encode()
    return [process for process in everything() if _carries(process.pid, marker, path) and not _is_shim(process)]


def _carries(pid: int, marker: bytes, path: str) -> bool:
    """Tell whether a process carries the mark.

    A program that gives itself a title, as Redis does, writes zeros over its environment: it is
    known by its working folder in the world.
    """
    environ = _read(pid, "environ")
    if not environ or environ.strip(b"\0"):
        return marker in environ.split(b"\0")
    try:
        return is_within(os.readlink("/proc/%d/cwd" % pid), [path])
    except OSError:
        return False


def marked(prefix: str) -> dict[str, list[Process]]:
    """Return processes that carry our mark with a value that begins with ``prefix``, by that value."""
    start = ("%s=%s" % (MARKER, prefix)).encode()
    found: dict[str, list[Process]] = {}
    for process in everything():
        for entry in _read(process.pid, "environ").split(b"\0"):
            if entry.startswith(start):
                found.setdefault(entry[len(MARKER) + 1 :].decode("utf-8", "replace"), []).append(process)
    return found


def contained(socket_path: str, folders: Iterable[str]) -> list[Process]:
    """Return shims of the containerd at ``socket_path`` and everything that runs in its containers.

    A container whose shim was killed is still known by its root: an overlay in ``folders``.
    """
    processes = everything()
    roots = {p.pid for p in processes if _is_shim(p) and socket_path in p.command}
    roots |= {p.pid for p in processes if _has_root_in(p.pid, tuple(folders))}
    children: dict[int, list[Process]] = {}
    for process in processes:
        children.setdefault(process.parent, []).append(process)
    return list(_with_descendants((p for p in processes if p.pid in roots), children))


def _with_descendants(roots: Iterable[Process], children: dict[int, list[Process]]) -> Iterator[Process]:
    queue, seen = list(roots), set()
    while queue:
        process = queue.pop()
        if process.pid not in seen:
            seen.add(process.pid)
            yield process
            queue += children.get(process.pid, [])


def _is_shim(process: Process) -> bool:
    return os.path.basename(process.exe).startswith("containerd-shim")


def _has_root_in(pid: int, folders: tuple[str, ...]) -> bool:
    for mount in parse_mounts(_read(pid, "mountinfo").decode("utf-8", "replace")):
        if mount.point == "/":
            upper = [o[9:] for o in mount.options.split(" ")[-1].split(",") if o.startswith("upperdir=")]
            return bool(upper) and is_within(upper[0], folders)
    return False


def cgroups(processes: Iterable[Process]) -> set[str]:
    """Return the folders of the control groups that ``processes`` are in, the root groups excepted."""
    folders = set()
    for process in processes:
        for line in _read(process.pid, "cgroup").decode().splitlines():
            _number, controllers, group = line.split(":", 2)
            if group != "/" and not group.startswith("/.."):
                folders |= {base + group for base in _cgroup_bases(controllers)}
    return folders


def _cgroup_bases(controllers: str) -> list[str]:
    names = [controllers, *controllers.split(","), controllers.replace("name=", "")] if controllers else ["unified", ""]
    return [("/sys/fs/cgroup/" + name).rstrip("/") for name in dict.fromkeys(names)]


def end(processes: Iterable[Process], grace_s: float, tick: Callable[[], None]) -> list[Process]:
    """End ``processes``: SIGTERM, ``grace_s`` seconds later SIGKILL. Return what was signalled.

    ``tick`` is called while waiting. A process that is not the one that was looked at is
    left alone.
    """
    handles = {process: handle for process in processes for handle in [_open(process)] if handle is not None}
    try:
        left = dict(handles)
        for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
            if number == signal.SIGTERM and not grace_s:
                continue
            for handle in left.values():
                _signal(handle, number)
            left = _wait(left, patience_s, tick)
        return list(handles)
    finally:
        for handle in handles.values():
            os.close(handle)


def _open(process: Process) -> Optional[int]:
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return None
    now = look(process.pid)
    if now is None or now.started != process.started:
        os.close(handle)
        return None
    return handle


def _signal(handle: int, number: signal.Signals) -> None:
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        pass


def _wait(handles: dict[Process, int], patience_s: float, tick: Callable[[], None]) -> dict[Process, int]:
    """Wait until all have ended or the patience is over; return what still runs."""
    deadline = time.monotonic() + patience_s
    left = dict(handles)
    while left and time.monotonic() < deadline:
        ended = select.select(list(left.values()), [], [], 0.2)[0]
        left = {process: handle for process, handle in left.items() if handle not in ended}
        tick()
    return left


class Processes:
    """The functions of this file as one port."""

    everything = staticmethod(everything)
    kept = staticmethod(kept)
    contained = staticmethod(contained)
    cgroups = staticmethod(cgroups)
    end = staticmethod(end)
    look = staticmethod(look)
