# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Use case of the module registry_image_info (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Mapping

from .._context import Clock, Context
from .._errors import Forbidden, NotFound, PermanentError
from .._http_call import Reply
from .._progress import Voice
from .model import INDEX_TYPES, Request, Wanted, digest_of, errors_of, media_type, platforms_of, request
from .session import Means, Session, Web

_AT_ONCE = 4
#: What HEAD is answered when the registry does not take it, or when only the body says more.
_ASK_WHOLE = (400, 404, 405, 501)


@dataclass(frozen=True)
class Ports:
    """``random`` returns a number in [0, 1)."""

    web: Web
    clock: Clock
    random: Callable[[], float]


def run(params: Mapping[str, Any], ports: Ports, ctx: Context) -> dict[str, Any]:
    """Return what registries say of images, in the order asked.

    Raises InvalidInput; NotFound when an image does not exist and ``must_exist`` is true;
    PermanentError (``auth``, ``tls``, ``digest_mismatch``, ``not_a_registry``, ``rejected``);
    Forbidden; TransientError when the time is over.
    """
    asked = request(params)
    voice = Voice("Images", ctx.progress, ports.clock.monotonic)
    deadline = ports.clock.monotonic() + asked.timeout_s
    means = Means(ports.web, ports.clock, ports.random, deadline, voice, ctx.secrets)
    sessions = {
        registry: Session(asked.base(registry), asked.credentials_for(registry), means)
        for registry in {image.registry for image in asked.images}
    }
    distinct = list(dict.fromkeys(asked.images))

    def look(wanted: Wanted) -> dict[str, Any]:
        return _look(wanted, sessions[wanted.registry], asked)

    if len(distinct) == 1:
        found = [look(distinct[0])]
    else:
        from concurrent.futures import ThreadPoolExecutor  # most deliveries ask for one image

        with ThreadPoolExecutor(min(_AT_ONCE, len(distinct))) as pool:
            found = list(pool.map(look, distinct))
    known = dict(zip(distinct, found))
    result = {"changed": False, "images": [known[image] for image in asked.images]}
    missing = [image.reference for image in distinct if not known[image]["exists"]]
    if missing and asked.must_exist:
        cause = "the registry has no such image" if len(missing) == 1 else "the registries have no such images"
        hint = "Build and push first, or correct the version."
        raise NotFound("find", ", ".join(missing), cause, hint, result=result)
    return result


def _look(wanted: Wanted, session: Session, asked: Request) -> dict[str, Any]:
    """Ask for the head of a manifest, which registries do not count, and for all of it where that must be."""
    reply, has_body = session.manifest("HEAD", wanted), False
    digest = digest_of(wanted, reply, has_body) if reply.status == 200 else ""
    wants_index = asked.platforms and media_type(reply) in INDEX_TYPES
    if reply.status in _ASK_WHOLE or (reply.status == 200 and (wants_index or not digest)):
        reply, has_body = session.manifest("GET", replace(wanted, digest=digest or wanted.digest)), True
    if reply.status == 404 and errors_of(reply.body) is not None:
        return _item(wanted)
    kind = media_type(reply) if reply.status == 200 else ""
    if not kind:
        raise _failure(wanted, session.host, reply)
    item = _item(wanted, digest_of(replace(wanted, digest=digest or wanted.digest), reply, has_body), kind)
    if asked.platforms:
        item["platforms"] = (platforms_of(reply.body) or []) if kind in INDEX_TYPES else []
    return item


def _item(wanted: Wanted, digest: str = "", kind: str = "") -> dict[str, Any]:
    return {
        "reference": wanted.reference,
        "registry": wanted.registry,
        "repository": wanted.repository,
        "tag": wanted.tag,
        "digest": digest,
        "media_type": kind,
        "exists": bool(digest),
    }


def _failure(wanted: Wanted, host: str, reply: Reply) -> PermanentError:
    said = errors_of(reply.body)
    detail = "%s answers %d%s" % (host, reply.status, " (%s)" % said if said else "")
    if reply.status == 401:
        hint = "A redirect led to where our credentials are not shown."
        return PermanentError("read", wanted.reference, detail, hint, code="auth")
    if reply.status == 403:
        hint = "Grant the account the right to pull from %s." % wanted.repository
        return Forbidden("read", wanted.reference, detail, hint)
    if said is None and reply.status in (200, 400, 404):
        hint = "Check the name of the registry, or the URL of its mirror."
        return PermanentError("read", wanted.reference, detail + ", but not as a registry", hint, code="not_a_registry")
    return PermanentError("read", wanted.reference, detail, code="rejected")
