# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting an operation of our own on an Application (private to the collection)."""

from __future__ import annotations

from typing import Optional

from .._errors import BusyError, Forbidden, InvalidInput, NotFound, TransientError
from .._kube.paths import PROJECTS, object_path
from .failure import hint_for
from .operation import Request, refusal, with_operation
from .ports import Kube, Object, Ports, Target, about, find
from .view import View

_WRITE_S = 30.0
_ATTEMPTS = 10


def start(target: Target, request: Request, ports: Ports) -> Optional[Object]:
    """Start the operation and return the Application, or None when somebody else's is in progress.

    One compare-and-swap, repeated only after a lost race. Raises what Argo CD's API server
    would refuse with, and FencedError when a later delivery has written the Application.
    """
    for _attempt in range(_ATTEMPTS):
        with about(target):
            app = find(ports.client, target)
        if app is None:
            raise NotFound("sync", str(target), "it was deleted meanwhile", code="deleted")
        if View(app).operation_id == request.id:
            return app  # the answer to our write was lost, the write was not
        refused = refusal(app, request, str(target))
        if isinstance(refused, BusyError):
            return None
        if refused is not None:
            raise refused
        _require_resources(app, request)
        require_window(target, app, ports, is_manual=True)
        ports.lease.require(_WRITE_S)
        try:
            with about(target):
                return ports.client.replace(target.path, with_operation(app, request))
        except TransientError as error:
            if error.code != "conflict":
                raise
    return None


def require_window(target: Target, app: Object, ports: Ports, is_manual: bool) -> bool:
    """Raise BusyError ``window_closed`` when the AppProject's sync windows forbid a sync now.

    Return whether they could be seen. Without the right to read the AppProject nothing is
    raised: Argo CD's controller holds the operation back then, and says so.
    """
    from .windows import blocked

    try:
        project = project_of(app, target.namespace, ports.client)
    except (Forbidden, NotFound):
        return False
    cause = blocked(project, app, ports.clock.wall(), is_manual)
    if cause:
        raise BusyError("sync", str(target), cause, hint_for("window_closed"), code="window_closed")
    return True


def project_of(app: Object, namespace: str, client: Kube) -> Object:
    """Return the AppProject of an Application. Raises Forbidden and NotFound, naming it."""
    name = str((app.get("spec") or {}).get("project") or "default")
    with about("AppProject %s/%s" % (namespace, name)):
        return client.get(object_path(PROJECTS, namespace, name))


def _require_resources(app: Object, request: Request) -> None:
    """A filter that matches nothing would sync nothing and report success."""
    known = {(item.get("kind"), item.get("name")) for item in View(app).resources}
    for item in (request.options or {}).get("resources") or []:
        if (item["kind"], item["name"]) not in known:
            cause = "the Application has no resource %s %s" % (item["kind"], item["name"])
            raise InvalidInput("operation", cause, "It would sync nothing.")
