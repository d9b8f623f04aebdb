# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resource quotas as people see them (private to the collection)."""

from __future__ import annotations

import re
from typing import Any, Mapping, Optional

_QUANTITY = re.compile(r"([+-]?)([0-9]{0,40})\.?([0-9]{0,40})(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?[0-9]{1,2}))?")
_POWERS = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = "KMGTPE"
#: Quantities are counted in units of ten to the minus this, so that whole numbers do.
_SCALE = 150


def view(quota: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ResourceQuota as name, used and hard, the amounts as the API server writes them."""
    status = quota.get("status") or {}
    hard = status.get("hard") or (quota.get("spec") or {}).get("hard") or {}
    return {"name": quota["metadata"]["name"], "used": dict(status.get("used") or {}), "hard": dict(hard)}


def exhausted(quota: Mapping[str, Any]) -> list[str]:
    """Return what of a :func:`view` is used up, such as ``pods (4 of 4)``."""
    found = []
    for name, hard in quota["hard"].items():
        limit, used = amount(hard), amount(quota["used"].get(name) or "0")
        if limit is not None and used is not None and used >= limit:
            found.append("%s (%s of %s)" % (name, quota["used"].get(name) or 0, hard))
    return found


def amount(text: object) -> Optional[int]:
    """Return a quantity of Kubernetes as a number to compare with others, None for what is none."""
    match = _QUANTITY.fullmatch(str(text))
    if match is None or not match.group(2) + match.group(3):
        return None
    sign, whole, fraction, suffix, exponent = match.groups()
    number = int(sign + (whole + fraction))
    if suffix and suffix.endswith("i"):
        number *= 1 << 10 * (_BINARY.index(suffix[0]) + 1)
    power: int = int(exponent) if exponent else _POWERS.get(suffix or "", 0)
    return int(number * 10 ** (_SCALE + power - len(fraction)))
