# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a local world up, heals it, and takes it away without a trace (private to the collection)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator, Optional

from .._context import Context
from .._errors import BusyError, PermanentError
from . import network as net
from . import programs as prog
from . import traces
from .model import is_within
from .ports import Ports
from .work import Spec, Ticker, Work

_VERSION = 1
#: Grace for programs that end in order, and for containers, which hold nothing worth keeping.
_PROGRAM_GRACE_S = 10.0
_CONTAINER_GRACE_S = 0.0


def present(spec: Spec, ports: Ports, ctx: Context) -> dict[str, Any]:
    """Have the parts of the world that ``spec`` names; repair what a crash has left."""
    work = Work(spec, ports, ctx)
    with _alone(work):
        return _make(work)


def _make(work: Work) -> dict[str, Any]:
    spec, ports = work.spec, work.ports
    _refuse_foreign_folder(work)
    _preflight(work)
    if spec.supervisord:
        prog.supervisor_files(work)
    _remember(work)
    for file in spec.files:
        prog.put(work, file.path, file.content, file.mode)
    if spec.network:
        net.ensure(work, spec.network)
    if spec.supervisord:
        if spec.runtime_path:
            traces.forget_dead_shims(work, spec.runtime_path)
        prog.ensure_supervisor(work)
    if spec.control_plane:
        prog.lay_out_control_plane(work, spec.control_plane)
    if spec.ended_programs:
        prog.end_programs(work, spec.ended_programs)
    if spec.programs:
        prog.ensure_programs(work, spec.programs)
    return _result(work, ports.supervisor.pid() if spec.supervisord else None)


def absent(spec: Spec, ports: Ports, ctx: Context) -> dict[str, Any]:
    """Remove everything: processes, containers, mounts, network, kernel settings, files."""
    work = Work(spec, ports, ctx)
    with _alone(work):
        return _unmake(work)


def _unmake(work: Work) -> dict[str, Any]:
    spec, ports = work.spec, work.ports
    _refuse_foreign_folder(work)
    record = work.record()
    folders = [f for f in (spec.path, spec.runtime_path or str(record.get("runtime_path") or "")) if f]
    _end_programs(work)
    _end_containers(work, spec.container_socket or str(record.get("container_socket") or ""), folders)
    if len(folders) > 1:
        traces.forget_dead_shims(work, folders[1])
        traces.remove(work, folders)
    for mount in reversed(ports.host.mounts()):
        if is_within(mount.point, folders):
            work.change("unmount %s" % mount.point, lambda point=mount.point: ports.host.unmount(point))  # type: ignore[misc]
    bridge = spec.network.bridge if spec.network else str(record.get("bridge") or "")
    if bridge and ports.host.has("ip"):
        net.remove(work, bridge, record)
    # The record goes last: a run that is cut short before can be taken up again.
    for folder in reversed(folders):
        if ports.host.listing(folder):
            work.change("remove %s" % folder, lambda folder=folder: ports.host.remove(folder))  # type: ignore[misc]
    if len(folders) > 1:
        traces.remove_empty_folders(work)
    return _result(work, None)


@contextmanager
def _alone(work: Work) -> Iterator[None]:
    """Work on the world as the only run: the workers of a run that was killed may still be at it."""
    if work.ctx.check_mode:
        yield
        return
    ticker = Ticker(work, "waiting for another run on this world")
    while (lock := work.ports.host.try_lock(work.spec.path)) is None:
        if ticker.elapsed_s > work.spec.ready_timeout_s:
            hint = "Run again when it has ended."
            raise BusyError("lock", "world %s" % work.spec.path, "another run works on it", hint)
        work.ports.clock.sleep(0.1)
        ticker.tick()
    try:
        yield
    finally:
        lock.close()


def _refuse_foreign_folder(work: Work) -> None:
    names = work.ports.host.listing(work.spec.path)
    if names and "state.json" not in names and "supervisor" not in names:
        raise PermanentError(
            "use",
            "folder %s" % work.spec.path,
            "it holds %s and is not a local world" % names[0],
            "Name an empty or new folder.",
            code="foreign_folder",
        )


def _preflight(work: Work) -> None:
    """Refuse, before anything is changed, what cannot work; all reasons at once."""
    spec, ports = work.spec, work.ports
    found = net.problems(work, spec.network) if spec.network else []
    if spec.free_ports and ports.supervisor.pid() is None and not ports.processes.kept(spec.path):
        for entry in spec.free_ports:
            address, _colon, port = entry.rpartition(":")
            cause = ports.host.port_taken(address, int(port))
            if cause:
                advice = "end what listens there or choose another port"
                found.append("port %s cannot be used (%s): %s" % (entry, cause, advice))
    if found:
        raise PermanentError("prepare", "this machine", "; ".join(found), code="preflight")


def _remember(work: Work) -> None:
    """Record what the host was like before its first change. Later runs keep the record."""
    spec, record = work.spec, work.record()
    wanted: dict[str, Any] = {"version": _VERSION}
    if spec.runtime_path:
        wanted["runtime_path"] = spec.runtime_path
    if spec.container_socket:
        wanted["container_socket"] = spec.container_socket
    if spec.network and "sysctl" not in record:
        wanted.update(net.snapshot(work, spec.network))
    joined = dict(record, **wanted)
    if joined != record:
        work.change("write %s" % spec.inside("state.json"), lambda: work.save(joined))


def _end_programs(work: Work) -> None:
    ports, path = work.ports, work.spec.path
    running = ports.processes.kept(path)
    if ports.supervisor.pid() is not None:
        work.ctx.progress("stopping %d processes" % len(running))
        work.change("stop supervisor", lambda: _shut_down(work))
        running = [] if work.ctx.check_mode else ports.processes.kept(path)
    if running:
        ticker = Ticker(work, "waiting for the end of %d processes" % len(running))
        work.change("end processes", lambda: ports.processes.end(running, _PROGRAM_GRACE_S, ticker.tick))


def _shut_down(work: Work) -> None:
    """Let the supervisor end its programs; the kubelet first, so that it restarts no pod."""
    supervisor, ports = work.ports.supervisor, work.ports
    supervisor.shutdown()
    ticker = Ticker(work, "waiting for the supervisor's end")
    while ports.processes.kept(work.spec.path) and ticker.elapsed_s < 3 * _PROGRAM_GRACE_S:
        ports.clock.sleep(0.1)
        ticker.tick()


def _end_containers(work: Work, socket_path: str, folders: list[str]) -> None:
    ports = work.ports
    contained = ports.processes.contained(socket_path, folders) if socket_path else []
    if contained:
        work.ctx.progress("ending %d processes of containers" % len(contained))
        groups = ports.processes.cgroups(contained)
        ticker = Ticker(work, "waiting for the end of the containers")
        work.change("end containers", lambda: ports.processes.end(contained, _CONTAINER_GRACE_S, ticker.tick))
        if not work.ctx.check_mode:
            for group in sorted(groups):
                ports.host.remove_cgroup(group)


def _result(work: Work, supervisor_pid: Optional[int]) -> dict[str, Any]:
    result: dict[str, Any] = {"changed": bool(work.changes), "changes": work.changes}
    if supervisor_pid is not None:
        result["supervisor_pid"] = supervisor_pid
    if work.ctx.diff:
        after = "".join(change + "\n" for change in work.changes)
        result["diff"] = {"before": "", "after": after, "before_header": work.spec.path, "after_header": work.spec.path}
    return result
