# SPDX-License-Identifier: GPL-3.0-or-later
"""The local world that the tests share: brought up once, while quicker parts are tested."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Optional

from . import console, env, places


class SharedWorld:
    """Brings the world up in the background and waits for it when it is needed."""

    def __init__(self) -> None:
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._started = 0.0
        self.log: Path = places.logs("test") / "world.log"

    @property
    def is_begun(self) -> bool:
        """Whether bringing it up has begun in this run."""
        return self._process is not None

    def begin(self, tools: env.Environment) -> None:
        """Start to bring it up; its output goes into the log."""
        command = [tools.program("ansible-playbook"), "slipway.gitops.bootstrap", "-i", tools.inventory("local")]
        self._started = time.monotonic()
        with self.log.open("wb") as sink:
            self._process = subprocess.Popen(
                command,
                env=dict(tools.variables),
                cwd=places.CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> bool:
        """Show how it goes until it is up or has failed; return whether it is up."""
        assert self._process is not None, "begin() first"  # noqa: S101
        console.say("    begun %.0f s ago" % (time.monotonic() - self._started))
        console.follow(self._process, self.log, "local world")
        return self._process.returncode == 0

    def end(self) -> None:
        """Stop bringing it up, if that is still going on."""
        if self._process is not None and self._process.poll() is None:
            console.end(self._process)


def obstacle() -> str:
    """Return why this machine cannot run the world's containers, or nothing."""
    if os.uname().sysname != "Linux":
        return "needs Linux"
    return "" if os.geteuid() == 0 else "needs root: containers, a bridge and mounts are made"


def may_be_left_out() -> bool:
    """Whether a run without the world is acceptable: not in a pipeline, unless it says so."""
    return not os.environ.get("CI") or os.environ.get("SLIPWAY_TEST_ALLOW_SKIP") == "world"
