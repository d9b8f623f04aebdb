# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine has: Python interpreters and programs of the distribution."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Iterator, Optional

from . import places
from .console import fail, run, say

#: Program -> Debian package, for what the commands themselves need.
PACKAGES = {
    "git": "git",
    "shellcheck": "shellcheck",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}


def find_python(version: str) -> Optional[Path]:
    """Return an interpreter of exactly this minor version ("3.12") that starts, or nothing."""
    return next((path for path in _candidates(version) if _is_python(path, version)), None)


def _candidates(version: str) -> Iterator[Path]:
    if "%d.%d" % sys.version_info[:2] == version:
        yield Path(sys.executable)
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        path = Path(folder) / ("python" + version)
        if path.exists():
            yield path
    pyenv = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser()
    yield from sorted(pyenv.glob("versions/%s.*/bin/python" % version))


def _is_python(path: Path, version: str) -> bool:
    """Ask the interpreter itself: a shim of a version manager may exist and not work."""
    probe = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run(  # a broken shim may wait for input or write an explanation
            [str(path), "-c", probe], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.strip() == version


def has_ensurepip(python: Path) -> bool:
    """Whether this Python can put pip into a virtual environment (Debian splits it off)."""
    return subprocess.run([str(python), "-c", "import ensurepip"], capture_output=True, check=False).returncode == 0


def missing(*programs: str) -> list[str]:
    """Return the distribution packages that these programs lack."""
    return sorted({PACKAGES[name] for name in programs if not shutil.which(name)})


def install(packages: list[str]) -> None:
    """Install distribution packages where that can be done without asking, else say how to."""
    if not packages:
        return
    wanted = " ".join(packages)
    if not shutil.which("apt-get"):
        fail("this machine lacks %s: install it with the system's package manager" % wanted)
    if os.geteuid() != 0:
        fail("this machine lacks %s: run 'sudo apt-get install %s' and start again" % (wanted, wanted))
    say("Installing distribution packages: %s" % wanted)
    log = places.logs("setup") / "apt.log"
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    # Fresh machines have no package lists, others old ones: read them only if needed.
    get = ["apt-get", "-q", "-y", "--no-install-recommends", "install", *packages]
    if run(get, "apt-get install", log=log, env=env) == 0:
        return
    run(["apt-get", "-q", "update"], "apt-get update", log=log, env=env)
    if run(get, "apt-get install", log=log, env=env) != 0:
        fail("apt-get could not install %s; the log is %s" % (wanted, log))
