# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an AppProject allows, judged as Argo CD judges it (private to the collection).

Argo CD refuses a source or a destination only once the Application exists; this says it before.
"""

from __future__ import annotations

import re
from typing import Any, Iterator, Mapping, Optional, Sequence

_IN_CLUSTER = ("in-cluster", "https://kubernetes.default.svc")
_SCP = re.compile(r"(?:[^@/]+@)?[^:/]+:.+")


def _expression(pattern: str, separator: str) -> re.Pattern[str]:
    """Return a glob as Argo CD's library reads it: ``*`` stops at the separator, ``**`` does not."""
    some = "[^%s]*" % re.escape(separator) if separator else ".*"
    parts = re.split(r"(\*\*|\*|\?|\{[^{}]*\})", pattern)
    made = {"**": ".*", "*": some, "?": "[^%s]" % re.escape(separator) if separator else "."}
    text = ""
    for part in parts:
        if part.startswith("{") and part.endswith("}"):
            text += "(?:%s)" % "|".join(_expression(one, separator).pattern for one in part[1:-1].split(","))
        else:
            text += made.get(part, re.escape(part))
    return re.compile(text)


def matches(pattern: str, value: str, separator: str = "") -> bool:
    """Tell whether a glob of Argo CD fits the whole value."""
    return pattern == "*" or _expression(pattern, separator).fullmatch(value) is not None


def _fits(pattern: Optional[str], value: str, separator: str = "") -> bool:
    """As matches, with ``!`` for all but what follows."""
    text = pattern or ""
    if text.startswith("!"):
        return not matches(text[1:], value, separator)
    return matches(text, value, separator)


def normalized_url(url: str) -> str:
    """Return the address of a repository in the one spelling that Argo CD compares."""
    text = url.strip().lower()
    if "://" not in text and _SCP.match(text):
        text = text.replace(":", "/", 1)
    text = text[len("ssh://") :] if text.startswith("ssh://") else text
    return text[: -len(".git")] if text.endswith(".git") else text


def _allows_source(patterns: Sequence[str], url: str) -> bool:
    allowed = False
    for pattern in patterns:
        sign = "!" if pattern.startswith("!") else ""
        if _fits(sign + normalized_url(pattern[len(sign) :]), normalized_url(url), "/"):
            allowed = True
        elif sign:
            return False
    return allowed


def _destination(place: Mapping[str, Any]) -> dict[str, str]:
    """Return a destination with both names of the cluster that Argo CD runs in."""
    full = {key: str(place.get(key) or "") for key in ("name", "server", "namespace")}
    if full["name"] == _IN_CLUSTER[0] or full["server"] == _IN_CLUSTER[1]:
        full["name"], full["server"] = full["name"] or _IN_CLUSTER[0], full["server"] or _IN_CLUSTER[1]
    return full


def _allows_destination(items: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any]) -> bool:
    place, allowed = _destination(wanted), False
    for item in items:
        rule = _destination(item)
        hits = {key: bool(place[key] or key == "namespace") and _fits(rule[key], place[key]) for key in rule}
        denied_cluster = any(rule[key].startswith("!") and not hits[key] for key in ("name", "server"))
        denied_namespace = rule["namespace"].startswith("!") and not hits["namespace"]
        if (hits["server"] or hits["name"]) and hits["namespace"]:
            allowed = True
        elif (denied_cluster and hits["namespace"]) or (denied_namespace and hits["server"]):
            return False
    return allowed


def refusals(
    spec: Mapping[str, Any], sources: list[Mapping[str, Any]], destination: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield (code, cause) for what a project's specification does not allow."""
    patterns = [str(item) for item in spec.get("sourceRepos") or []]
    for source in sources:
        url = str(source.get("repoURL") or "")
        if url and not _allows_source(patterns, url):
            yield "source_not_allowed", "repository %s is not among its sourceRepos (%s)" % (url, _list(patterns))
    items = [item for item in spec.get("destinations") or [] if isinstance(item, Mapping)]
    if not _allows_destination(items, destination):
        where = "namespace %s of %s" % (
            destination.get("namespace") or "(none)",
            destination.get("server") or destination.get("name") or "no cluster",
        )
        allowed = ["%s of %s" % (item.get("namespace"), item.get("server") or item.get("name")) for item in items]
        yield "destination_not_allowed", "%s is not among its destinations (%s)" % (where, _list(allowed))


def allows_namespace(spec: Mapping[str, Any], namespace: str, argocd_namespace: str) -> bool:
    """Tell whether an Application may live in ``namespace``."""
    if namespace == argocd_namespace:
        return True
    return any(matches(str(item), namespace) for item in spec.get("sourceNamespaces") or [])


def _list(items: list[str]) -> str:
    return ", ".join(items) or "it has none"
