# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this runs in a container, with which its files may vanish (private to the collection)."""

from __future__ import annotations

import os
from typing import Mapping

_FILES = (".dockerenv", "run/.containerenv")
_VARIABLES = ("KUBERNETES_SERVICE_HOST", "AWX_HOST")


def container_mark(env: Mapping[str, str], root: str = "/") -> str:
    """Return by what a container is known here, nothing outside of one.

    ``root`` is where the marks of container engines are looked for.
    """
    marks = [file for file in _FILES if os.path.exists(os.path.join(root, file))]
    marks += [name for name in _VARIABLES if env.get(name)]
    return marks[0] if marks else ""
