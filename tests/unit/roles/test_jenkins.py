# SPDX-License-Identifier: GPL-3.0-or-later
"""Role jenkins: values that the real chart knows, a pipeline that takes nothing for code, copies of the home."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any, Mapping, Optional

import jinja2
import pytest
import yaml

from ansible_collections.slipway.gitops.tests.unit.roles.jenkins_support import KEYS, ROLE, rendered

TYPES = {"string": str, "integer": int, "boolean": bool, "list": list, "mapping": dict}


def _is_a(value: Any, kind: str) -> bool:
    """Whether a value has the type of a key; true and false are no numbers."""
    return isinstance(value, TYPES[kind]) and isinstance(value, bool) is (kind == "boolean")


#: Every option in use, so that every line of the template is there.
ALL = {
    "jenkins_image": "registry.example.com:5000/ci/jenkins:2.516.2-jdk21",
    "jenkins_image_pull_secret_name": "pull",
    "jenkins_service_type": "LoadBalancer",
    "jenkins_service_node_port": 30085,
    "jenkins_service_address": "192.0.2.7",
    "jenkins_service_annotations": {"example.com/owner": "builds"},
    "jenkins_url": "https://jenkins.example.com",
    "jenkins_plugins": ["job-dsl:1.93"],
    "jenkins_existing_secrets": [{"name": "git", "key": "token"}],
    "jenkins_agent_image": "registry.example.com/ci/agent:1",
    "jenkins_agent_namespace": "agents",
    "jenkins_agent_pod_templates": {"ansible": "- name: ansible\n"},
    "__jenkins_admin_secret_name": "jenkins-admin",
    "__jenkins_home_claim": "jenkins-home",
    "__jenkins_config_scripts": {"message": "jenkins: {systemMessage: Hello}\n"},
}
PIPELINE = {
    "name": "deploy-staging",
    "inventory": "inventories/staging",
    "repository": "ssh://git@git.example.com/inventory.git",
    "credentials": "inventory-key",
    "queue": "/queue/queue.db",
}


def strangers(values: Mapping[str, Any], known: Mapping[str, Any], path: str = "") -> list[str]:
    """Return the keys that the chart does not have, and those whose value is of another type."""
    found = []
    for key, value in values.items():
        kind = known.get(key)
        if kind is None:
            found.append(path + key)
        elif isinstance(kind, dict):
            found += strangers(value, kind, path + key + ".") if isinstance(value, dict) else [path + key]
        elif kind != "null" and not _is_a(value, kind):
            found.append("%s%s: %s, not %s" % (path, key, type(value).__name__, kind))
    return found


@pytest.mark.parametrize("options", [ALL, {**ALL, "jenkins_image": "", "jenkins_persistence": False}])
def test_every_value_that_the_role_sets_is_one_of_the_real_chart(options: dict[str, Any]) -> None:
    values = rendered("values.yml.j2", **options)
    assert strangers(values, KEYS) == []
    assert values["controller"]["admin"]["existingSecret"] == "jenkins-admin"
    assert values["persistence"].get("existingClaim") == (
        "jenkins-home" if options.get("jenkins_persistence", True) else None
    )


def test_every_option_of_the_chart_reaches_it() -> None:
    values = rendered("values.yml.j2", **ALL)
    image = {"registry": "registry.example.com:5000", "repository": "ci/jenkins", "tag": "2.516.2-jdk21"}
    controller = values["controller"]
    assert controller["image"] == image
    assert (controller["serviceType"], controller["loadBalancerIP"], controller["nodePort"]) == (
        "LoadBalancer", "192.0.2.7", 30085,
    )  # fmt: skip
    assert controller["additionalExistingSecrets"] == [{"name": "git", "keyName": "token"}]
    assert controller["JCasC"]["configScripts"] == ALL["__jenkins_config_scripts"]
    assert values["agent"] == {
        "enabled": True,
        "namespace": "agents",
        "image": {"registry": "registry.example.com", "repository": "ci/agent", "tag": "1"},
        "podTemplates": {"ansible": "- name: ansible\n"},
    }


@pytest.mark.parametrize(("namespace", "expected"), [("", "pull"), ("jenkins", "pull"), ("agents", None)])
def test_agents_get_the_pull_secret_where_it_is(namespace: str, expected: Optional[str]) -> None:
    values = rendered("values.yml.j2", **{**ALL, "jenkins_agent_namespace": namespace})
    assert values["agent"].get("imagePullSecretName") == expected
    assert strangers(values, KEYS) == []


def test_plugins_that_plugins_need_are_the_same_at_every_start() -> None:
    assert rendered("values.yml.j2", **ALL)["controller"]["installLatestPlugins"] is False


def test_copy_that_cannot_begin_ends_and_a_way_back_does_not() -> None:
    text = (ROLE / "templates/backup.yml.j2").read_text(encoding="utf-8")
    files = {"lookup": lambda *_arguments: "", "__jenkins_home_claim": "jenkins-home"}
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined)  # noqa: S701  (YAML, not HTML)
    environment.filters.update(to_json=json.dumps, bool=bool)
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    _scripts, copy, back = yaml.safe_load(environment.from_string(text).render({**defaults, **files}))
    assert copy["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 21600
    assert "activeDeadlineSeconds" not in back["spec"]["jobTemplate"]["spec"]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"controler": {}}, ["controler"]),
        ({"controller": {"servicePort": "8080"}}, ["controller.servicePort: str, not integer"]),
        ({"controller": {"admin": "me"}}, ["controller.admin"]),
        ({"persistence": {"existingClaim": "x"}}, []),
    ],
)
def test_planted_stranger_is_found(values: dict[str, Any], told: list[str]) -> None:
    assert strangers(values, KEYS) == told


def script() -> str:
    (job,) = rendered("pipelines.yml.j2", jenkins_pipelines=[PIPELINE])["jobs"]
    text: str = job["script"]
    return text


def test_pipeline_has_nothing_that_helm_or_configuration_as_code_would_fill_in() -> None:
    assert "{{" not in script() and "${" not in script()
    assert (
        "git url: 'ssh://git@git.example.com/inventory.git', branch: 'main', credentialsId: 'inventory-key'" in script()
    )
    assert script().count("{") == script().count("}")


@pytest.mark.parametrize(
    ("release", "confirm", "accepted"),
    [
        ("1.4.2", "", True),
        ("v2_rc.1-x", "0af9", True),
        ("1.4 deploy_confirmation=none", "", False),
        ("", "", False),
        ("-e", "", False),
        ("1;id", "", False),
        ("$(id)", "", False),
        ("1", "yes", False),
    ],
)
def test_pipeline_accepts_a_tag_and_a_hash_only(release: str, confirm: str, accepted: bool) -> None:
    patterns = re.findall(r"params\.(\w+) ==~ /(.+?)/\)", script())
    assert [name for name, _pattern in patterns] == ["RELEASE", "CONFIRM"]
    given = {"RELEASE": release, "CONFIRM": confirm}
    assert all(re.fullmatch(pattern, given[name]) for name, pattern in patterns) is accepted


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        ({"RELEASE": "1.10", "CONFIRM": "", "CHECK": "false"}, []),
        ({"RELEASE": "1.10", "CONFIRM": "0af9", "CHECK": "true"}, ["-e", "deploy_confirm=0af9", "--check", "--diff"]),
    ],
)
def test_pipeline_calls_the_playbook_that_queues_and_delivers(
    tmp_path: Path, given: dict[str, str], arguments: list[str]
) -> None:
    (line,) = re.findall(r"sh '(.+)'", script())
    recorder = tmp_path / "ansible-playbook"
    recorder.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    recorder.chmod(0o755)
    called = subprocess.run(
        ["sh", "-c", line],
        env={"PATH": "%s:/usr/bin:/bin" % tmp_path, **given},
        check=True,
        capture_output=True,
        text=True,
    )
    assert called.stdout.split("\n")[:-1] == [
        "slipway.gitops.deploy_staging", "-i", "inventories/staging", "-e", "deploy_queue_path=/queue/queue.db",
        "-e", "deploy_release=1.10", *arguments,
    ]  # fmt: skip


def test_g72_no_password_is_in_defaults_or_in_what_the_chart_is_given() -> None:
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    assert not [
        name
        for name, value in defaults.items()
        if value and re.search("password|token", name) and "key_name" not in name
    ]
    assert "password" not in rendered("values.yml.j2", **ALL)["controller"]["admin"]


class Home:
    """A home of Jenkins in a folder, and the scripts that copy it and bring it back."""

    def __init__(self, folder: Path) -> None:
        self.home, self.copies, self.work = (folder / name for name in ("home", "copies", "work"))
        for path in (self.home, self.copies, self.work):
            path.mkdir()

    def run(self, name: str, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {
            "PATH": "/usr/bin:/bin", "KEEP": "2", "HOME_FOLDER": str(self.home), "COPIES_FOLDER": str(self.copies),
            "WORK_FOLDER": str(self.work), **environment,
        }  # fmt: skip
        command = ["sh", str(ROLE / "files" / (name + ".sh"))]
        return subprocess.run(command, env=variables, check=False, capture_output=True, text=True)

    def archives(self) -> list[str]:
        return sorted(path.name for path in self.copies.glob("*.tgz"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    for name in ("config.xml", "jobs/a/config.xml", "jobs/a/builds/1/log", "workspace/a/big", "logs/all.log"):
        path = made.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    return made


def test_copy_holds_configuration_and_builds_and_nothing_that_is_made_again(home: Home) -> None:
    done = home.run("backup")
    assert done.returncode == 0, done.stderr
    (archive,) = home.archives()
    with tarfile.open(home.copies / archive) as copy:
        files = sorted(member.name for member in copy if member.isfile())
    assert files == ["./config.xml", "./jobs/a/builds/1/log", "./jobs/a/config.xml"]


def test_copy_comes_back_as_it_was(home: Home) -> None:
    assert home.run("backup").returncode == 0
    (home.home / "config.xml").write_text("lost", encoding="utf-8")
    (home.home / "new.xml").write_text("later", encoding="utf-8")
    done = home.run("restore")
    assert done.returncode == 0, done.stderr
    assert (home.home / "config.xml").read_text(encoding="utf-8") == "config.xml"
    assert not (home.home / "new.xml").exists()


def test_damaged_copy_is_refused_before_anything_goes(home: Home) -> None:
    assert home.run("backup").returncode == 0
    archive = home.copies / home.archives()[0]
    archive.write_bytes(archive.read_bytes()[:-1] + b"x")
    assert home.run("restore").returncode != 0
    assert (home.home / "config.xml").read_text(encoding="utf-8") == "config.xml"


def test_named_copy_comes_back(home: Home) -> None:
    assert home.run("backup").returncode == 0
    first = home.archives()[0]
    old = home.copies / "jenkins-home-20260101T000000Z.tgz"
    (home.copies / first).rename(old)
    digest = (home.copies / (first + ".sha256")).read_text(encoding="utf-8").split()[0]
    (home.copies / (old.name + ".sha256")).write_text("%s  %s\n" % (digest, old.name), encoding="utf-8")
    done = home.run("restore", BACKUP=old.name)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "restored from " + old.name)


def test_only_the_newest_copies_are_kept(home: Home) -> None:
    for year in ("2024", "2025"):
        for end in (".tgz", ".tgz.sha256"):
            (home.copies / ("jenkins-home-%s0101T000000Z%s" % (year, end))).write_text("", encoding="utf-8")
    assert home.run("backup").returncode == 0
    names = home.archives()
    assert len(names) == 2 and names[0].startswith("jenkins-home-2025")
    assert not list(home.copies.glob("jenkins-home-2024*"))


def test_home_that_changes_all_the_time_is_not_kept_as_a_copy(home: Home, tmp_path: Path) -> None:
    # tar is where the time passes: this one changes a file each time before it does its work.
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "tar").write_text(
        '#!/bin/sh\necho x >>"$HOME_FOLDER/config.xml"\nexec /usr/bin/env -i PATH=/usr/bin:/bin tar "$@"\n',
        encoding="utf-8",
    )
    (folder / "tar").chmod(0o755)
    done = home.run("backup", PATH="%s:/usr/bin:/bin" % folder)
    assert done.returncode == 1
    assert "none was kept" in done.stderr
    assert list(home.copies.iterdir()) == []


def test_build_that_runs_meanwhile_does_no_harm(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "tar").write_text(
        '#!/bin/sh\necho x >>"$HOME_FOLDER/jobs/a/builds/1/log"\nexec /usr/bin/env -i PATH=/usr/bin:/bin tar "$@"\n',
        encoding="utf-8",
    )
    (folder / "tar").chmod(0o755)
    assert home.run("backup", PATH="%s:/usr/bin:/bin" % folder).returncode == 0
    assert len(home.archives()) == 1


def test_no_address_of_the_chart_moves() -> None:
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    assert defaults["jenkins_version"] == "5.8.86"
    assert "{version}" in defaults["jenkins_repository"]
