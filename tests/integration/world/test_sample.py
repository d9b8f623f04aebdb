# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample application: what it serves when it works, and how it fails when it shall."""

from __future__ import annotations

import http.client
import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from ansible_collections.slipway.gitops.tests.integration.world.conftest import World

NAMESPACE = "sample-test"
# A port of its own: those of the overlays belong to the applications of the inventories.
PORT = 30091
IMAGE = "registry.slipway.test/sample"


def ask(host: str, port: int, path: str) -> tuple[int, Any]:
    """Return status and JSON of an answer, or the text when it is none."""
    with closing(http.client.HTTPConnection(host, port, timeout=5)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
    return answer.status, json.loads(text) if text.startswith("{") else text.strip()


def until(what: Callable[[], Any], timeout_s: float = 60) -> Any:
    """Return the first answer that is not None; the last error or answer fails the test."""
    deadline, last = time.monotonic() + timeout_s, None
    while time.monotonic() < deadline:
        try:
            found = what()
            if found is not None:
                return found
        except OSError as error:
            last = error
        time.sleep(0.1)
    pytest.fail("not in %d s: %s" % (timeout_s, last))


@pytest.fixture(scope="module")
def namespace(world: World) -> Iterator[str]:
    """Return a namespace for the pods of these tests."""
    world.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
    world.kubectl("create", "namespace", NAMESPACE)
    yield NAMESPACE
    world.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def pod(world: World, namespace: str) -> Callable[[str], Callable[[], Any]]:
    """Return a function that starts a pod with a tag and returns a function that reads its status."""

    def start(tag: str) -> Callable[[], Any]:
        name = "tag-%s" % tag
        world.kubectl(
            "run",
            name,
            "-n",
            namespace,
            "--image=%s:%s" % (IMAGE, tag),
            "--image-pull-policy=Always",
            "--restart=Never",
        )
        return lambda: world.get("pod", name, "-n", namespace)["status"]

    return start


def test_application_serves_its_version_and_commit_on_loopback(world: World, namespace: str, tmp_path: Path) -> None:
    port = json.dumps([{"op": "replace", "path": "/spec/ports/0/nodePort", "value": PORT}])
    application = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": NAMESPACE,
            "namespace": "argocd",
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        },
        "spec": {
            "project": "default",
            "source": {
                "repoURL": "ssh://slipway-git@10.244.0.1:2222/sample.git",
                "targetRevision": "main",
                "path": "apps/sample/overlays/staging",
                "kustomize": {
                    # Whatever a delivery beside this test is trying out in the overlay.
                    "images": ["%s:2" % IMAGE],
                    "commonAnnotations": {"slipway.dev/commit": "$ARGOCD_APP_REVISION"},
                    "commonAnnotationsEnvsubst": True,
                    "patches": [{"target": {"kind": "Service", "name": "sample"}, "patch": port}],
                },
            },
            "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace},
            "syncPolicy": {"automated": {}},
        },
    }
    file = tmp_path / "application.json"
    file.write_text(json.dumps(application))
    world.kubectl("apply", "--server-side", "-f", str(file))
    try:
        until(lambda: True if ask("127.0.0.1", PORT, "/healthz")[0] == 200 else None)
        status, answer = ask("127.0.0.1", PORT, "/version")
        live = world.get("application", NAMESPACE, "-n", "argocd")["status"]
        image = world.get("deployment", "sample", "-n", namespace)["spec"]["template"]["spec"]["containers"][0]["image"]
        assert (status, set(answer)) == (200, {"version", "commit", "pod"})
        assert (image, answer["version"]) == ("%s:2" % IMAGE, "2")
        assert answer["commit"] in {entry["revision"] for entry in live["history"]}
        names = {pod["metadata"]["name"] for pod in world.get("pods", "-n", namespace)["items"]}
        assert answer["pod"] in names
        assert ask("127.0.0.1", PORT, "/")[1]["version"] == answer["version"]
        assert ask("127.0.0.1", PORT, "/nonsense")[0] == 404
    finally:
        world.kubectl("delete", "-f", str(file), "--wait", "--timeout=60s")


def test_tag_that_is_missing_is_a_real_pull_error(pod: Callable[[str], Callable[[], Any]]) -> None:
    status = pod("6")

    def reason() -> Any:
        waiting = status().get("containerStatuses", [{}])[0].get("state", {}).get("waiting", {})
        return waiting if "Pull" in waiting.get("reason", "") else None

    waiting = until(reason)
    assert waiting["reason"] in ("ErrImagePull", "ImagePullBackOff")
    assert "%s:6" % IMAGE in waiting["message"]
    assert "not found" in waiting["message"]


def test_crashing_release_ends_at_once_and_says_why(
    world: World, namespace: str, pod: Callable[[str], Callable[[], Any]]
) -> None:
    status = pod("4")
    ended = until(lambda: status().get("containerStatuses", [{}])[0].get("state", {}).get("terminated"))
    assert (ended["exitCode"], ended["reason"]) == (1, "Error")
    lines = world.kubectl("logs", "tag-4", "-n", namespace).splitlines()
    assert "sample 4 starts" in lines[0]
    assert "cannot start: the migration failed" in lines[-1]


def test_release_that_is_never_ready_runs_and_says_so(pod: Callable[[str], Callable[[], Any]]) -> None:
    status = pod("5")
    address = until(lambda: status().get("podIP"))
    answer = until(lambda: ask(address, 8080, "/healthz"))
    assert answer == (503, "waiting for the warehouse database")
    assert ask(address, 8080, "/version")[1]["version"] == "5"
    assert status()["phase"] == "Running"


def test_probe_is_what_tells_the_two_overlays_apart(world: World) -> None:
    seed = Path(__file__).parents[3] / "roles/sample_app/files/deploy/apps/sample/overlays"
    rendered = {name: world.kubectl("kustomize", str(seed / name)) for name in ("local", "local-noprobe")}
    assert "readinessProbe:" in rendered["local"]
    assert "readinessProbe:" not in rendered["local-noprobe"]
    for text in rendered.values():
        assert "image: %s:0" % IMAGE in text
