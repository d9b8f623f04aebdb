# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a local world consists of, and the texts it is made of (private to the collection).

A world is one folder, the processes that a supervisor keeps for it, and what both need
of the host: a bridge, a route, kernel settings, packet filter chains. Everything here is
a pure function of its arguments.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import shlex
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Optional, Sequence

#: Environment variable that every process kept for a world carries; its value is the
#: world's folder. Only our supervisor sets it, so it proves whose child a process is.
MARKER = "SLIPWAY_GITOPS_SUPERVISED"

#: Chains written by kube-proxy, by the CNI plugins, and by us.
OUR_CHAINS = ("KUBE-", "CNI-", "SLIPWAY-")

#: Kernel settings that kubelet, kube-proxy and the CNI plugins change on their own.
TOUCHED_SYSCTLS = (
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/bridge/bridge-nf-call-iptables",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


@dataclass(frozen=True)
class Network:
    """The part of the host's network that belongs to a world."""

    bridge: str
    gateway: str  # with prefix length, for example 10.244.0.1/24
    service_cidr: str
    guarded_ports: Sequence[int]
    egress: bool

    @property
    def address(self) -> str:
        return self.gateway.split("/")[0]

    @property
    def pods(self) -> str:
        """The pod network in CIDR form."""
        return str(ipaddress.ip_interface(self.gateway).network)


@dataclass(frozen=True)
class Ready:
    """When a program counts as ready: its socket accepts, its URL says 200, a command succeeds."""

    socket: Optional[str] = None
    url: Optional[str] = None
    ca_cert: Optional[str] = None
    command: Sequence[str] = ()


@dataclass(frozen=True)
class Program:
    """One process that the supervisor keeps.

    ``stage`` orders starts: a stage starts when all programs of lower ones are ready.
    ``watch`` names files whose change restarts the program.
    """

    name: str
    command: Sequence[str]
    directory: str
    environment: Mapping[str, str] = field(default_factory=dict)
    stage: int = 0
    watch: Sequence[str] = ()
    ready: Ready = Ready()


@dataclass(frozen=True)
class Mount:
    """One line of /proc/self/mountinfo: where it is, and its options (overlay folders)."""

    point: str
    options: str


def supervisor_config(path: str) -> str:
    """Return supervisord.conf for the world in ``path``."""
    return "\n".join(
        [
            "; Written by slipway.gitops.local_world",
            "[supervisord]",
            "identifier=slipway",
            "directory=%s" % path,
            "logfile=%s/logs/supervisord.log" % path,
            "logfile_maxbytes=5MB",
            "logfile_backups=1",
            "pidfile=%s/supervisor/supervisord.pid" % path,
            "childlogdir=%s/logs" % path,
            "umask=022",
            "",
            "[unix_http_server]",
            "file=%s/supervisor/supervisor.sock" % path,
            "chmod=0700",
            "",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
            "",
            "[supervisorctl]",
            "serverurl=unix://%s/supervisor/supervisor.sock" % path,
            "",
            "[include]",
            "files = %s/supervisor/services.d/*.conf" % path,
            "",
        ]
    )


def program_config(program: Program, path: str, watched: Iterable[bytes]) -> str:
    """Return the services.d file of ``program``.

    The digest of the ``watched`` contents is part of it, so that the supervisor, which
    restarts what changed, also restarts a program whose own configuration changed.
    """
    digest = hashlib.sha256(b"\0".join(watched)).hexdigest()[:16]
    environment = dict(program.environment, SLIPWAY_CONFIG=digest)
    return "\n".join(
        [
            "; Written by slipway.gitops.local_world",
            "[program:%s]" % program.name,
            "command=%s" % _percent(shlex.join(program.command)),
            "directory=%s" % program.directory,
            "environment=%s" % ",".join('%s="%s"' % (key, _percent(environment[key])) for key in sorted(environment)),
            "priority=%d" % (100 + program.stage),
            "autostart=true",
            "autorestart=true",
            "startsecs=1",
            "startretries=8",
            "stopwaitsecs=10",
            "redirect_stderr=true",
            "stdout_logfile=%s/logs/%s.log" % (path, program.name),
            "stdout_logfile_maxbytes=20MB",
            "stdout_logfile_backups=1",
            "",
        ]
    )


def _percent(value: str) -> str:
    """Escape what supervisor would expand."""
    return value.replace("%", "%%")


def parse_mounts(mountinfo: str) -> list[Mount]:
    """Return the mounts of a ``mountinfo`` text, in its order (a child after its parent)."""
    mounts = []
    for line in mountinfo.splitlines():
        left, _dash, right = line.partition(" - ")
        fields = left.split()
        if len(fields) >= 5:
            point = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m.group(1), 8)), fields[4])
            mounts.append(Mount(point, right))
    return mounts


