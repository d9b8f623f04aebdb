# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs and archives of this machine (private to the collection)."""

from __future__ import annotations

import os
import shutil
import tarfile
from typing import Mapping, Sequence

from .._errors import PermanentError, SlipwayError
from .._process import Command, run

_ASK_S = 20.0


class LocalMachine:
    """Looks programs up in the PATH of the task's environment, asks them, unpacks archives."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def find(self, name: str) -> str:
        """Return the path of a program in PATH, or nothing."""
        return shutil.which(name, path=self._env.get("PATH", os.defpath)) or ""

    def ask(self, path: str, arguments: Sequence[str]) -> str:
        """Return what a program prints; nothing when it cannot be run or takes too long."""
        try:
            done = run(Command([path, *arguments], self._env, _ASK_S))
        except SlipwayError:
            return ""
        return done.out + done.err

    def unpack(self, archive: str, member: str, target: str) -> None:
        """Replace a tar archive by one regular file out of it. Raises PermanentError ``archive``."""
        try:
            with tarfile.open(archive) as tar:
                source = tar.extractfile(member)
                if source is None:
                    raise PermanentError("unpack", member, "it is not a regular file", code="archive")
                with open(target, "xb") as file:
                    shutil.copyfileobj(source, file)
            os.unlink(archive)
        except (tarfile.TarError, KeyError, EOFError) as error:
            raise PermanentError("unpack", member, str(error), code="archive") from error
