# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded cluster comes up, heals from every kind of crash, and leaves without a trace.

The tests of this file build on one another, in their order: the cluster is brought up
once, and each misfortune befalls the cluster that the one before has left.
Left to the full size: the run after each misfortune, which changes nothing; here it follows
the first run, which was killed, and the restart of the machine.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from ansible_collections.slipway.gitops.tests.integration.lifecycle.local_cluster import SANDBOX, LocalCluster
from ansible_collections.slipway.gitops.tests.size import FULL, rows

PODS = (
    """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: web
          image: %s
          imagePullPolicy: Never
          command: ["/busybox", "httpd", "-f", "-p", "8080", "-h", "/"]
          securityContext: {runAsUser: 0}
          readinessProbe: {httpGet: {path: /busybox, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30999}]}
"""
    % SANDBOX
)
#: Two sandboxes, two web servers.
PROCESSES = 4

NAMES = {
    "supervisord",
    "containerd",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "coredns",
}
before: dict[str, Any] = {}
traces: set[str] = set()


def programs(cluster: LocalCluster) -> dict[int, str]:
    """Return the supervisor and its programs, without what these run for a moment (iptables)."""
    return {pid: name for pid, name in cluster.kept().items() if name in NAMES}


def serves(cluster: LocalCluster) -> None:
    """The pods answer through their Service on loopback, and new ones can be made, which replace the old."""
    cluster.kubectl("rollout", "restart", "deployment/web")
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    await_that(
        lambda: (
            "200"
            in cluster.run(
                "curl", "-sS", "-m2", "-o/dev/null", "-w%{http_code}", "http://127.0.0.1:30999/busybox", check=False
            )
        )
    )
    await_that(lambda: len(cluster.contained()) == PROCESSES)


def await_that(condition: Callable[[], bool], patience_s: float = 20) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "waited %d s in vain" % patience_s
        time.sleep(0.2)


def works(cluster: LocalCluster) -> None:
    """Each program runs once, and pods work; at full size also: another run has nothing to do."""
    assert sorted(programs(cluster).values()) == sorted(NAMES)
    serves(cluster)
    if FULL:
        assert cluster.up() == []


@pytest.mark.parametrize("delay_s", rows([3.0], [1.0, 1.5, 2.0, 4.5]))
def test_run_that_is_killed_in_the_middle(embedded: LocalCluster, delay_s: float) -> None:
    """The next run makes it whole, wherever the first one was cut short; other moments at full size."""
    embedded.clean_up()
    if not before:
        before.update(embedded.network())
        traces.update(embedded.traces())
    assert embedded.network() == before
    embedded.cut_short(delay_s)
    embedded.up()
    embedded.kubectl("apply", "-f-", text=PODS)
    works(embedded)


def test_node_is_ready_and_real(embedded: LocalCluster) -> None:
    """At full size after a first run that nothing has disturbed."""
    if FULL:
        embedded.down()
        assert embedded.network() == before
        assert "start kubelet" in embedded.up()
    assert "containerd://" in embedded.kubectl("get", "nodes", "-o", "wide")
    assert "kwok.x-k8s.io" not in embedded.kubectl("get", "nodes", "-o", "yaml")
    embedded.kubectl("apply", "-f-", text=PODS)
    embedded.kubectl("create", "configmap", "kept", "--from-literal=by=etcd")
    embedded.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert len(embedded.contained()) == PROCESSES


def test_second_run_changes_nothing(embedded: LocalCluster) -> None:
    pids = programs(embedded)
    works(embedded)
    assert embedded.up() == []
    assert programs(embedded) == pids


def test_service_addresses_do_not_leave_the_machine(embedded: LocalCluster) -> None:
    route = embedded.run("ip", "route", "get", "10.0.0.200")
    assert "dev slipway0" in route


def test_pods_reach_the_api_server_and_nothing_outside(embedded: LocalCluster) -> None:
    pod = ["exec", "deployment/web", "--", "/busybox"]
    assert "Address: 10.0.0.1" in embedded.kubectl(*pod, "nslookup", "kubernetes.default.svc.cluster.local")
    embedded.kubectl(*pod, "nc", "-w3", "10.0.0.1", "443")
    with pytest.raises(AssertionError, match="Network is unreachable"):
        embedded.kubectl(*pod, "nc", "-w3", "198.51.100.1", "80")


