# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks one registry as often and as whom it takes (private to the collection).

Credentials are shown to two parties only: the registry they are meant for, and the token
service that this registry names, over https. A redirect to another host goes there without.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Protocol
from urllib.parse import urljoin, urlsplit

from .._context import Backoff, Clock, Redactor
from .._errors import PermanentError, SlipwayError, TransientError
from .._http_call import Call, Reply
from .._progress import EVERY_S, Voice
from .challenge import Challenge, basic, chosen, token_of, token_url
from .model import MANIFEST_TYPES, Credentials, Wanted, errors_of, is_loopback, retry_after

_MAX_MANIFEST = 4 * 1024 * 1024
_HOPS = 5
#: Longest time of one attempt: a server that hangs is asked again, and the operator told so.
_ATTEMPT_S = 10.0
_REDIRECTS = (301, 302, 303, 307, 308)
_BUSY = (408, 429, 500, 502, 503, 504)
_HIDDEN = "Many registries answer a repository that does not exist just like one that is private."


class Web(Protocol):
    """HTTP, one request at a time."""

    def ask(self, call: Call) -> Reply:
        """Return the answer whatever its status; raises TransientError, PermanentError, InvalidInput."""


@dataclass(frozen=True)
class Means:
    """What every session of a run works with. ``deadline`` is of the monotonic clock."""

    web: Web
    clock: Clock
    random: Callable[[], float]
    deadline: float
    voice: Voice
    secrets: Redactor


