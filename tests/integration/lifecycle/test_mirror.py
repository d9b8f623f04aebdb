# SPDX-License-Identifier: GPL-3.0-or-later
"""With a mirror set, libraries are installed where nothing but the mirror can be reached."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml

from ansible_collections.slipway.gitops.tests.integration.lifecycle.local_cluster import HERE, LocalCluster
from ansible_collections.slipway.gitops.tests.integration.world.play import CHECKOUT, Outcome, run_playbook
from ansible_collections.slipway.gitops.tests.integration.world.toy_chart import MADE, make_chart
from ansible_collections.slipway.gitops.tests.size import FULL, rows

CLIENT, SERVER = "slipway-mirror-client", "slipway-mirror-server"
ADDRESS, PORT = "198.51.100.1", 8000


@dataclass(frozen=True)
class Library:
    """One library: its role, the Go module with upstream's files, an object that installing it makes."""

    role: str
    name: str
    source: str
    made: tuple[str, ...]

    def variables(self) -> dict[str, Any]:
        """Return the variables of the role that hold data."""
        text = (CHECKOUT / "roles" / self.role / "vars/main.yml").read_text()
        found: dict[str, Any] = yaml.safe_load(text)
        return found

    @property
    def version(self) -> str:
        """The version that the role installs unless it is told another one."""
        defaults = yaml.safe_load((CHECKOUT / "roles" / self.role / "defaults/main.yml").read_text())
        return str(defaults[self.role + "_version"])

    @property
    def url(self) -> str:
        """Where upstream publishes its files."""
        return str(self.variables()["__%s_upstream_url" % self.role])

    def wanted(self) -> dict[str, Any]:
        """Return what the playbook that fetches files takes."""
        known = self.variables()["__%s_versions" % self.role][self.version]
        module = CHECKOUT / "roles" / self.role / "files/go" / known.get("module", self.version)
        facts = {"version": self.version, "files": known["files"], "url": self.url, "source": self.source}
        return {"name": self.name + "-files", "module_dir": str(module), **facts}


LIBRARIES = (
    Library("metallb", "metallb", "go.universe.tf/metallb", ("deployment/controller", "-n", "metallb-system")),
    Library(
        "cert_manager",
        "cert-manager",
        "github.com/cert-manager/cert-manager",
        ("deployment/cert-manager-webhook", "-n", "cert-manager"),
    ),
)


class Mirrored(LocalCluster):
    """A simulated cluster from which only the mirror can be reached."""

    playbook = "bootstrap.yml"

    def command(self, *arguments: str) -> list[str]:
        return [str(HERE / self.playbook) if word == str(HERE / "bootstrap.yml") else word
                for word in super().command(*arguments)]  # fmt: skip

    def install(self, library: Library, cache: Path, *arguments: str, ok: bool = True) -> Outcome:
        """Run the role of a library up to its configuration, with an empty cache."""
        variables = {
            "library": library.role,
            library.role + "_kubeconfig": str(self.folder / "kubeconfig"),
            library.role + "_mirror": "http://%s:%d" % (ADDRESS, PORT),
            library.role + "_cache_folder": str(cache),
            library.role + "_helm": str(next(_cache().glob("tools/helm-*/helm"))),
        }
        self.playbook = "mirror.yml"
        phases = ",".join("%s_%s" % (library.role, phase) for phase in ("preflight", "install"))
        try:
            return self.play("-e", json.dumps(variables), "--tags", phases, *arguments, ok=ok)
        finally:
            self.playbook = "bootstrap.yml"


