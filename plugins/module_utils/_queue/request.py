# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks what a caller asks of the queue, before anything is touched (private to the collection)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Mapping, Optional, Sequence

from .._errors import InvalidInput
from .model import KINDS, PRIORITIES, canonical, secret_hash

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
IDENTIFIER = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})")

ERROR_LIMIT = 4096
REASON_LIMIT = 1024
DOCUMENT_LIMIT = 64 * 1024
FINISHES = ("succeeded", "failed", "rolled_back")
LIMITS = {
    "lease_ttl": (5, 3600),
    "waiter_ttl": (5, 3600),
    "wait_timeout": (0, 86_400),
    "expires_in": (1, 31_536_000),
    "max_attempts": (1, 100),
    "fence_floor": (0, 2**62),
    "events": (0, 10_000),
}
_TEXTS = {"actor": 256, "source_url": 2048, "idempotency_key": 256, "claim_id": 256}

#: What each wanted state cannot do without.
_NEEDS: dict[str, tuple[str, ...]] = {
    "queued": ("environment", "app", "version"),
    "claimed": ("environment",),
    "succeeded": ("lease", "release"),
    "failed": ("lease",),
    "rolled_back": ("lease",),
    "requeued": ("lease",),
    "cancelled": ("environment",),
    "paused": ("environment", "reason"),
    "resumed": ("environment",),
    "held": ("environment", "reason", "hold_scope"),
}


@dataclass(frozen=True)
class Wish:
    """A delivery somebody wants: the part of an entry that its caller decides.

    ``not_before`` is in seconds since the epoch, ``expires_in_s`` in seconds; 0 means none.
    """

    environment: str
    app: str
    version: str
    digest: str
    kind: str
    priority: int
    detached: bool
    idempotency_key: Optional[str]
    max_attempts: int
    not_before: float
    expires_in_s: int
    source_url: str

    def params_hash(self) -> str:
        """Return the identity of what is wanted: the same key must always mean the same wish."""
        return secret_hash(canonical([self.environment, self.app, self.version, self.digest, self.kind]))


def environment_of(params: Mapping[str, Any]) -> str:
    """Return the name of the environment, case-folded.

    Raises InvalidInput for a name that is no RFC 1123 label, that is not in the allow-list
    ``environments``, or that differs from the one the lease was given for.
    """
    lease = params.get("lease") or {}
    name = params.get("environment")
    name = lease.get("environment") if name is None else name
    folded = name.casefold() if isinstance(name, str) else ""
    if not LABEL.fullmatch(folded):
        raise InvalidInput("environment", "%r is not a name of 1 to 63 letters, digits and dashes" % (name,))
    if lease and str(lease["environment"]).casefold() != folded:
        raise InvalidInput("environment", "%r is not the environment of the lease, %r" % (name, lease["environment"]))
    allowed = params.get("environments")
    if allowed is not None and folded not in {str(item).casefold() for item in allowed}:
        raise InvalidInput("environment", "%r is unknown" % name, "Known are: %s." % ", ".join(allowed))
    return folded


def check(params: Mapping[str, Any]) -> str:
    """Refuse bad options of deploy_queue, naming the option; return the environment's name."""
    state = params["state"]
    for option in _NEEDS[state]:
        if not params.get(option) and not (option == "environment" and params.get("lease")):
            raise InvalidInput(option, "is required for state %s" % state)
    if state == "cancelled" and not params.get("lease") and not params.get("entry"):
        raise InvalidInput("entry", "state cancelled needs the entry, or the lease of its holder")
    if state == "claimed" and bool(params.get("app")) != bool(params.get("version")):
        missing = "version" if params.get("app") else "app"
        raise InvalidInput(missing, "is required: a new entry needs app and version")
    environment = environment_of(params)
    check_limits(params)
    _check_texts(params)
    _check_lease(params)
    _check_documents(params)
    if params.get("force") and (state != "claimed" or not params.get("reason")):
        raise InvalidInput("force", "breaks a lease: it goes with state claimed and a reason")
    if params.get("hold_scope") and state not in ("failed", "rolled_back", "held"):
        raise InvalidInput("hold_scope", "goes with state failed, rolled_back or held")
    named = params.get("app") and (params.get("version") or params.get("digest"))
    if state == "held" and params["hold_scope"] == "release" and not named:
        raise InvalidInput("hold_scope", "a release is held by app and version or digest; one is missing")
    return environment


def check_limits(params: Mapping[str, Any]) -> None:
    """Raise InvalidInput for a number outside of its limits."""
    for option, (low, high) in LIMITS.items():
        value = params.get(option)
        if value is not None and not low <= value <= high:
            raise InvalidInput(option, "%s is not between %d and %d" % (value, low, high))


def wish_of(params: Mapping[str, Any], environment: str) -> Wish:
    """Return the wanted delivery. Raises InvalidInput naming the option that is wrong."""
    kind = params.get("kind") or "deploy"
    if kind not in KINDS:
        raise InvalidInput("kind", "%r is none of %s" % (kind, ", ".join(KINDS)))
    return Wish(
        environment=environment,
        app=params["app"],
        version=params["version"],
        digest=params.get("digest") or "",
        kind=kind,
        priority=priority_of(params.get("priority")),
        detached=bool(params.get("detached")),
        idempotency_key=params.get("idempotency_key"),
        max_attempts=params.get("max_attempts") or 3,
        not_before=_time_of(params.get("not_before")),
        expires_in_s=params.get("expires_in") or 0,
        source_url=params.get("source_url") or "",
    )


