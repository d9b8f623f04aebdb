# SPDX-License-Identifier: GPL-3.0-or-later
"""What one run of a playbook did and when, task by task, from its JSON report."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Mapping

from . import env, places, world

EDIT, SYNC, GATE = (
    "Set the image, commit and push",
    "Wait until Argo CD synced the commit",
    "Judge the release by what runs",
)


@dataclass(frozen=True)
class Step:
    """One task of the run: when it began and ended (seconds since 1970), and its result."""

    began: float
    ended: float
    result: Mapping[str, Any]


@dataclass(frozen=True)
class Report:
    """One run: exit status, when it began and ended, and its tasks in order without the skipped ones."""

    status: int
    began: float
    ended: float
    steps: tuple[tuple[str, Step], ...]

    def last(self) -> dict[str, Step]:
        """Return the last task of each name."""
        return dict(self.steps)

    def all(self, name: str) -> list[Step]:
        """Return every task of one name, in order."""
        return [step for found, step in self.steps if found == name]


def deliver(tools: env.Environment, variables: Mapping[str, Any]) -> Report:
    """Run a delivery with these variables. Raises RuntimeError when it gave no report."""
    command = [
        tools.program("ansible-playbook"), "slipway.gitops.deploy_staging",
        "-i", tools.inventory(world.INVENTORY), "-e", json.dumps(variables),
    ]  # fmt: skip
    quiet = {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1"}
    began = time.time()
    done = subprocess.run(
        command, env={**tools.variables, **quiet}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    ended = time.time()
    (places.logs("bench") / "delivery.json").write_text(done.stdout, encoding="utf-8")
    if "\n{\n" not in "\n" + done.stdout:
        raise RuntimeError("the delivery gave no report: %s" % (done.stderr or done.stdout).strip()[-500:])
    return Report(done.returncode, began, ended, tuple(_steps(done.stdout)))


def _steps(text: str) -> list[tuple[str, Step]]:
    """Return the tasks that were not skipped; what was printed before the report is passed over."""
    report = json.loads(text[text.index("\n{\n") + 1 if not text.startswith("{\n") else 0 :])
    found = []
    for task in (task for play in report["plays"] for task in play["tasks"]):
        result = (task["hosts"] or {}).get(world.HOST)
        if result and not result.get("skipped"):
            duration = task["task"]["duration"]
            name = task["task"]["name"].rsplit(" : ", 1)[-1]
            found.append((name, Step(_moment(duration["start"]), _moment(duration["end"]), result)))
    return found


def _moment(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
