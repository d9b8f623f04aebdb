# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the API server's audit log: what was written, by whom, with how many requests."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Mapping, Optional

READING = {"get", "list", "watch"}
#: Writes in form only: the API server decides about them and stores nothing.
_QUESTIONS = {"selfsubjectaccessreviews", "subjectaccessreviews", "selfsubjectreviews", "tokenreviews"}


@dataclass(frozen=True)
class Request:
    """One request that the API server answered."""

    verb: str
    uri: str
    agent: str
    user: str
    code: int
    resource: str
    namespace: str
    name: str
    #: When it was answered, in seconds since the epoch.
    at: float

    @property
    def is_write(self) -> bool:
        """Whether this request may have changed something that is stored."""
        return self.verb not in READING and self.resource not in _QUESTIONS and "dryRun=All" not in self.uri

    @property
    def is_ours(self) -> bool:
        """Whether this collection's client sent it."""
        return self.agent.startswith("slipway.gitops/")


def _request(event: Mapping[str, Any]) -> Request:
    reference = event.get("objectRef") or {}
    return Request(
        verb=event["verb"],
        uri=event.get("requestURI", ""),
        agent=event.get("userAgent", ""),
        user=(event.get("user") or {}).get("username", ""),
        code=(event.get("responseStatus") or {}).get("code", 0),
        resource=reference.get("resource", ""),
        namespace=reference.get("namespace", ""),
        name=reference.get("name", ""),
        at=datetime.fromisoformat(event["stageTimestamp"].replace("Z", "+00:00")).timestamp(),
    )


class AuditLog:
    """The log from the moment this object was made, or was last rewound."""

    def __init__(self, path: Path, position: Optional[int] = None) -> None:
        """Begin now, or at a position that an earlier log of this file had."""
        self._path = path
        self.position = self._end() if position is None else position

    def rewind(self) -> None:
        """Forget everything so far."""
        self.position = self._end()

    def _end(self) -> int:
        return self._path.stat().st_size

    def requests(self, agent: Optional[str] = None) -> list[Request]:
        """Return the answered requests since the last rewind, those of one User-Agent part if given.

        An event may be written a moment after its answer was read, so the log is read until
        two readings agree.
        """
        found, before = self._read(agent), None
        while found != before:
            time.sleep(0.1)
            found, before = self._read(agent), found
        return found

    def _read(self, agent: Optional[str]) -> list[Request]:
        rotated = self._end() < self.position
        with self._path.open("rb") as stream:
            stream.seek(0 if rotated else self.position)
            text = stream.read()
        # Most lines are about others: those are not decoded.
        said = (agent or "").encode()
        events = [json.loads(line) for line in text.split(b"\n")[:-1] if line and said in line]
        found = [_request(event) for event in events if event.get("stage") in ("ResponseComplete", "Panic")]
        return [item for item in found if agent is None or agent in item.agent]

    def writes(self, agent: Optional[str] = "slipway.gitops/") -> list[Request]:
        """Return what was written since the last rewind, by our own client unless told otherwise."""
        return [item for item in self.requests(agent) if item.is_write]
