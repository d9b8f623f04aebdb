# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated cluster: real control plane, nodes that cannot be taken for real ones."""

from __future__ import annotations

import json

from ansible_collections.slipway.gitops.tests.integration.lifecycle.local_cluster import LocalCluster


def nodes(cluster: LocalCluster) -> list[dict[str, dict[str, str]]]:
    found: list[dict[str, dict[str, str]]] = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    return [node["metadata"] for node in found]  # type: ignore[misc]


def test_comes_up_with_nodes_that_say_what_they_are(simulated: LocalCluster) -> None:
    before = simulated.network()
    assert "start kwok-controller" in simulated.up()
    assert len(nodes(simulated)) == 3
    assert all(node["annotations"]["kwok.x-k8s.io/node"] == "fake" for node in nodes(simulated))
    assert simulated.up() == []
    assert simulated.network() == before


def test_takes_another_number_of_nodes(simulated: LocalCluster) -> None:
    simulated.up("-e", "cluster_bootstrap_simulated_nodes=5")
    assert len(nodes(simulated)) == 5


def test_heals_after_everything_was_killed(simulated: LocalCluster) -> None:
    simulated.kill_everything()
    assert "start supervisor" in simulated.up("-e", "cluster_bootstrap_simulated_nodes=5")
    assert len(nodes(simulated)) == 5


def test_writes_an_audit_log(simulated: LocalCluster) -> None:
    simulated.kubectl("create", "configmap", "seen")
    events = [json.loads(line) for line in (simulated.folder / "logs/audit.log").read_text().splitlines()]
    made = [event for event in events if (event.get("objectRef") or {}).get("name") == "seen"]
    assert [event["verb"] for event in made] == ["create"]
    assert made[0]["userAgent"].startswith("kubectl/")


def test_is_an_existing_cluster_to_others(simulated: LocalCluster, network: str) -> None:
    other = LocalCluster("simulated", simulated.folder, "existing", network)
    arguments = ["-e", "cluster_bootstrap_kubeconfig=%s/kubeconfig" % simulated.folder]
    other.play(*arguments, "-e", "cluster_bootstrap_context=simulated")
    wrong = other.play(*arguments, "-e", "cluster_bootstrap_context=production", ok=False)
    assert "production" in wrong.text
    old = other.play(
        *arguments, "-e", "cluster_bootstrap_context=simulated", "-e", "cluster_bootstrap_minimum_version=2.0", ok=False
    )
    assert "2.0 or newer is needed" in old.text


def test_goes_without_a_trace(simulated: LocalCluster) -> None:
    assert "stop supervisor" in simulated.down()
    assert not simulated.kept()
    assert not simulated.folder.exists()
    assert simulated.down() == []
