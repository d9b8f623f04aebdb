# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host network of a world: checked, made, and taken away again (private to the collection)."""

from __future__ import annotations

from .._errors import PermanentError
from .model import TOUCHED_SYSCTLS, Network, chains, guard_script, overlapping_route, removal_script
from .work import Work

#: What forwarding between pods, services and this machine needs.
_WANTED_SYSCTLS = {"net/ipv4/ip_forward": "1", "net/bridge/bridge-nf-call-iptables": "1"}


def _owner(work: Work) -> str:
    """Return the alias that marks a bridge as belonging to this world."""
    return "slipway.gitops:" + work.spec.path


def _is_there(work: Work, bridge: str) -> bool:
    links = work.ports.host.links() if work.ports.host.has("ip") else []
    return any(link.get("ifname") == bridge and link.get("ifalias") == _owner(work) for link in links)


def problems(work: Work, network: Network) -> list[str]:
    """Return what on this machine stands against the network, each with what to do about it."""
    host = work.ports.host
    found = []
    if not host.is_root():
        found.append("root is needed to make a bridge, routes and containers: run as root, or use provider 'simulated'")
    if not host.has_filesystem("overlay"):
        found.append("the kernel has no overlay file system: load the module 'overlay'")
    if not host.has("ip"):
        return found + ["the program 'ip' is missing: install iproute2"]
    links = {link.get("ifname"): link for link in host.links()}
    link = links.get(network.bridge)
    if link and link.get("ifalias") != _owner(work):
        found.append("link '%s' exists and is not ours: choose another bridge name or delete it" % network.bridge)
    route = overlapping_route(network, host.routes())
    if route:
        found.append("route '%s' overlaps %s or %s: choose other ranges" % (route, network.pods, network.service_cidr))
    if not link and not work.record().get("chains"):
        foreign = [name for saved in host.filters().values() for name in chains(saved) if "/KUBE-" in name]
        if foreign:
            found.append("packet filter chain '%s' exists: another Kubernetes node runs here" % foreign[0])
    return found


def snapshot(work: Work, network: Network) -> dict[str, object]:
    """Return what must be known to restore the host.

    If the bridge is already there, an earlier record was lost: chains that are there now
    are then taken for ours.
    """
    host = work.ports.host
    settings = {name: host.sysctl(name) for name in TOUCHED_SYSCTLS}
    return {
        "bridge": network.bridge,
        "sysctl": {name: value for name, value in settings.items() if value is not None},
        "chains": {} if _is_there(work, network.bridge) else {f: chains(s) for f, s in host.filters().items()},
    }


def ensure(work: Work, network: Network) -> None:
    """Make the bridge, its address, the service route, the kernel settings and the guard."""
    _ensure_bridge(work, network)
    host = work.ports.host
    for name, value in _WANTED_SYSCTLS.items():
        now = host.sysctl(name)
        if now is None and name == "net/ipv4/ip_forward":
            raise PermanentError("read", "kernel setting " + name, "it does not exist")
        if now is not None and now != value:
            work.change("set %s" % name, lambda name=name, value=value: host.set_sysctl(name, value))  # type: ignore[misc]
    # The range is routed to the bridge before anything can ask a service address: an
    # address without a rule yet would otherwise be reached through the default route.
    if not any(r.get("dst") == network.service_cidr and r.get("dev") == network.bridge for r in host.routes()):
        work.change(
            "route %s" % network.service_cidr,
            lambda: host.ip("route", "replace", network.service_cidr, "dev", network.bridge, "src", network.address),
        )
    for family, saved in host.filters().items():
        script = guard_script(network, saved, family)
        if script:
            work.change("%s guard" % family, lambda f=family, s=script: host.restore_filters(f, s))  # type: ignore[misc]


def _ensure_bridge(work: Work, network: Network) -> None:
    host, name = work.ports.host, network.bridge
    links = {link.get("ifname"): link for link in host.links()}
    if name not in links:
        # A fixed hardware address: a bridge's own one changes with the ports it has.
        hardware = "0a:58" + "".join(":%02x" % int(part) for part in network.address.split("."))
        work.change("bridge %s" % name, lambda: host.ip("link", "add", name, "address", hardware, "type", "bridge"))
    if name not in links or links[name].get("ifalias") != _owner(work):
        work.change("mark %s" % name, lambda: host.ip("link", "set", name, "alias", _owner(work)))
    if name not in links or network.gateway not in host.addresses(name):
        work.change("address %s" % network.gateway, lambda: host.ip("addr", "replace", network.gateway, "dev", name))
    if name not in links or "UP" not in links[name].get("flags", []):
        work.change("link %s up" % name, lambda: host.ip("link", "set", name, "up"))


def remove(work: Work, bridge: str, record: dict[str, object]) -> None:
    """Take away links, chains and kernel settings; the routes go with their link."""
    host = work.ports.host
    is_there = _is_there(work, bridge)
    if not is_there and not record.get("chains"):
        return
    keep: dict[str, list[str]] = record.get("chains") or {}  # type: ignore[assignment]
    for family, saved in host.filters().items():
        script = removal_script(saved, keep.get(family, []))
        if script:
            work.change("remove %s chains" % family, lambda f=family, s=script: host.restore_filters(f, s))  # type: ignore[misc]
    before: dict[str, str] = record.get("sysctl") or {}  # type: ignore[assignment]
    for name, value in before.items():
        if host.sysctl(name) not in (None, value):
            work.change("restore %s" % name, lambda name=name, value=value: host.set_sysctl(name, value))  # type: ignore[misc]
    # Last, because the bridge proves that chains and settings are ours to take back.
    if is_there:
        for port in host.links("master", bridge):
            _delete_link(work, str(port["ifname"]))
        _delete_link(work, bridge)


def _delete_link(work: Work, name: str) -> None:
    work.change("delete link %s" % name, lambda: work.ports.host.ip("link", "delete", name))
