# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be watched, and what a watcher sees (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: The objects of one stream by name.
Objects = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Stream:
    """One collection to watch, named for the reader of the snapshots."""

    name: str
    path: str
    label_selector: str = ""
    field_selector: str = ""
