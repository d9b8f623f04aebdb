# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a plan where people and later tasks read it (private to the collection)."""

from __future__ import annotations

import os
from typing import Mapping

from .._errors import TransientError
from .._replace import replace_file


def write(folder: str, files: Mapping[str, str]) -> list[str]:
    """Write files into ``folder``, each whole or not at all, readable by the owner only; return their paths.

    Raises TransientError ``storage``.
    """
    written = []
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        for name, text in files.items():
            path = os.path.join(folder, name)
            replace_file(path, text.encode("utf-8"), 0o600)
            written.append(path)
    except OSError as error:
        raise TransientError("write", "the plan to %s" % folder, str(error), "Check option dest.", "storage") from error
    return written
