# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of release_backup, checked (private to the collection)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence

from .._errors import InvalidInput
from .._manifests.document import Id
from .model import Folder, Place, is_word

#: The name that stands for the newest backup.
LATEST = "latest"
_RECIPIENT = re.compile(r"age1[0-9a-z]{50,4000}|ssh-(ed25519|rsa) [A-Za-z0-9+/=]{40,2000}( [^\x00-\x1f]{0,200})?")
_VERSION = re.compile(r"v[0-9][a-z0-9]*")
_MANY = 100_000


@dataclass(frozen=True)
class Request:
    """What is to be backed up, or which backup is meant."""

    place: Place
    name: str
    release: str
    namespace: str
    application: Optional[tuple[str, str]]
    selector: str
    resources: Sequence[Id]
    commit: str
    images: Sequence[str]
    is_encrypted: bool
    recipients: Sequence[str]
    keep_last: Optional[int]
    keep_days: Optional[float]


def check(params: Mapping[str, Any]) -> Request:
    """Return the options as a request. Raises InvalidInput before anything is read or written."""
    place = check_place(params)
    namespace = params.get("namespace") or ""
    if namespace:
        _check_word("namespace", namespace)
    application = params.get("application")
    resources = [_resource(item, namespace) for item in params.get("resources") or []]
    selector = ",".join(params.get("label_selectors") or [])
    request = Request(
        place,
        _check_name(params),
        params.get("release") or "",
        namespace,
        (application["namespace"], application["name"]) if application else None,
        selector,
        resources,
        params.get("commit") or "",
        list(params.get("images") or []),
        params.get("secrets") == "encrypt",
        list(params.get("recipients") or []),
        params.get("keep_last"),
        params.get("keep_days"),
    )
    if params["state"] == "present":
        _check_present(request)
    return request


def check_place(params: Mapping[str, Any]) -> Place:
    """Return application and environment as folders. Raises InvalidInput."""
    for option in ("app", "environment"):
        _check_word(option, params.get(option) or "")
    return Place(params["app"], params["environment"])


def _check_word(option: str, value: str) -> None:
    if not is_word(value):
        hint = "Letters, digits, '.', '_' and '-', at most 63, beginning with a letter or digit."
        raise InvalidInput(option, "'%s' cannot be the name of a folder" % value if value else "it is empty", hint)


def _check_name(params: Mapping[str, Any]) -> str:
    name = params.get("name") or ""
    if params["state"] == "present":
        if name:
            raise InvalidInput("name", "a new backup is named by time and release", "Leave it out.")
        return ""
    if name != LATEST and not Folder.of(name):
        hint = "Backups are named like 20261121T114500Z-1.4.2; release_backup_info lists them."
        raise InvalidInput("name", "'%s' is no name of a backup" % name if name else "it is empty", hint)
    return name


def _check_present(request: Request) -> None:
    if not request.release:
        raise InvalidInput("release", "it is empty", "Say which release is live.")
    if not (request.application or request.resources or request.selector):
        raise InvalidInput("application", "nothing says what belongs to the release", "Name the Application.")
    if not request.namespace and not request.application:
        raise InvalidInput("namespace", "it is empty", "Say where the release lives.")
    if request.is_encrypted and not request.recipients:
        hint = "Give the public keys (age1...) of those who may restore, or set secrets=exclude."
        raise InvalidInput("recipients", "Secrets are to be encrypted, and it is for nobody", hint)
    for recipient in request.recipients:
        if not _RECIPIENT.fullmatch(recipient):
            raise InvalidInput("recipients", "'%s' is no recipient of age" % recipient[:40], "It begins with age1.")
    if request.keep_last is not None and not 1 <= request.keep_last <= _MANY:
        raise InvalidInput("keep_last", "%d is not between 1 and %d" % (request.keep_last, _MANY))
    if request.keep_days is not None and not (math.isfinite(request.keep_days) and 0 < request.keep_days <= _MANY):
        raise InvalidInput("keep_days", "%s is not a number of days above zero" % request.keep_days)


def _resource(item: Mapping[str, Any], namespace: str) -> Id:
    group, version = item.get("group") or "", item.get("version") or "v1"
    if not _VERSION.fullmatch(version):
        raise InvalidInput("resources", "'%s' is no version of an API" % version, "Like v1 or v1beta1.")
    if not namespace:
        raise InvalidInput("namespace", "it is empty", "Say where the resources are.")
    return Id("%s/%s" % (group, version) if group else version, item["kind"], namespace, item["name"])