def _cache() -> Path:
    return Path(os.environ.get("SLIPWAY_CACHE") or Path.home() / ".cache/slipway-gitops")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the mirror serves: upstream's files under host and path."""
    folder = tmp_path_factory.mktemp("mirror")
    wanted = json.dumps({"wanted": [library.wanted() for library in LIBRARIES]})
    arguments = ["-i", "localhost,", "-e", wanted]
    book = str(HERE / "upstream_files.yml")
    outcome = run_playbook(Path(sys.executable).parent, book, arguments, folder.parent / "fetched.jsonl", {})
    assert outcome.status == 0, outcome.text
    for library in LIBRARIES:
        known = library.wanted()
        (source,) = _cache().glob("tools/%s-%s-*" % (known["name"], known["version"]))
        for path in known["files"]:
            url = library.url.replace("{version}", library.version).replace("{path}", path)
            target = folder / url.split("://", 1)[1]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / path, target)
    return folder


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@pytest.fixture(scope="module")
def mirror(files: Path) -> Iterator[Path]:
    """Two networks joined by one link: a web server in one, and no other way out of the other."""
    for space in (CLIENT, SERVER):
        subprocess.run(["ip", "netns", "delete", space], capture_output=True, check=False)
        _ip("netns", "add", space)
        _ip("-n", space, "link", "set", "lo", "up")
    _ip("link", "add", "mirror0", "netns", CLIENT, "type", "veth", "peer", "name", "mirror0", "netns", SERVER)
    for space, address in ((SERVER, ADDRESS), (CLIENT, "198.51.100.2")):
        _ip("-n", space, "address", "add", address + "/30", "dev", "mirror0")
        _ip("-n", space, "link", "set", "mirror0", "up")
    inside = ["nsenter", "--net=/run/netns/" + SERVER, sys.executable, "-u", "-m", "http.server", str(PORT)]
    log = files.parent / "mirror.log"
    with log.open("w") as stream:
        server = subprocess.Popen(
            [*inside, "--bind", ADDRESS, "--directory", str(files)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=stream,
        )  # fmt: skip
    yield log
    server.terminate()
    server.wait(10)
    for space in (CLIENT, SERVER):
        _ip("netns", "delete", space)


@pytest.fixture(scope="module")
def cluster(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirrored]:
    found = Mirrored("mirrored", tmp_path_factory.mktemp("life") / "world", "simulated", CLIENT)
    found.up()
    yield found
    found.clean_up()


def test_nothing_but_the_mirror_can_be_reached(cluster: Mirrored) -> None:
    assert [line.split()[0] for line in cluster.run("ip", "route").splitlines()] == ["198.51.100.0/30"]


@pytest.mark.parametrize("library", rows(LIBRARIES[:1], LIBRARIES[1:]), ids=lambda library: library.role)
def test_wrong_digest_is_refused_and_nothing_is_applied(
    library: Library, cluster: Mirrored, files: Path, tmp_path: Path
) -> None:
    """One library, since all take their files by the same module; all of them at full size."""
    path = next(iter(library.wanted()["files"]))
    url = library.url.replace("{version}", library.version).replace("{path}", path)
    file = files / url.split("://", 1)[1]
    right = file.read_bytes()
    file.write_bytes(right + b"# replaced on its way\n")
    try:
        outcome = cluster.install(library, tmp_path, ok=False)
    finally:
        file.write_bytes(right)
    assert "has SHA-256 " in outcome.text and " is expected" in outcome.text
    assert not list(tmp_path.glob("tools/%s-files-*" % library.name))
    assert library.made[2] not in cluster.kubectl("get", "namespaces", "-o", "name")


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.role)
def test_library_is_installed_from_the_mirror(
    library: Library, cluster: Mirrored, mirror: Path, tmp_path: Path
) -> None:
    before = len(mirror.read_text().splitlines())
    cluster.install(library, tmp_path)
    made = json.loads(cluster.kubectl("get", *library.made, "-o", "json"))
    assert made["status"]["readyReplicas"] == 1
    asked = [line.split('"')[1].split()[1] for line in mirror.read_text().splitlines()[before:] if '"GET ' in line]
    host = library.url.split("://", 1)[1].split("{", 1)[0]
    assert len(asked) == len(library.wanted()["files"])
    assert all(path.startswith("/" + host) for path in asked)


def test_file_that_the_mirror_lacks_is_named(cluster: Mirrored, files: Path, tmp_path: Path) -> None:
    library = LIBRARIES[0]
    path = next(iter(library.wanted()["files"]))
    file = files / library.url.replace("{version}", library.version).replace("{path}", path).split("://", 1)[1]
    away = file.rename(file.with_suffix(".away"))
    try:
        outcome = cluster.install(library, tmp_path, ok=False)
    finally:
        away.rename(file)
    assert "HTTP 404" in outcome.text and ADDRESS in outcome.text


def test_chart_comes_from_a_mirrored_repository(cluster: Mirrored, files: Path, tmp_path: Path) -> None:
    """One without a known digest is refused; at full size also one with another digest."""
    library = LIBRARIES[0]
    archive = files / "charts.example.org" / ("metallb-%s.tgz" % library.version)
    archive.parent.mkdir(exist_ok=True)
    make_chart(archive, library.version)
    digest = "sha256:" + hashlib.sha256(archive.read_bytes()).hexdigest()
    options = {"metallb_source": "repository", "metallb_repository": "https://charts.example.org"}
    if FULL:
        other = {**options, "metallb_checksum": "sha256:" + "0" * 64}
        wrong = cluster.install(library, tmp_path, "-e", json.dumps(other), ok=False)
        assert "is expected" in wrong.text
    nothing = cluster.install(library, tmp_path, "-e", json.dumps(options), ok=False)
    assert "No digest is known" in nothing.text
    right = cluster.install(library, tmp_path, "--check", "-e", json.dumps({**options, "metallb_checksum": digest}))
    created = [item["result"].get("created") for item in right.results if item["result"].get("created")]
    assert created == [[MADE]]
