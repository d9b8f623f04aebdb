# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a registry asks of us before it answers (private to the collection)."""

from __future__ import annotations

import base64
import json
import re
from typing import Mapping, NamedTuple, Optional
from urllib.parse import urlencode, urlsplit

from .._errors import PermanentError
from .model import Credentials, is_loopback

_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
#: A parameter, name="value" or name=value, or else a word that begins the next challenge.
_ITEM = re.compile(r'(%s)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))|(%s)' % (_NAME, _NAME))


class Challenge(NamedTuple):
    """One way to prove who we are: ``scheme`` in lower case, and its parameters."""

    scheme: str
    parameters: Mapping[str, str]


def challenges(header: str) -> list[Challenge]:
    """Return the challenges of a WWW-Authenticate header, in order."""
    found: list[Challenge] = []
    for name, quoted, plain, scheme in _ITEM.findall(header[:8192]):
        if scheme:
            found.append(Challenge(scheme.lower(), {}))
        elif found:
            parameters = {**found[-1].parameters, name.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain}
            found[-1] = Challenge(found[-1].scheme, parameters)
    return found


def chosen(header: str) -> Optional[Challenge]:
    """Return the challenge to answer: a token before a password that would travel each time."""
    known = {challenge.scheme: challenge for challenge in reversed(challenges(header))}
    return known.get("bearer") or known.get("basic")


def basic(credentials: Credentials) -> str:
    """Return the header's value for a user name and a password."""
    text = "%s:%s" % (credentials.username, credentials.password)
    return "Basic " + base64.b64encode(text.encode()).decode()


def token_url(challenge: Challenge, repository: str, host: str, is_local: bool) -> str:
    """Return where a token is to be had. ``is_local`` allows http, to this machine only.

    Raises PermanentError ``auth`` for a realm that must not be shown credentials.
    """
    realm = challenge.parameters.get("realm", "")
    try:
        url = urlsplit(realm)
        is_fit = url.scheme == "https" or (url.scheme == "http" and is_local and is_loopback(url.hostname or ""))
        is_fit = is_fit and bool(url.hostname) and "@" not in url.netloc and realm.isascii() and realm.isprintable()
        is_fit = is_fit and " " not in realm and url.port != 0
    except ValueError:
        is_fit = False
    if not is_fit:
        cause = (
            "it sends us for a token to '%s', which is no https address"
            % realm.partition("?")[0].rpartition("@")[2][:200]
        )
        raise PermanentError("log in to", host, cause, code="auth")
    query = {"scope": challenge.parameters.get("scope") or "repository:%s:pull" % repository}
    if challenge.parameters.get("service"):
        query["service"] = challenge.parameters["service"]
    return realm + ("&" if url.query else "?") + urlencode(query)


def token_of(body: bytes) -> str:
    """Return the token in the answer of a token service, empty when there is none."""
    try:
        document = json.loads(body)
        token = document.get("token") or document.get("access_token")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return token if isinstance(token, str) and token.isascii() and token.isprintable() else ""
