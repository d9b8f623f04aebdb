# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests out of a chart (private to the collection)."""

from __future__ import annotations

import os
import tempfile
from typing import Any, Mapping

from .._errors import NotFound, PermanentError
from .._process import MIB, Command, run

_SAID = 1500
_MOST_BYTES = 64 * MIB


def render(chart: Mapping[str, Any], release: tuple[str, str], env: Mapping[str, str], timeout_s: float) -> str:
    """Return what Helm makes of a chart, definitions included, hooks left out.

    ``release`` is its name and its namespace. Helm's own settings and caches of this machine
    stay out of it, and no plugin of it runs. Raises PermanentError ``render_failed``, and as
    the process port does.
    """
    name, namespace = release
    argv = [chart["helm"], "template", name, chart["path"], "--namespace", namespace, "--include-crds", "--no-hooks"]
    argv += ["--values", "-"] + (["--kube-version", chart["kube_version"]] if chart["kube_version"] else [])
    with tempfile.TemporaryDirectory(prefix="slipway-helm-") as folder:
        homes = {"HELM_%s_HOME" % which: os.path.join(folder, which) for which in ("CACHE", "CONFIG", "DATA")}
        values = (chart["values"] or "{}").encode()
        command = Command(argv, dict(env, **homes), timeout_s, input=values, max_bytes=_MOST_BYTES)
        try:
            done = run(command)
        except NotFound as error:
            error.hint = "Install Helm, or name it with chart.helm."
            raise
    if done.returncode:
        cause = "Helm says: %s" % " ".join(done.err.split())[-_SAID:]
        raise PermanentError("render", "the chart %s" % chart["path"], cause, code="render_failed")
    return done.out
