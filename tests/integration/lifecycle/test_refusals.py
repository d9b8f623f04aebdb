# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way is named before anything is changed."""

from __future__ import annotations

import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from ansible_collections.slipway.gitops.tests.integration.lifecycle.local_cluster import LocalCluster
from ansible_collections.slipway.gitops.tests.size import rows


def refusal(cluster: LocalCluster, *arguments: str) -> str:
    """Run the role, which must refuse; return what it says."""
    found = cluster.network()
    outcome = cluster.play(*arguments, ok=False)
    assert cluster.network() == found
    return outcome.text


def test_foreign_bridge_and_range_in_use(embedded: LocalCluster) -> None:
    """All that stands in the way is named at once."""
    embedded.run("ip", "link", "add", "slipway0", "type", "bridge")
    embedded.run("ip", "link", "add", "other0", "type", "bridge")
    embedded.run("ip", "addr", "add", "10.244.0.77/16", "dev", "other0")
    embedded.run("ip", "link", "set", "other0", "up")
    try:
        text = refusal(embedded)
    finally:
        embedded.run("ip", "link", "delete", "slipway0")
        embedded.run("ip", "link", "delete", "other0")
    assert "link 'slipway0' exists and is not ours: choose another bridge name" in text
    assert "overlaps 10.244.0.0/24" in text
    assert not embedded.folder.exists()


def test_port_in_use(simulated: LocalCluster) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        cluster = LocalCluster("taken", simulated.folder, "simulated")
        text = cluster.play("-e", "cluster_bootstrap_api_port=%d" % port, ok=False).text
    assert "port 127.0.0.1:%d cannot be used" % port in text
    assert not simulated.folder.exists()


def test_foreign_folder(network: str, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years of work")
    cluster = LocalCluster("foreign", tmp_path, "simulated", network)
    assert "it holds thesis.txt and is not a local world" in refusal(cluster)
    assert "is not a local world" in refusal(cluster, "-e", "cluster_bootstrap_state=absent")
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize("folder", rows(["/"], ["/root", "relative/../..", "/tmp/a b"]))
def test_folder_that_cannot_be_one(simulated: LocalCluster, folder: str) -> None:
    """Other such folders at full size; the unit tests of the module have them all."""
    text = refusal(simulated, "-e", '{"cluster_bootstrap_world_folder": "%s"}' % folder)
    assert "Option 'path'" in text


def test_existing_cluster_needs_a_named_context(simulated: LocalCluster) -> None:
    assert "Set cluster_bootstrap_context" in refusal(simulated, "-e", "cluster_bootstrap_provider=existing")


def test_unknown_provider(simulated: LocalCluster) -> None:
    assert "cluster_bootstrap_provider" in refusal(simulated, "-e", "cluster_bootstrap_provider=minikubes")


def test_without_root() -> None:
    home = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others
    home.chmod(0o777)
    cluster = LocalCluster("rootless", home / "world", "embedded")
    # Nobody, who may yet read the tools of this checkout, wherever root keeps them.
    may_read = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", *may_read, *cluster.command()],
        env=dict(cluster.environment(), HOME=str(home)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "root is needed" in done.stdout
    assert not cluster.folder.exists()
