# SPDX-License-Identifier: GPL-3.0-or-later
"""Mistakes in pools of addresses are found before a cluster sees them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.slipway.gitops.plugins.filter.address_pool_problems import address_pool_problems


def pool(name: str, *addresses: str) -> dict[str, Any]:
    return {"name": name, "addresses": list(addresses)}


@pytest.mark.parametrize(
    ("pools", "expected"),
    [
        ([], []),
        ([pool("a", "192.0.2.0/28")], []),
        ([pool("a", "192.0.2.1/32"), pool("b", "192.0.2.2-192.0.2.2")], []),
        ([pool("a", "192.0.2.0/28", "2001:db8::/120")], []),
        ([pool("a", "192.0.2.1 - 192.0.2.9")], []),
        ([pool("a", "192.0.2.20-192.0.2.10")],
         ["Pool 'a': 192.0.2.20-192.0.2.10 is reversed, write 192.0.2.10-192.0.2.20."]),
        ([pool("a", "192.0.2.9-192.0.2.10"), pool("b", "192.0.2.10/32")],
         ["192.0.2.9-192.0.2.10 of pool 'a' and 192.0.2.10/32 of pool 'b' share addresses."]),
        ([pool("a", "192.0.2.0/28", "192.0.2.8/29")],
         ["192.0.2.0/28 of pool 'a' and 192.0.2.8/29 of pool 'a' share addresses."]),
        ([pool("a", "192.0.2.1/28")],
         ["Pool 'a': 192.0.2.1/28 is an address inside of a network, write 192.0.2.0/28."]),
        ([pool("a", "192.0.2.1")], ["Pool 'a': '192.0.2.1' is neither a network (A/N) nor a range (A-B)."]),
        ([pool("a", "192.0.2.1-2001:db8::1")], ["Pool 'a': 192.0.2.1-2001:db8::1 goes from IPv4 to IPv6."]),
        ([pool("a", "192.0.2.1-192.0.2.300")],
         ["Pool 'a': '192.0.2.1-192.0.2.300' is neither a network (A/N) nor a range (A-B)."]),
        ([pool("a")], ["Pool 'a' has no addresses."]),
        ([pool("A_b", "192.0.2.1/32")], ["Pool 'A_b': a name has lower-case letters, digits, dots and dashes."]),
        ([pool("a", "192.0.2.1/32"), pool("a", "192.0.2.2/32")], ["Pool 'a' is there 2 times."]),
        ([{"addresses": ["192.0.2.1/32"]}], ["Pool 'None': a name has lower-case letters, digits, dots and dashes."]),
    ],
)  # fmt: skip
def test_errors(pools: list[dict[str, Any]], expected: list[str]) -> None:
    assert address_pool_problems(pools)["errors"] == expected


@pytest.mark.parametrize(
    ("networks", "count", "told"),
    [
        ([], 0, ""),
        (["192.0.2.200"], 0, ""),
        (["192.0.2.0/24"], 0, ""),
        (["198.51.100.7", "192.0.2.3/24"], 0, ""),
        (["198.51.100.7"], 1, "not in a network of the nodes (198.51.100.0/24)"),
        (["192.0.2.0/29"], 1, "not in a network of the nodes (192.0.2.0/29)"),
        (["2001:db8::1"], 1, "none of this IP version"),
        (["192.0.2.5"], 1, "holds the address 192.0.2.5 of a node"),
    ],
)
def test_warnings(networks: list[str], count: int, told: str) -> None:
    found = address_pool_problems([pool("a", "192.0.2.0/28")], networks=networks)
    assert found["errors"] == [] and len(found["warnings"]) == count
    assert told in "".join(found["warnings"])


def test_advertisement_names_pools_that_are_there() -> None:
    advertisements = [{"name": "x", "pools": ["a", "b"]}, {"name": "x"}]
    found = address_pool_problems([pool("a", "192.0.2.0/28")], advertisements)
    assert found["errors"] == [
        "Advertisement 'x' is there 2 times.",
        "Advertisement 'x' names the pool 'b', which is not there.",
    ]


def test_what_is_no_list_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="a list for pools"):
        address_pool_problems("a")  # type: ignore[arg-type]
