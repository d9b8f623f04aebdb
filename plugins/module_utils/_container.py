# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this runs in a container, with which files would vanish (private to the collection)."""

from __future__ import annotations

import os
from typing import Mapping

from ._errors import InvalidInput

_FILES = (".dockerenv", "run/.containerenv")
_VARIABLES = ("KUBERNETES_SERVICE_HOST", "AWX_HOST")


def refuse_unnamed(what: str, hint: str, env: Mapping[str, str], root: str = "/") -> None:
    """Raise InvalidInput ``store_unset`` in a container: the usual place for ``what`` would go with it.

    Call it when the option ``path`` is not given. ``root`` is where the marks of container engines are looked for.
    """
    marks = [file for file in _FILES if os.path.exists(os.path.join(root, file))]
    marks += [name for name in _VARIABLES if env.get(name)]
    if marks:
        cause = "it is not given, and this runs in a container (%s), with which %s would vanish" % (marks[0], what)
        raise InvalidInput("path", cause, hint, code="store_unset")
