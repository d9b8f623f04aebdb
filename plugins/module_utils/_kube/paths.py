# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""URL paths of Kubernetes objects (private to the collection)."""

from __future__ import annotations

from typing import Mapping, Optional
from urllib.parse import quote, urlencode

APPLICATIONS = ("argoproj.io/v1alpha1", "applications")
PROJECTS = ("argoproj.io/v1alpha1", "appprojects")
DEPLOYMENTS = ("apps/v1", "deployments")
REPLICASETS = ("apps/v1", "replicasets")
PODS = ("v1", "pods")
EVENTS = ("v1", "events")


def object_path(resource: tuple[str, str], namespace: str = "", name: str = "", subresource: str = "") -> str:
    """Return the path of an object, or of the collection when ``name`` is empty.

    ``resource`` is (apiVersion, plural), one of the constants above or any other.
    """
    version, plural = resource
    parts = ["apis" if "/" in version else "api", version]
    if namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(plural)
    if name:
        parts.append(quote(name, safe=""))
    if subresource:
        parts.append(subresource)
    return "/" + "/".join(parts)


def with_query(path: str, query: Optional[Mapping[str, str]]) -> str:
    """Return ``path`` with the non-empty values of ``query``."""
    values = {key: value for key, value in (query or {}).items() if value}
    return path + "?" + urlencode(values) if values else path
