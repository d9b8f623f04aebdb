# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed errors of slipway.gitops (private to the collection).

Every failure that the collection can name is one of six classes. Callers branch on
the class or on the code, never on message text::

    SlipwayError
    +-- TransientError    retry inside the deadline, then requeue (429, 5xx, reset, lost race)
    +-- BusyError         somebody else is at work (environment taken, other operation, paused)
    +-- FencedError       our lease or fence is no longer valid: stop, write nothing
    +-- PermanentError    retrying cannot help (auth, tls, not_found, rejected, bad input)
    |   +-- InvalidInput  an option was refused before any side effect
    |   +-- NotFound      the named object does not exist
    |   +-- Forbidden     the identity lacks a right, which the message names
    +-- UnhealthyError    the release was judged and did not pass
    +-- CorruptError      a store or schema cannot be trusted: a person must look
"""

from __future__ import annotations

from typing import Any, Mapping, Optional


class SlipwayError(Exception):
    """A failure with a class, a code, a resource, a cause and a hint.

    ``what`` is the verb phrase ("apply", "push to"), ``resource`` the thing it was
    done to ("Application argocd/shop"), ``cause`` what was observed and ``hint`` what
    to do next. ``result`` holds return values that are worth keeping on failure.
    None of them may contain a secret.
    """

    error_class = "permanent"
    code = "error"

    def __init__(
        self,
        what: str,
        resource: str = "",
        cause: str = "",
        hint: str = "",
        code: Optional[str] = None,
        result: Optional[Mapping[str, Any]] = None,
    ) -> None:
        super().__init__(what, resource, cause, hint)
        self.what = what
        self.resource = resource
        self.cause = cause
        self.hint = hint
        if code is not None:
            self.code = code
        self.result = dict(result or {})

    def __str__(self) -> str:
        subject = " ".join(part for part in ("Failed to", self.what, self.resource) if part)
        text = subject + (": " + self.cause if self.cause else "")
        text = text if text.endswith((".", "!", "?")) else text + "."
        return text + (" " + self.hint if self.hint else "")

    def as_result(self) -> dict[str, Any]:
        """Return the failure as module return values, without the message."""
        error: dict[str, Any] = {"code": self.code}
        if self.resource:
            error["resource"] = self.resource
        if self.hint:
            error["hint"] = self.hint
        return dict(self.result, error_class=self.error_class, error=error)


class TransientError(SlipwayError):
    """A fault that may pass: safe to retry until the caller's deadline."""

    error_class = "transient"
    code = "transient"


class BusyError(SlipwayError):
    """Another delivery, operation or person holds what we need."""

    error_class = "busy"
    code = "busy"


class FencedError(SlipwayError):
    """Our lease or fence was overtaken: nothing was written and nothing may be."""

    error_class = "fenced"
    code = "fenced"


class PermanentError(SlipwayError):
    """A failure that the same call would meet again."""


class InvalidInput(PermanentError):
    """An option was refused before any side effect."""

    code = "invalid_input"

    def __init__(self, option: str, cause: str, hint: str = "", code: Optional[str] = None) -> None:
        super().__init__("use", "option '%s'" % option, cause, hint, code)
        self.option = option

    def __str__(self) -> str:
        text = "Option '%s': %s" % (self.option, self.cause)
        text = text if text.endswith((".", "!", "?")) else text + "."
        return text + (" " + self.hint if self.hint else "")

    def as_result(self) -> dict[str, Any]:
        result = super().as_result()
        result["error"]["option"] = self.option
        result["error"].pop("resource", None)
        return result


class NotFound(PermanentError):
    """The named object does not exist."""

    code = "not_found"


class Forbidden(PermanentError):
    """The identity in use lacks a right."""

    code = "forbidden"


class UnhealthyError(SlipwayError):
    """A release was judged by evidence and did not pass."""

    error_class = "unhealthy"
    code = "unhealthy"


class CorruptError(SlipwayError):
    """A store cannot be trusted; nothing was repaired on its own."""

    error_class = "corrupt"
    code = "corrupt"
