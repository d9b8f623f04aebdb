# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the port-forwards of one folder as they are wanted, and no others (private to the collection)."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Iterable, Iterator, Mapping, Optional, Protocol, Sequence

from .._context import Clock, Context
from .._errors import BusyError, PermanentError, TransientError
from .model import SUFFIX, Forward, Process, Record, Spec, is_listening, last_words, parse, reason_to_begin

_GRACE_S = 3.0
_TICK_S = 5.0
_LOCK_S = 60.0


class Closable(Protocol):
    """Something held until it is closed."""

    def close(self) -> None: ...


class Host(Protocol):
    """Files, locks and ports of this machine; see _world/host.py."""

    def try_lock(self, name: str) -> Optional[Closable]: ...
    def read(self, path: str) -> Optional[bytes]: ...
    def write(self, path: str, content: bytes, mode: int) -> None: ...
    def make_folder(self, path: str, mode: int) -> None: ...
    def listing(self, path: str) -> list[str]: ...
    def forget_file(self, path: str) -> None: ...
    def remove_if_empty(self, path: str) -> None: ...
    def port_taken(self, address: str, port: int) -> str: ...


class Keeper(Protocol):
    """Processes of port-forwards; see keeper.py."""

    def program(self, name: str) -> str: ...
    def running(self, path: str) -> dict[str, list[Any]]: ...
    def begin(self, command: Sequence[str], mark: str, log_path: str) -> Optional[Process]: ...
    def is_alive(self, process: Any) -> bool: ...
    def silent(self, endpoints: Iterable[tuple[str, int]]) -> set[tuple[str, int]]: ...


class Processes(Protocol):
    """Ends processes by their identity; see _world/processes.py."""

    def end(self, processes: Iterable[Any], grace_s: float, tick: Any) -> list[Any]: ...


@dataclass(frozen=True)
class Ports:
    """Everything outside."""

    host: Host
    keeper: Keeper
    processes: Processes
    clock: Clock


class _Work:
    """One run on one folder: what was there, what is changed."""

    def __init__(self, spec: Spec, ports: Ports, ctx: Context) -> None:
        self.spec, self.ports, self.ctx = spec, ports, ctx
        self.changes: list[str] = []
        self.records: Mapping[str, Optional[Record]] = {
            name[: -len(SUFFIX)]: parse(ports.host.read("%s/%s" % (spec.path, name)))
            for name in ports.host.listing(spec.path)
            if name.endswith(SUFFIX)
        }
        self.running = ports.keeper.running(spec.path)

    @property
    def names(self) -> set[str]:
        """Every port-forward that is recorded or runs."""
        return {*self.records, *self.running}

    def described(self) -> dict[str, str]:
        """Return what runs by name, one line each."""
        return {name: record.text for name, record in self.records.items() if record and name in self.running}

    def end(self, name: str, reason: str) -> None:
        """End one port-forward and forget it."""
        self.changes.append("end %s: %s" % (name, reason))
        if self.ctx.check_mode:
            return
        self.ports.processes.end(self.running.get(name, []), _GRACE_S, lambda: None)
        for path in (self.spec.record_path(name), self.spec.log_path(name)):
            self.ports.host.forget_file(path)

    def log(self, name: str) -> str:
        """Return what kubectl said so far."""
        return (self.ports.host.read(self.spec.log_path(name)) or b"").decode("utf-8", "replace")


def present(spec: Spec, ports: Ports, ctx: Context) -> dict[str, Any]:
    """Have exactly the port-forwards of ``spec``; repair those whose process or way has gone."""
    with _alone(spec, ports, ctx):
        work = _Work(spec, ports, ctx)
        before = work.described()
        work.spec = _resolved(spec, ports)
        reasons = _reasons(work)
        _refuse_taken_ports(work, reasons)
        for name in sorted(work.names - {forward.name for forward in spec.forwards}):
            work.end(name, "it is no longer wanted")
        # All first, for one may get the port that another has now.
        stale = [process for name in reasons for process in work.running.get(name, [])]
        if not ctx.check_mode:
            ports.processes.end(stale, _GRACE_S, lambda: None)
        wanted = [forward for forward in spec.forwards if forward.name in reasons]
        begun = [(forward, _begin(work, forward, reasons[forward.name])) for forward in wanted]
        if not ctx.check_mode:
            _wait(work, begun)
        return _result(work, before, spec.forwards)


def absent(spec: Spec, ports: Ports, ctx: Context) -> dict[str, Any]:
    """End every port-forward of the folder, and nothing else."""
    with _alone(spec, ports, ctx):
        work = _Work(spec, ports, ctx)
        before = work.described()
        for name in sorted(work.names):
            work.end(name, "as asked" if work.running.get(name) else "its process has ended")
        if not ctx.check_mode:
            ports.host.remove_if_empty(spec.path)
        return _result(work, before, [])


def _resolved(spec: Spec, ports: Ports) -> Spec:
    """Return ``spec`` with the path of kubectl, so that another PATH does not look like another wish."""
    return replace(spec, kubectl=ports.keeper.program(spec.kubectl))


