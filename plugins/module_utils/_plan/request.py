# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checked options of a plan (private to the collection)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence

from .._edit.commit import check_environment, check_line
from .._errors import InvalidInput
from .._gitref import check_path

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DAY_S = 86400.0


@dataclass(frozen=True)
class Request:
    """What is planned, for where, and what is only shown."""

    environment: str
    application: str
    version: str
    folder: str
    cluster: Mapping[str, Any]
    since: str
    argocd: Mapping[str, Any]
    renderer: str
    build_options: Optional[Sequence[str]]
    digests: Mapping[str, Any]
    shown: Mapping[str, Any]
    dest: str


def check(params: Mapping[str, Any]) -> Request:
    """Return the options as a request, or raise InvalidInput before anything is done."""
    for option in ("application", "version"):
        if not check_line(option, params[option]):
            raise InvalidInput(option, "it is empty")
    cluster = params["cluster"]
    if not cluster.get("uid") or not isinstance(cluster["uid"], str):
        hint = "Give what slipway.gitops.cluster_preflight returns as cluster."
        raise InvalidInput("cluster", "it has no uid", hint, code="cluster_unpinned")
    since = params.get("since") or ""
    if since and not _COMMIT.fullmatch(since):
        raise InvalidInput("since", "%r is not a full commit id" % since[:80])
    if not 0 < params["timeout"] <= _DAY_S:  # false for NaN, too
        raise InvalidInput("timeout", "%s is not a number of seconds above zero, up to a day" % params["timeout"])
    for option in ("cluster", "digests", "shown"):
        _check_plain(option, params.get(option))
    path = check_path(params["path"])
    return Request(
        environment=check_environment("environment", params["environment"]),
        application=params["application"],
        version=params["version"],
        folder=path.rpartition("/")[0] if re.search(r"\.ya?ml$|/Kustomization$", path) else path,
        cluster=cluster,
        since=since,
        argocd=params.get("argocd") or {},
        renderer=params["renderer"],
        build_options=params.get("kustomize_build_options"),
        digests=params.get("digests") or {},
        shown=params.get("shown") or {},
        dest=params.get("dest") or "",
    )


def _check_plain(option: str, value: Any) -> None:
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        raise InvalidInput(option, "it holds what cannot be written as JSON (%s)" % error) from error