def is_within(path: str, folders: Iterable[str]) -> bool:
    """Tell whether ``path`` is one of ``folders`` or lies in one."""
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def guard_rules(network: Network, family: str) -> dict[str, list[str]]:
    """Return the rules that keep this world's packets on this machine, by chain.

    Only the machine itself and the pods reach the guarded ports; pods reach nothing
    outside unless ``egress``; nothing outside opens a connection to a pod. Packets of the
    bridge are accepted here, because a firewall of the machine may drop them further on.
    Pods have no IPv6 addresses (family ``ip6tables``), the guarded ports may.
    """
    bridge = network.bridge
    inbound = ["-i lo -j RETURN", "-i %s -j ACCEPT" % bridge]
    if network.guarded_ports:
        ports = ",".join(str(port) for port in sorted(network.guarded_ports))
        inbound.append("-p tcp -m multiport --dports %s -j REJECT --reject-with tcp-reset" % ports)
    if family == "ip6tables":
        return {"SLIPWAY-INPUT": inbound}
    forward = ["-i %s -o %s -j ACCEPT" % (bridge, bridge)]
    if network.egress:
        forward.append("-i %s -j ACCEPT" % bridge)
        forward.append("-o %s -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT" % bridge)
    else:
        forward.append("-i %s -j REJECT --reject-with icmp-net-unreachable" % bridge)
    forward.append("-o %s -j REJECT --reject-with icmp-net-unreachable" % bridge)
    return {"SLIPWAY-INPUT": inbound, "SLIPWAY-FORWARD": forward}


def guard_script(network: Network, saved: str, family: str = "iptables") -> str:
    """Return input for the family's restore program that makes the guard chains, or nothing if they are right."""
    rules = guard_rules(network, family)
    wanted = {"-A %s %s" % (chain, rule) for chain in rules for rule in rules[chain]}
    jumps = {chain.split("-", 1)[1]: chain for chain in rules}
    wanted |= {"-A %s -j %s" % (parent, chain) for parent, chain in jumps.items()}
    present = [line for line in saved.splitlines() if "SLIPWAY-" in line and line.startswith("-A ")]
    if sorted(present) == sorted(wanted):
        return ""
    lines = ["*filter"] + [":%s - [0:0]" % chain for chain in rules]
    lines += ["-D" + line[2:] for line in present if line.split()[1] in jumps]
    lines += ["-A %s %s" % (chain, rule) for chain in rules for rule in rules[chain]]
    lines += ["-I %s 1 -j %s" % (parent, chain) for parent, chain in jumps.items()]
    return "\n".join(lines + ["COMMIT", ""])


def chains(saved: str) -> list[str]:
    """Return ``table/chain`` of each chain of ours or our programs' in iptables-save output."""
    found, table = [], ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":") and line[1:].startswith(OUR_CHAINS):
            found.append("%s/%s" % (table, line[1:].split()[0]))
    return found


def removal_script(saved: str, keep: Iterable[str]) -> str:
    """Return iptables-restore input that removes our chains and the jumps into them.

    ``keep`` are chains (as :func:`chains` names them) that were there before us.
    """
    doomed = set(chains(saved)) - set(keep)
    script: list[str] = []
    table, body = "", []  # type: str, list[str]
    for line in saved.splitlines():
        if line.startswith("*"):
            table, body = line[1:], []
        elif line.startswith("-A "):
            body.append(line)
        elif line == "COMMIT":
            script += _table_removal(table, body, doomed)
    return "\n".join(script + [""]) if script else ""


def _table_removal(table: str, body: Sequence[str], doomed: set[str]) -> list[str]:
    names = sorted(entry.split("/", 1)[1] for entry in doomed if entry.startswith(table + "/"))
    if not names:
        return []
    lines = ["*" + table] + [":%s - [0:0]" % name for name in names]
    for rule in body:
        target = re.search(r" -[jg] (\S+)", rule)
        if rule.split()[1] not in names and target and target.group(1) in names:
            lines.append("-D" + rule[2:])
    return lines + ["-X %s" % name for name in names] + ["COMMIT"]


def overlapping_route(network: Network, routes: Iterable[Mapping[str, Any]]) -> str:
    """Return the first foreign route that overlaps the pod or service range, or nothing."""
    ours = [ipaddress.ip_network(network.pods), ipaddress.ip_network(network.service_cidr)]
    for route in routes:
        destination = str(route.get("dst", ""))
        if destination in ("", "default") or route.get("dev") == network.bridge:
            continue
        try:
            other = ipaddress.ip_network(destination, strict=False)
        except ValueError:
            continue
        if any(other.version == net.version and other.overlaps(net) for net in ours):
            return "%s dev %s" % (destination, route.get("dev"))
    return ""
