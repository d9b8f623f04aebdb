# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP request and its answer, as data (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping

MAX_BODY = 1024 * 1024


@dataclass(frozen=True)
class Call:
    """One request. ``option`` is the option to blame for its URL, ``is_local`` keeps it on this machine."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = 5.0
    max_body: int = MAX_BODY
    option: str = "url"
    is_local: bool = False


@dataclass(frozen=True)
class Reply:
    """One answer. Names of headers are in lower case; a repeated one has all its values, joined by commas."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
