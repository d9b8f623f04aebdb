# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-lint as it is, but for the syntax check: all playbooks and roles in one process.

ansible-lint starts ``ansible-playbook --syntax-check`` for each of them, which here is two thirds
of all it takes. One start reads them all; when that finds anything, ansible-lint does it again
in its own way and so names what is wrong where, as always.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable

from ansiblelint.__main__ import main
from ansiblelint.runner import Runner

_one_by_one = Runner._map_syntax_check_workers  # the version is pinned


def _together(runner: Any, worker: Callable[[Any], Any], files: list[Any]) -> list[Any]:
    """Return no finding for each file when one start accepts all of them."""
    playbooks = [str(file.path) for file in files if file.kind == "playbook"]
    roles = [str(file.path.resolve()) for file in files if file.kind == "role"]
    if not playbooks or runner.app.options.extra_vars:
        return list(_one_by_one(runner, worker, files))
    with tempfile.TemporaryDirectory(prefix="slipway-lint-") as folder:
        every_role = Path(folder, "roles.yml")
        tasks = [{"ansible.builtin.import_role": {"name": role}} for role in roles]
        every_role.write_text(json.dumps([{"name": "Every role", "hosts": "localhost", "tasks": tasks}]))
        done = subprocess.run(
            ["ansible-playbook", "--syntax-check", *playbooks, str(every_role)],
            env=dict(runner.app.runtime.environ, ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="False"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    read = done.stdout.count("\nplaybook: ")
    if done.returncode == 0 and read == len(playbooks) + 1:
        return [[] for _file in files]
    return list(_one_by_one(runner, worker, files))


if __name__ == "__main__":
    setattr(Runner, _one_by_one.__name__, _together)
    sys.exit(main())
