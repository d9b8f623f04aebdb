# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole bootstrap where nothing is yet: a dry run tells what it would make, and makes nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ansible_collections.slipway.gitops.tests.integration.lifecycle.local_cluster import LocalCluster
from ansible_collections.slipway.gitops.tests.integration.world.play import CHECKOUT, environment


def test_behaviour_57_dry_run_on_a_fresh_machine(network: str, tmp_path: Path) -> None:
    world = tmp_path / "world"
    cluster = LocalCluster("fresh", world, "embedded", network)
    before = cluster.network()
    command = [
        "nsenter", "--net=/run/netns/" + network,
        str(Path(sys.executable).parent / "ansible-playbook"), "slipway.gitops.bootstrap", "--check", "--diff",
        "-i", str(CHECKOUT / "inventories/local/hosts"),
        "-e", "cluster_bootstrap_name=fresh", "-e", "git_server_folder=%s" % (tmp_path / "git"),
    ]  # fmt: skip
    done = subprocess.run(
        command,
        env=environment(tmp_path / "record.jsonl", {"SLIPWAY_WORLD": str(world)}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "changed=0" not in done.stdout
    assert "Argo CD, the environments and the sample application would be made" in " ".join(done.stdout.split())
    assert cluster.network() == before
    assert not world.exists()
    assert not (tmp_path / "git").exists()
