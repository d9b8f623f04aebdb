# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry of the module local_world (private to the collection)."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Any, Mapping, Optional

from .._clock import SystemClock
from .._context import Context, Entry
from .._errors import InvalidInput
from .._world.host import Host
from .._world.model import Network, Program, Ready
from .._world.ports import Ports
from .._world.probe import Probe
from .._world.processes import Processes
from .._world.service import absent, present
from .._world.supervisor import Supervisor
from .._world.work import ControlPlane, File, Spec

ARGUMENT_SPEC: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "supervisord": {"type": "path"},
    "runtime_path": {"type": "path"},
    "container_socket": {"type": "path"},
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "path", "required": True},
            "content": {"type": "str"},
            "secret_content": {"type": "str", "no_log": True},
            "mode": {"type": "str", "default": "0644"},
        },
        "required_one_of": [["content", "secret_content"]],
        "mutually_exclusive": [["content", "secret_content"]],
    },
    "network": {
        "type": "dict",
        "options": {
            "bridge": {"type": "str", "required": True},
            "gateway": {"type": "str", "required": True},
            "service_cidr": {"type": "str", "required": True},
            "guarded_ports": {"type": "list", "elements": "int", "default": []},
            "egress": {"type": "bool", "default": False},
        },
    },
    "control_plane": {
        "type": "dict",
        "options": {
            "kwokctl": {"type": "path", "required": True},
            "workdir": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
            "config": {"type": "path", "required": True},
        },
    },
    "programs": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "command": {"type": "list", "elements": "str", "required": True},
            "directory": {"type": "path"},
            "environment": {"type": "dict", "default": {}},
            "stage": {"type": "int", "default": 0},
            "watch": {"type": "list", "elements": "path", "default": []},
            "ready": {
                "type": "dict",
                "default": {},
                "options": {
                    "socket": {"type": "path"},
                    "url": {"type": "str"},
                    "ca_cert": {"type": "path"},
                    "command": {"type": "list", "elements": "str", "default": []},
                },
            },
        },
    },
    "ended_programs": {"type": "list", "elements": "str", "default": []},
    "free_ports": {"type": "list", "elements": "str", "default": []},
    "ready_timeout": {"type": "int", "default": 120},
}


#: A Unix socket's path has at most 107 characters; the supervisor makes one with a suffix first.
_LONGEST_PATH = 107 - len("/supervisor/supervisor.sock.1234567")


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Build the ports and bring the world to the wanted state."""
    spec = _spec(params)
    host = Host(ctx.env)
    supervisor = Supervisor(spec.inside("supervisor", "supervisor.sock"))
    ports = Ports(host, Processes(), supervisor, Probe(host), SystemClock())
    return (present if params["state"] == "present" else absent)(spec, ports, ctx)


def _spec(params: Mapping[str, Any]) -> Spec:
    path = _folder("path", params["path"]) or ""
    if len(path) > _LONGEST_PATH:
        hint = "A socket in it could not be opened; give a shorter one."
        raise InvalidInput("path", "'%s' has more than %d characters" % (path, _LONGEST_PATH), hint)
    if params["programs"] and not params["supervisord"] and params["state"] == "present":
        raise InvalidInput("supervisord", "programs need a supervisor to keep them", "Name its program.")
    return Spec(
        path=path,
        supervisord=params["supervisord"] or "",
        runtime_path=_folder("runtime_path", params["runtime_path"]) or "",
        container_socket=params["container_socket"] or "",
        files=[_file(item) for item in params["files"]],
        network=_network(params["network"]),
        control_plane=ControlPlane(**params["control_plane"]) if params["control_plane"] else None,
        programs=[_program(item, path) for item in params["programs"]],
        ended_programs=params["ended_programs"],
        free_ports=[_port(item) for item in params["free_ports"]],
        ready_timeout_s=float(params["ready_timeout"]),
    )


def _folder(option: str, value: Optional[str]) -> Optional[str]:
    """Refuse a folder that no world can be: all of it is removed one day."""
    if not value:
        return None
    path = os.path.normpath(value)
    if not os.path.isabs(path) or path.count("/") < 2 or path == os.path.expanduser("~"):
        hint = "Give the absolute path of a folder of its own."
        raise InvalidInput(option, "'%s' cannot be a world's folder" % value, hint)
    if re.search(r"[\s%\"';]", path):
        raise InvalidInput(option, "'%s' holds a blank, a quote, a percent sign or a semicolon" % value)
    return path


def _file(item: Mapping[str, Any]) -> File:
    try:
        mode = int(item["mode"], 8)
    except ValueError:
        raise InvalidInput("files", "mode '%s' of %s is not octal" % (item["mode"], item["path"])) from None
    content = item["content"] if item["content"] is not None else item["secret_content"]
    return File(os.path.normpath(item["path"]), content.encode(), mode)


def _network(item: Optional[Mapping[str, Any]]) -> Optional[Network]:
    if item is None:
        return None
    try:
        ipaddress.ip_network(item["service_cidr"])
        if "/" not in item["gateway"]:
            raise ValueError("'%s' has no prefix length" % item["gateway"])
        ipaddress.ip_interface(item["gateway"])
    except ValueError as error:
        raise InvalidInput("network", str(error)) from None
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,14}", item["bridge"]):
        raise InvalidInput("network", "bridge '%s' is not a link name of up to 15 characters" % item["bridge"])
    return Network(**item)


def _program(item: Mapping[str, Any], path: str) -> Program:
    if not re.fullmatch(r"[a-z][a-z0-9-]*", item["name"]):
        raise InvalidInput("programs", "name '%s' is not lower-case letters, digits and dashes" % item["name"])
    environment = {str(key): str(value) for key, value in item["environment"].items()}
    ready = Ready(**{key: value for key, value in (item["ready"] or {}).items() if value is not None})
    return Program(
        name=item["name"],
        command=item["command"],
        directory=item["directory"] or path,
        environment=environment,
        stage=item["stage"],
        watch=item["watch"],
        ready=ready,
    )


def _port(entry: str) -> str:
    address, _colon, port = entry.rpartition(":")
    if not address or not port.isdigit() or not 0 < int(port) < 65536:
        raise InvalidInput("free_ports", "'%s' is not ADDRESS:PORT" % entry)
    return entry


ENTRY = Entry(name="local_world", argument_spec=ARGUMENT_SPEC, run=run)
