# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module cached_tool: arguments, and the use case with real ports (private to the collection)."""

from __future__ import annotations

import os
import platform
import random
from typing import Any, Mapping, Optional

from .._argspec import with_env
from .._clock import SystemClock
from .._context import Context, Entry
from .._errors import InvalidInput
from .._tools.fetch import Fetcher
from .._tools.golang import Go, GoPackage, go_package
from .._tools.machine import LocalMachine
from .._tools.plan import WAYS, Build, Download, Platform, Tool, expand, mirrored, tool_errors
from .._tools.ports import Ports
from .._tools.service import provide
from .._tools.store import ToolStore

Params = Mapping[str, Any]

_DOWNLOAD = {
    "url": {"type": "str", "required": True},
    "checksum": {"type": "str"},
    "member": {"type": "str"},
}
_BUILD = {
    "module_dir": {"type": "path", "required": True},
    "package": {"type": "str"},
    "source": {"type": "str"},
    "ldflags": {"type": "str", "default": ""},
    "cgo": {"type": "bool", "default": False},
}
ARGUMENT_SPEC = {
    "name": {"type": "str", "required": True},
    "version": {"type": "str", "required": True},
    "version_command": {"type": "list", "elements": "str", "default": ["--version"]},
    "version_pattern": {"type": "str", "default": r"\bv?([0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.]+)?)"},
    "files": {"type": "dict"},
    "download": {"type": "dict", "options": _DOWNLOAD},
    "build": {
        "type": "dict",
        "options": _BUILD,
        "required_one_of": [("package", "source")],
        "mutually_exclusive": [("package", "source")],
    },
    "ways": {"type": "list", "elements": "str", "choices": list(WAYS), "default": list(WAYS)},
    "download_mirror": with_env({"type": "str"}, "SLIPWAY_DOWNLOAD_MIRROR"),
    "cache_dir": with_env({"type": "path"}, "SLIPWAY_CACHE"),
    "download_timeout": {"type": "int", "default": 900},
    "build_timeout": {"type": "int", "default": 1800},
}


def run(params: Params, ctx: Context) -> dict[str, Any]:
    """Get the tool that the parameters describe. Raises InvalidInput, else as ``provide`` does."""
    here = Platform.of(platform.system(), platform.machine())
    tool = _tool(params, here)
    for option, cause in tool_errors(tool):
        raise InvalidInput(option, cause)
    return provide(tool, _ports(params, tool, here, ctx.env), ctx)


def _tool(params: Params, here: Platform) -> Tool:
    values = {"name": params["name"], "version": params["version"], "os": here.os, "arch": here.arch}
    checksums: Mapping[str, str] = params["files"] or {}
    files = tuple(checksums) or (params["name"],)
    return Tool(
        name=params["name"],
        version=params["version"],
        platform=here,
        files=files,
        is_program=not checksums,
        version_command=tuple(params["version_command"]),
        version_pattern=params["version_pattern"],
        downloads=tuple(_download(params, checksums.get(path), {**values, "path": path}) for path in files)
        if params["download"]
        else (),
        build=_build(params["build"], values),
        ways=tuple(params["ways"]),
    )


def _build(options: Optional[Params], values: Mapping[str, str]) -> Optional[Build]:
    if not options:
        return None
    texts = {name: expand(options[name] or "", values) for name in ("package", "source", "ldflags")}
    return Build(module_dir=options["module_dir"], cgo=options["cgo"], **texts)


def _download(params: Params, checksum: Optional[str], values: Mapping[str, str]) -> Download:
    """Return where one file is published; every placeholder filled in, the mirror applied."""
    offer, mirror = params["download"], params["download_mirror"] or ""
    url = mirrored(expand(offer["url"], values), mirror)
    member = expand(offer["member"] or "", values)
    kind, _colon, value = expand(checksum or offer["checksum"] or "", values).partition(":")
    if kind != "sha256" or not value:
        raise InvalidInput("download.checksum", "it must be sha256:<digest> or sha256:<url>, for every file")
    if "://" in value:
        return Download(values["path"], url, sha256_url=mirrored(value, mirror), member=member)
    return Download(values["path"], url, sha256=value.lower(), member=member)


def _cache_dir(params: Params, env: Mapping[str, str]) -> str:
    base = env.get("XDG_CACHE_HOME") or os.path.join(env.get("HOME") or os.path.expanduser("~"), ".cache")
    return str(params["cache_dir"] or os.path.join(base, "slipway-gitops"))


def _ports(params: Params, tool: Tool, here: Platform, env: Mapping[str, str]) -> Ports:
    clock = SystemClock()
    store = ToolStore(_cache_dir(params, env), clock)
    build_s = float(params["build_timeout"])
    return Ports(
        clock=clock,
        random=random.random,
        machine=LocalMachine(env),
        store=store,
        fetch=Fetcher(env, clock, float(params["download_timeout"])),
        go=Go(env, store.log_path(tool), build_s),
        go_installer=GoPackage(env, store.log_path(tool), build_s),
        go_package=go_package(here),
        lock_timeout_s=build_s + float(params["download_timeout"]),
    )


ENTRY = Entry(name="cached_tool", argument_spec=ARGUMENT_SPEC, run=run, has_plain_progress=True)
