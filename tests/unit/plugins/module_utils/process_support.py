# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about processes that a test has started."""

from __future__ import annotations

import os
import time
import traceback
from pathlib import Path
from typing import Any, Callable


def in_child(work: Callable[[], Any]) -> int:
    """Do work in a child and return its process id. A failure is shown, and must not go on as a second pytest."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return child


def is_alive(pid: int) -> bool:
    try:
        return Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def all_end(pids: str) -> bool:
    """True when these processes end at once; a killed one may need a moment to go."""
    deadline = time.monotonic() + 3
    while any(is_alive(int(pid)) for pid in pids.split()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not any(is_alive(int(pid)) for pid in pids.split())
