# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a delivery writes beside the values it sets: commit message and fence file (private to the collection).

The fence file holds the number of the delivery that wrote last. It changes in the same
commit as the values, so whoever builds on a tip has seen it, and a delivery that was
overtaken finds a higher number and stops. It has no extension and lies in a hidden folder,
so that neither Argo CD nor kustomize takes it for a manifest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Mapping, Optional

from .._errors import CorruptError, FencedError, InvalidInput

FENCE_FOLDER = ".slipway/fences"
_MAX_MESSAGE = 4096
_ENVIRONMENT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_FENCE_LINE = re.compile(r"^fence: ([0-9]{1,19})$", re.MULTILINE)
_TRAILER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_RESERVED = "deploy-"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Holder:
    """The delivery that writes: its environment, queue entry and fencing number."""

    environment: str
    entry: str
    fence: int


@dataclass(frozen=True)
class Purpose:
    """Why a commit is made; empty parts are left out of the message."""

    kind: str = "deploy"
    app: str = ""
    version: str = ""
    message: str = ""
    trailers: Mapping[str, str] = field(default_factory=dict)


def holder(lease: Optional[Mapping[str, object]]) -> Optional[Holder]:
    """Return who writes, from the option ``lease``; None without one."""
    if not lease:
        return None
    environment = check_environment("lease.environment", str(lease["environment"]))
    fence = int(str(lease["fence"]))
    if fence < 1:
        raise InvalidInput("lease.fence", "%d is not a fence" % fence)
    return Holder(environment, check_line("lease.entry", str(lease["entry"])), fence)


def check_environment(option: str, name: str) -> str:
    """Return the name of an environment in lower case, or raise InvalidInput."""
    if not _ENVIRONMENT.fullmatch(name.lower()):
        raise InvalidInput(option, "%r is not a name of 1 to 63 letters, digits and '-'" % name[:100])
    return name.lower()


def fence_path(environment: str) -> str:
    """Return where in the repository the fence of an environment is kept."""
    return "%s/%s" % (FENCE_FOLDER, environment)


def read_fence(path: str, stored: Optional[bytes]) -> int:
    """Return the number of the delivery that wrote last, 0 if none did. Raises CorruptError."""
    if stored is None:
        return 0
    found = _FENCE_LINE.search(_text(stored))
    if not found:
        raise CorruptError(
            "read", "fence file %s" % path, "it holds no line 'fence: NUMBER'", "Restore it from the Git history."
        )
    return int(found.group(1))


def check_fence(who: Holder, stored: Optional[bytes]) -> None:
    """Raise FencedError when a later delivery has written, CorruptError when it cannot be told."""
    number = read_fence(fence_path(who.environment), stored)
    by_other = number == who.fence and "entry: %s" % who.entry not in _text(stored or b"").split("\n")
    if number > who.fence or by_other:
        raise FencedError(
            "write to", "environment %s" % who.environment,
            "delivery number %d has written there, ours is number %d" % (number, who.fence),
            "Nothing was written.",
        )  # fmt: skip


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "replace").replace("\r\n", "\n")


def render_fence(who: Holder, purpose: Purpose) -> bytes:
    """Return the fence file of a delivery."""
    lines = ["# Written by slipway.gitops with every delivery; do not edit.", "fence: %d" % who.fence]
    lines.append("entry: %s" % who.entry)
    if purpose.version:
        lines.append("release: %s" % " ".join(part for part in (purpose.app, purpose.version) if part))
    return ("\n".join(lines) + "\n").encode("utf-8")


def check_purpose(purpose: Purpose) -> None:
    """Raise InvalidInput for text that does not fit into a commit message."""
    check_line("app", purpose.app)
    check_line("version", purpose.version)
    if len(purpose.message) > _MAX_MESSAGE or _CONTROL.search(purpose.message):
        raise InvalidInput("commit_message", "it is longer than %d or holds control characters" % _MAX_MESSAGE)
    for key, value in purpose.trailers.items():
        if not _TRAILER.fullmatch(key) or key.lower().startswith(_RESERVED):
            raise InvalidInput("trailers", "%r is not a free trailer name" % key[:100], "Deploy-... is reserved.")
        check_line("trailers." + key, value)


def check_line(option: str, text: str) -> str:
    """Return ``text`` if it is one printable line, else raise InvalidInput for ``option``."""
    if len(text) > _MAX_MESSAGE or _CONTROL.search(text) or "\n" in text or text != text.strip():
        raise InvalidInput(option, "it must be one line without control characters and outer spaces")
    return text


def message(purpose: Purpose, who: Optional[Holder], what: str) -> str:
    """Return the commit message: subject, text, and trailers that a program can read back.

    ``what`` names what is set, for a subject that nobody gave.
    """
    subject, _newline, body = purpose.message.strip().partition("\n")
    parts = [_escape(subject) or _subject(purpose, what)]
    if body.strip():
        parts.append("\n".join(_escape(line.rstrip()) for line in body.strip().split("\n")))
    trailers = {
        "Deploy-Kind": purpose.kind,
        "Deploy-App": purpose.app,
        "Deploy-Version": purpose.version,
        "Deploy-Environment": who.environment if who else "",
        "Deploy-Entry": who.entry if who else "",
        "Deploy-Fence": str(who.fence) if who else "",
        **purpose.trailers,
    }
    parts.append("\n".join("%s: %s" % pair for pair in trailers.items() if pair[1]))
    return "\n\n".join(parts) + "\n"


def _subject(purpose: Purpose, what: str) -> str:
    verb = "Roll back" if purpose.kind == "rollback" else "Deploy"
    named = " ".join(part for part in (purpose.app, purpose.version) if part) if purpose.app else what[:90]
    return ("%s %s" % (verb, named)).strip()


def _escape(line: str) -> str:
    """Return a line that nobody can take for one of our trailers."""
    return "> " + line if line.strip().lower().startswith(_RESERVED) else line
