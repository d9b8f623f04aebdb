# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands and messages of the image builder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import Mapping, Sequence


class BuildError(Exception):
    """An image could not be built or published; the text is for the operator."""


def say(message: str) -> None:
    """Show one line of progress at once."""
    sys.stderr.write(message + "\n")
    sys.stderr.flush()


def run(command: Sequence[str], env: Mapping[str, str] | None = None, live: bool = False) -> str:
    """Run a command; return what it printed. ``live`` shows its messages as they come."""
    if shutil.which(command[0]) is None:
        raise BuildError("%s is not installed. Install the package of that name." % command[0])
    messages = None if live else subprocess.PIPE
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=messages, check=False)
    if done.returncode != 0:
        text = (done.stderr or b"").decode(errors="replace").strip()
        raise BuildError("%s ended with status %d: %s" % (command[0], done.returncode, text[-2000:]))
    return done.stdout.decode()
