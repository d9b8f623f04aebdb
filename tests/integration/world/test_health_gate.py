# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate on a real node: real containers that start, crash, hang and answer."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
import uuid
from typing import Any, Iterator, Optional

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry.health_gate import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._run import execute
from ansible_collections.slipway.gitops.tests.integration.world.conftest import World, _kubectl

IMAGE = "registry.slipway.test/sample"
PROBE = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1, "failureThreshold": 2}


class Lab:
    """One Deployment of the sample application in a namespace of its own, and the gate on it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.namespace = "gate-" + uuid.uuid4().hex[:8]
        self.progress: list[str] = []
        self._apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})

    def close(self) -> None:
        self.world.kubectl("delete", "namespace", self.namespace, "--wait=false")

    def _apply(self, item: dict[str, Any]) -> None:
        command = [str(_kubectl()), "--kubeconfig", str(self.world.kubeconfig), "apply", "-f", "-"]
        subprocess.run(command, input=yaml.safe_dump(item), text=True, check=True, capture_output=True, timeout=60)

    def apply(self, tag: str, probe: bool = True, container: Optional[dict[str, Any]] = None, **spec: Any) -> None:
        """Apply the Deployment with image ``tag`` and return at once, as a sync does."""
        item: dict[str, Any] = {"name": "sample", "image": "%s:%s" % (IMAGE, tag), "imagePullPolicy": "Always"}
        if probe:
            item["readinessProbe"] = PROBE
        item.update(container or {})
        labels = {"app": "sample"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [item], "terminationGracePeriodSeconds": 2}}
        whole = {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": template,
            "progressDeadlineSeconds": 60,
        }
        meta = {"name": "sample", "namespace": self.namespace}
        self._apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {**whole, **spec}})

    def wait_for_restart(self) -> None:
        """Wait until a container has restarted once."""
        deadline = time.monotonic() + 60
        while True:
            pods = self.world.get("pods", "-n", self.namespace)["items"]
            pods = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
            statuses = [status for pod in pods for status in pod["status"].get("containerStatuses", [])]
            if any(status["restartCount"] for status in statuses):
                return
            assert time.monotonic() < deadline, "no container restarted"
            time.sleep(0.2)

    def expose(self) -> str:
        """Make the application reachable on loopback; return its address."""
        ports = [{"port": 80, "targetPort": 8080}]
        spec = {"type": "NodePort", "selector": {"app": "sample"}, "ports": ports}
        meta = {"name": "sample", "namespace": self.namespace}
        self._apply({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})
        service = self.world.get("service", "sample", "-n", self.namespace)
        return "http://127.0.0.1:%d" % service["spec"]["ports"][0]["nodePort"]

    def gate(self, **options: Any) -> dict[str, Any]:
        """Run the gate as a task does and return its result."""
        given = {"namespace": self.namespace, "deployments": ["sample"], "wait_timeout": 90, "stable_for": 3, **options}
        given.setdefault("kubeconfig", str(self.world.kubeconfig))
        checked = ArgumentSpecValidator(ENTRY.argument_spec, **ENTRY.constraints).validate(given)
        assert checked.error_messages == []
        context = Context(env=dict(os.environ), progress=self.progress.append, agent="test-health-gate")
        return execute(ENTRY, checked.validated_parameters, context)

    def deliver(self, tag: str, **options: Any) -> dict[str, Any]:
        """Apply ``tag`` and gate it."""
        probe = options.pop("probe", True)
        self.apply(tag, probe)
        return self.gate(images=["%s:%s" % (IMAGE, tag)], **options)


@pytest.fixture(scope="module", name="lab")
def fixture_lab(world: World) -> Iterator[Lab]:
    lab = Lab(world)
    yield lab
    lab.close()


@pytest.fixture(name="live")
def fixture_live(lab: Lab) -> Lab:
    """Return the lab with release 1 live and healthy."""
    result = lab.deliver("1", stable_for=1)
    assert result.get("verdict") == "pass", result
    return lab


def hashes(result: dict[str, Any]) -> str:
    (deployment,) = result["deployments"]
    return str(deployment["template_hash"])


def test_a_good_release_passes_and_its_redelivery_passes_at_once(live: Lab) -> None:
    before = live.gate()
    result = live.deliver("2")
    assert result["verdict"] == "pass", result
    (deployment,) = result["deployments"]
    assert (deployment["ready"], deployment["old_ready"], deployment["restarts"]) == (2, 0, 0)
    assert hashes(result) != hashes(before)
    assert 3.0 <= result["seconds"]["stability"] < 3.6
    again = live.deliver("2")
    assert (again["verdict"], hashes(again)) == ("pass", hashes(result))
    assert again["seconds"]["rollout"] < 0.5


@pytest.mark.parametrize("window, max_restarts", [(1.5, 1), (2, 1), (3, 1), (5, 1), (10, 2)])
def test_a_crash_at_start_without_a_probe_never_passes(live: Lab, window: float, max_restarts: int) -> None:
    """Started right after the apply, over windows from short to long, it fails and names the container."""
    result = live.deliver("4", probe=False, stable_for=window, max_restarts=max_restarts)
    assert (result["failed"], result["verdict"], result["reason"]) == (True, "fail", "CrashLoopBackOff"), result
    diagnosis = result["diagnosis"]
    assert (diagnosis["object"]["kind"], diagnosis["container"]) == ("Pod", "sample")
    assert diagnosis["exit_code"] not in (None, 0)
    assert diagnosis["restarts"] >= max_restarts
    assert diagnosis["log"]["lines"], diagnosis
    assert result["error_class"] == "unhealthy"


def test_a_crash_at_start_with_a_probe_fails_while_the_old_release_serves(live: Lab) -> None:
    result = live.deliver("4")
    assert (result["verdict"], result["reason"]) == ("fail", "CrashLoopBackOff"), result
    assert result["deployments"][0]["old_ready"] >= 1
    assert result["diagnosis"]["log"]["lines"]


def test_a_slow_crash_loop_does_not_pass_between_two_crashes(lab: Lab) -> None:
    """Each life is longer than the window: having crashed, the container must outlive its last life."""
    dies = {"livenessProbe": {"httpGet": {"path": "/none", "port": 8080}, "periodSeconds": 3, "failureThreshold": 2}}
    lab.apply("1", probe=False, container=dies, replicas=1)
    assert lab.gate(stable_for=1)["verdict"] == "pass"
    lab.wait_for_restart()
    result = lab.gate(stable_for=2.5, max_restarts=1)
    assert result["verdict"] == "fail", result


def test_never_ready_is_a_timeout_with_the_answer_of_the_probe(live: Lab) -> None:
    result = live.deliver("5", wait_timeout=8)
    assert (result["verdict"], result["reason"], result["error"]["code"]) == (
        "timeout",
        "ContainersNotReady",
        "timeout",
    )
    assert "Readiness probe failed" in result["diagnosis"]["message"]
    assert "may still succeed" in result["msg"]
    assert result["deployments"][0]["old_ready"] == 2


def test_a_tag_that_the_registry_lacks_fails(live: Lab) -> None:
    result = live.deliver("6")
    assert (result["verdict"], result["failed"]) == ("fail", True)
    assert result["reason"] in ("ErrImagePull", "ImagePullBackOff")
    assert "sample:6" in result["msg"]
    assert "not found" in result["msg"]
    assert result["seconds"]["total"] < 25


def test_a_missing_secret_fails(live: Lab) -> None:
    live.apply("2", container={"envFrom": [{"secretRef": {"name": "absent"}}]})
    result = live.gate()
    assert (result["verdict"], result["reason"]) == ("fail", "CreateContainerConfigError")
    assert 'secret "absent" not found' in result["msg"]


def test_a_missed_deadline_of_the_abandoned_release_is_not_held_against_the_way_back(live: Lab) -> None:
    """The condition stays on the Deployment until the pods of the release gone back to make progress."""
    recreate = {"strategy": {"type": "Recreate", "rollingUpdate": None}, "progressDeadlineSeconds": 5}
    live.apply("1", **recreate)
    assert live.gate(stable_for=1)["verdict"] == "pass"
    # A template that never was before: else the controller takes the new ReplicaSet for complete.
    live.apply("5", container={"env": [{"name": "ATTEMPT", "value": live.namespace}]}, **recreate)
    assert live.gate(wait_timeout=30)["reason"] == "ProgressDeadlineExceeded"
    live.apply("1", **recreate)
    assert live.gate(stable_for=1)["verdict"] == "pass"


@pytest.mark.parametrize(
    "spec, reason, allow",
    [({"paused": True}, "Paused", "allow_paused"), ({"replicas": 0}, "ZeroReplicas", "allow_zero_replicas")],
)
def test_paused_and_scaled_to_zero_must_be_allowed(live: Lab, spec: dict[str, Any], reason: str, allow: str) -> None:
    live.apply("1", **spec)
    result = live.gate()
    assert (result["verdict"], result["reason"]) == ("fail", reason)
    assert allow in result["msg"]
    assert live.gate(stable_for=0.5, **{allow: True})["verdict"] == "pass"


def test_version_must_be_what_answers(live: Lab) -> None:
    url = live.expose() + "/version"
    wrong = live.gate(http=[{"url": url, "version": "2", "wait_timeout": 3}])
    assert (wrong["verdict"], wrong["reason"]) == ("fail", "HttpMismatch")
    assert "version is '1' instead of '2'" in wrong["msg"]
    right = live.deliver("2", http=[{"url": url, "version": "2"}])
    assert right["verdict"] == "pass", right
    assert right["http"][0]["in_a_row"] >= 3


@pytest.mark.parametrize(
    "options, reason",
    [
        ({"deployments": ["absent"]}, "Missing"),
        ({"deployments": ["sample"], "namespace": "default"}, "Missing"),
        ({"label_selectors": ["app=absent"]}, "NoDeployments"),
    ],
)
def test_zero_matches_fail(live: Lab, options: dict[str, Any], reason: str) -> None:
    options = {"namespace": live.namespace, **options}
    result = _gate_with(live, options)
    assert (result["verdict"], result["reason"], result["failed"]) == ("fail", reason, True)


def _gate_with(lab: Lab, options: dict[str, Any]) -> dict[str, Any]:
    given = {"kubeconfig": str(lab.world.kubeconfig), **options}
    checked = ArgumentSpecValidator(ENTRY.argument_spec, **ENTRY.constraints).validate(given)
    return execute(ENTRY, checked.validated_parameters, Context(env=dict(os.environ)))


def test_several_deployments_by_label(live: Lab) -> None:
    live.world.kubectl("label", "-n", live.namespace, "deployment", "sample", "team=gate", "--overwrite")
    result = _gate_with(live, {"namespace": live.namespace, "label_selectors": ["team=gate"], "stable_for": 0.5})
    assert result["verdict"] == "pass"
    assert result["checks"] == {"deployments": 1, "http": 0}


def test_an_identity_without_rights_is_told_which(live: Lab) -> None:
    account = "nobody"
    live.world.kubectl("create", "serviceaccount", account, "-n", live.namespace)
    token = live.world.kubectl("create", "token", account, "-n", live.namespace).strip()
    result = _gate_with(live, {"namespace": live.namespace, "deployments": ["sample"], "api_key": token})
    assert result["error"]["code"] == "forbidden"
    assert 'cannot get resource "deployments"' in result["msg"]
    assert token not in json.dumps(result)


class Wire:
    """The way to the API server, which can be cut: every connection ends and new ones are refused."""

    def __init__(self) -> None:
        self._listener: Optional[socket.socket] = None
        self._open: list[socket.socket] = []
        self.port = 0
        self.mend()

    def mend(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        assert self._listener is not None
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _peer = listener.accept()
                far = socket.create_connection(("127.0.0.1", 6443))
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError), source, sink:
        while data := source.recv(65536):
            sink.sendall(data)


def test_an_outage_in_the_window_is_survived(live: Lab) -> None:
    wire = Wire()
    threading.Timer(2.0, wire.cut).start()
    threading.Timer(6.0, wire.mend).start()
    result = live.gate(host="https://127.0.0.1:%d" % wire.port, stable_for=4, wait_timeout=40)
    wire.cut()
    assert result["verdict"] == "pass", result
    assert result["seconds"]["total"] >= 6.0
    assert any("cannot be observed" in line for line in live.progress)


def test_an_outage_without_end_is_inconclusive(live: Lab) -> None:
    wire = Wire()
    threading.Timer(1.0, wire.cut).start()
    result = live.gate(host="https://127.0.0.1:%d" % wire.port, stable_for=4, wait_timeout=8)
    assert (result["verdict"], result["error"]["code"]) == ("inconclusive", "inconclusive"), result
    assert result["reason"] == "ClusterUnobservable"
    assert result["seconds"]["total"] < 13


def test_the_gate_only_reads(live: Lab, audit: Any) -> None:
    live.gate(stable_for=0.5)
    assert audit.requests("test-health-gate")
    assert audit.writes("test-health-gate") == []


def test_progress_tells_what_is_waited_for(live: Lab) -> None:
    live.progress.clear()
    live.deliver("5", wait_timeout=5)
    assert any("more pod" in line and "2 old" in line for line in live.progress), live.progress
