# SPDX-License-Identifier: GPL-3.0-or-later
"""By what a container is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._container import container_mark


@pytest.mark.parametrize(
    "file, env, mark",
    [
        ("", {}, ""),
        ("", {"KUBERNETES_SERVICE_HOST": "", "HOME": "/home/x"}, ""),
        (".dockerenv", {}, ".dockerenv"),
        ("run/.containerenv", {}, "run/.containerenv"),
        ("", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "KUBERNETES_SERVICE_HOST"),
        ("", {"AWX_HOST": "https://awx"}, "AWX_HOST"),
    ],
)
def test_containers_are_known_by_what_their_engines_leave(
    tmp_path: Path, file: str, env: dict[str, str], mark: str
) -> None:
    if file:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert container_mark(env, str(tmp_path)) == mark