class Session:
    """One registry under one URL. Threads may share it."""

    def __init__(self, base: str, credentials: Credentials, means: Means) -> None:
        self._base = base
        self._credentials = credentials
        self._means = means
        self._is_local = base.startswith("http:")
        self._authorizations: dict[str, str] = {}

    @property
    def host(self) -> str:
        """Who is asked, for messages."""
        return urlsplit(self._base).netloc

    def manifest(self, method: str, wanted: Wanted) -> Reply:
        """Return the answer to HEAD or GET for a manifest; 401 only from where a redirect led to.

        Raises TransientError when the time is over; PermanentError ``auth``, ``tls``,
        ``not_http`` or ``not_a_registry``; InvalidInput.
        """
        url = "%s/v2/%s/manifests/%s" % (self._base, wanted.repository, wanted.version)
        call = Call(url, method, max_body=_MAX_MANIFEST, option="images", is_local=self._is_local)
        reply, end = self._follow(self._authorized(call, wanted))
        if reply.status != 401 or _origin(end) != _origin(url):
            return reply
        self._log_in(reply, wanted)
        reply, end = self._follow(self._authorized(call, wanted))
        if reply.status == 401 and _origin(end) == _origin(url):
            subject = "the user name or the password" if self._credentials.username else "to be read by everybody"
            raise self._refused("it refuses " + subject, reply, self._hint)
        return reply

    @property
    def _hint(self) -> str:
        return "Check 'username' and 'password'." if self._credentials.username else _HIDDEN

    def _authorized(self, call: Call, wanted: Wanted) -> Call:
        headers = {"Accept": ", ".join(MANIFEST_TYPES)}
        if wanted.repository in self._authorizations:
            headers["Authorization"] = self._authorizations[wanted.repository]
        return replace(call, headers=headers)

    def _log_in(self, reply: Reply, wanted: Wanted) -> None:
        """Get what opens a repository: a token, or leave to send user name and password."""
        challenge = chosen(reply.headers.get("www-authenticate", ""))
        if challenge is None:
            raise self._refused("it asks who we are in a way that is not known here", reply)
        if challenge.scheme == "basic":
            if not self._credentials.username:
                raise self._refused("it asks for a user name and a password", reply, "Set 'username' and 'password'.")
            self._remember(wanted, basic(self._credentials))
        else:
            self._remember(wanted, "Bearer " + self._token(challenge, wanted))

    def _remember(self, wanted: Wanted, authorization: str) -> None:
        self._means.secrets.add(authorization.partition(" ")[2])
        self._authorizations[wanted.repository] = authorization

    def _token(self, challenge: Challenge, wanted: Wanted) -> str:
        url = token_url(challenge, wanted.repository, self.host, self._is_local)
        headers = {"Accept": "application/json"}
        if self._credentials.username:
            headers["Authorization"] = basic(self._credentials)
            self._means.secrets.add(headers["Authorization"].partition(" ")[2])
        reply = self._patient(Call(url, headers=headers, option="images", is_local=url.startswith("http:")))
        token = token_of(reply.body) if reply.status == 200 else ""
        if not token:
            raise self._refused("its token service %s gives no token" % urlsplit(url).netloc, reply, self._hint)
        return token

    def _refused(self, cause: str, reply: Reply, hint: str = "") -> PermanentError:
        said = errors_of(reply.body)
        detail = " (status %d%s)" % (reply.status, ", " + said if said else "")
        return PermanentError("log in to", self.host, cause + detail, hint, code="auth")

    def _follow(self, call: Call) -> tuple[Reply, str]:
        """Return the answer at the end of redirects, and where that was."""
        for _hop in range(_HOPS):
            reply = self._patient(call)
            if reply.status not in _REDIRECTS:
                return reply, call.url
            call = self._redirected(call, reply.headers.get("location", ""))
        raise PermanentError("ask", self.host, "it redirects more than %d times" % _HOPS, code="not_a_registry")

    def _redirected(self, call: Call, location: str) -> Call:
        """Return the request to make instead. Other hosts are asked without credentials."""
        try:
            target = urljoin(call.url, location)
            url = urlsplit(target)
            is_fit = url.scheme == "https" or (
                url.scheme == "http" and call.is_local and is_loopback(url.hostname or "")
            )
            is_fit = is_fit and bool(location and url.hostname) and "@" not in url.netloc
            is_fit = is_fit and target.isascii() and target.isprintable() and " " not in target
            is_same = _origin(target) == _origin(call.url)
        except ValueError:
            is_fit = is_same = False
        if not is_fit:
            cause = "it redirects to '%s', which is no https address" % location.partition("?")[0][:200]
            raise PermanentError("ask", urlsplit(call.url).netloc, cause, code="not_a_registry")
        headers = {name: value for name, value in call.headers.items() if is_same or name != "Authorization"}
        return replace(call, url=target, headers=headers, is_local=url.scheme == "http")

    def _patient(self, call: Call) -> Reply:
        """Ask again, within the time, while the server is busy or the connection breaks."""
        means, host = self._means, urlsplit(call.url).netloc
        backoff = Backoff(0.2, 5.0, means.random)
        while True:
            wish_s = 0.0
            left_s = max(0.1, means.deadline - means.clock.monotonic())
            try:
                reply = means.web.ask(replace(call, timeout_s=min(left_s, _ATTEMPT_S)))
                if reply.status not in _BUSY:
                    return reply
                fault: SlipwayError = _busy(host, reply)
                wish_s = retry_after(reply)
            except TransientError as error:
                fault = error
            delay_s = max(backoff.delay(), wish_s)
            if fault.code == "unreachable" or means.clock.monotonic() + delay_s >= means.deadline:
                raise fault
            self._rest(delay_s)

    def _rest(self, delay_s: float) -> None:
        """Wait, and do not leave the operator in the dark meanwhile."""
        clock = self._means.clock
        until = clock.monotonic() + delay_s
        while clock.monotonic() < until:
            clock.sleep(min(EVERY_S, until - clock.monotonic()))
            self._means.voice.beat(lambda: "the registry does not answer as it should, asking again")


def _busy(host: str, reply: Reply) -> TransientError:
    is_limit = reply.status == 429
    cause = "it answers %d" % reply.status + (" (%s)" % errors_of(reply.body) if errors_of(reply.body) else "")
    if retry_after(reply):
        cause += " and wants to be left alone for %g s" % retry_after(reply)
    hint = "Too many requests were made: log in, ask a mirror, or wait." if is_limit else "Try again later."
    return TransientError("ask", host, cause, hint, code="too_many_requests" if is_limit else "server_error")


def _origin(url: str) -> tuple[Any, ...]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)
