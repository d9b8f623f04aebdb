# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry and the Git server: real servers of a world of their own, up twice and down twice."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Sequence

import pytest

from ansible_collections.slipway.gitops.tests.integration.world.conftest import INVENTORY, World
from ansible_collections.slipway.gitops.tests.integration.world.play import CHECKOUT, Outcome, run_playbook

HERE = Path(__file__).parent
BUILDER = CHECKOUT / "roles/image_build/files/build_image.py"
REGISTRY = "127.0.0.1:5012"
URL = "ssh://slipway-test@127.0.0.1:2232/"
USER = "slipway-test"
# Not below a folder of pytest's, which only root may enter.
SERVER = Path("/var/lib/slipway-gitops-services-test")


@dataclass(frozen=True)
class Services:
    """A registry and a Git server, and how they were made."""

    folder: Path
    runs: Sequence[Outcome]

    def key(self, name: str = "id_ed25519") -> Path:
        """Return a client's private key."""
        return self.folder / "git-client" / name

    def ssh(self, key: Path, known_hosts: Path | None = None) -> list[str]:
        """Return a strict SSH command."""
        hosts = known_hosts or self.folder / "git-client/known_hosts"
        options = ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "UserKnownHostsFile=%s" % hosts]
        return ["ssh", "-F", "none", "-i", str(key), *[word for option in options for word in ("-o", option)]]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Bring the services up twice; down twice at the end, after which nothing may be left."""
    folder = tmp_path_factory.mktemp("services") / "services-test"
    seed = tmp_path_factory.mktemp("seed")
    (seed / "kustomization.yaml").write_text("resources: []\n")
    (seed / "large.txt").write_text("x" * 5000)
    cache = Path(
        os.environ.get("SLIPWAY_CACHE")
        or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "slipway-gitops"
    )
    supervisord = sorted(cache.glob("tools/supervisor-*/bin/supervisord"))[-1]
    values = {"folder": folder, "server_folder": SERVER, "seed": seed, "supervisord": supervisord}

    def bring(state: str) -> Outcome:
        extra = [word for name, value in values.items() for word in ("-e", "%s=%s" % (name, value))]
        options = ["-i", str(INVENTORY), *extra, "-e", "wanted=%s" % state]
        return run_playbook(
            Path(sys.executable).parent, str(HERE / "services.yml"), options, folder.with_suffix(".jsonl")
        )

    yield Services(folder, [bring("present"), bring("present")])
    for outcome in (bring("absent"), bring("absent")):
        assert outcome.status == 0, outcome.text
    assert "changed=0" in outcome.text
    assert not folder.exists()
    assert not SERVER.exists()
    with pytest.raises(KeyError):
        pwd.getpwnam(USER)
    with pytest.raises(OSError, match="refused"):
        http.client.HTTPConnection(REGISTRY, timeout=5).request("GET", "/v2/")


def git(command: Sequence[str], ssh: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Git with an SSH command and no configuration but its own."""
    env = dict(os.environ, GIT_SSH_COMMAND=" ".join(ssh), GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1")
    env.update(
        {"GIT_%s_%s" % (who, what): "test@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    )
    return subprocess.run(["git", *command], cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False)


def call(method: str, path: str) -> http.client.HTTPResponse:
    """Ask the registry."""
    with contextlib.closing(http.client.HTTPConnection(REGISTRY, timeout=10)) as connection:
        connection.request(method, path, headers={"Accept": "application/vnd.oci.image.manifest.v1+json"})
        answer = connection.getresponse()
        answer.read()
        return answer


def test_second_run_changes_nothing(services: Services) -> None:
    first, second = services.runs
    assert first.status == 0, first.text
    assert second.status == 0, second.text
    assert "changed=0" in second.text
    assert "changed=0" not in first.text


def test_folder_of_another_world_is_refused(services: Services, tmp_path: Path) -> None:
    before = sorted(SERVER.rglob("*"))
    for state in ("present", "absent"):
        extra = {
            "folder": tmp_path / "other",
            "server_folder": SERVER,
            "seed": tmp_path,
            "supervisord": "none",
            "wanted": state,
        }
        options = ["-i", str(INVENTORY), "--start-at-task", "The Git server"]
        options += [word for name, value in extra.items() for word in ("-e", "%s=%s" % (name, value))]
        outcome = run_playbook(Path(sys.executable).parent, str(HERE / "services.yml"), options, tmp_path / "record")
        assert outcome.status != 0
        assert "belongs to the local world in %s" % services.folder in " ".join(outcome.text.split())
    assert sorted(SERVER.rglob("*")) == before


def test_image_is_pushed_found_and_deleted(services: Services, tmp_path: Path) -> None:
    recipe = {"reference": "registry.slipway.test/a/b:7", "layers": [{"files": [{"path": "/x", "content": "y"}]}]}
    command = [
        sys.executable,
        "-B",
        str(BUILDER),
        "--cache",
        str(tmp_path),
        "--registry",
        REGISTRY,
        json.dumps([recipe]),
    ]

    def build() -> Any:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    pushed = build()
    digest = call("HEAD", "/v2/a/b/manifests/7").headers["Docker-Content-Digest"]
    assert (pushed["changed"], pushed["images"][0]["digest"]) == (True, digest)
    assert build()["changed"] is False
    assert call("HEAD", "/v2/a/b/manifests/8").status == 404
    assert call("DELETE", "/v2/a/b/manifests/" + digest).status == 202
    assert call("HEAD", "/v2/a/b/manifests/7").status == 404
    assert build()["images"][0]["pushed"] is True


def test_registry_listens_on_loopback_only(services: Services, world: World) -> None:
    node = world.get("nodes")["items"][0]
    address = next(entry["address"] for entry in node["status"]["addresses"] if entry["type"] == "InternalIP")
    assert call("GET", "/v2/").status == 200
    with pytest.raises(OSError, match="refused"):
        http.client.HTTPConnection(address, 5012, timeout=5).request("GET", "/v2/")


def test_seed_is_cloned_without_the_files_nobody_looks_at(services: Services, tmp_path: Path) -> None:
    ssh = services.ssh(services.key())
    done = git(
        ["clone", "-q", "--depth=1", "--filter=blob:none", "--no-checkout", URL + "team/shop.git", "c"], ssh, tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    missing = git(["rev-list", "--objects", "--all", "--missing=print"], ["false"], tmp_path / "c").stdout
    assert sum(line.startswith("?") for line in missing.splitlines()) == 2


def test_commit_is_pushed_and_history_only_grows(services: Services, tmp_path: Path) -> None:
    ssh = services.ssh(services.key())
    assert git(["clone", "-q", URL + "team/shop.git", "c"], ssh, tmp_path).returncode == 0
    clone = tmp_path / "c"
    assert git(["commit", "-q", "--allow-empty", "-m", "one"], ssh, clone).returncode == 0
    assert git(["push", "-q", "origin", "main"], ssh, clone).returncode == 0
    assert git(["commit", "-q", "--amend", "--allow-empty", "-m", "two"], ssh, clone).returncode == 0
    for command in (["push", "--force", "origin", "main"], ["push", "origin", ":main"]):
        refused = git(command, ssh, clone)
        assert refused.returncode != 0
        assert "remote rejected" in refused.stderr


def test_key_of_argo_cd_reads_and_cannot_write(services: Services, tmp_path: Path) -> None:
    ssh = services.ssh(services.key("argocd_ed25519"))
    assert git(["clone", "-q", URL + "team/shop.git", "c"], ssh, tmp_path).returncode == 0
    git(["commit", "-q", "--allow-empty", "-m", "no"], ssh, tmp_path / "c")
    refused = git(["push", "origin", "main"], ssh, tmp_path / "c")
    assert refused.returncode != 0
    assert "this key may only read" in refused.stderr


def test_unknown_host_key_is_refused(services: Services, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True, timeout=30)
    wrong, empty = tmp_path / "wrong", tmp_path / "empty"
    wrong.write_text("[127.0.0.1]:2232 " + other.with_suffix(".pub").read_text())
    empty.write_text("")
    for known_hosts in (wrong, empty):
        done = git(["ls-remote", URL + "team/shop.git"], services.ssh(services.key(), known_hosts), tmp_path)
        assert done.returncode != 0
        assert "Host key verification failed" in done.stderr


def test_unknown_client_key_is_refused(services: Services, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "k")], check=True, timeout=30)
    done = git(["ls-remote", URL + "team/shop.git"], services.ssh(tmp_path / "k"), tmp_path)
    assert done.returncode != 0
    assert "Permission denied (publickey)" in done.stderr


@pytest.mark.parametrize(
    "request_",
    [
        "",
        "id",
        "git-shell",
        "git-upload-pack",
        "git-upload-pack ''",
        "git-upload-pack '/etc/passwd'",
        "git-upload-pack '/team/../../repositories/team/shop.git'",
        "git-upload-pack '/team/shop.git'; id",
        "git-upload-pack '/team/$(id).git'",
        "git-upload-pack --help",
        "git-upload-archive '/../team/shop.git'",
        "git-receive-pack '/new.git'",
    ],
)
def test_key_can_do_nothing_but_git_on_its_repositories(services: Services, request_: str) -> None:
    command = [*services.ssh(services.key()), "-T", "-p", "2232", USER + "@127.0.0.1", request_]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, text=True, timeout=30, check=False)
    assert done.returncode == 128
    assert done.stdout == ""
    assert done.stderr.startswith("slipway git server: ")


def test_keys_are_for_their_owner_only(services: Services) -> None:
    for name in ("id_ed25519", "argocd_ed25519"):
        assert services.key(name).stat().st_mode & 0o777 == 0o600
    assert (SERVER / "host_ed25519").stat().st_mode & 0o777 == 0o600
    assert (SERVER / "repositories").stat().st_mode & 0o007 == 0
    assert (SERVER / "repositories/team/shop.git/HEAD").owner() == USER
