# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encrypts and decrypts through the program age, without a file in between (private to the collection)."""

from __future__ import annotations

import os
import stat
from typing import Callable, Mapping, Sequence

from .._errors import InvalidInput, NotFound, PermanentError
from .._process import MIB, Command, Completed, run

_TIMEOUT_S = 60.0
_MAX = 64 * MIB
_MAGIC = b"age-encryption.org/v1\n"
_INSTALL = "Install age, or name it with age_binary."


class Age:
    """The program ``age``. Clear text goes in and out through pipes only."""

    def __init__(self, program: str, env: Mapping[str, str], on_tick: Callable[[float], None]) -> None:
        self._program = os.path.expanduser(program)
        self._env = {"PATH": env.get("PATH", os.defpath), "LC_ALL": "C"}
        self._on_tick = on_tick

    def encrypt(self, data: bytes, recipients: Sequence[str]) -> bytes:
        """Return ``data`` encrypted for all recipients. Raises NotFound without age, PermanentError."""
        options = [word for recipient in recipients for word in ("-r", recipient)]
        done = self._run(["--encrypt", *options], data)
        if done.returncode or not done.stdout.startswith(_MAGIC):
            raise PermanentError("encrypt", "the Secrets", _said(done), code="encryption_failed")
        return done.stdout

    def decrypt(self, data: bytes, identity_file: str) -> bytes:
        """Return what ``data`` holds. Raises PermanentError ``wrong_key``, InvalidInput for the file."""
        path = os.path.expanduser(identity_file)
        _check_identity(path)
        done = self._run(["--decrypt", "-i", path], data)
        if done.returncode:
            hint = "Use the identity that belongs to one of the recipients of the backup."
            raise PermanentError("decrypt", "the Secrets", _said(done), hint, code="wrong_key")
        return done.stdout

    def _run(self, options: Sequence[str], data: bytes) -> Completed:
        command = Command([self._program, *options], self._env, _TIMEOUT_S, input=data, max_bytes=_MAX)
        try:
            return run(command, on_tick=self._on_tick)
        except NotFound as error:
            raise NotFound("run", "age", error.cause, _INSTALL, code="age_missing") from error


def _said(done: Completed) -> str:
    lines = [line for line in done.err.splitlines() if line.strip() and "report unexpected" not in line]
    return " ".join(lines)[:300] or "age ended with status %d" % done.returncode


def _check_identity(path: str) -> None:
    """Raise InvalidInput unless the identity can be read, and by us alone."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise InvalidInput("identity_file", "cannot read %s: %s" % (path, error.strerror)) from error
    if stat.S_ISREG(found.st_mode) and found.st_mode & 0o077:
        hint = "Make it private: chmod 600 %s" % path
        raise InvalidInput("identity_file", "others may read %s" % path, hint, code="identity_not_private")
