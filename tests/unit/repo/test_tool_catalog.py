# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalog of tools and the pinned Go modules say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLE = Path(__file__).parents[3] / "roles" / "cluster_bootstrap"
CATALOG = yaml.safe_load((ROLE / "vars" / "tools.yml").read_text())["__cluster_bootstrap_tool_catalog"]

DEFAULT_PATTERN = r"\bv?([0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.]+)?)"

#: What the tools print, official releases and our own builds, recorded by running them.
SAID = {
    "kwok": "kwok version v0.8.0 go1.26.8 (linux/amd64)",
    "kwokctl": "kwokctl version v0.8.0 go1.26.8 (linux/amd64)",
    "etcd": "etcd Version: 3.6.15\nGit SHA: Not provided (use ./build instead of go build)\nGo Version: go1.26.8",
    "etcdctl": "etcdctl version: 3.6.15\nAPI version: 3.6",
    "kube-apiserver": "Kubernetes v1.36.3",
    "kube-controller-manager": "Kubernetes v1.36.3",
    "kube-scheduler": "Kubernetes v1.36.3",
    "kube-proxy": "Kubernetes v1.36.3",
    "kubelet": "Kubernetes v1.36.3",
    "kubectl": "Client Version: v1.36.3\nKustomize Version: v5.8.1",
    "argocd": "argocd: v3.5.7+unknown",
    "kustomize": "v5.8.2",
    "helm": "v3.22.0",
    "age": "v1.3.2",
    "age-keygen": "v1.3.2",
    "coredns": "CoreDNS-1.14.7\nlinux/amd64, go1.26.8, ",
}

programs = pytest.mark.parametrize(
    "tool", [pytest.param(tool, id=tool["name"]) for tool in CATALOG if "package" in tool["build"]]
)
everything = pytest.mark.parametrize("tool", [pytest.param(tool, id=tool["name"]) for tool in CATALOG])


def go_mod(tool: dict[str, Any]) -> str:
    return (ROLE / "files" / "go" / tool["build"]["module"] / "go.mod").read_text()


def required_version(go_mod_text: str, path: str) -> str:
    """Return the version that go.mod requires of the module which holds the package."""
    required = dict(re.findall(r"^(?:require )?\s*(\S+) v(\S+?)(?: // indirect)?$", go_mod_text, re.MULTILINE))
    return required[max((module for module in required if (path + "/").startswith(module + "/")), key=len)]


@everything
def test_module_pins_the_version_of_the_catalog(tool: dict[str, Any]) -> None:
    path = tool["build"].get("package", tool["build"].get("source")).replace("{name}", tool["name"])
    assert required_version(go_mod(tool), path) == tool["version"]


@programs
def test_package_is_a_tool_of_its_module(tool: dict[str, Any]) -> None:
    package = tool["build"]["package"].replace("{name}", tool["name"])
    assert re.search(r"^(?:tool )?\s*%s$" % re.escape(package), go_mod(tool), re.MULTILINE)


@programs
def test_version_is_recognised_in_what_the_program_says(tool: dict[str, Any]) -> None:
    found = re.search(tool.get("version_pattern", DEFAULT_PATTERN), SAID[tool["name"]])
    assert found and found.group(1) == tool["version"]


@everything
def test_every_download_has_a_checksum(tool: dict[str, Any]) -> None:
    checksums = list(tool.get("files", {}).values()) or [tool["download"]["checksum"]]
    assert all(re.fullmatch(r"sha256:([0-9a-f]{64}|https://\S+)", checksum) for checksum in checksums)
    assert tool["download"]["url"].startswith("https://")


def test_modules_carry_their_checksums_and_stay_with_the_go_they_name() -> None:
    for folder in sorted((ROLE / "files" / "go").iterdir()):
        text = (folder / "go.mod").read_text()
        assert (folder / "go.sum").stat().st_size > 0
        assert "\ntoolchain " not in text
        assert re.search(r"^go 1\.2[0-6]\.", text, re.MULTILINE), "%s needs a newer Go than documented" % folder.name
