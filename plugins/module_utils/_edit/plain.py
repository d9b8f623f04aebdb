# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What unquoted text means to the readers of YAML (private to the collection)."""

from __future__ import annotations

import re

# Plain text that some YAML reader takes for null, a boolean, a number or a date. Readers
# differ (YAML 1.1 and 1.2, PyYAML and Go), so this is the union of all of them.
_NOT_A_STRING = re.compile(
    r"""(?ix)
    ~ | null | y | n | yes | no | on | off | true | false | = | <<
    | [-+]?0b[-+]?[01_]+ | [-+]?0o[-+]?[0-7_]+ | [-+]?0x[0-9a-f_]+
    | [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])*(?:\.[0-9_]*)?(?:e[-+]?[0-9_]+)?
    | [-+]?\.[0-9_]+(?:e[-+]?[0-9_]+)?
    | [-+]?\.(?:inf|nan)
    | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[t \t].*)?
    """
)


def reads_as_string(plain: str) -> bool:
    """Tell whether every YAML reader takes this plain (unquoted) text for a string."""
    if not plain or _NOT_A_STRING.fullmatch(plain):
        return False
    # Go leaves out every "_" of what begins like a number before it reads it.
    return "_" not in plain or plain[0] not in "+-.0123456789" or not _NOT_A_STRING.fullmatch(plain.replace("_", ""))
