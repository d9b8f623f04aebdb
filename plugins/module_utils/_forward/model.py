# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kept port-forward is, and whether the one that runs is the one that is wanted (private to the collection).

A port-forward is a ``kubectl`` process that lives on after the run that began it. It is known by a
mark in its environment, which only we set, and by its record: process id, start time and command.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Optional, Protocol, Sequence

SUFFIX = ".json"


@dataclass(frozen=True)
class Forward:
    """One port of this machine that leads to a port in the cluster."""

    name: str
    namespace: str
    resource: str  # as kubectl takes it: service/argocd-server
    address: str
    local_port: int
    remote_port: int

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return "%s:%d" % (self.address, self.local_port)

    @property
    def text(self) -> str:
        """The forward as one line for people."""
        return "%s %s -> %s/%s:%d" % (self.name, self.endpoint, self.namespace, self.resource, self.remote_port)


@dataclass(frozen=True)
class Spec:
    """All port-forwards of one folder; ``env`` is the environment that they are begun with."""

    path: str
    forwards: Sequence[Forward]
    kubectl: str
    kubeconfig: str
    context: str
    wait_timeout_s: float

    def command(self, forward: Forward) -> tuple[str, ...]:
        """Return kubectl's command line: the cluster is named in it, never taken from what happens to be current."""
        cluster = [
            "--%s=%s" % (option, value)
            for option, value in (("kubeconfig", self.kubeconfig), ("context", self.context))
            if value
        ]
        place = ["--namespace=" + forward.namespace, "--address=" + forward.address]
        ports = "%d:%d" % (forward.local_port, forward.remote_port)
        return (self.kubectl, *cluster, "port-forward", *place, forward.resource, ports)

    def mark(self, name: str) -> str:
        """Return the value of the mark that the process of one port-forward carries."""
        return "%s/%s" % (self.path, name)

    def record_path(self, name: str) -> str:
        """Return where the record of one port-forward lies."""
        return self.mark(name) + SUFFIX

    def log_path(self, name: str) -> str:
        """Return where kubectl's words go."""
        return self.mark(name) + ".log"


class Process(Protocol):
    """A process as it was when it was looked at."""

    @property
    def pid(self) -> int: ...

    @property
    def started(self) -> str: ...


@dataclass(frozen=True)
class Record:
    """What was begun: the process by its id and its start time, and the command."""

    pid: int
    started: str
    command: tuple[str, ...]
    text: str = ""

    def dump(self) -> bytes:
        """Return the record as a file's content."""
        return (json.dumps(dict(asdict(self), version=1), indent=2) + "\n").encode()

    def is_of(self, processes: Sequence[Process]) -> bool:
        """Tell whether one of ``processes`` is the one that was begun; an id that was reused is not."""
        return any((item.pid, item.started) == (self.pid, self.started) for item in processes)


def parse(content: Optional[bytes]) -> Optional[Record]:
    """Return a record; None where there is none, or a half one of a crash."""
    try:
        data: dict[str, Any] = json.loads(content or b"")
        return Record(int(data["pid"]), str(data["started"]), tuple(data["command"]), str(data.get("text", "")))
    except (ValueError, KeyError, TypeError):
        return None


def reason_to_begin(command: Sequence[str], record: Optional[Record], running: Sequence[Process]) -> str:
    """Return why a port-forward has to be begun (again); nothing when it runs as wanted."""
    if not running:
        return "its process has ended" if record else "it is new"
    if record is None or not record.is_of(running):
        return "it was left by a run that was cut short"
    return "" if record.command == tuple(command) else "something else is wanted now"


def last_words(log: str) -> str:
    """Return what kubectl said at last, without its progress."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(("Forwarding from", "Handling connection"))]
    return " ".join(said[-2:])


def is_listening(log: str, forward: Forward) -> bool:
    """Tell whether kubectl said that it listens where it was told to."""
    return "Forwarding from %s ->" % forward.endpoint in log
