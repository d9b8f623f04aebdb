# SPDX-License-Identifier: GPL-3.0-or-later
"""Which unit tests of the plugins meet Ansible itself: its argument specs, filters, lookups and texts.

The others ask nothing of it; that the code of all plugins is good for another core and its Python,
the sanity tests see by importing and compiling it.
"""

from __future__ import annotations

import re

from . import places

_TESTS = places.CHECKOUT / "tests/unit/plugins"
_IMPORT = re.compile(r"^\s*(?:from|import) ansible\.", re.MULTILINE)
#: Minutes of random operations on the queue, in which Ansible only checks the options of each.
_LONG = ("test_queue_machine.py", "test_queue_crash.py")


def tests() -> list[str]:
    """Return the files of tests that import Ansible, also by what they share with others."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(_TESTS.rglob("*.py"))}
    meeting = {path for path, text in texts.items() if _IMPORT.search(text)}
    shared = [path.stem for path in meeting if not path.name.startswith("test_")]
    return [
        str(path.relative_to(places.CHECKOUT))
        for path, text in texts.items()
        if path.name.startswith("test_")
        and path.name not in _LONG
        and (path in meeting or any(name in text for name in shared))
    ]
