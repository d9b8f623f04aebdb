# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are kept on this machine."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

#: The checkout that this file belongs to.
CHECKOUT = Path(__file__).resolve().parents[2]


def cache() -> Path:
    """Return the one cache folder; everything in it can be deleted at any time."""
    if "SLIPWAY_CACHE" in os.environ:
        return Path(os.environ["SLIPWAY_CACHE"]).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "slipway-gitops"


def checkout_key() -> str:
    """Return a short name for this checkout, so that two checkouts share no staged tree."""
    return hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:12]


def logs(command: str) -> Path:
    """Return the folder for the logs of one command; it holds its last run only."""
    folder = cache() / "logs" / checkout_key() / command
    folder.mkdir(parents=True, exist_ok=True)
    return folder
