# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kept programs of a world: supervisor, start order, readiness (private to the collection)."""

from __future__ import annotations

import hashlib
from typing import Iterable, Sequence

from .._errors import PermanentError, TransientError, UnhealthyError
from .model import MARKER, Program, program_config, supervisor_config
from .work import ControlPlane, Ticker, Work

#: What a new layout keeps of an old one.
_KEPT = ("pki", "etcd")
#: Components as kwokctl names their process id files.
_COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok-controller")
_POLL_S = 0.1
_SUPERVISOR_START_S = 20.0
_DEAD = ("FATAL", "STOPPED", "EXITED", "UNKNOWN")


def ensure_supervisor(work: Work) -> None:
    """Have the supervisor running; processes that an ended one left behind are ended first."""
    if work.ports.supervisor.pid() is not None:
        return
    orphans = work.ports.processes.kept(work.spec.path)
    if orphans:
        work.ctx.progress("ending %d processes whose supervisor has gone" % len(orphans))
        ticker = Ticker(work, "waiting for their end")
        work.change("end orphans", lambda: work.ports.processes.end(orphans, 5.0, ticker.tick))
    work.change("start supervisor", lambda: _start_supervisor(work))


def _start_supervisor(work: Work) -> None:
    spec, host = work.spec, work.ports.host
    for name in ("supervisor.sock", "supervisord.pid"):
        host.forget_file(spec.inside("supervisor", name))
    config = spec.inside("supervisor", "supervisord.conf")
    host.run("env", "%s=%s" % (MARKER, spec.path), spec.supervisord, "-c", config)
    ticker = Ticker(work, "waiting for the supervisor")
    while work.ports.supervisor.pid() is None:
        if ticker.elapsed_s > _SUPERVISOR_START_S:
            log = spec.inside("logs", "supervisord.log")
            raise TransientError("start", "the supervisor", "it does not answer", "See %s." % log)
        work.ports.clock.sleep(_POLL_S)
        ticker.tick()


def supervisor_files(work: Work) -> None:
    """Lay out the supervisor's folder and configuration."""
    spec, host = work.spec, work.ports.host
    if not work.ctx.check_mode:
        for folder in ("", "logs", "supervisor", "supervisor/services.d"):
            host.make_folder(spec.inside(folder).rstrip("/"), 0o755)
    put(work, spec.inside("supervisor", "supervisord.conf"), supervisor_config(spec.path).encode(), 0o644)


def put(work: Work, path: str, content: bytes, mode: int) -> bool:
    """Write a file unless it is as wanted; tell whether it was written."""
    host = work.ports.host
    if host.read(path) == content and host.mode(path) == mode:
        return False
    work.change("write %s" % path, lambda: host.write(path, content, mode))
    return True


def lay_out_control_plane(work: Work, plane: ControlPlane) -> None:
    """Let kwokctl write certificates, configuration and command lines.

    A run that was cut short left no mark; its half of the files is thrown away, nothing
    was ever started from it. A layout for another configuration is made anew around its
    certificates and data.
    """
    host, mark = work.ports.host, plane.folder + "/complete"
    digest = hashlib.sha256(host.read(plane.config) or b"").hexdigest().encode()
    done = host.read(mark)
    if done == digest:
        return

    def make() -> None:
        host.forget_file(mark)
        for name in host.listing(plane.folder):
            if done is None or name not in _KEPT:
                host.remove(plane.folder + "/" + name)
        _run_kwokctl(work, plane)
        host.sync()
        host.write(mark, digest, 0o644)

    work.ctx.progress("laying out the control plane with kwokctl")
    work.change("lay out control plane", make)


