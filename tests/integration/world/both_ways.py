# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a table of calls in-process and as ordinary modules, and compares what came of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

import yaml

from ansible_collections.slipway.gitops.tests.integration.world.play import HERE, Outcome, run_playbook

#: ansible-core to run -> folder of its programs. scripts/test names those of this machine.
CORES = {name: Path(folder) for name, folder in json.loads(os.environ.get("SLIPWAY_TEST_CORES", "{}")).items()} or {
    "dev": Path(sys.executable).parent
}
WAYS = ("auto", "never")

#: Fields that two runs of the same call cannot share: times, identities, secrets of chance.
MASKED = {
    "ansible_job_id",
    "at",
    "claimed_at",
    "commit",
    "effective_priority",
    "enqueued_at",
    "finished_at",
    "id",
    "lease_remaining",
    "owner",
    "resourceVersion",
    "seconds",
    "token",
    "uid",
    "waited",
}
_TEXTS = (
    (re.compile(r"\b[0-9a-f]{40}\b"), "<sha>"),
    (re.compile(r"\b[0-9A-HJKMNP-TV-Z]{26}\b"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)"), "<time>"),
)
#: What Ansible itself adds to one way only, or times.
_ANSIBLES_OWN = {"ansible_facts", "start", "end", "delta", "results_file", "exception", "deprecations"}

VAULT_PASSWORD = "a password for this test only"
VAULTED = "release-robot"


@dataclass(frozen=True)
class Table:
    """One table of calls: its playbook, and what both runs of it gave on one core."""

    outcomes: Mapping[str, Outcome]
    folders: Mapping[str, str]

    def results(self, way: str, task: str) -> list[Any]:
        """Return everything recorded of a task in a form that can be compared."""
        items = self.outcomes[way].of(task)
        return [[item["kind"], comparable(item["result"], self.folders[way])] for item in items]


def run_both(programs: Path, playbook: str, base: Path, variables: Mapping[str, Any]) -> Table:
    """Run a table both ways, each in a fresh folder of its own below ``base``."""
    password = base / "vault-password"
    password.write_text(VAULT_PASSWORD)
    vaulted = base / "vaulted.yml"
    vaulted.write_text(_vaulted(programs, password))
    common = ["-i", "here,", "-c", "local", "-vvv", "--vault-password-file", str(password), "-e", "@%s" % vaulted]
    outcomes = {}
    for way in WAYS:
        own = {"slipway_test_folder": str(base / way), "slipway_in_process": "{{ '%s' }}" % way, **variables}
        arguments = [*common, "-e", json.dumps(own)]
        outcomes[way] = run_playbook(programs, str(HERE / playbook), arguments, base / way / "record.jsonl")
    return Table(outcomes, {way: str(base / way) for way in WAYS})


def _vaulted(programs: Path, password: Path) -> str:
    """Return a variables file with a vaulted value."""
    command = ["encrypt_string", "--vault-password-file", str(password), "--name", "vaulted_actor", VAULTED]
    done = subprocess.run([str(programs / "ansible-vault"), *command], capture_output=True, text=True, check=True)
    return done.stdout


def tasks(playbook: str) -> list[str]:
    """Return the names of all calls in a table, those inside blocks too."""
    pending = [task for play in yaml.safe_load((HERE / playbook).read_text()) for task in play["tasks"]]
    names = []
    while pending:
        task = pending.pop(0)
        if "block" in task:
            pending = task["block"] + pending
        else:
            names.append(task["name"])
    return names


def comparable(value: Any, folder: str) -> Any:
    """Return a result without the masked fields and with the run's own folder made neutral."""
    if isinstance(value, Mapping):
        kept = {key: item for key, item in value.items() if not key.startswith("_ansible") and key not in _ANSIBLES_OWN}
        return {
            # The kind stays: an empty token is not the same as one that must not be compared.
            neutral(key, folder): "<%s>" % type(item).__name__ if key in MASKED else comparable(item, folder)
            for key, item in kept.items()
        }
    if isinstance(value, list):
        return [comparable(item, folder) for item in value]
    return neutral(value, folder) if isinstance(value, str) else value


def neutral(text: str, folder: str) -> str:
    """Return a text with identities, times and the run's own folder replaced by their kind."""
    for pattern, mark in _TEXTS:
        text = pattern.sub(mark, text)
    return text.replace(folder, "<folder>")


def differences(left: Any, right: Any, where: str = "") -> list[str]:
    """Return where two comparable results differ."""
    if isinstance(left, dict) and isinstance(right, dict):
        found = ["%s.%s: only one way has it" % (where, key) for key in sorted(set(left) ^ set(right))]
        both = sorted(set(left) & set(right))
        return found + [line for key in both for line in differences(left[key], right[key], where + "." + key)]
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        return [line for at, pair in enumerate(zip(left, right)) for line in differences(*pair, "%s[%d]" % (where, at))]
    return [] if left == right else ["%s: %r in-process, %r as a module" % (where, left, right)]


def workers(outcome: Outcome, task: str) -> list[int]:
    """Return the worker processes in which -vvv says that a task ran in-process."""
    text = outcome.section(task)
    return [int(pid) for pid in re.findall(r"slipway\.gitops\.\w+: in-process in worker (\d+)", text)]


def path_taken(outcome: Outcome, task: str) -> str:
    """Return "in-process", "module" or what else -vvv says of a task."""
    fast = len(workers(outcome, task))
    fallbacks = len(re.findall(r"slipway\.gitops\.\w+: as a module, because", outcome.section(task)))
    if fast and not fallbacks:
        return "in-process"
    return "module" if fallbacks and not fast else "unclear: %d in-process, %d as a module" % (fast, fallbacks)
