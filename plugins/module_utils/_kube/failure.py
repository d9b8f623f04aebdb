# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an API server's refusal means (private to the collection)."""

from __future__ import annotations

import json
from typing import Any, Mapping, Optional

from .._errors import Forbidden, NotFound, PermanentError, SlipwayError, TransientError

_CODES: dict[int, tuple[type[SlipwayError], str]] = {
    400: (PermanentError, "invalid"),
    401: (PermanentError, "auth"),
    403: (Forbidden, "forbidden"),
    404: (NotFound, "not_found"),
    405: (PermanentError, "not_supported"),
    408: (TransientError, "server_error"),
    409: (TransientError, "conflict"),
    410: (TransientError, "gone"),
    415: (PermanentError, "invalid"),
    422: (PermanentError, "invalid"),
    429: (TransientError, "too_many_requests"),
}
_VERBS = {"GET": "read", "PATCH": "apply", "POST": "create", "PUT": "replace", "DELETE": "delete"}
_NO_API = "Check that the server is a Kubernetes API server and not a page to log in at."
_HINTS = {
    "auth": "The credentials are missing, expired or for another cluster.",
    "forbidden": "Grant this right to the identity in use, or use another kubeconfig or context.",
    "redirect": _NO_API,
}


class Refusal(TransientError):
    """A refusal that may pass. ``retry_after_s`` is how long the server wants to be left alone."""

    retry_after_s = 0.0


def failure(status: int, body: str, method: str, path: str, retry_after: Optional[str] = None) -> SlipwayError:
    """Return the typed error for a refused request; the cause is the server's own message.

    ``retry_after`` is the header of that name.
    """
    message, reason, causes = _said(body)
    if "/secrets" in path:
        message = "%s (message withheld: it may quote the Secret)" % (reason or status)
    kind, code = _CODES.get(status, (TransientError if status >= 500 else PermanentError, "server_error"))
    if status < 400:
        kind, code, message = PermanentError, "redirect", "it redirects elsewhere, which is not followed"
    if status == 409 and "FieldManagerConflict" in causes:
        kind, code = PermanentError, "field_conflict"
    if status == 409 and reason == "AlreadyExists":
        kind, code = PermanentError, "already_exists"
    if status == 500 and message.startswith("failed to create typed patch object"):
        kind, code = PermanentError, "invalid"  # server-side apply refuses an unknown field with a 500
    if status >= 500 and "failed calling webhook" in message:
        code = "webhook"
    cause = message or "HTTP status %d" % status
    resource = path.split("?", 1)[0]
    if kind is TransientError and _seconds(retry_after):
        refusal = Refusal(_VERBS.get(method, method), resource, cause, _HINTS.get(code, ""), code)
        refusal.retry_after_s = _seconds(retry_after)
        return refusal
    return kind(_VERBS.get(method, method), resource, cause, _HINTS.get(code, ""), code)


def no_json(path: str, content_type: str) -> PermanentError:
    """Return the error for an answer that is complete but no answer of an API server."""
    cause = "the answer is of type %s, not JSON" % content_type.split(";", maxsplit=1)[0][:60]
    return PermanentError("read", path.split("?", 1)[0], cause, _NO_API, code="not_an_api")


def _said(body: str) -> tuple[str, str, set[str]]:
    """Return message, reason and the reasons of the causes of a Status."""
    try:
        document = json.loads(body)
    except ValueError:
        return body.strip()[:300], "", set()
    document = _mapping(document)
    causes = _mapping(document.get("details")).get("causes")
    reasons = {str(_mapping(item).get("reason")) for item in causes} if isinstance(causes, list) else set()
    return str(document.get("message") or ""), str(document.get("reason") or ""), reasons


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _seconds(header: Optional[str]) -> float:
    """Return a Retry-After in seconds, at most 30; a date or nonsense counts as none."""
    text = (header or "").strip()
    return float(min(int(text), 30)) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0