def _run_kwokctl(work: Work, plane: ControlPlane) -> None:
    """Run ``kwokctl create cluster`` so that it starts nothing and waits for nothing.

    It leaves a component alone whose process id file names a running process. Whether the
    cluster answers it asks with the first kubectl in PATH, else with the one its
    configuration names, which says yes.
    """
    host, pids = work.ports.host, plane.folder + "/pids"
    for name in _COMPONENTS:
        host.write("%s/%s.pid" % (pids, name), str(work.ports.supervisor.pid()).encode(), 0o644)
    host.run(
        "env",
        "PATH=/nonexistent",
        "KWOK_WORKDIR=" + plane.workdir,
        plane.kwokctl,
        "create",
        "cluster",
        "--name",
        plane.name,
        "--runtime",
        "binary",
        "--config",
        plane.config,
        "--kubeconfig",
        plane.folder + "/context.yaml",
        timeout_s=60.0,
    )
    host.remove(pids)


def ensure_programs(work: Work, programs: Sequence[Program]) -> None:
    """Have every program running with its present configuration, stage by stage, and ready."""
    written = {p.name for p in programs if _configure(work, p)}
    if work.ctx.check_mode:
        return
    supervisor = work.ports.supervisor
    _added, changed, _gone = supervisor.reload()
    known = supervisor.states()
    for stage in sorted({program.stage for program in programs}):
        members = [program for program in programs if program.stage == stage]
        for program in members:
            name = program.name
            if name in known and name in changed | written:
                supervisor.remove(name)
                supervisor.add(name)
                work.changes.append("restart %s" % name)
            elif name not in known:
                supervisor.add(name)
                work.changes.append("start %s" % name)
            elif known[name]["statename"] in _DEAD:
                supervisor.start(name)
                work.changes.append("start %s" % name)
        _await(work, members)


def end_programs(work: Work, names: Sequence[str]) -> None:
    """End programs of the world and forget them; a supervisor that is not running has none."""
    host, supervisor = work.ports.host, work.ports.supervisor
    for name in names:
        path = work.spec.inside("supervisor", "services.d", name + ".conf")
        if host.read(path) is not None:
            work.change("forget %s" % name, lambda path=path: host.forget_file(path))  # type: ignore[misc]
    if supervisor.pid() is None:
        return
    known = supervisor.states()
    for name in names:
        if name in known:
            work.change("end %s" % name, lambda name=name: supervisor.remove(name))  # type: ignore[misc]


def _configure(work: Work, program: Program) -> bool:
    host = work.ports.host
    watched = [host.read(path) or b"" for path in program.watch]
    content = program_config(program, work.spec.path, watched).encode()
    return put(work, work.spec.inside("supervisor", "services.d", program.name + ".conf"), content, 0o644)


def _await(work: Work, programs: Iterable[Program]) -> None:
    waiting = list(programs)
    ticker = Ticker(work, "waiting for %s" % ", ".join(program.name for program in waiting))
    while True:
        causes = {p.name: work.ports.probe.cause(p.ready) for p in waiting}
        waiting = [program for program in waiting if causes[program.name]]
        if not waiting:
            return
        _judge(work, waiting, causes, ticker.elapsed_s)
        work.ports.clock.sleep(_POLL_S)
        ticker.tick("%s: %s" % (waiting[0].name, causes[waiting[0].name]))


def _judge(work: Work, waiting: Sequence[Program], causes: dict[str, str], elapsed_s: float) -> None:
    """Raise when waiting is over: a program was given up, or the time has passed."""
    states = work.ports.supervisor.states()
    given_up = [p for p in waiting if states.get(p.name, {}).get("statename") == "FATAL"]
    if not given_up and elapsed_s < work.spec.ready_timeout_s:
        return
    name = (given_up or waiting)[0].name
    log = work.spec.inside("logs", name + ".log")
    tail = (work.ports.host.read(log) or b"").decode("utf-8", "replace").strip().splitlines()[-5:]
    raise UnhealthyError(
        "start",
        "program " + name,
        "%s after %.0f s (%s); last log lines: %s"
        % ("it ends again and again" if given_up else "it is not ready", elapsed_s, causes[name], " | ".join(tail)),
        "See %s." % log,
    )


def check_supervisord(work: Work) -> None:
    """Refuse a run without a supervisor program before it changes anything."""
    if not work.spec.supervisord:
        raise PermanentError("start", "the supervisor", "option 'supervisord' is not set", code="invalid_input")
