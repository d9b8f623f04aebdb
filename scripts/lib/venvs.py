# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual environments from the pinned files in requirements/, made once and kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Mapping

from . import machine, places
from .console import fail, run, say

_REQUIREMENTS = places.CHECKOUT / "requirements"
_DONE = ".complete"


def ensure(name: str, python: Path) -> Path:
    """Return the folder of the environment ``requirements/<name>.txt`` for this Python.

    It is made if it does not exist. Its name carries a hash of the pins and of the
    interpreter, so a changed pin makes a new one; one cut short is started afresh.
    """
    pins = _REQUIREMENTS / (name + ".txt")
    folder = places.cache() / "venvs" / ("%s-%s" % (name, _key(pins, python)))
    if (folder / _DONE).exists():
        return folder
    with _locked(folder):
        if not (folder / _DONE).exists():
            _make(folder, pins, python)
    return folder


def _key(pins: Path, python: Path) -> str:
    """Return a hash over the pins and the identity of the interpreter."""
    probe = "import sys; print(sys.version_info[:3], sys.base_prefix)"
    identity = subprocess.run([str(python), "-c", probe], capture_output=True, check=True).stdout
    return hashlib.sha256(pins.read_bytes() + identity).hexdigest()[:12]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process make an environment while others wait for it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another process that makes %s" % folder.name)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(folder: Path, pins: Path, python: Path) -> None:
    started = time.monotonic()
    say("Making the environment %s (pinned in requirements/%s)" % (folder.name, pins.name))
    if folder.exists():
        shutil.rmtree(folder)
    log = places.logs("setup") / (folder.name + ".log")
    _create(folder, python, log)
    if pins.stem == "bootstrap":
        status = _pip(folder, pins, log)
    else:
        status = _uv(folder, pins, log)
        if status != 0:
            say("    uv could not install the packages (it does not read pip's configuration): trying pip")
            status = _pip(folder, pins, log)
    if status != 0:
        fail("installing requirements/%s failed; the log is %s" % (pins.name, log))
    (folder / _DONE).touch()
    say("    done in %.0f s" % (time.monotonic() - started))


def _create(folder: Path, python: Path, log: Path) -> None:
    if not machine.has_ensurepip(python):
        version = (
            "%d.%d" % sys.version_info[:2] if python == Path(sys.executable) else python.name.replace("python", "")
        )
        machine.install(["python%s-venv" % version])
    if run([str(python), "-m", "venv", str(folder)], "python -m venv", log=log) != 0:
        fail("%s cannot make a virtual environment; the log is %s" % (python, log))


def _pip(folder: Path, pins: Path, log: Path) -> int:
    options = ["install", "--require-hashes", "--disable-pip-version-check", "--no-input", "-r", str(pins)]
    return run([str(folder / "bin/python"), "-m", "pip", *options], "pip install", log=log, show=_brief)


def _uv(folder: Path, pins: Path, log: Path) -> int:
    """Install with uv: seven seconds where pip needs eighty."""
    installer = ensure("bootstrap", Path(sys.executable))
    options = ["pip", "install", "--require-hashes", "--python", str(folder / "bin/python"), "-r", str(pins)]
    return run([str(installer / "bin/uv"), *options], "uv pip install", log=log, env=_uv_env(), show=_brief)


def _uv_env() -> Mapping[str, str]:
    # Its cache lies beside the environments, so that files are linked and not copied.
    return dict(os.environ, UV_CACHE_DIR=str(places.cache() / "uv"))


def _brief(line: str) -> None:
    """Show the milestones of an installer, not each of its packages."""
    if line.startswith(("Resolved", "Prepared", "Installed", "Successfully", "error", "ERROR")):
        say("    " + (line if len(line) < 160 else line[:157] + "..."))
