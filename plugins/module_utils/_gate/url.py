# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which URLs, addresses and headers may be asked (private to the collection)."""

from __future__ import annotations

import ipaddress
from typing import Any, Mapping
from urllib.parse import SplitResult, urlsplit

from .._errors import InvalidInput

# Addresses by which clouds hand out credentials, outside of the link-local ranges.
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def check_url(option: str, text: str) -> None:
    """Refuse a URL that cannot be asked safely, before anything is sent. Raises InvalidInput."""
    if not text.isprintable() or not text.isascii() or " " in text or len(text) > 4096:
        raise InvalidInput(option, "the URL holds blanks, control or non-ASCII characters, or is too long")
    try:
        url = urlsplit(text)
        port_of(url)
    except ValueError as error:
        raise InvalidInput(option, "is not a URL (%s)" % error) from error
    if url.scheme not in ("http", "https"):
        raise InvalidInput(option, "the scheme '%s' is not http or https" % url.scheme)
    if "@" in url.netloc:
        raise InvalidInput(option, "the URL holds user information", "Use the suboption headers, which is masked.")
    if not url.hostname:
        raise InvalidInput(option, "the URL names no host")
    try:
        ipaddress.ip_address(url.hostname)
    except ValueError:
        return
    refuse_address(url.hostname, option)


def port_of(url: SplitResult) -> int:
    """Return the port to connect to. Raises ValueError for one out of range."""
    return url.port or (443 if url.scheme == "https" else 80)


def refuse_address(text: str, option: str = "http.url") -> None:
    """Refuse addresses that no application is served on. Loopback and private ones are fine."""
    address: Any = ipaddress.ip_address(text.split("%", 1)[0])
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    if address.version == 6 and address in _NAT64:
        inner = ipaddress.ip_address(int(address) & 0xFFFFFFFF)
    for candidate in filter(None, (address, inner)):
        if candidate.is_link_local or candidate.is_multicast or candidate.is_unspecified or candidate in _METADATA:
            raise InvalidInput(option, "%s is a link-local, metadata, multicast or unspecified address" % text)


def clean_headers(headers: Mapping[str, Any]) -> dict[str, str]:
    """Return headers as text. Raises InvalidInput for one that could forge a request."""
    clean = {}
    for name, value in headers.items():
        text = str(value)
        if not str(name).replace("-", "").replace("_", "").isalnum() or not text.isprintable() or not text.isascii():
            raise InvalidInput("http.headers", "header '%s' holds characters that are not allowed" % str(name)[:40])
        if str(name).lower() in ("host", "content-length", "transfer-encoding", "connection", "accept-encoding"):
            raise InvalidInput("http.headers", "header '%s' is set by the gate itself" % name)
        clean[str(name)] = text
    return clean
