# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the release to go back to in the record of deliveries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Mapping, Optional, Sequence

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: rollback_target
short_description: Find the release to go back to in the record of deliveries
version_added: 1.0.0
author: slipway.gitops contributors (@slipway-gitops)
description:
  - Takes the events of one environment, as M(slipway.gitops.deploy_queue_info) returns them, and finds the release that a
    rollback shall restore.
  - Without O(release) and O(commit) it is the verified release before the one that is live, O(steps) times. A rollback
    removes what it went back over, so that two rollbacks in a row go two releases back and never forth again.
positional: app
options:
  _input:
    description: Events, oldest first.
    type: list
    elements: dict
    required: true
  app:
    description: The application.
    type: str
    required: true
  live:
    description: Images that Git holds now, as M(slipway.gitops.kustomize_image) returns them.
    type: list
    elements: dict
    default: []
  release:
    description: Version of a recorded release.
    type: str
    default: ""
  commit:
    description: Commit of a recorded release, at least 7 digits of it.
    type: str
    default: ""
  steps:
    description: How many verified releases to go back.
    type: int
    default: 1
  force:
    description: Whether a release that was never verified will do, if it is named.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Name the release before the live one
  ansible.builtin.debug:
    msg: "{{ (queue.environments[0].events | slipway.gitops.rollback_target('shop', live=edit.before)).version }}"
"""

RETURN = r"""
_value:
  description:
    - C(version), C(images), C(digest), C(commit), C(at), C(verified) of the release, and C(refused), why there is none, empty if
      there is one. C(images) is empty for a release that was never verified.
  type: dict
  sample: {version: 1.4.1, commit: 2f7c1d90b1d2, verified: true, refused: ""}
"""

Record = dict[str, Any]


@dataclass
class _History:
    """Deliveries of one application: what was verified, as a stack with the live release on top, and all of them."""

    stack: list[Record] = field(default_factory=list)
    delivered: list[Record] = field(default_factory=list)
    verified: list[Record] = field(default_factory=list)


@dataclass(frozen=True)
class _Wish:
    """Which release is wanted."""

    live: Sequence[Mapping[str, Any]]
    release: str
    commit: str
    steps: int
    force: bool


def rollback_target(
    events: Iterable[Mapping[str, Any]],
    app: str,
    live: Sequence[Mapping[str, Any]] = (),
    **chosen: Any,
) -> Record:
    """Return the release to go back to, or why there is none under ``refused``."""
    if isinstance(events, (str, Mapping)):
        raise AnsibleFilterError("rollback_target takes the list of events of one environment")
    wish = _Wish(
        list(live),
        str(chosen.pop("release", "") or ""),
        str(chosen.pop("commit", "") or "").lower(),
        int(chosen.pop("steps", 1)),
        bool(chosen.pop("force", False)),
    )
    if chosen:
        raise AnsibleFilterError("rollback_target has no option %s" % ", ".join(sorted(chosen)))
    history = _history(events, app)
    named = wish.release or wish.commit
    return _named(history, wish, app) if named else _before(history, wish, app)


def _history(events: Iterable[Mapping[str, Any]], app: str) -> _History:
    history = _History()
    entries: dict[str, Record] = {}
    for event in events:
        entry = entries.setdefault(str(event.get("entry")), {})
        entry.update((event.get("data") or {}).get("entry") or {})
        if entry.get("app") != app:
            continue
        release = ((event.get("data") or {}).get("release") or {}).get("record")
        if event.get("after") == "succeeded" and release:
            _push(history.stack, dict(release), str(entry.get("kind")))
            history.verified.append(dict(release))
        elif event.get("after") in ("failed", "rolled_back", "cancelled") and entry.get("commit"):
            history.delivered.append(dict(entry, at=event.get("at")))
    return history


def _push(stack: list[Record], release: Record, kind: str) -> None:
    """Put a verified release on top; going back to one takes off what lies above it."""
    same = [place for place, known in enumerate(stack) if known["images"] == release["images"]]
    if same and (kind == "rollback" or same[-1] == len(stack) - 1):
        del stack[same[-1] :]
    stack.append(release)


def _before(history: _History, wish: _Wish, app: str) -> Record:
    """Return the verified release ``steps`` before the live one; never simply the first one there was."""
    if wish.steps < 1:
        return _refused("the number of steps must be at least 1, not %d" % wish.steps)
    if not history.stack:
        return _refused("no release of %s was ever verified here" % app)
    is_live = history.stack[-1]["images"] == wish.live
    place = len(history.stack) - wish.steps - (1 if is_live else 0)
    if place < 0:
        known = ", ".join(str(item["version"]) for item in history.stack)
        return _refused("there are not %d verified releases before the live one; recorded are %s" % (wish.steps, known))
    return _found(history.stack[place])


def _named(history: _History, wish: _Wish, app: str) -> Record:
    name = wish.release or wish.commit
    if wish.commit and len(wish.commit) < 7:
        return _refused("commit %s is too short: give at least 7 digits" % wish.commit)
    found = _last(history.verified, wish)
    if found:
        return _found(found)
    found = _last(history.delivered, wish)
    if found and wish.force:
        return dict(_found(found), images=[], verified=False)
    if wish.force and wish.release:
        return dict(_found({"version": wish.release}), verified=False)
    if found:
        return _refused("%s of %s was delivered at %s, but never verified" % (name, app, found.get("at")))
    known = ", ".join(dict.fromkeys(str(item["version"]) for item in history.verified)) or "none"
    return _refused("%s of %s is not recorded here; verified were: %s" % (name, app, known))


def _last(records: Sequence[Record], wish: _Wish) -> Optional[Record]:
    for record in reversed(records):
        by_release = not wish.release or str(record["version"]) == wish.release
        by_commit = not wish.commit or str(record.get("commit") or "").startswith(wish.commit)
        if by_release and by_commit:
            return record
    return None


def _found(record: Mapping[str, Any]) -> Record:
    images = list(record.get("images") or [])
    return {
        "version": str(record["version"]),
        "images": images,
        "digest": str((images[0].get("digest") if images else record.get("digest")) or ""),
        "commit": str(record.get("commit") or ""),
        "at": str(record.get("at") or ""),
        "verified": True,
        "refused": "",
    }


def _refused(why: str) -> Record:
    return {"version": "", "images": [], "digest": "", "commit": "", "at": "", "verified": False, "refused": why}


class FilterModule:
    """Registers the filter with Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file by name."""
        return {"rollback_target": rollback_target}
