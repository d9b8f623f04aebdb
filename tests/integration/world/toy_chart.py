# SPDX-License-Identifier: GPL-3.0-or-later
"""A chart of one object, for tests of how charts travel; it says nothing about upstream's."""

from __future__ import annotations

import tarfile
from pathlib import Path

MADE = "ConfigMap metallb-system/toy"


def make_chart(archive: Path, version: str) -> None:
    """Write the archive of a chart named metallb that makes the object ``MADE``."""
    folder = archive.parent / "metallb"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: metallb\nversion: %s\n" % version)
    (folder / "templates/one.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: toy, namespace: {{ .Release.Namespace }}}\n"
    )
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, "metallb")
