# SPDX-License-Identifier: GPL-3.0-or-later
"""What scenarios compare: every object of the cluster, and what was written to it.

Usage::

    world_state.py keep WORLD FILE        keep the list of all objects, one line each
    world_state.py compare WORLD FILE     fail unless the cluster holds exactly those again
    world_state.py mark WORLD FILE        keep how far the audit log is
    world_state.py unwritten WORLD FILE [ABOUT]
                                          fail if a role's client has written anything since, else rename FILE

WORLD is the folder of the local world. ABOUT is a part of the address or of the User-Agent:
only such requests count then.
"""

from __future__ import annotations

import json
import re
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Iterator

import yaml

from ansible_collections.slipway.gitops.plugins.module_utils._clock import SystemClock
from ansible_collections.slipway.gitops.plugins.module_utils._kube.kubeconfig import parse
from ansible_collections.slipway.gitops.plugins.module_utils._kube.transport import Connection
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
#: All types of a group at once, and of objects nothing but their metadata: a definition alone is a megabyte.
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_NAMES = "application/json;g=meta.k8s.io;v=v1;as=PartialObjectMetadataList"


def objects(world: Path) -> set[str]:
    """Return apiVersion, kind, namespace and name of every object of every type that can be listed."""
    settings = parse(yaml.safe_load((world / "kubeconfig").read_text(encoding="utf-8")), None, "kubeconfig")
    with closing(Connection(settings, SystemClock())) as connection:
        lines = {line for path, kind in _kinds(connection) for line in _lines(connection, path, kind)}
    return {line for line in lines if not OF_OTHERS.match(line)}


def _kinds(connection: Connection) -> Iterator[tuple[str, str]]:
    """Yield, for each type, the path of all its objects in the version that the server prefers, and its kind."""
    for root in ("/api", "/apis"):
        for group in _got(connection, root, _DISCOVERY)["items"]:
            listed: set[str] = set()
            for version in group["versions"]:
                if version.get("freshness", "Current") != "Current":
                    sys.exit("%s: the API server does not know its types now" % group["metadata"].get("name"))
                for item in version.get("resources", []):
                    name = ".".join(filter(None, (item["resource"], group["metadata"].get("name"))))
                    if "list" in item["verbs"] and name not in PASSING | listed:
                        listed.add(name)
                        place = [root, group["metadata"].get("name"), version["version"], item["resource"]]
                        yield "/".join(filter(None, place)), item["responseKind"]["kind"]


def _lines(connection: Connection, path: str, kind: str) -> Iterator[str]:
    version = "/".join(path.split("/")[2:-1])
    for item in _got(connection, path, _NAMES).get("items") or []:
        yield " ".join((version, kind, item["metadata"].get("namespace", "<none>"), item["metadata"]["name"]))


def _got(connection: Connection, path: str, accept: str) -> dict[str, Any]:
    """Return an answer of the API server; an empty one of a type that has gone meanwhile."""
    response = connection.send("GET", path, None, {"Accept": accept, "User-Agent": "world_state"}, 60)
    text = response.read()
    if response.status not in (200, 404):
        sys.exit("%s: %s %s" % (path, response.status, text.decode(errors="replace")))
    return json.loads(text) if response.status == 200 else {}


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
    # Client by client: the log is read until it says nothing new, which it always does of the cluster's own.
    for agent in OURS:
        for request in log.writes(agent):
            told = "%s %s by %s" % (request.verb, request.uri, request.agent)
            if request.agent.startswith(agent) and about in told:
                yield told


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
        if found:
            sys.exit("\n".join(found))
        if what == "unwritten":
            # Nobody asks again about a mark of long ago, and verify.yml sees that somebody has asked.
            file.rename(file.with_name(file.name + ".checked"))


if __name__ == "__main__":
    main(*sys.argv[1:5])
