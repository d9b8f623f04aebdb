# SPDX-License-Identifier: GPL-3.0-or-later
"""What scenarios compare: every object of the cluster, and what was written to it.

Usage::

    world_state.py keep WORLD FILE        keep the list of all objects, one line each
    world_state.py compare WORLD FILE     fail unless the cluster holds exactly those again
    world_state.py mark WORLD FILE        keep how far the audit log is
    world_state.py unwritten WORLD FILE [ABOUT]    fail if a role's client has written anything since

WORLD is the folder of the local world. ABOUT is a part of the address or of the User-Agent:
only such requests count then.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator

from ansible_collections.slipway.gitops.tests.integration.world.audit import AuditLog

#: Records of what happened and addresses of Services, not things that somebody made; they vanish by themselves.
PASSING = {"events", "events.events.k8s.io", "componentstatuses", "ipaddresses.networking.k8s.io"}
#: Clients that roles use, by the beginning of their User-Agent. What controllers write is theirs.
OURS = ("slipway.gitops/", "kubectl", "Helm/", "OpenAPI-Generator/")
#: How long the garbage collector may take for what hangs on removed objects.
COLLECTED_WITHIN_S = 60.0
#: What belongs to applications that are delivered, restored and removed meanwhile: those of the inventories and of
#: the tests that run beside the scenarios (scripts/lib/lanes.py). Told by the namespace, or by the name where that
#: is no namespace of theirs.
_APPLICATIONS = (
    "sample argocd-app-test backup-confirm backup-drill deploy-helm-test deploy-test gate interrupted "
    "production-test release-plan-test"
)
OF_OTHERS = re.compile(r"\S+ \S+ (?:(?:argocd|<none>) )?(?:%s)(?:-\S+)?(?: |$)" % "|".join(_APPLICATIONS.split()))
_COLUMNS = "custom-columns=A:.apiVersion,K:.kind,S:.metadata.namespace,N:.metadata.name"


def objects(world: Path) -> set[str]:
    """Return apiVersion, kind, namespace and name of every object of every type that can be listed."""
    command = [_kubectl(), "--kubeconfig", str(world / "kubeconfig")]
    kinds = _said([*command, "api-resources", "--verbs=list", "--output=name", "--cached=false"]).split()
    wanted = ",".join(kind for kind in kinds if kind not in PASSING)
    lines = _said([*command, "get", wanted, "--all-namespaces", "--no-headers", "--output", _COLUMNS]).splitlines()
    return {line for line in (" ".join(found.split()) for found in lines) if not OF_OTHERS.match(line)}


def compare(world: Path, before: set[str]) -> list[str]:
    """Return what is left over and what is missing, once that no longer changes for the better."""
    deadline = time.monotonic() + COLLECTED_WITHIN_S
    while True:
        now = objects(world)
        if now == before or time.monotonic() > deadline:
            return ["left over: " + line for line in sorted(now - before)] + [
                "missing: " + line for line in sorted(before - now)
            ]
        time.sleep(1)


def writes(log: AuditLog, about: str) -> Iterator[str]:
    """Yield every request of the log about this with which a role's client may have stored something."""
    for request in log.writes(agent=None):
        told = "%s %s by %s" % (request.verb, request.uri, request.agent)
        if request.agent.startswith(OURS) and about in told:
            yield told


def _kubectl() -> str:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    cache = Path(os.environ.get("SLIPWAY_CACHE") or base / "slipway-gitops")
    found = sorted(cache.glob("tools/kubectl-*/kubectl"))
    return str(found[-1]) if found else sys.exit("no kubectl in %s: bring the world up first" % cache)


def _said(command: list[str]) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout if done.returncode == 0 else sys.exit(done.stderr.strip())


def main(what: str, folder: str, kept: str, about: str = "") -> None:
    """Do what was asked for; end with a message on failure."""
    world, file = Path(folder), Path(kept)
    log = world / "logs/audit.log"
    if what == "keep":
        file.write_text("\n".join(sorted(objects(world))), encoding="utf-8")
    elif what == "mark":
        file.write_text(str(AuditLog(log).position), encoding="utf-8")
    else:
        told = file.read_text(encoding="utf-8")
        if what == "compare":
            found = compare(world, set(told.splitlines()))
        else:
            found = list(writes(AuditLog(log, int(told)), about))
        sys.exit("\n".join(found) or 0)


if __name__ == "__main__":
    main(*sys.argv[1:5])
