# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people decide about the queue: cancel, pause, hold, resume (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Mapping

from .._errors import NotFound, PermanentError
from .holder import with_hold
from .intake import end, new_pause, settle
from .model import CANCELLED, QUEUED, TERMINAL, Change, Entry, Environment
from .ports import Transaction


@dataclass(frozen=True)
class Selection:
    """A release that a hold is about; empty fields mean any."""

    app: str = ""
    version: str = ""
    digest: str = ""

    def covers(self, hold: Mapping[str, Any]) -> bool:
        """Tell whether ``hold`` is about this release."""
        wanted = {"app": self.app, "version": self.version, "digest": self.digest}
        return all(not value or hold[name] == value for name, value in wanted.items())


def cancel(tx: Transaction, environment_name: str, entry_id: str, actor: str, reason: str) -> tuple[Entry, bool]:
    """Cancel an entry: at once while it waits, else by asking its holder to stop.

    Returns the entry and whether anything changed. Raises NotFound for an unknown one,
    PermanentError (not_running) for one that ended otherwise.
    """
    environment = settle(tx, environment_name)
    entry = tx.entry(entry_id)
    if entry is None or entry.environment != environment_name:
        raise NotFound("cancel", "entry %s of %s" % (entry_id, environment_name), "there is no such entry")
    # One that its holder has put back although it was asked to stop waits again, and so can be cancelled.
    if entry.state == CANCELLED or (entry.state not in (*TERMINAL, QUEUED) and entry.cancel_requested):
        return entry, False
    if entry.state in TERMINAL:
        raise PermanentError("cancel", "entry " + entry_id, "it is %s" % entry.state, code="not_running")
    if entry.state == QUEUED:
        return end(tx, environment, replace(entry, state=CANCELLED, reason=reason), actor), True
    asked = replace(entry, cancel_requested=True)
    tx.record(Change(environment, environment, actor, reason, entry, asked))
    return asked, True


def pause(tx: Transaction, name: str, actor: str, reason: str, expires_in_s: int) -> tuple[Environment, bool]:
    """Let nothing new begin until somebody resumes or the pause is over; what runs, runs on."""
    environment = settle(tx, name)
    wanted = (actor, reason, expires_in_s)
    known = environment.pause
    if known is not None and (known["by"], known["reason"], known["expires_in"]) == wanted:
        return environment, False
    paused = replace(environment, pause=new_pause(tx, actor, reason, expires_in_s))
    tx.record(Change(environment, paused, actor, reason, label="paused"))
    return paused, True


def hold(
    tx: Transaction, name: str, scope: str, selection: Selection, why: tuple[str, str]
) -> tuple[Environment, bool]:
    """Refuse one release, or everything, until a person resumes. ``why`` is actor and reason."""
    environment = settle(tx, name)
    actor, reason = why
    record = {
        "scope": scope,
        "app": selection.app,
        "version": selection.version,
        "digest": selection.digest,
        "reason": reason,
        "by": actor,
        "at": tx.at,
        "entry": "",
    }
    held = with_hold(environment, record)
    if held is environment:
        return environment, False
    tx.record(Change(environment, held, actor, reason, label="held"))
    return held, True


def resume(tx: Transaction, name: str, selection: Selection, actor: str, reason: str) -> tuple[Environment, bool]:
    """End the pause and all holds; with a selection only the holds of that release."""
    environment = settle(tx, name)
    kept = tuple(hold for hold in environment.holds if not selection.covers(hold))
    pause_kept = environment.pause if selection != Selection() else None
    if (kept, pause_kept) == (environment.holds, environment.pause):
        return environment, False
    resumed = replace(environment, pause=pause_kept, holds=kept)
    tx.record(Change(environment, resumed, actor, reason, label="resumed"))
    return resumed, True
