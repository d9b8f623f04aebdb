# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cluster is it, and what does it lack: tables, and runs against a cluster that forbids at will."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Optional

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._clock import SystemClock
from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry.cluster_preflight import run as run_entry
from ansible_collections.slipway.gitops.plugins.module_utils._errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    PermanentError,
    SlipwayError,
    TransientError,
)
from ansible_collections.slipway.gitops.plugins.module_utils._preflight.identity import Seen, canonical_server
from ansible_collections.slipway.gitops.plugins.module_utils._preflight.model import Kind, Right
from ansible_collections.slipway.gitops.plugins.module_utils._preflight.quota import amount, exhausted, view
from ansible_collections.slipway.gitops.plugins.module_utils._preflight.service import Ports, run

UID = "6f1c2b1e-5a0f-4d53-9b62-0e6a8b4d7c11"
SERVER = "https://cluster.example.com:6443"
PATCH = {"verb": "patch", "group": "argoproj.io", "resource": "applications", "namespace": "argocd"}


class FakeForgetfulCluster:
    """A cluster in which single answers can be forbidden, missing or cut; a real one shows few of them at will."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.denied: set[str] = set()
        self.objects: dict[str, Any] = {
            "/api/v1/namespaces/kube-system": {"metadata": {"name": "kube-system", "uid": UID}},
            "/version": {"gitVersion": "v1.36.3"},
            "/api/v1/namespaces/shop": {"metadata": {"name": "shop", "labels": {"environment": "production"}}},
            "/api/v1/namespaces/shop/resourcequotas": {"items": []},
            "/apis/apps/v1": {
                "resources": [
                    {"name": "deployments", "kind": "Deployment"},
                    {"name": "deployments/scale", "kind": "Scale"},
                ]
            },
        }
        self.faults: dict[str, list[SlipwayError]] = {}

    def get(self, path: str, query: Optional[Mapping[str, str]] = None) -> dict[str, Any]:
        self.asked.append(path)
        if self.faults.get(path):
            raise self.faults[path].pop(0)
        if path not in self.objects:
            raise NotFound("read", path, "not found")
        found: dict[str, Any] = self.objects[path]
        return found

    def list(self, path: str, label_selector: str = "", field_selector: str = "") -> dict[str, Any]:
        return self.get(path)

    def create(self, path: str, body: Mapping[str, Any], dry_run: bool = False) -> dict[str, Any]:
        self.asked.append(path.rpartition("/")[2])
        if self.faults.get(path):
            raise self.faults[path].pop(0)
        if path.endswith("selfsubjectreviews"):
            return {"status": {"userInfo": {"username": "ci-robot"}}}
        attributes = body["spec"]["resourceAttributes"]
        return {"status": {"allowed": "%(verb)s %(resource)s" % attributes not in self.denied}}

    def forbid(self, path: str) -> None:
        self.faults[path] = [Forbidden("read", path, 'User "ci-robot" cannot get resource')]


@pytest.fixture(name="cluster")
def fixture_cluster() -> FakeForgetfulCluster:
    return FakeForgetfulCluster()


def preflight(
    cluster: FakeForgetfulCluster, warnings: Optional[list[str]] = None, context: str = "production", **options: Any
) -> dict[str, Any]:
    ports = Ports(cluster, Seen(SERVER, context, "/home/ci/config"), SystemClock())
    ctx = Context(warn=(warnings if warnings is not None else []).append)
    return run({"timeout": 30.0, **options}, ports, ctx)


def refused(cluster: FakeForgetfulCluster, **options: Any) -> SlipwayError:
    with pytest.raises(SlipwayError) as caught:
        preflight(cluster, **options)
    return caught.value


def test_unpinned_production_is_refused_with_the_two_lines_to_add(cluster: FakeForgetfulCluster) -> None:
    error = refused(cluster, require_pinned=True)
    assert error.code == "cluster_unpinned"
    assert error.result["cluster"] == {"uid": UID, "server": SERVER, "context": "production"}
    assert 'deploy_cluster_uid: "%s"\ndeploy_cluster_server: "%s"\n' % (UID, SERVER) in str(error)
    assert cluster.asked == ["/api/v1/namespaces/kube-system"]


@pytest.mark.parametrize("pins", [{"uid": UID}, {"server": SERVER}, {"uid": "", "server": ""}])
def test_half_a_pin_is_no_pin(cluster: FakeForgetfulCluster, pins: dict[str, str]) -> None:
    assert refused(cluster, require_pinned=True, **pins).code == "cluster_unpinned"


@pytest.mark.parametrize("context", ["production", "prod", "nonprod", "preprod", "product-eu", ""])
def test_g79_a_name_proves_nothing(cluster: FakeForgetfulCluster, context: str) -> None:
    """The context may be called anything: the same pins let the same cluster pass and refuse any other."""
    pinned = {"uid": UID, "server": SERVER, "require_pinned": True}
    assert preflight(cluster, context=context, **pinned)["cluster"]["uid"] == UID
    error = refused(cluster, context=context, **{**pinned, "uid": "another"})
    assert error.code == "cluster_mismatch"
    assert UID in error.cause
    assert "another" in error.cause


@pytest.mark.parametrize("uid", [UID[:8], UID[1:], UID + "0", UID.upper()])
def test_g79_a_part_of_the_identity_is_another_one(cluster: FakeForgetfulCluster, uid: str) -> None:
    assert refused(cluster, uid=uid).code == "cluster_mismatch"


def test_behaviour_59_nothing_more_is_asked_of_the_wrong_cluster(cluster: FakeForgetfulCluster) -> None:
    refused(cluster, uid="another", namespace="shop", access=[PATCH], fail_on_problems=False)
    assert cluster.asked == ["/api/v1/namespaces/kube-system"]


def test_behaviour_59_nothing_at_all_is_sent_to_the_wrong_server(cluster: FakeForgetfulCluster) -> None:
    error = refused(cluster, uid=UID, server="https://cluster.example.org:6443")
    assert error.code == "cluster_mismatch"
    assert cluster.asked == []


@pytest.mark.parametrize(
    "text, canonical",
    [
        ("https://a.example.com", "https://a.example.com:443"),
        ("https://A.Example.com:443/", "https://a.example.com:443"),
        ("a.example.com:6443", "https://a.example.com:6443"),
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001"),
        ("https://[::1]:6443", "https://[::1]:6443"),
        ("https://rancher.example.com/k8s/clusters/c-1/", "https://rancher.example.com:443/k8s/clusters/c-1"),
    ],
)
def test_equal_servers_have_one_spelling(text: str, canonical: str) -> None:
    assert canonical_server(text) == canonical


@pytest.mark.parametrize(
    "server",
    [
        "https://cluster.example.com",
        "http://cluster.example.com:6443",
        "https://cluster.example.com:6444",
        "https://xcluster.example.com:6443",
        "https://cluster.example.com.evil.example:6443",
        "https://cluster.example.com:6443/other",
    ],
)
def test_other_servers_are_others(cluster: FakeForgetfulCluster, server: str) -> None:
    assert refused(cluster, server=server).code == "cluster_mismatch"


def test_missing_right_to_identify_the_cluster_is_named(cluster: FakeForgetfulCluster) -> None:
    cluster.forbid("/api/v1/namespaces/kube-system")
    error = refused(cluster, require_pinned=True)
    assert isinstance(error, Forbidden)
    assert "get namespaces 'kube-system'" in str(error)
    assert 'resourceNames: ["kube-system"], verbs: ["get"]' in error.hint


def test_without_pins_that_right_is_not_needed_but_told(cluster: FakeForgetfulCluster) -> None:
    cluster.forbid("/api/v1/namespaces/kube-system")
    warnings: list[str] = []
    assert preflight(cluster, warnings)["cluster"]["uid"] == ""
    assert "get namespaces 'kube-system'" in warnings[0]


def test_answer_without_a_uid_is_no_cluster(cluster: FakeForgetfulCluster) -> None:
    cluster.objects["/api/v1/namespaces/kube-system"] = {"kind": "Login"}
    assert refused(cluster).code == "not_an_api"


def test_everything_is_returned(cluster: FakeForgetfulCluster) -> None:
    result = preflight(
        cluster,
        uid=UID,
        server=SERVER,
        namespace="shop",
        namespace_labels={"environment": "production"},
        kinds=[{"group": "apps", "version": "v1", "kind": "Deployment", "resource": None}],
        access=[PATCH],
    )
    assert result == {
        "changed": False,
        "cluster": {
            "uid": UID,
            "server": SERVER,
            "context": "production",
            "version": "v1.36.3",
            "namespace": "shop",
            "namespace_labels": {"environment": "production"},
        },
        "access": [{**PATCH, "subresource": "", "name": "", "allowed": True, "reason": ""}],
        "quotas": [],
        "problems": [],
    }


def test_behaviour_8_each_missing_right_is_named_with_its_rule(cluster: FakeForgetfulCluster) -> None:
    cluster.denied = {"patch applications", "get pods"}
    logs = {"verb": "get", "resource": "pods", "subresource": "log", "namespace": "shop", "name": "web"}
    error = refused(cluster, access=[PATCH, {"verb": "list", "resource": "nodes"}, logs])
    assert isinstance(error, Forbidden)
    assert "ci-robot may not patch applications.argoproj.io in namespace argocd" in str(error)
    assert "ci-robot may not get pods/log 'web' in namespace shop" in str(error)
    assert "nodes" not in str(error)
    rule = '{apiGroups: [""], resources: ["pods/log"], verbs: ["get"], resourceNames: ["web"]}'
    assert "Grant it by a Role in namespace shop: %s." % rule in error.hint
    assert [item["allowed"] for item in error.result["access"]] == [False, True, False]
    assert cluster.asked.count("selfsubjectreviews") == 1


def test_behaviour_8_quotas_are_shown_and_a_full_one_is_said_aloud(cluster: FakeForgetfulCluster) -> None:
    status = {"hard": {"pods": "4", "requests.cpu": "2"}, "used": {"pods": "4", "requests.cpu": "400m"}}
    cluster.objects["/api/v1/namespaces/shop/resourcequotas"] = {
        "items": [{"metadata": {"name": "compute"}, "status": status}]
    }
    warnings: list[str] = []
    assert preflight(cluster, warnings, namespace="shop")["quotas"] == [{"name": "compute", **status}]
    assert warnings == ["Quota compute in namespace shop is used up: pods (4 of 4)."]


def test_quotas_that_must_not_be_read_stop_nothing(cluster: FakeForgetfulCluster) -> None:
    cluster.forbid("/api/v1/namespaces/shop/resourcequotas")
    warnings: list[str] = []
    assert preflight(cluster, warnings, namespace="shop")["quotas"] == []
    assert "list resourcequotas in namespace shop" in warnings[0]


def test_namespace_that_must_not_be_read_is_a_missing_right(cluster: FakeForgetfulCluster) -> None:
    cluster.forbid("/api/v1/namespaces/shop")
    assert "may not get namespaces 'shop' in namespace shop" in str(refused(cluster, namespace="shop"))


@pytest.mark.parametrize(
    "namespace, labels, code, text",
    [
        ("nowhere", {}, "not_found", "namespace nowhere does not exist"),
        ("shop", {"environment": "staging"}, "namespace_label", "is 'production', expected 'staging'"),
        ("shop", {"team": "web"}, "namespace_label", "label team of namespace shop is missing"),
        ("going", {}, "namespace_terminating", "is being deleted"),
    ],
)
def test_namespaces(
    cluster: FakeForgetfulCluster, namespace: str, labels: dict[str, str], code: str, text: str
) -> None:
    gone = {"metadata": {"name": "going", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    cluster.objects.update({"/api/v1/namespaces/going": gone, "/api/v1/namespaces/going/resourcequotas": {}})
    error = refused(cluster, namespace=namespace, namespace_labels=labels)
    assert error.code == code
    assert isinstance(error, NotFound if code == "not_found" else PermanentError)
    assert text in str(error)


def test_labels_of_yaml_mean_what_kubernetes_writes(cluster: FakeForgetfulCluster) -> None:
    metadata = cluster.objects["/api/v1/namespaces/shop"]["metadata"]
    metadata["labels"] = {"guarded": "true", "tier": "1"}
    assert preflight(cluster, namespace="shop", namespace_labels={"guarded": True, "tier": 1})["problems"] == []


@pytest.mark.parametrize(
    "kind, is_served",
    [
        ({"group": "apps", "version": "v1", "kind": "Deployment"}, True),
        ({"group": "apps", "version": "v1", "resource": "deployments"}, True),
        ({"group": "apps", "version": "v1", "kind": "Deployment", "resource": "daemonsets"}, False),
        ({"group": "apps", "version": "v1", "kind": "Scale"}, False),
        ({"group": "apps", "version": "v2", "kind": "Deployment"}, False),
        ({"group": "argoproj.io", "version": "v1alpha1", "kind": "Application"}, False),
    ],
)
def test_kinds(cluster: FakeForgetfulCluster, kind: dict[str, str], is_served: bool) -> None:
    problems = preflight(cluster, kinds=[kind], fail_on_problems=False)["problems"]
    assert not problems if is_served else problems[0]["code"] == "not_found"


def test_questions_are_few(cluster: FakeForgetfulCluster) -> None:
    kinds = [{"group": "apps", "version": "v1", "resource": name} for name in ("deployments", "deployments")]
    preflight(cluster, namespace="shop", kinds=kinds, access=[PATCH, dict(PATCH, verb="get"), dict(PATCH)])
    assert sorted(cluster.asked) == [
        "/api/v1/namespaces/kube-system",
        "/api/v1/namespaces/shop",
        "/api/v1/namespaces/shop/resourcequotas",
        "/apis/apps/v1",
        "/version",
        "selfsubjectaccessreviews",
        "selfsubjectaccessreviews",
    ]


def test_a_question_that_was_cut_is_asked_once_more(cluster: FakeForgetfulCluster) -> None:
    cut = TransientError("create", "it", "cut", code="cut")
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    cluster.faults[path] = [cut]
    assert preflight(cluster, access=[PATCH])["access"][0]["allowed"] is True
    cluster.faults[path] = [cut, cut]
    assert refused(cluster, access=[PATCH]) is cut


def test_version_is_nice_to_know(cluster: FakeForgetfulCluster) -> None:
    cluster.forbid("/version")
    assert preflight(cluster)["cluster"]["version"] == ""


@pytest.mark.parametrize(
    "options, option",
    [
        ({"uid": "a b"}, "uid"),
        ({"server": "https://"}, "server"),
        ({"server": "ftp://x"}, "server"),
        ({"server": "https://x:99999"}, "server"),
        ({"namespace": "a/b"}, "namespace"),
        ({"namespace": "a b"}, "namespace"),
        ({"namespace_labels": {"a": "b"}}, "namespace_labels"),
        ({"namespace": "shop", "namespace_labels": {"a": None}}, "namespace_labels"),
        ({"namespace": "shop", "namespace_labels": {"a": 1.5}}, "namespace_labels"),
        ({"access": [{"verb": "", "resource": "pods"}]}, "access[0].verb"),
        ({"access": [PATCH, {"verb": "get", "resource": "pods/log"}]}, "access[1].resource"),
        ({"kinds": [{"version": "v1"}]}, "kinds[0]"),
        ({"kinds": [{"version": "v1/../..", "kind": "Pod"}]}, "kinds[0].version"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
    ],
)
def test_bad_options_are_refused_before_anything_is_asked(
    cluster: FakeForgetfulCluster, options: dict[str, Any], option: str
) -> None:
    error = refused(cluster, **options)
    assert isinstance(error, InvalidInput)
    assert error.option == option
    assert cluster.asked == []


@pytest.mark.parametrize(
    "right, text",
    [
        (Right("list", "nodes"), "list nodes in all namespaces"),
        (Right("patch", "deployments", "apps", "scale", "shop"), "patch deployments.apps/scale in namespace shop"),
    ],
)
def test_rights_in_words(right: Right, text: str) -> None:
    assert str(right) == text


def test_core_kinds_have_their_own_path() -> None:
    assert (Kind("v1", kind="Pod").path, Kind("v1", "apps", "Deployment").path) == ("/api/v1", "/apis/apps/v1")


@pytest.mark.parametrize(
    "left, right",
    [
        ("1", "1000m"),
        ("1k", "1e3"),
        ("1Ki", "1024"),
        ("1.5Gi", "1536Mi"),
        ("2E", "2000P"),
        ("0.1", "100m"),
        (".5", "500m"),
        ("1.", "1"),
        ("100n", "0.1u"),
        ("-1", "-1000m"),
    ],
)
def test_equal_quantities(left: str, right: str) -> None:
    assert amount(left) is not None
    assert amount(left) == amount(right)


@pytest.mark.parametrize("text", ["", ".", "x", "1x", "1ki", "--1", "Mi"])
def test_what_is_no_quantity(text: str) -> None:
    assert amount(text) is None


def test_exhausted_quotas() -> None:
    hard = {"pods": "4", "memory": "1Gi", "cpu": "2", "odd": "many", "none": "0"}
    used = {"pods": "5", "memory": "1023Mi", "cpu": "2000m"}
    quota = view({"metadata": {"name": "q"}, "status": {"hard": hard, "used": used}})
    assert exhausted(quota) == ["pods (5 of 4)", "cpu (2000m of 2)", "none (0 of 0)"]
    assert view({"metadata": {"name": "new"}, "spec": {"hard": {"pods": "1"}}})["hard"] == {"pods": "1"}


class FakeOtherCluster:
    """An API server with a UID of its own: a second real cluster would take a minute to make."""

    def __init__(self, uid: str) -> None:
        self.asked: list[str] = []
        self.on_request: Callable[[], None] = lambda: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_args: Any) -> None:
                """Stay silent."""

            def do_GET(self) -> None:
                outer.on_request()
                outer.asked.append(self.path)
                body = json.dumps({"metadata": {"name": "any", "uid": uid}, "gitVersion": uid}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(name="clusters")
def fixture_clusters() -> Iterator[tuple[FakeOtherCluster, FakeOtherCluster]]:
    pair = FakeOtherCluster("ours"), FakeOtherCluster("another")
    yield pair
    for one in pair:
        one.close()


def kubeconfig(path: Path, server: str) -> None:
    """Write a kubeconfig whose only context is called production, wherever it leads."""
    context = {"name": "production", "context": {"cluster": "c"}}
    clusters = [{"name": "c", "cluster": {"server": server}}]
    path.write_text(json.dumps({"current-context": "production", "contexts": [context], "clusters": clusters}))


def at_once(path: Path, **options: Any) -> dict[str, Any]:
    return run_entry({"kubeconfig": str(path), "timeout": 5.0, **options}, Context())


def test_kubeconfig_changed_in_the_middle_changes_nothing(
    clusters: tuple[FakeOtherCluster, FakeOtherCluster], tmp_path: Path
) -> None:
    """What was identified is what is asked: one reading of the file, one connection."""
    ours, another = clusters
    path = tmp_path / "config"
    kubeconfig(path, ours.url)
    ours.on_request = lambda: kubeconfig(path, another.url)
    assert at_once(path, uid="ours", namespace="any")["cluster"]["version"] == "ours"
    assert another.asked == []
    assert len(ours.asked) == 4


def test_kubeconfig_changed_between_check_and_use_is_found_by_the_next_check(
    clusters: tuple[FakeOtherCluster, FakeOtherCluster], tmp_path: Path
) -> None:
    ours, another = clusters
    path = tmp_path / "config"
    kubeconfig(path, ours.url)
    assert at_once(path, uid="ours")["cluster"]["context"] == "production"
    kubeconfig(path, another.url)
    with pytest.raises(PermanentError) as caught:
        at_once(path, uid="ours")
    assert caught.value.code == "cluster_mismatch"
    assert another.asked == ["/api/v1/namespaces/kube-system"]
    with pytest.raises(PermanentError):
        at_once(path, uid="ours", server=ours.url)
    assert len(another.asked) == 1, "a server that is not the pinned one was asked"
