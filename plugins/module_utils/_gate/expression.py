# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users' JMESPath expressions (private to the collection).

A plain path of names (``build.version``) means the same in JMESPath and is walked here, so
that the usual case does not need the library.
"""

from __future__ import annotations

import re
from typing import Any

from .._errors import InvalidInput, PermanentError

_PLAIN = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$")
MAX_LENGTH = 256


def check_expression(option: str, expression: str) -> None:
    """Refuse what is not a JMESPath expression. Raises InvalidInput, PermanentError without the library."""
    if not expression or len(expression) > MAX_LENGTH:
        raise InvalidInput(option, "an expression has 1 to %d characters" % MAX_LENGTH)
    if _PLAIN.match(expression):
        return
    try:
        import jmespath
    except ImportError as error:
        raise PermanentError(
            "evaluate",
            "the expression '%s'" % expression,
            "the Python library jmespath is not installed",
            "Install it, or use a plain path such as build.version.",
            code="missing_library",
        ) from error
    try:
        jmespath.compile(expression)
    except jmespath.exceptions.JMESPathError as error:
        raise InvalidInput(option, "'%s' is not a JMESPath expression" % expression) from error


def search(expression: str, document: Any) -> Any:
    """Return what ``expression`` finds in ``document``, None when nothing."""
    if not _PLAIN.match(expression):
        import jmespath

        try:
            return jmespath.search(expression, document)
        except jmespath.exceptions.JMESPathError:
            return None  # a function met a value of a type it does not take
    for name in expression.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document
