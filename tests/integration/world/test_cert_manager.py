# SPDX-License-Identifier: GPL-3.0-or-later
"""Role cert_manager on the local world: its sources, a mirror alone, the webhook gap, what it refuses.

How certificates are issued, upgraded and removed is in the Molecule scenario of the role.
The order of the tests matters: the one that kills the controllers is the last.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import subprocess
import sys
import threading
from contextlib import ExitStack, closing
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator

import pytest

from ansible_collections.slipway.gitops.tests.integration.world import isolated
from ansible_collections.slipway.gitops.tests.integration.world.audit import AuditLog, Request
from ansible_collections.slipway.gitops.tests.integration.world.conftest import INVENTORY, World
from ansible_collections.slipway.gitops.tests.integration.world.play import Outcome, run_playbook

HERE = Path(__file__).parent
VERSION = "1.21.2"
NAMESPACE = "cert-manager"
APPLY = "slipway.gitops.cert_manager : Bring the cluster to the manifests"
ISSUERS = "slipway.gitops.cert_manager : Bring the issuers to what the options say"
#: The images are published before, in the local registry, from where the cluster takes them for upstream's.
SETTINGS = {"cert_manager_images": "upstream"}


@dataclass(frozen=True)
class Role:
    """The role on the local inventory, with further options."""

    folder: Path
    programs: Path = Path(sys.executable).parent

    def __call__(self, *arguments: str, playbook: str = "cert_manager.yml", **options: Any) -> Outcome:
        """Run it."""
        given = ["-i", str(INVENTORY), "-e", json.dumps(options), *arguments]
        return run_playbook(self.programs, str(HERE / playbook), given, self.folder / "record.jsonl")

    def isolated(self, ways: list[str]) -> Role:
        """Return the same from inside a network namespace that has only these ways out."""
        programs = self.folder / "isolated"
        programs.mkdir()
        wrapper = programs / "ansible-playbook"
        command = [
            sys.executable,
            "-B",
            str(HERE / "isolated.py"),
            *ways,
            "--",
            str(self.programs / "ansible-playbook"),
        ]
        wrapper.write_text('#!/bin/sh\nexec %s "$@"\n' % " ".join("'%s'" % word for word in command))
        wrapper.chmod(0o755)
        return Role(self.folder, programs)


@pytest.fixture(scope="module")
def role(tmp_path_factory: pytest.TempPathFactory) -> Role:
    return Role(tmp_path_factory.mktemp("cert-manager"))


@pytest.fixture(scope="module")
def helm(world: World) -> str:
    return str(next(iter(sorted(world.tools.glob("helm-3*/helm")))))


@pytest.fixture(scope="module")
def fetched(role: Role) -> None:
    """Have in the cache and in the registry what no test may fetch from elsewhere."""
    outcome = role(playbook="cert_manager_fetch.yml")
    assert outcome.status == 0, outcome.text


@pytest.fixture(scope="module")
def mirror(world: World, helm: str, role: Role, fetched: None) -> Iterator[tuple[int, Path]]:
    """Serve upstream's files, its chart and its manifest as a mirror does; return port and folder."""
    folder = role.folder / "mirror"
    (files,) = world.tools.glob("cert-manager-files-%s-*" % VERSION)
    shutil.copytree(
        files / "deploy", folder / ("raw.githubusercontent.com/cert-manager/cert-manager/v%s/deploy" % VERSION)
    )
    charts = folder / "charts.jetstack.io/charts"
    package = [helm, "package", "--version=v" + VERSION, "--app-version=v" + VERSION, "--destination", str(charts)]
    subprocess.run([*package, str(files / "deploy/charts/cert-manager")], check=True, capture_output=True, timeout=60)
    handler = functools.partial(SilentHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_address[1], folder
    server.shutdown()
    server.server_close()


class SilentHandler(SimpleHTTPRequestHandler):
    """Serves files and does not talk about it."""

    def log_message(self, *_args: Any) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def installed(role: Role, world: World, mirror: tuple[int, Path]) -> Iterator[Outcome]:
    """Have cert-manager, installed where nothing but a mirror and the API server can be reached."""
    with ExitStack() as ways:
        sockets = {mirror[0]: role.folder / "mirror.sock", 6443: role.folder / "api.sock"}
        for port, path in sockets.items():
            ways.enter_context(closing(isolated.way_out(path, "127.0.0.1", port)))
        alone = role.isolated(["%d=%s" % pair for pair in sockets.items()])
        empty = role.folder / "cache"
        yield alone(
            **SETTINGS, cert_manager_mirror="http://127.0.0.1:%d" % mirror[0], cert_manager_cache_folder=str(empty)
        )
    removed = role(cert_manager_state="absent", cert_manager_remove_custom_resources=True)
    assert removed.status == 0, removed.text


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"cert_manager_vresion": "1.21.2"}, "did you mean 'cert_manager_version'?"),
        ({"cert_manager_version": "1.0.0"}, "knows the files of cert-manager 1.21.2 and 1.20.3, not 1.0.0"),
        ({"cert_manager_source": "somewhere"}, "value of cert_manager_source must be one of"),
        ({"cert_manager_acme_solvers": [{"http01": {"ingress": {}}}]}, "No class is assumed"),
        ({"cert_manager_ca_issuer": "a", "cert_manager_self_signed_issuer": "a"}, "have the same name: a, a"),
        ({"cert_manager_source": "file", "cert_manager_file": "/nonexistent.tgz"}, "The file /nonexistent.tgz"),
        ({"cert_manager_source": "manifest"}, "Set it as sha256:DIGEST"),
        ({"cert_manager_kubeconfig": "/nonexistent/config"}, "/nonexistent/config"),
    ],
)
def test_bad_option_is_refused_before_a_write(role: Role, audit: AuditLog, options: dict[str, Any], cause: str) -> None:
    outcome = role(**options)
    assert outcome.status != 0
    assert cause in " ".join(outcome.text.split())
    assert [one for one in audit.requests("(kube_manifests;") if NAMESPACE in one.uri] == []


def test_mirror_is_enough_where_nothing_else_can_be_reached(installed: Outcome) -> None:
    assert installed.status == 0, installed.text
    assert installed.one(APPLY)["changed"]
    assert "downloaded" in installed.text


@pytest.mark.parametrize("source", ["repository", "oci", "manifest", "file"])
def test_every_source_gives_the_same(
    installed: Outcome, role: Role, helm: str, mirror: tuple[int, Path], source: str
) -> None:
    archive = mirror[1] / ("charts.jetstack.io/charts/cert-manager-v%s.tgz" % VERSION)
    subject = archive
    options: dict[str, Any] = {**SETTINGS, "cert_manager_cache_folder": str(role.folder / source)}
    if source == "oci":
        registry = "oci://127.0.0.1:5001/charts"
        push = [helm, "push", str(archive), registry, "--plain-http"]
        subprocess.run(push, check=True, capture_output=True, timeout=60)
        options.update(cert_manager_oci_chart=registry + "/cert-manager", cert_manager_plain_http=True)
    elif source == "manifest":
        subject = mirror[1] / ("github.com/cert-manager/cert-manager/releases/download/v%s/cert-manager.yaml" % VERSION)
        subject.parent.mkdir(parents=True)
        subject.write_text(rendered(helm, archive))
    elif source == "file":
        options["cert_manager_file"] = str(archive)
    digest = hashlib.sha256(subject.read_bytes()).hexdigest()
    outcome = role(
        "--check", **options, cert_manager_source=source, cert_manager_checksum="sha256:" + digest,
        cert_manager_mirror="http://127.0.0.1:%d" % mirror[0],
    )  # fmt: skip
    assert outcome.status == 0, outcome.text
    result = outcome.one(APPLY)
    assert (result["changed"], result["created"], result["updated"], result["removed"]) == (False, [], [], [])


def rendered(helm: str, archive: Path) -> str:
    """Return the manifest of a release as upstream makes it, with the settings of the role."""
    values = "crds.enabled=true,startupapicheck.enabled=false,global.leaderElection.namespace=" + NAMESPACE
    command = [
        helm,
        "template",
        NAMESPACE,
        str(archive),
        "--namespace",
        NAMESPACE,
        "--kube-version=1.36.3",
        "--set",
        values,
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return "apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n---\n%s" % (NAMESPACE, done.stdout)


def test_g43_cert_manager_is_installed_once(installed: Outcome, world: World) -> None:
    """The reference installed it twice: upstream's release, and again as a dependency of its own chart."""
    images = [
        container["image"]
        for item in world.get("deployments", "-A")["items"]
        for container in item["spec"]["template"]["spec"]["containers"]
    ]
    for component in ("controller", "cainjector", "webhook"):
        assert images.count("quay.io/jetstack/cert-manager-%s:v%s" % (component, VERSION)) == 1


def test_behaviour_53_staging_and_production_take_every_kind_of_solver(installed: Outcome, role: Role) -> None:
    gateway = {"http01": {"gatewayHTTPRoute": {"parentRefs": [{"name": "web", "namespace": "gateways"}]}}}
    name_server = {"nameserver": "192.0.2.53:53", "tsigKeyName": "acme", "tsigAlgorithm": "HMACSHA256"}
    secret = {"tsigSecretSecretRef": {"name": "dns", "key": "key"}}
    solvers = [
        {"http01": {"ingress": {"ingressClassName": "traefik"}}},
        {**gateway, "selector": {"dnsZones": ["example.com"]}},
        {"dns01": {"rfc2136": {**name_server, **secret}}, "selector": {"dnsZones": ["example.org"]}},
    ]
    outcome = role("--check", **SETTINGS, cert_manager_acme_solvers=solvers, cert_manager_acme_email="ops@example.com")
    assert outcome.status == 0, outcome.text
    # The dry run passed the webhook, which knows the fields of every solver.
    expected = ["ClusterIssuer letsencrypt-staging", "ClusterIssuer letsencrypt-production"]
    assert sorted(outcome.one(ISSUERS)["created"]) == sorted(expected)


def test_solver_with_an_unknown_field_is_refused_by_the_server(installed: Outcome, role: Role) -> None:
    solvers = [{"http01": {"ingress": {"ingressClassName": "traefik", "clas": "x"}}}]
    outcome = role("--check", **SETTINGS, cert_manager_acme_solvers=solvers)
    assert outcome.status != 0
    assert "clas" in outcome.one(ISSUERS)["msg"]


def test_chart_that_was_replaced_is_refused(installed: Outcome, role: Role, mirror: tuple[int, Path]) -> None:
    archive = mirror[1] / ("charts.jetstack.io/charts/cert-manager-v%s.tgz" % VERSION)
    options = {**SETTINGS, "cert_manager_source": "file", "cert_manager_file": str(archive)}
    outcome = role(**options, cert_manager_checksum="sha256:" + "0" * 64)
    assert outcome.status != 0
    assert "is expected. Nothing was applied" in " ".join(outcome.text.split())


def test_g44_first_resource_is_sent_when_the_webhook_has_accepted_a_question(
    installed: Outcome, role: Role, world: World, audit: AuditLog
) -> None:
    """Custom resources that are sent before the webhook works are refused; the reference sent them at once."""
    # The lease of the killed cainjector outlives it for most of a minute, and without a leader
    # nobody tells the API server to trust the webhook's new certificate.
    kill(world)
    audit.rewind()
    outcome = role(**SETTINGS, cert_manager_self_signed_issuer="after-the-gap")
    assert outcome.status == 0, outcome.text
    refused, accepted, written = questions_and_writes(audit)
    # The gap was there: Available, and yet nobody trusts the webhook's certificate.
    webhook = outcome.one(ISSUERS)["webhook"]
    assert "x509: certificate signed by unknown authority" in webhook["first_refusal"]
    assert webhook["refusals"] == len(refused) > 2
    assert "not accepted yet: " in outcome.text and "x509" in outcome.text
    # Nothing was sent into it, and the first resource followed the first yes.
    assert [one.code for one in written] in ([200], [201])
    assert max(one.at for one in refused) < min(one.at for one in accepted) < written[0].at
    assert written[0].at - accepted[0].at <= 2.0


def kill(world: World) -> None:
    """Take the controllers away, the cainjector too fast to give its lease back, and the webhook's certificate."""
    for kind in ("deployments", "replicasets"):
        world.kubectl("delete", kind, "--all", "-n", NAMESPACE, "--cascade=orphan")
    (pod,) = world.get("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=cainjector")["items"]
    container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    socket = "/run/slipway-gitops/%s/containerd.sock" % world.folder.name
    command = ["ctr", "--address", socket, "--namespace", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", container]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    world.kubectl("delete", "pods", "--all", "-n", NAMESPACE, "--force", "--grace-period=0")
    world.kubectl("delete", "secret", "cert-manager-webhook-ca", "-n", NAMESPACE)
    for kind in ("validatingwebhookconfiguration", "mutatingwebhookconfiguration"):
        world.kubectl("delete", kind, "cert-manager-webhook", "--ignore-not-found")


def questions_and_writes(audit: AuditLog) -> tuple[list[Request], list[Request], list[Request]]:
    """Return refused and accepted dry runs of issuers, and the writes of issuers."""
    asked = [one for one in audit.requests("(kube_manifests;") if one.resource == "clusterissuers"]
    sent = [one for one in asked if one.verb == "patch"]
    dry = [one for one in sent if not one.is_write]
    return (
        [one for one in dry if one.code == 500],
        [one for one in dry if one.code < 300],
        [one for one in sent if one.is_write],
    )
