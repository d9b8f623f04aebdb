# SPDX-License-Identifier: GPL-3.0-or-later
"""The local inventory names tools by their folder in the cache: it must be that of the catalog."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
_NAMED = re.compile(r"local_tools_folder }}/([a-z-]+)-(\d[\w.]*)-linux-")


def test_versions_are_those_of_the_catalog() -> None:
    text = (ROOT / "roles/cluster_bootstrap/vars/tools.yml").read_text(encoding="utf-8")
    catalog = {item["name"]: item["version"] for item in yaml.safe_load(text)["__cluster_bootstrap_tool_catalog"]}
    files = sorted((ROOT / "inventories/local").rglob("*.yml"))
    named = [found for path in files for found in _NAMED.findall(path.read_text(encoding="utf-8"))]
    assert {name for name, _version in named} >= {"helm", "kustomize"}
    assert [(name, version) for name, version in named if catalog.get(name) != version] == []
