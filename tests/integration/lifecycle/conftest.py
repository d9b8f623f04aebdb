# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters for the tests of bringing up, healing and removing."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from ansible_collections.slipway.gitops.tests.integration.lifecycle.local_cluster import LocalCluster

_NAMESPACE = "slipway-lifecycle"


@pytest.fixture(scope="session")
def network() -> Iterator[str]:
    """A network of the tests' own, with nothing but loopback."""
    subprocess.run(["ip", "netns", "delete", _NAMESPACE], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "add", _NAMESPACE], check=True)
    subprocess.run(["ip", "-n", _NAMESPACE, "link", "set", "lo", "up"], check=True)
    yield _NAMESPACE
    subprocess.run(["ip", "netns", "delete", _NAMESPACE], check=True)


@pytest.fixture(scope="module")
def embedded(network: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """An embedded cluster that is not up yet."""
    cluster = LocalCluster("lifecycle", _folder(tmp_path_factory), "embedded", network)
    yield cluster
    cluster.clean_up()


@pytest.fixture(scope="module")
def simulated(network: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A simulated cluster that is not up yet."""
    cluster = LocalCluster("simulated", _folder(tmp_path_factory), "simulated", network)
    yield cluster
    cluster.clean_up()


def _folder(factory: pytest.TempPathFactory) -> Path:
    return factory.mktemp("life") / "world"
