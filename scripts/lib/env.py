# SPDX-License-Identifier: GPL-3.0-or-later
"""The pinned tools and settings with which every command of this checkout runs Ansible.

In Python (``scripts/`` on ``sys.path``)::

    from lib import env

    tools = env.prepare()                      # makes what is missing, live progress
    tools.program("ansible-playbook")          # absolute path
    tools.variables                            # full environment for subprocess
    tools.run(["ansible-playbook", "slipway.gitops.bootstrap", "-i", tools.inventory("local")],
              "bootstrap", log=places.logs("demo") / "bootstrap.log")   # live output, exit status

    env.prepare("core-2.16")                   # another ansible-core, see requirements/

On the command line, for anything by hand::

    scripts/lib/run ansible-playbook slipway.gitops.status -i inventories/local
    scripts/lib/run --env core-2.16 ansible --version

Settings: lib/ansible.cfg replaces the user's own configuration, ``ANSIBLE_COLLECTIONS_PATH``
is the staged checkout alone (other collections come from the package ``ansible`` inside the
environment), colours only on a terminal. Environments, staged trees and logs lie in the cache
folder, which can be deleted at any time.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Sequence

from . import console, machine, places, staging, venvs

#: Environment name -> Python versions it may run on, best first.
PYTHONS = {
    "dev": ("3.11", "3.12", "3.13"),
    "core-2.16": ("3.11", "3.12"),
    "core-2.20": ("3.12", "3.13", "3.14"),
    "core-2.21": ("3.13", "3.12", "3.14"),
}


@dataclass(frozen=True)
class Environment:
    """One virtual environment with the staged collection and Ansible's settings."""

    name: str
    python: str
    folder: Path
    collections: Path
    variables: Mapping[str, str]

    def program(self, name: str) -> str:
        """Return the path of a program of this environment."""
        path = self.folder / "bin" / name
        if not path.exists():
            raise FileNotFoundError("the environment %s has no program %s" % (self.name, name))
        return str(path)

    def inventory(self, name: str) -> str:
        """Return the path of one of the checkout's inventories."""
        return str(places.CHECKOUT / "inventories" / name / "hosts")

    def run(
        self,
        command: Sequence[str],
        what: str,
        *,
        log: Path,
        extra: Optional[Mapping[str, str]] = None,
        cwd: Path = places.CHECKOUT,
        show: console.Show = console.indented,
    ) -> int:
        """Run a program of this environment with live output; return its exit status."""
        full = [self.program(command[0]), *command[1:]]
        return console.run(full, what, log=log, env={**self.variables, **(extra or {})}, cwd=cwd, show=show)


def find(name: str = "dev") -> Optional[Path]:
    """Return the Python interpreter for an environment, or nothing when the machine has none."""
    return next((found for version in PYTHONS[name] if (found := machine.find_python(version))), None)


def prepare(name: str = "dev") -> Environment:
    """Return a ready environment; makes it on first use. Ends the command when that fails."""
    python = find(name)
    if python is None:
        console.fail("%s needs Python %s, and this machine has none of them" % (name, " or ".join(PYTHONS[name])))
    assert python is not None  # noqa: S101  (fail does not return)
    folder = venvs.ensure(name, python)
    root = staging.linked()
    version = next(item.name for item in (folder / "lib").iterdir() if item.name.startswith("python3"))
    return Environment(name, version.replace("python", ""), folder, root, _variables(folder, root))


def _variables(folder: Path, collections: Path) -> dict[str, str]:
    """Return the process environment with ours on top, free of the user's Ansible settings."""
    variables = {key: value for key, value in os.environ.items() if not _disturbs(key)}
    variables.update(
        PATH=os.pathsep.join([str(folder / "bin"), os.environ.get("PATH", os.defpath)]),
        VIRTUAL_ENV=str(folder),
        PYTHONUNBUFFERED="1",
        # Kept, but not in the checkout.
        PYTHONPYCACHEPREFIX=str(places.cache() / "bytecode"),
        ANSIBLE_CONFIG=str(Path(__file__).with_name("ansible.cfg")),
        ANSIBLE_HOME=str(places.cache() / "ansible"),
        ANSIBLE_COLLECTIONS_PATH=str(collections),
        SLIPWAY_CACHE=str(places.cache()),
    )
    if "LC_ALL" not in variables and not variables.get("LANG", "").upper().endswith(("UTF-8", "UTF8")):
        variables["LC_ALL"] = "C.UTF-8"  # Ansible refuses to start otherwise
    if sys.stdout.isatty() and not variables.get("CI"):
        variables["ANSIBLE_FORCE_COLOR"] = "1"
    else:
        variables.update(ANSIBLE_NOCOLOR="1", NO_COLOR="1")
    return variables


def _disturbs(name: str) -> bool:
    """Whether a variable of the caller would change what Ansible or Python do here."""
    # Without written bytecode every start would compile Ansible anew, a second each time.
    python = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV")
    return name.startswith(("ANSIBLE_", "MOLECULE_", "PYTEST_")) or name in python


def main(arguments: Sequence[str]) -> int:
    """Replace this process by a program of an environment: ``[--env NAME] PROGRAM [ARGUMENT ...]``."""
    name = "dev"
    words = list(arguments)
    if words[:1] == ["--env"] and len(words) > 1:
        name, words = words[1], words[2:]
    if not words or name not in PYTHONS:
        console.fail("use: scripts/lib/run [--env %s] PROGRAM [ARGUMENT ...]" % "|".join(PYTHONS))
    environment = prepare(name)
    program = shutil.which(words[0], path=environment.variables["PATH"])
    if program is None:
        console.fail("there is no program %s" % words[0])
    assert program is not None  # noqa: S101  (fail does not return)
    os.execve(program, words, dict(environment.variables))  # noqa: S606
