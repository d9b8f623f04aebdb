# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which error ends a wait for an Application (private to the collection)."""

from __future__ import annotations

import re
from typing import Any, Mapping, Optional

from .._errors import BusyError, FencedError, PermanentError, SlipwayError, TransientError, UnhealthyError
from .state import Judgement
from .view import View

# Comparisons that the commit itself makes fail. Others may pass: a Git server or repo-server is away.
_DEFINITE = re.compile(
    r"kustomize build|helm|app path does not exist|unmarshal|manifest generation error", re.IGNORECASE
)
_ERRORS: Mapping[str, type[SlipwayError]] = {
    "superseded": FencedError,  # stop and write nothing: a later commit owns these values now
    "sync_failed": UnhealthyError,
    "sync_refused": UnhealthyError,
    "terminated": UnhealthyError,
    "stuck": TransientError,
    "replaced": BusyError,
    "window_closed": BusyError,
}
_HINTS = {
    "sync_failed": "Argo CD does not try this commit again by itself: push a fix, or set retry_failed.",
    "sync_refused": "Argo CD does not try by itself after a failure: push a fix, or set retry_failed.",
    "stuck": "Terminate the operation in Argo CD, then sync again.",
    "terminated": "Somebody ended it in Argo CD; ask before starting another.",
    "superseded": "Nothing is wrong with this delivery: a later one replaced it.",
    "invalid_spec": "Correct the Application or the AppProject it belongs to.",
    "comparison": "Argo CD cannot get or render the commit: see the logs of argocd-repo-server.",
    "out_of_sync": "Set prune, or ignoreDifferences for fields that others own.",
    "history_rewritten": "Check that the commit was pushed to the Application's targetRevision.",
    "window_closed": "Wait for the window, or set manualSync on it in the AppProject: then a sync by hand may pass.",
    "other_revision": "Set 'expected', so that a later commit can be recognised as containing this one.",
}


def hint_for(code: str) -> str:
    """Return what a person can do about a code of a Judgement."""
    return _HINTS.get(code, "")


def is_passing(judgement: Judgement) -> bool:
    """Tell whether a comparison failed for a reason that does not lie in the commit."""
    return judgement.code == "comparison" and not _DEFINITE.search(judgement.reason)


def ended(judgement: Judgement, verb: str, resource: str, result: Mapping[str, Any]) -> SlipwayError:
    """Return the error for a judgement after which waiting is pointless."""
    kind = _ERRORS.get(judgement.code, PermanentError)
    if is_passing(judgement):
        kind = TransientError  # a server did not answer, which says nothing about the commit
    return kind(verb, resource, judgement.reason, hint_for(judgement.code), judgement.code, result)


def timed_out(
    judgement: Judgement, app: Mapping[str, Any], is_ours: bool, fault: Optional[SlipwayError], seconds: float
) -> SlipwayError:
    """Return the error for a wait that reached its deadline; the caller fills in what and which.

    ``is_ours`` tells that the operation in progress, if there is one, is for our commit.
    """
    view = View(app)
    kind: type[SlipwayError] = TransientError
    code, hint = "timeout", hint_for(judgement.code)
    if view.is_operating:
        kind, code = (TransientError, "stuck") if is_ours else (BusyError, "busy")
        hint = "See what it waits for (hooks, resources in error), then terminate it in Argo CD."
    elif view.is_refreshing:
        hint = "Argo CD did not compare: check that argocd-application-controller and argocd-repo-server run."
    cause = "not reached in %.0f s; last observed: %s; %s, health %s"
    cause = cause % (seconds, judgement.reason, view.sync_status, view.health)
    if fault is not None:
        cause += "; the API does not answer now: %s" % fault.cause
    return kind("", "", cause, hint, code)
