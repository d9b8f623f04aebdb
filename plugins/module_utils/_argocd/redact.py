# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps secrets out of what is returned and shown (private to the collection)."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Mapping

from .._context import MASK

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_SECRET_WORDS = r"(?:passw(?:or)?d|passphrase|token|api_?key|private_?key|credentials?|secret)"  # noqa: S105  (words, no password)
_SECRET_KEY = re.compile(_SECRET_WORDS + r"$", re.IGNORECASE)
_SECRET_LINE = re.compile(r"(?im)^(\s*(?:- )?[\w.\"'-]*" + _SECRET_WORDS + r"[\"']?\s*[:=]\s*)\S.*$")
_NAMES_SECRET = re.compile(r"\bSecret\b")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_PASSWORD_IN_URL = re.compile(r"(https?://|://[^/@:\s]+:)[^/@\s]+@", re.IGNORECASE)


def masked(value: Any) -> Any:
    """Return a copy in which values under keys that name a secret, and passwords in URLs, are masked.

    Helm parameters and plugin environments are lists of name and value, and are judged by the
    name; values files inside a string by the line.
    """
    if isinstance(value, Mapping):
        named = str(value.get("name") or "") if {"value", "string"} & set(value) else ""
        hidden = ("value", "string") if _SECRET_KEY.search(named) else ()
        return {
            key: MASK if key in hidden or _is_secret(key, item) else masked(item)
            for key, item in value.items()
            if key != LAST_APPLIED
        }
    if isinstance(value, list):
        return [masked(item) for item in value]
    return _masked_text(value) if isinstance(value, str) else value


def _is_secret(key: Any, value: Any) -> bool:
    return isinstance(value, str) and bool(value) and bool(_SECRET_KEY.search(str(key)))


def _masked_text(text: str) -> str:
    text = _PASSWORD_IN_URL.sub(r"\g<1>" + MASK + "@", text)
    return _SECRET_LINE.sub(r"\g<1>" + MASK, text) if "\n" in text else text


def safe_text(message: str, limit: int = 1000) -> str:
    """Return a message of Argo CD without what it may quote from a Secret.

    Validation errors and diffs quote the offending value; when a message is about a Secret,
    only its length and digest stay, so that two failures can be told apart.
    """
    if _NAMES_SECRET.search(message):
        digest = hashlib.sha256(message.encode()).hexdigest()[:12]
        return "(message about a Secret withheld, sha256:%s; see the Application in the cluster)" % digest
    text = _CONTROLS.sub(" ", message).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"
