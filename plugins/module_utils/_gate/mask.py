# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks what looks like a secret in text that others wrote (private to the collection).

Container logs end up in job output, which more people read than the logs themselves. The
patterns rather mask too much: a masked word costs a look at the cluster, a shown one a secret.
"""

from __future__ import annotations

import re
from typing import Iterable

from .._context import MASK

_PATTERNS = (
    # scheme://user:password@host
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s@/]+@", re.I), r"\1:%s@" % MASK),
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.I), r"\1 %s" % MASK),
    # JSON Web Tokens, keys of cloud providers, tokens of forges
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*){1,2}"), MASK),
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bglpat-[A-Za-z0-9_-]{16,}"), MASK),
    # DB_PASSWORD=x, "apiKey": "x", client-secret: x
    (
        re.compile(
            r"""([\w.-]*(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|authorization)[\w.-]*["']?\s*[=:]\s*)"""
            r"""("[^"]*"|'[^']*'|[^\s,;}\]]+)""",
            re.I,
        ),
        r"\1%s" % MASK,
    ),
)
_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S)
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """Return ``text`` without terminal control sequences, known ``secrets`` and likely secrets."""
    text = _CONTROL.sub("", text)
    for secret in sorted(secrets, key=len, reverse=True):
        if secret:
            text = text.replace(secret, MASK)
    text = _KEY_BLOCK.sub(MASK, text)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
