# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release as it was read, before it is written (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable

from .._manifests.document import Id
from .model import ARGOCD, LIVE, SECRETS, Object
from .objects import render_list


@dataclass
class Snapshot:
    """A release as it was read. ``live`` and ``secrets`` are clean objects."""

    namespace: str
    commit: str
    live: dict[Id, Object] = field(default_factory=dict)
    secrets: dict[Id, Object] = field(default_factory=dict)
    names: dict[str, dict[str, Any]] = field(default_factory=dict)
    argocd: list[Object] = field(default_factory=list)
    repositories: list[dict[str, Any]] = field(default_factory=list)
    images: list[dict[str, str]] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    helm: dict[str, bytes] = field(default_factory=dict)

    def omit(self, what: Id, reason: str) -> None:
        """Note that something is not in the backup, and why."""
        self.left_out.append({**what.as_dict(), "reason": reason})

    def lack(self, what: Id) -> None:
        """Note that something of the release may not be read, which makes the backup incomplete."""
        if str(what) not in self.unread:
            self.omit(what, "it may not be read")
            self.unread.append(str(what))

    def files(self, encrypt: Callable[[bytes], bytes]) -> dict[str, bytes]:
        """Return the files of the backup; Secrets go through ``encrypt`` or are not among them."""
        found = {LIVE: render_list(self.live.values()), **self.helm}
        if self.argocd:
            found[ARGOCD] = render_list(self.argocd)
        if self.secrets:
            found[SECRETS] = encrypt(render_list(self.secrets.values()))
        return found