def check_times(wish: Wish, wall_s: float) -> None:
    """Raise InvalidInput for an entry that would expire before it may run."""
    if wish.expires_in_s and wish.not_before >= wall_s + wish.expires_in_s:
        raise InvalidInput("not_before", "is after the end that expires_in sets")


def priority_of(value: Any) -> int:
    """Return a priority as a number from 0 to 100. Raises InvalidInput."""
    if value is None:
        return PRIORITIES["normal"]
    if isinstance(value, str) and value in PRIORITIES:
        return PRIORITIES[value]
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(
            "priority",
            "%r is neither %s nor a whole number" % (value, ", ".join(PRIORITIES)),
            "Write a number without quotes; use a name where the value comes from a template.",
        )
    if not 0 <= value <= 100:
        raise InvalidInput("priority", "%d is not between 0 and 100" % value)
    return value


def release_of(params: Mapping[str, Any]) -> Optional[dict[str, Any]]:
    """Return the record of the verified release as plain data, or None."""
    release = params.get("release")
    return None if release is None else dict(json.loads(canonical(release)))


def error_text(text: Optional[str]) -> str:
    """Return what went wrong fit to store: bounded and without control characters but line ends.

    It is shortened and never refused: a finish must not fail because of what it reports.
    """
    return _shortened("".join(char if char.isprintable() or char == "\n" else " " for char in text or ""), ERROR_LIMIT)


def reason_text(text: Optional[str]) -> str:
    """Return a reason as one line, bounded; never refused, as above."""
    return _shortened(
        " ".join("".join(char if char.isprintable() else " " for char in text or "").split()), REASON_LIMIT
    )


def images_of(release: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what identifies the images of a release: unset and empty fields are the same."""
    return [
        {name: str(image[name]) for name in ("name", "newName", "newTag", "digest") if image.get(name)}
        for image in release["images"]
    ]


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "\u2026"


def _check_texts(params: Mapping[str, Any]) -> None:
    _check_pattern(params, "app", SUBDOMAIN, "a name of letters, digits, dashes and dots, in lower case")
    _check_pattern(params, "digest", DIGEST, "a digest such as sha256: and 64 hexadecimal digits")
    _check_pattern(params, "commit", COMMIT, "a full commit id")
    _check_pattern(params, "entry", IDENTIFIER, "the id of an entry")
    version = params.get("version")
    if version is not None and not is_version(version):
        raise InvalidInput("version", "%r is not 1 to 128 visible characters that do not begin with a dash" % version)
    for option, limit in _TEXTS.items():
        value = params.get(option)
        if value is not None and not (value.strip() and len(value) <= limit and value.isprintable()):
            raise InvalidInput(option, "is not one line of 1 to %d visible characters" % limit)


def is_version(value: Any) -> bool:
    """Tell whether ``value`` can name a version. It stays data: any separator is allowed in it."""
    if not isinstance(value, str) or not 1 <= len(value) <= 128 or value.startswith("-"):
        return False
    return value.isprintable() and not any(char.isspace() for char in value)


def _check_pattern(params: Mapping[str, Any], option: str, pattern: re.Pattern[str], meaning: str) -> None:
    value = params.get(option)
    if value is not None and not pattern.fullmatch(value):
        raise InvalidInput(option, "%r is not %s" % (value[:80], meaning))


def _check_lease(params: Mapping[str, Any]) -> None:
    lease = params.get("lease")
    if not lease:
        return
    low, high = LIMITS["lease_ttl"]
    if not IDENTIFIER.fullmatch(lease["entry"]) or not lease["token"] or lease["fence"] < 1:
        raise InvalidInput("lease", "is not a lease as the claim returned it")
    if not low <= lease["ttl"] <= high:
        raise InvalidInput("lease", "ttl %d is not between %d and %d" % (lease["ttl"], low, high))


def _check_documents(params: Mapping[str, Any]) -> None:
    for option in ("release", "measures"):
        value = params.get(option)
        if value is None:
            continue
        try:
            size = len(canonical(value))
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(option, "is not plain data (%s)" % error) from error
        if size > DOCUMENT_LIMIT:
            raise InvalidInput(option, "%d bytes are more than %d" % (size, DOCUMENT_LIMIT))
    release = params.get("release")
    if release is not None:
        _check_release(release)


def _check_release(release: Mapping[str, Any]) -> None:
    if not is_version(release.get("version")):
        raise InvalidInput("release", "version %r is no version" % (release.get("version"),))
    images = release.get("images")
    if not isinstance(images, Sequence) or isinstance(images, str) or not images:
        raise InvalidInput("release", "images is not a list with at least one image")
    for image in images:
        if not isinstance(image, Mapping) or not image.get("name"):
            raise InvalidInput("release", "each of images needs its name")


def _time_of(text: Optional[str]) -> float:
    """Return an ISO 8601 time with its zone as seconds since the epoch, 0 for none."""
    if text is None:
        return 0.0
    try:
        if not TIMESTAMP.fullmatch(text):
            raise ValueError("it needs date, time and zone")
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError) as error:
        raise InvalidInput("not_before", "%r is no time such as 2026-01-31T22:00:00Z" % text) from error
