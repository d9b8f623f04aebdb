# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs playbooks of tests with a chosen ansible-core and reads back what they did."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[2]


@dataclass
class Outcome:
    """What one run of ansible-playbook said: status, text, and the result of each task in order."""

    status: int
    text: str
    results: list[dict[str, Any]] = field(default_factory=list)

    def of(self, task: str) -> list[dict[str, Any]]:
        """Return what was recorded of one task: each item of a loop, then the task itself."""
        found = [item for item in self.results if item["task"] == task]
        assert found, "no result of task '%s' in:\n%s" % (task, self.text)
        return found

    def one(self, task: str) -> dict[str, Any]:
        """Return the result of one task."""
        result: dict[str, Any] = self.of(task)[-1]["result"]
        return result

    def section(self, task: str) -> str:
        """Return what was printed while one task ran."""
        sections = re.split(r"^TASK \[", self.text, flags=re.MULTILINE)
        found = [text for text in sections if text.startswith(task + "]")]
        assert found, "task '%s' was not printed in:\n%s" % (task, self.text)
        return found[0]


def collections_path() -> str:
    """Return the folder that holds ansible_collections with this checkout."""
    package = importlib.import_module("ansible_collections.slipway.gitops")
    return str(Path(next(iter(package.__path__))).parents[2])


def environment(record: Path, extra: Optional[Mapping[str, str]] = None) -> dict[str, str]:
    """Return an environment without the caller's own settings of Ansible and of clusters."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "K8S_AUTH_", "KUBE"))}
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": collections_path(),
        "ANSIBLE_CONFIG": str(CHECKOUT / "scripts/lib/ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "record",
        "ANSIBLE_FORKS": "1",
        "SLIPWAY_TEST_RECORD": str(record),
        "LC_ALL": "C.UTF-8",
    }
    return {**kept, **settings, **(extra or {})}


def run_playbook(
    programs: Path,
    playbook: str,
    arguments: Sequence[str],
    record: Path,
    extra: Optional[Mapping[str, str]] = None,
    timeout_s: float = 900,
) -> Outcome:
    """Run a playbook with the ansible-playbook in the folder ``programs``."""
    record.unlink(missing_ok=True)
    done = subprocess.run(
        [str(programs / "ansible-playbook"), playbook, *arguments],
        env=environment(record, extra),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    return Outcome(done.returncode, done.stdout, [json.loads(line) for line in lines])
