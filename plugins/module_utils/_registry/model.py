# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images are asked for, where, and what a manifest says (private to the collection)."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence
from urllib.parse import urlsplit

from .._errors import InvalidInput, PermanentError
from .._gate.image import parse_image
from .._gate.url import check_url
from .._http_call import Reply

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES = (
    *INDEX_TYPES,
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_DAY_S = 24 * 3600
#: Where a registry is served, if not under its name.
_SERVED = {"docker.io": "registry-1.docker.io"}
_RULE = "It must be [host[:port]/]path[:tag][@digest], the path in lower case, a tag of at most 128 characters."


@dataclass(frozen=True)
class Wanted:
    """One image as it was asked for."""

    reference: str
    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def version(self) -> str:
        """What the registry is asked for: the digest decides where there is one."""
        return self.digest or self.tag


@dataclass(frozen=True)
class Credentials:
    """Who we are, for one registry alone."""

    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Request:
    """The options of the module, checked."""

    images: Sequence[Wanted]
    mirrors: Mapping[str, str]
    registry: str
    credentials: Credentials
    timeout_s: float
    must_exist: bool
    platforms: bool

    def base(self, registry: str) -> str:
        """Return the URL below which a registry's API lies, without a slash at the end."""
        if registry in self.mirrors:
            return self.mirrors[registry].rstrip("/")
        host = _SERVED.get(registry, registry)
        return ("http://" if is_loopback(urlsplit("//" + host).hostname or "") else "https://") + host

    def credentials_for(self, registry: str) -> Credentials:
        """Return what proves who we are there: nothing, unless the credentials are meant for it."""
        return self.credentials if registry == self.registry else Credentials()


def request(params: Mapping[str, Any]) -> Request:
    """Check the options. Raises InvalidInput."""
    images = [_wanted(reference, "images[%d]" % at) for at, reference in enumerate(params["images"])]
    if not images:
        raise InvalidInput("images", "the list is empty", "Name at least one image.")
    if not 0 < params["timeout"] <= _DAY_S:  # false for NaN, too
        raise InvalidInput("timeout", "%s is not a number of seconds above zero, up to a day" % params["timeout"])
    mirrors = {str(registry): str(url) for registry, url in (params.get("mirrors") or {}).items()}
    for registry, url in mirrors.items():
        check_base("mirrors", registry, url)
    return Request(
        images=images,
        mirrors=mirrors,
        registry=_registry_of_credentials(params, images),
        credentials=Credentials(params.get("username") or "", params.get("password") or ""),
        timeout_s=params["timeout"],
        must_exist=bool(params.get("must_exist", True)),
        platforms=bool(params.get("platforms")),
    )


def _wanted(reference: str, option: str) -> Wanted:
    try:
        image = parse_image(reference)
    except ValueError as error:
        raise InvalidInput(option, str(error), _RULE) from error
    registry, _slash, repository = image.repository.partition("/")
    try:
        port = urlsplit("//" + registry).port
    except ValueError as error:
        raise InvalidInput(option, "%r has an impossible port" % reference[:80], _RULE) from error
    if port == 0:
        raise InvalidInput(option, "%r has an impossible port" % reference[:80], _RULE)
    return Wanted(reference, registry, repository, image.tag, image.digest)


def _registry_of_credentials(params: Mapping[str, Any], images: Sequence[Wanted]) -> str:
    """Return the only registry that may see the credentials."""
    if not params.get("username") and not params.get("password"):
        return ""
    if not params.get("username") or not params.get("password"):
        missing = "password" if params.get("username") else "username"
        raise InvalidInput(missing, "user name and password go together", "Set both, or neither.")
    if params.get("registry"):
        return str(params["registry"])
    registries = sorted({image.registry for image in images})
    if len(registries) > 1:
        hint = "Say with 'registry' which one the user name and the password are for; the others are asked without."
        raise InvalidInput("registry", "the images are from %s" % ", ".join(registries), hint)
    return registries[0]


def check_base(option: str, registry: str, url: str) -> None:
    """Refuse the URL of a mirror that must not be asked. Raises InvalidInput."""
    check_url(option, url)
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise InvalidInput(option, "the URL for '%s' has a query or a fragment" % registry)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise InvalidInput(
            option, "http is for this machine only, and '%s' is another one" % parts.hostname, "Use https."
        )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name; where ``localhost`` leads to is checked when it is asked."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def media_type(reply: Reply) -> str:
    """Return the type of a manifest; empty for an answer that is none, such as a page to log in at."""
    found = reply.headers.get("content-type", "").split(";", maxsplit=1)[0].strip().lower()
    return found if found.startswith("application/") and "json" in found else ""


def digest_of(wanted: Wanted, reply: Reply, has_body: bool) -> str:
    """Return the digest of a manifest: computed where the body came, else as the header says.

    Empty when only the body would tell. Raises PermanentError ``digest_mismatch`` when it is
    not the one that was asked for, or not the one that the registry claims.
    """
    said = reply.headers.get("docker-content-digest", "")
    said = said if DIGEST.fullmatch(said) else ""
    expected = wanted.digest or said
    algorithm = expected.partition(":")[0] or "sha256"
    if has_body:
        found = "%s:%s" % (algorithm, hashlib.new(algorithm, reply.body).hexdigest())
    else:
        found = said if said.startswith(algorithm) else ""
    if found and expected and found != expected:
        cause = "expected %s, got %s" % (expected, found)
        raise PermanentError("trust the manifest of", wanted.reference, cause, code="digest_mismatch")
    return found


def retry_after(reply: Reply) -> float:
    """Return how many seconds the server wants to be left alone; a date or nonsense counts as none."""
    text = reply.headers.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0.0


def platforms_of(body: bytes) -> Optional[list[str]]:
    """Return the platforms of an index as ``os/architecture[/variant]``; None when the body is none."""
    try:
        manifests = json.loads(body)["manifests"]
        parts = [item.get("platform") or {} for item in manifests]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    names = ["/".join(str(part[key]) for key in ("os", "architecture", "variant") if part.get(key)) for part in parts]
    # Build records (attestations) stand among the images, for no platform.
    return sorted({name for name in names if name and not name.startswith("unknown")})


def errors_of(body: bytes) -> Optional[str]:
    """Return what a registry says went wrong; None when it is no registry's answer."""
    try:
        items = json.loads(body)["errors"]
        said = ["%s %s" % (item.get("code") or "", item.get("message") or "") for item in items]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return "; ".join(text.strip() for text in said)[:300]