def test_crashed_program_is_restarted_without_a_run(embedded: LocalCluster) -> None:
    killed = {pid for pid, name in programs(embedded).items() if name == "kube-controller-manager"}
    embedded.kill("kube-controller-manager")
    await_that(lambda: not killed & set(programs(embedded)) and len(programs(embedded)) == len(NAMES))
    works(embedded)


def test_killed_supervisor_leaves_no_program_running_twice(embedded: LocalCluster) -> None:
    pods = set(embedded.contained())
    embedded.kill("supervisord")
    assert "end orphans" in embedded.up()
    assert pods <= set(embedded.contained()), "pods must outlive their keepers"
    works(embedded)


@pytest.mark.parametrize("owner", rows(["somebody else"], ["nobody"]))
def test_everything_killed_at_once(embedded: LocalCluster, owner: str) -> None:
    """What a crash leaves: stale process ids and sockets, mounts, bundles, address leases.

    The process id in the stale file belongs to an innocent process by now: it is not touched. At
    full size also an id that nobody has; here the restart of the machine leaves one.
    """
    embedded.kill_everything()
    assert embedded.mounts()
    stale = embedded.folder / "supervisor/supervisord.pid"
    assert stale.exists()
    innocent = subprocess.Popen(["sleep", "600"])
    try:
        if owner == "somebody else":
            stale.write_text(str(innocent.pid))
        embedded.up()
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()
    works(embedded)
    assert "etcd" in embedded.kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.by}")


def test_restart_of_the_machine(embedded: LocalCluster) -> None:
    """After a power cut: no processes, no mounts, no network, no /run, a record cut in half."""
    embedded.kill_everything()
    embedded.clear_run()
    for link in embedded.network()["links"]:
        if link != "lo":
            embedded.run("ip", "link", "delete", link, check=False)
    for program in ("iptables", "ip6tables"):
        for table in ("filter", "nat", "mangle"):
            embedded.run(program, "-t", table, "-F")
            embedded.run(program, "-t", table, "-X")
    embedded.run("sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv4.conf.all.route_localnet=0")
    before.update(embedded.network())  # the machine as it is now is what must be restored
    state = embedded.folder / "state.json"
    state.write_bytes(state.read_bytes()[:40])
    embedded.up()
    works(embedded)
    assert "etcd" in embedded.kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.by}")


def test_lost_record_of_a_running_cluster(embedded: LocalCluster) -> None:
    """What the kernel settings were before is lost with it; everything else is still removed.

    Nothing but the record is written: the restart of the machine left nothing else to do.
    """
    (embedded.folder / "state.json").write_text("")
    assert embedded.up() == ["write %s/state.json" % embedded.folder]
    before.update({name: embedded.network()[name] for name in ("forward", "localnet")})


def test_removal_leaves_no_trace(embedded: LocalCluster) -> None:
    memberships = [Path("/proc/%d/cgroup" % pid).read_text() for pid in embedded.contained()]
    groups = {text.split(":/", 1)[1].split("\n")[0] for text in memberships}
    assert "stop supervisor" in embedded.down()
    assert not (embedded.kept() or embedded.shims() or embedded.contained() or embedded.mounts())
    assert not embedded.folder.exists()
    assert not embedded.runtime.exists()
    assert embedded.network() == before
    assert embedded.traces() <= traces
    for group in groups:
        assert not list(Path("/sys/fs/cgroup").glob("*/" + group))
    assert embedded.down() == []


def test_two_runs_at_once_take_up_half_a_layout(embedded: LocalCluster) -> None:
    """One run waits for the other and finds everything done.

    What they find was left when kwokctl was cut short after it made the folder for certificates:
    it would never fill it, so half a layout is thrown away.
    """
    half = embedded.folder / "kwok/clusters/lifecycle"
    (half / "pki").mkdir(parents=True)
    (half / "kwok.yaml").write_text("")
    (embedded.folder / "state.json").write_text("{")
    other = subprocess.Popen(embedded.command(), env=embedded.environment(), stdout=subprocess.PIPE, text=True)
    embedded.play()
    said, _errors = other.communicate(timeout=120)
    assert other.returncode == 0, said
    embedded.kubectl("apply", "-f-", text=PODS)
    works(embedded)
