# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks for mistakes in pools of addresses before a cluster sees them."""

from __future__ import annotations

import ipaddress
import re
from itertools import combinations
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Sequence, Union

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: address_pool_problems
short_description: Find mistakes in pools of addresses for load balancers
positional: advertisements, networks
version_added: 1.0.0
author: slipway.gitops contributors (@slipway-gitops)
description:
  - Judges pools and their advertisements before anything is sent to a cluster.
  - Errors are what cannot work - no address, a reversed range, addresses that two pools share, a name that is no name or
    is used twice, an advertisement of a pool that is not there.
  - Warnings are what most likely does not work - addresses outside of every network of a node, which nobody on the link
    would ask for, and the address of a node itself.
options:
  _input:
    description: Pools with C(name) and C(addresses), a list of networks (C(192.0.2.0/28)) and ranges (C(192.0.2.10-192.0.2.20)).
    type: list
    elements: dict
    required: true
  advertisements:
    description: Advertisements with C(name) and C(pools), names of pools; no names stand for all pools.
    type: list
    elements: dict
    default: []
  networks:
    description: Networks of the nodes. A single address stands for the network of 256 (IPv6, 2**64) addresses around it.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Refuse pools that cannot work
  ansible.builtin.assert:
    that: "pools | slipway.gitops.address_pool_problems == {'errors': [], 'warnings': []}"
  vars:
    pools:
      - name: office
        addresses: [192.0.2.16/28]
"""

RETURN = r"""
_value:
  description: Two lists of texts, C(errors) and C(warnings).
  type: dict
  sample:
    errors: ["Pool 'lab': 192.0.2.20-192.0.2.10 is reversed, write 192.0.2.10-192.0.2.20."]
    warnings: []
"""

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
#: Prefix of the network that a single address of a node stands for, by IP version.
_USUAL_PREFIX = {4: 24, 6: 64}


class Range(NamedTuple):
    """Addresses of one pool, as written and from the first to the last."""

    pool: str
    text: str
    first: Address
    last: Address

    def overlaps(self, other: Range) -> bool:
        """Whether both hold an address."""
        same = self.first.version == other.first.version
        return same and int(self.first) <= int(other.last) and int(other.first) <= int(self.last)


def address_pool_problems(
    pools: Sequence[Mapping[str, Any]],
    advertisements: Sequence[Mapping[str, Any]] = (),
    networks: Sequence[str] = (),
) -> dict[str, list[str]]:
    """Return what is wrong with pools (``errors``) and what most likely is (``warnings``)."""
    for name, value in (("pools", pools), ("advertisements", advertisements), ("networks", networks)):
        if isinstance(value, (str, Mapping)):
            raise AnsibleFilterError("address_pool_problems takes a list for %s" % name)
    errors, ranges = [], []
    for pool in pools:
        errors += _name_errors("Pool", pool.get("name"))
        if not pool.get("addresses"):
            errors.append("Pool '%s' has no addresses." % pool.get("name"))
        for text in pool.get("addresses") or []:
            try:
                ranges.append(_range(str(pool.get("name")), str(text)))
            except ValueError as error:
                errors.append("Pool '%s': %s" % (pool.get("name"), error))
    errors += _overlaps(ranges)
    errors += _duplicates("Pool", pools) + _duplicates("Advertisement", advertisements)
    errors += _advertisement_errors({str(pool.get("name")) for pool in pools}, advertisements)
    return {"errors": errors, "warnings": list(_warnings(ranges, networks))}


def _range(pool: str, text: str) -> Range:
    """Return the addresses of a network or a range. Raises ValueError with what is wrong."""
    first, dash, last = (part.strip() for part in text.partition("-"))
    try:
        if not dash:
            network = ipaddress.ip_network(first if "/" in first else "", strict=True)
            return Range(pool, text, network[0], network[-1])
        low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
    except ValueError as error:
        if "host bits" in str(error):
            fitting = ipaddress.ip_network(first, strict=False)
            raise ValueError("%s is an address inside of a network, write %s." % (text, fitting)) from error
        raise ValueError("'%s' is neither a network (A/N) nor a range (A-B)." % text) from error
    if low.version != high.version:
        raise ValueError("%s goes from IPv%d to IPv%d." % (text, low.version, high.version))
    if int(low) > int(high):
        raise ValueError("%s is reversed, write %s-%s." % (text, last, first))
    return Range(pool, text, low, high)


def _name_errors(what: str, name: Any) -> list[str]:
    if isinstance(name, str) and _NAME.fullmatch(name):
        return []
    return ["%s '%s': a name has lower-case letters, digits, dots and dashes." % (what, name)]


def _overlaps(ranges: Iterable[Range]) -> list[str]:
    return [
        "%s of pool '%s' and %s of pool '%s' share addresses." % (one.text, one.pool, other.text, other.pool)
        for one, other in combinations(ranges, 2)
        if one.overlaps(other)
    ]


def _duplicates(what: str, items: Iterable[Mapping[str, Any]]) -> list[str]:
    names = [str(item.get("name")) for item in items]
    return [
        "%s '%s' is there %d times." % (what, name, names.count(name))
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]


def _advertisement_errors(pools: set[str], advertisements: Iterable[Mapping[str, Any]]) -> list[str]:
    errors = []
    for item in advertisements:
        errors += _name_errors("Advertisement", item.get("name"))
        for pool in item.get("pools") or []:
            if pool not in pools:
                errors.append("Advertisement '%s' names the pool '%s', which is not there." % (item.get("name"), pool))
    return errors


def _warnings(ranges: Iterable[Range], networks: Iterable[str]) -> Iterator[str]:
    links, nodes = [], []
    for text in networks:
        address = ipaddress.ip_interface(text)
        prefix = "" if "/" in text else "/%d" % _USUAL_PREFIX[address.version]
        links.append(ipaddress.ip_network(text + prefix, strict=False))
        nodes += [] if "/" in text else [address.ip]
    for item in ranges:
        near = [link for link in links if link.version == item.first.version]
        if links and not any(item.first in link and item.last in link for link in near):
            known = ", ".join(map(str, near)) or "none of this IP version"
            yield (
                "%s of pool '%s' is not in a network of the nodes (%s): nobody on their link asks for it unless a router sends it there."
                % (item.text, item.pool, known)
            )
        for node in nodes:
            if node.version == item.first.version and int(item.first) <= int(node) <= int(item.last):
                yield "%s of pool '%s' holds the address %s of a node." % (item.text, item.pool, node)


class FilterModule:
    """Registers the filter with Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file by name."""
        return {"address_pool_problems": address_pool_problems}
