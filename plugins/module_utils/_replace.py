# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replaces a file at once (private to the collection)."""

from __future__ import annotations

import os
import tempfile


def replace_file(path: str, content: bytes, mode: int) -> None:
    """Replace a file: after a power cut it has the old content or the new one. Raises OSError.

    Its folder exists; the file is readable by its owner only until it has ``mode``.
    """
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".slipway-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
