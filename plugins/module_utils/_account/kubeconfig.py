# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubeconfig of a service account, and how long its token is good (private to the collection)."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Mapping, Optional

try:
    import yaml
except ImportError:  # named by the entry's list of libraries before any use
    yaml = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Place:
    """One service account of one cluster; ``ca_data`` is base64 text as in a kubeconfig."""

    name: str
    namespace: str
    server: str
    ca_data: str

    @property
    def user(self) -> str:
        """The name that the API server knows it by."""
        return "system:serviceaccount:%s:%s" % (self.namespace, self.name)


def render(place: Place, token: str) -> str:
    """Return the text of a kubeconfig with this one cluster, user and context."""
    cluster: dict[str, Any] = {"server": place.server}
    if place.ca_data:
        cluster["certificate-authority-data"] = place.ca_data
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": cluster}],
            "users": [{"name": place.name, "user": {"token": token}}],
            "contexts": [
                {
                    "name": place.name,
                    "context": {"cluster": "cluster", "user": place.name, "namespace": place.namespace},
                }
            ],
            "current-context": place.name,
        },
        sort_keys=False,
    )


def good_until(text: Optional[str], place: Place) -> float:
    """Return when the token in a kubeconfig ends, in seconds since the epoch; 0 when the file is not for ``place``."""
    try:
        document = yaml.safe_load(text or "")
        token = str(document["users"][0]["user"]["token"])
        claims = _claims(token)
        is_same = render(place, token) == text and claims["sub"] == place.user
        return float(claims["exp"]) if is_same else 0.0
    except (yaml.YAMLError, ValueError, KeyError, IndexError, TypeError, AttributeError):
        return 0.0


def _claims(token: str) -> Mapping[str, Any]:
    """Return what a token says of itself. It is not verified: the API server does that."""
    body = token.split(".")[1]
    claims: Mapping[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims
