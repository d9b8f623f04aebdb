# SPDX-License-Identifier: GPL-3.0-or-later
"""The documented examples of every module are run, as they stand, on the local world.

What an example takes for granted is prepared, and what it must not touch here gets another
name: both stand in one table. A module without a line in the table fails.
"""

from __future__ import annotations

import json
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

import pytest
import yaml

from ansible_collections.slipway.gitops.tests.integration.world.conftest import World
from ansible_collections.slipway.gitops.tests.integration.world.play import CHECKOUT, Outcome
from ansible_collections.slipway.gitops.tests.unit.plugins.module_utils.git_support import Remote
from ansible_collections.slipway.gitops.tests.unit.repo import tree

#: An Application of these tests, so that the one of the world is left alone.
NAME = "examples"
#: Its own port on the node, since an overlay's can be taken by any other test.
PORT = 30095
_OWN_PORT = [{"op": "replace", "path": "/spec/ports/0/nodePort", "value": PORT}]
#: Together these tell one story: edit, let Argo CD deploy it, look at it, judge it, remove it.
STORY = ("kustomize_image", "argocd_app", "argocd_app_info", "health_gate")
Exchange = Mapping[tuple[str, Any], Any]
Task = Mapping[str, Any]


@dataclass(frozen=True)
class Setting:
    """What the examples need: variables, defaults of options, and (key, value) pairs to exchange."""

    variables: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    exchange: Exchange = field(default_factory=dict)


def examples(module: str) -> list[dict[str, Any]]:
    """Return the documented examples of a module."""
    found: list[dict[str, Any]] = yaml.safe_load(tree.load("modules/" + module).EXAMPLES)
    return found


def exchanged(node: Any, pairs: Exchange, key: str = "") -> Any:
    """Return an example in which some values under some keys are others. Items count under their list's key."""
    if isinstance(node, dict):
        return {name: exchanged(value, pairs, name) for name, value in node.items()}
    if isinstance(node, list):
        return [exchanged(value, pairs, key) for value in node]
    return pairs.get((key, node), node)


def story_setting(world: World) -> Setting:
    """Deploy the overlay of the shared repository that nobody else follows, next to what the world delivers."""
    away = {
        ("name", "sample"): NAME,
        ("namespace", "sample"): NAME,
        ("path", "apps/sample/overlays/local"): "apps/sample/overlays/local-noprobe",
        ("path", "apps/sample/overlays/staging"): "apps/sample/overlays/local-noprobe",
        ("url", "http://127.0.0.1:30080/version"): "http://127.0.0.1:%d/version" % PORT,
        ("url", "http://127.0.0.1:30080/healthz"): "http://127.0.0.1:%d/healthz" % PORT,
        ("stable_for", 15): 3,
    }
    variables = {"world": str(world.folder)}
    return Setting(variables, {"kubeconfig": str(world.kubeconfig)}, away)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _queue(world: World, folder: Path) -> Setting:
    (folder / "queue").mkdir(mode=0o700)
    return Setting(defaults={"path": str(folder / "queue/queue.db")})


def _cached_tool(world: World, folder: Path) -> Setting:
    return Setting({"role_path": str(CHECKOUT / "roles/cluster_bootstrap")})


def _kube_manifests(world: World, folder: Path) -> Setting:
    """The release has no pods, so that nothing has to be pulled."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "clock"}}
    for version in ("1.4.2", "1.5.0"):
        settings = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "clock"},
            "data": {"version": version},
        }
        (folder / ("clock-%s.yaml" % version)).write_text(yaml.safe_dump_all([namespace, settings]))
    files = {
        ("src", "files/clock-%s.yaml" % name): str(folder / ("clock-%s.yaml" % name)) for name in ("1.4.2", "1.5.0")
    }
    chart = folder / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: clock\nversion: 1.5.0\n")
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "clock"}, "spec": {"ports": [{"port": 80}]}}
    (chart / "templates/all.yaml").write_text(yaml.safe_dump_all([namespace, service]))
    files["path", "files/clock-1.5.0.tgz"] = str(chart)
    files["helm", "/usr/local/bin/helm"] = str(next(world.tools.glob("helm-*/helm")))
    return Setting(defaults={"kubeconfig": str(world.kubeconfig)}, exchange=files)


def _kube_objects_info(world: World, folder: Path) -> Setting:
    return Setting(defaults={"kubeconfig": str(world.kubeconfig)})


def _local_world(world: World, folder: Path) -> Setting:
    supervisord = next(iter(sorted(world.tools.glob("supervisor-*/bin/supervisord"))))
    variables = {"world": str(folder / "world"), "supervisord": str(supervisord)}
    return Setting(variables, exchange={("free_ports", "127.0.0.1:6443"): "127.0.0.1:%d" % _free_port()})


def _argocd_tree_info(world: World, folder: Path) -> Setting:
    return Setting({"world": str(world.folder)}, {"kubeconfig": str(world.kubeconfig)})


def _port_forward(world: World, folder: Path) -> Setting:
    """Other ports and an own folder: somebody may reach the world by the usual ones."""
    exchange = {
        ("path", "~/.local/state/slipway-gitops/access/shop"): str(folder / "access"),
        ("kubeconfig", "~/.kube/config"): str(world.kubeconfig),
        ("local_port", 8443): _free_port(),
        ("local_port", 8080): _free_port(),
    }
    return Setting(defaults={"kubectl": str(next(world.tools.glob("kubectl-*/kubectl")))}, exchange=exchange)


def _yaml_value(world: World, folder: Path) -> Setting:
    """The seed of the sample's repository, in one of our own."""
    values = "apps/sample-helm/values.yaml"
    text = (CHECKOUT / "roles/sample_app/files/deploy" / values).read_text(encoding="utf-8")
    labelled = text + "replicas: 2\npodLabels:\n  team: sample\n"
    url = Remote(folder, {values: labelled}).url
    address = {("repo", "ssh://slipway-git@10.244.0.1:2222/sample.git"): url}
    return Setting({"world": str(world.folder)}, {"allow_file_urls": True}, address)


def _service_account_kubeconfig(world: World, folder: Path) -> Setting:
    exchange = {("path", "~/.kube/staging-deploy.yml"): str(folder / "account.yml")}
    return Setting(defaults={"kubeconfig": str(world.kubeconfig)}, exchange=exchange)


def _progress_command(world: World, folder: Path) -> Setting:
    """The root file system is there already: making one would need a mirror of a distribution."""
    site, made = folder / "site", folder / "root.tar"
    site.mkdir()
    (site / "Makefile").write_text('check:\n\ttest -n "$$LC_ALL"\n')
    made.touch()
    return Setting(
        exchange={
            ("chdir", "/srv/site"): str(site),
            ("argv", "/etc/nginx"): str(site),
            ("creates", "/var/tmp/root.tar"): str(made),
            ("log_path", "/var/tmp/root.log"): str(folder / "root.log"),
        }
    )


def _release_plan(world: World, folder: Path) -> Setting:
    kustomize = next(iter(sorted(world.tools.glob("kustomize-*/kustomize"))))
    return Setting({"world": str(world.folder), "kustomize": str(kustomize), "plans": str(folder / "plans")})


def _release_backup(world: World, folder: Path) -> Setting:
    """The sample is brought back to what it is, so nothing of it changes."""
    identity = folder / "identity"
    if not identity.exists():
        made = [str(next(world.tools.glob("age-keygen-*/age-keygen"))), "-o", str(identity)]
        subprocess.run(made, check=True, capture_output=True)
    recipient = identity.read_text().split("# public key: ")[1].split()[0]
    variables = {
        "age": str(next(world.tools.glob("age-[0-9]*/age"))),
        "backups": str(folder / "backups"),
        "backup_identity": str(identity),
        "backup_recipients": [recipient],
    }
    return Setting(variables, {"kubeconfig": str(world.kubeconfig)})


def _nothing(world: World, folder: Path) -> Setting:
    return Setting()


def _cluster_preflight(world: World, folder: Path) -> Setting:
    """Look at a namespace that is always there."""
    server = world.kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
    uid = world.get("namespace", "kube-system")["metadata"]["uid"]
    elsewhere = {("namespace", "sample"): "argocd", ("kubernetes.io/metadata.name", "sample"): "argocd"}
    variables = {"deploy_cluster_uid": uid, "deploy_cluster_server": server}
    return Setting(variables, {"kubeconfig": str(world.kubeconfig)}, elsewhere)


def _registry_image_info(world: World, folder: Path) -> Setting:
    """The private registry of the last example is the world's, which lets everybody in."""
    private = {
        ("images", "registry.example.com/shop/web:1.4.2"): "127.0.0.1:5001/sample:2",
        ("ca_cert", "/etc/ssl/company-ca.pem"): "{{ omit }}",
    }
    return Setting({"registry_password": "not asked for"}, exchange=private)


ALONE: dict[str, Callable[[World, Path], Setting]] = {
    "argocd_tree_info": _argocd_tree_info,
    "cached_tool": _cached_tool,
    "cluster_preflight": _cluster_preflight,
    "confirm": _nothing,
    "deploy_queue": _queue,
    "deploy_queue_info": _queue,
    "kube_manifests": _kube_manifests,
    "kube_objects_info": _kube_objects_info,
    "local_world": _local_world,
    "port_forward": _port_forward,
    "progress_command": _progress_command,
    "release_backup": _release_backup,
    "release_backup_info": _release_backup,
    "release_plan": _release_plan,
    "yaml_value": _yaml_value,
    "registry_image_info": _registry_image_info,
    "service_account_kubeconfig": _service_account_kubeconfig,
}

#: Module -> the module whose first examples make what it looks at, and how many of them.
BEFORE = {"deploy_queue_info": ("deploy_queue", None), "release_backup_info": ("release_backup", 1)}


def _play(setting: Setting, modules: Sequence[str], tasks: Sequence[Task]) -> dict[str, Any]:
    hosts = {"name": "Run the documented examples", "hosts": "local_world", "gather_facts": False}
    defaults = {"slipway.gitops." + name: _fitting(name, setting.defaults) for name in modules}
    shown = [exchanged(task, setting.exchange) for task in tasks]
    return {**hosts, "vars": dict(setting.variables), "module_defaults": defaults, "tasks": shown}


def _fitting(module: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return those defaults whose option the module has."""
    spec = tree.load("module_utils/_entry/" + module).ENTRY.argument_spec
    return {name: value for name, value in defaults.items() if name in spec}


def _assert_all_ran(outcome: Outcome, tasks: Sequence[Task]) -> None:
    assert outcome.status == 0, outcome.text
    ran = {item["task"] for item in outcome.results if item["kind"] == "ok"}
    assert {task["name"] for task in tasks} <= ran, outcome.text


@pytest.mark.parametrize("module", sorted(ALONE))
def test_examples_of_a_module(module: str, world: World, play: Callable[..., Outcome], tmp_path: Path) -> None:
    setting = ALONE[module](world, tmp_path)
    tasks = examples(module)
    maker, number = BEFORE.get(module, (module, 0))
    before = examples(maker)[:number]
    book = tmp_path / "book.yml"
    book.write_text(yaml.safe_dump([_play(setting, sorted({module, maker}), [*before, *tasks])]))
    _assert_all_ran(play(str(book)), tasks)


def test_examples_that_tell_a_delivery(world: World, play: Callable[..., Outcome], tmp_path: Path) -> None:
    edit, deploy, look, judge = (examples(module) for module in STORY)
    patch = {"target": {"kind": "Service"}, "patch": json.dumps(_OWN_PORT)}
    deploy[0]["slipway.gitops.argocd_app"]["spec"]["source"]["kustomize"] = {"patches": [patch]}
    tasks = [*edit, *deploy[:-1], *look, *judge, deploy[-1]]
    book = tmp_path / "book.yml"
    book.write_text(yaml.safe_dump([_play(story_setting(world), STORY, tasks)]))
    _remove_application(world)
    try:
        _assert_all_ran(play(str(book)), tasks)
    finally:
        _remove_application(world)


def _remove_application(world: World) -> None:
    """Remove the Application without a wait for what it deployed, then its namespace."""
    if world.kubectl("-n", "argocd", "get", "application", NAME, "--ignore-not-found", "-o", "name"):
        loose = '{"metadata":{"finalizers":null}}'
        world.kubectl("-n", "argocd", "patch", "application", NAME, "--type=merge", "-p", loose)
        world.kubectl("-n", "argocd", "delete", "application", NAME, "--ignore-not-found", "--timeout=60s")
    world.kubectl("delete", "namespace", NAME, "--ignore-not-found", "--timeout=100s")


def test_every_module_has_its_examples_run() -> None:
    assert sorted([*ALONE, *STORY]) == tree.modules()


def test_exchange_is_by_key_and_value() -> None:
    node = {"name": "sample", "deployments": ["sample"], "http": [{"url": "x"}]}
    pairs = {("name", "sample"): "other", ("url", "x"): "y"}
    assert exchanged(node, pairs) == {"name": "other", "deployments": ["sample"], "http": [{"url": "y"}]}
