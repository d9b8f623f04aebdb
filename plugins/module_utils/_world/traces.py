# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small things that a node's programs leave in folders of the machine (private to the collection).

Where containerd, the CNI library and the kubelet put these cannot be configured. Only what
names this world is removed; the folders go when they are empty.
"""

from __future__ import annotations

from typing import Iterable

from .model import is_within
from .work import Work

_SHIM_SOCKETS = "/run/containerd/s"
_CNI_RESULTS = "/var/lib/cni/results"
_LOG_LINKS = "/var/log/containers"
_DEVICE_PLUGINS = "/var/lib/kubelet/device-plugins"
_DEVICE_SOCKET = _DEVICE_PLUGINS + "/kubelet.sock"
_EMPTIED = (
    _SHIM_SOCKETS,
    "/run/containerd",
    _CNI_RESULTS,
    "/var/lib/cni",
    _LOG_LINKS,
    _DEVICE_PLUGINS,
    "/var/lib/kubelet",
    "/run/slipway-gitops",
)


def forget_dead_shims(work: Work, runtime_path: str) -> None:
    """Remove the sockets of shims that have ended without notice; containerd never does."""
    host = work.ports.host
    bundles = runtime_path + "/containerd/io.containerd.runtime.v2.task/k8s.io"
    for name in host.listing(bundles):
        address = (host.read("%s/%s/address" % (bundles, name)) or b"").decode().strip().replace("unix://", "", 1)
        if address.startswith(_SHIM_SOCKETS + "/") and host.exists(address) and not host.is_listening(address):
            _forget(work, [address])


def remove(work: Work, folders: Iterable[str]) -> None:
    """Remove what names the world's ``folders``, after its processes have ended."""
    host, folders = work.ports.host, tuple(folders)
    links = [_LOG_LINKS + "/" + name for name in host.listing(_LOG_LINKS)]
    _forget(work, [link for link in links if is_within(host.link_target(link), folders)])
    results = [_CNI_RESULTS + "/" + name for name in host.listing(_CNI_RESULTS)]
    marks = [folder.encode() for folder in folders]
    _forget(work, [path for path in results if any(mark in (host.read(path) or b"") for mark in marks)])
    if host.exists(_DEVICE_SOCKET) and not host.is_listening(_DEVICE_SOCKET):
        _forget(work, [_DEVICE_SOCKET, _DEVICE_PLUGINS + "/kubelet_internal_checkpoint"])


def remove_empty_folders(work: Work) -> None:
    """Remove the folders of the machine that held such traces only."""
    for folder in _EMPTIED:
        if not work.ctx.check_mode:
            work.ports.host.remove_if_empty(folder)


def _forget(work: Work, paths: Iterable[str]) -> None:
    for path in paths:
        work.change("remove %s" % path, lambda path=path: work.ports.host.forget_file(path))  # type: ignore[misc]
