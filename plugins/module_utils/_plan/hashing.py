# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a confirmation is for: the ingredients of a plan's hash (private to the collection).

Whoever confirms a plan confirms these and nothing else: the cluster, the environment, the
application with the place it goes to, the digests now and next, the touched files before and
after, and the rendered manifests. Contents count by their SHA-256, so that the hash can be
computed again from the plan, and two plans tell which ingredient differs.
"""

from __future__ import annotations

import hashlib
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from .._manifests.document import Object
from .manifests import canonical


class Touched(NamedTuple):
    """A file of the repository that the delivery changes; equal contents when there is nothing to do."""

    path: str
    before: bytes
    after: bytes


def ingredients(
    target: Mapping[str, Any], digests: Mapping[str, Any], files: Sequence[Touched], manifests: Iterable[Object]
) -> dict[str, Any]:
    """Return what is hashed. ``target`` has cluster_uid, environment and application."""
    return {
        "cluster_uid": target["cluster_uid"],
        "environment": target["environment"],
        "application": target["application"],
        "digests": {"now": digests.get("now"), "next": digests.get("next")},
        "files": [
            {"path": file.path, "before": sha256(file.before), "after": sha256(file.after)} for file in sorted(files)
        ],
        "manifests": sha256(canonical(sorted(manifests, key=canonical))),
    }


def plan_hash(hashed: Mapping[str, Any]) -> str:
    """Return the hash of a plan, 64 hexadecimal digits."""
    return sha256(canonical(hashed))


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