def _reasons(work: _Work) -> dict[str, str]:
    """Return why which of the wanted ones have to be begun; those that run as wanted are asked for an answer."""
    reasons = {
        forward.name: reason_to_begin(
            work.spec.command(forward), work.records.get(forward.name), work.running.get(forward.name, [])
        )
        for forward in work.spec.forwards
    }
    kept = [forward for forward in work.spec.forwards if not reasons[forward.name]]
    dead = work.ports.keeper.silent((forward.address, forward.local_port) for forward in kept)
    for forward in kept:
        if (forward.address, forward.local_port) in dead:
            reasons[forward.name] = "it does not answer any more"
    return {name: reason for name, reason in reasons.items() if reason}


def _refuse_taken_ports(work: _Work, reasons: Mapping[str, str]) -> None:
    """Refuse, before anything is changed, a port that is somebody else's."""
    ours = {name for name in work.names if work.running.get(name)}
    for forward in work.spec.forwards:
        cause = work.ports.host.port_taken(forward.address, forward.local_port)
        held_by_us = any(_endpoint(work.records.get(name)) == forward.endpoint for name in ours)
        if forward.name in reasons and cause and not held_by_us and not work.running.get(forward.name):
            hint = "End what listens there, or choose another local_port."
            raise PermanentError(
                "forward", "port %s (%s)" % (forward.endpoint, forward.name), cause, hint, code="port_taken"
            )


def _endpoint(record: Optional[Record]) -> str:
    """Return where a recorded port-forward listens."""
    return record.text.split(" ")[1] if record and " " in record.text else ""


def _begin(work: _Work, forward: Forward, reason: str) -> Optional[Process]:
    work.changes.append("begin %s: %s" % (forward.text, reason))
    if work.ctx.check_mode:
        return None
    command, name = work.spec.command(forward), forward.name
    work.ports.host.make_folder(work.spec.path, 0o700)
    process = work.ports.keeper.begin(command, work.spec.mark(name), work.spec.log_path(name))
    if process is not None:
        record = Record(process.pid, process.started, command, forward.text)
        work.ports.host.write(work.spec.record_path(name), record.dump(), 0o600)
    return process


def _wait(work: _Work, begun: Sequence[tuple[Forward, Optional[Process]]]) -> None:
    """Wait until each listens and somebody is behind it. One that fails is ended and told."""
    clock = work.ports.clock
    started = told = clock.monotonic()
    waiting = list(begun)
    while waiting:
        for forward, process in list(waiting):
            if process is None or not work.ports.keeper.is_alive(process):
                raise _failure(work, forward, "kubectl ended")
            if is_listening(work.log(forward.name), forward):
                waiting.remove((forward, process))
        now = clock.monotonic()
        if waiting and now - started > work.spec.wait_timeout_s:
            raise _failure(work, waiting[0][0], "it does not listen after %d s" % (now - started))
        if waiting and now - told >= _TICK_S:
            told = now
            names = ", ".join(forward.name for forward, _process in waiting)
            work.ctx.progress("waiting for %s, %d s so far" % (names, now - started))
        if waiting:
            clock.sleep(0.05)
    dead = work.ports.keeper.silent((forward.address, forward.local_port) for forward, _process in begun)
    for forward, _process in begun:
        if (forward.address, forward.local_port) in dead:
            raise _failure(work, forward, "nobody answers behind it")


def _failure(work: _Work, forward: Forward, what: str) -> TransientError:
    """Return the error, with kubectl's own words, and leave nothing of this port-forward."""
    words = last_words(work.log(forward.name))
    work.running = work.ports.keeper.running(work.spec.path)
    work.end(forward.name, what)
    target = "%s/%s port %d" % (forward.namespace, forward.resource, forward.remote_port)
    cause = "%s: %s" % (what, words) if words else what
    hint = "Look whether it exists and its pods run; then run again."
    return TransientError("forward %s to" % forward.endpoint, target, cause, hint, code="not_forwarded")


@contextmanager
def _alone(spec: Spec, ports: Ports, ctx: Context) -> Iterator[None]:
    """Work on the folder as the only run. The lock ends with the process that holds it."""
    if ctx.check_mode:
        yield
        return
    started = ports.clock.monotonic()
    while (lock := ports.host.try_lock(spec.path)) is None:
        if ports.clock.monotonic() - started > _LOCK_S:
            raise BusyError("lock", "folder %s" % spec.path, "another run works on it", "Run again when it has ended.")
        ports.clock.sleep(0.1)
    try:
        yield
    finally:
        lock.close()


def _result(work: _Work, before: Mapping[str, str], wanted: Sequence[Forward]) -> dict[str, Any]:
    running = {} if work.ctx.check_mode else work.ports.keeper.running(work.spec.path)
    result: dict[str, Any] = {
        "changed": bool(work.changes),
        "changes": work.changes,
        "forwards": [
            {
                "name": forward.name,
                "address": forward.address,
                "port": forward.local_port,
                "pid": min((process.pid for process in running.get(forward.name, [])), default=None),
            }
            for forward in wanted
        ],
    }
    if work.ctx.diff:
        after = {forward.name: forward.text for forward in wanted}
        result["diff"] = {
            "before_header": work.spec.path,
            "after_header": work.spec.path,
            "before": "".join(line + "\n" for _name, line in sorted(before.items())),
            "after": "".join(line + "\n" for _name, line in sorted(after.items())),
        }
    return result
