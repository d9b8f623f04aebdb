# SPDX-License-Identifier: GPL-3.0-or-later
"""Role cert_manager: its versions, digests and Go modules say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLE = Path(__file__).parents[3] / "roles/cert_manager"
VARIABLES = yaml.safe_load((ROLE / "vars/main.yml").read_text())
VERSIONS: dict[str, dict[str, Any]] = VARIABLES["__cert_manager_versions"]
CHART = "deploy/charts/cert-manager/"
UPSTREAM = "github.com/cert-manager/cert-manager"
every_version = pytest.mark.parametrize("version", sorted(VERSIONS))


def pinned(module: str) -> str:
    """Return the version of upstream's module that a folder is built with: replaced, else required."""
    text = (ROLE / "files/go" / module / "go.mod").read_text()
    replaced = re.search(r"^replace %s => %s v(\S+)$" % (UPSTREAM, UPSTREAM), text, re.MULTILINE)
    required = re.search(r"^require %s v(\S+)$" % UPSTREAM, text, re.MULTILINE)
    found = replaced or required
    assert found, "%s pins no version of %s" % (module, UPSTREAM)
    return found.group(1)


@every_version
def test_program_and_files_are_of_the_same_version(version: str) -> None:
    assert pinned(VERSIONS[version]["module"]) == version


@every_version
def test_chart_is_whole_and_every_file_has_its_digest(version: str) -> None:
    files = VERSIONS[version]["files"]
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in files.values())
    assert {CHART + "Chart.yaml", CHART + "Chart.template.yaml"} & set(files)
    assert CHART + "values.yaml" in files
    names = {path.rpartition("/")[2] for path in files if path.startswith(CHART + "templates/")}
    assert sum(name.startswith("crd-") for name in names) == 6
    assert {"deployment.yaml", "webhook-deployment.yaml", "cainjector-deployment.yaml", "_helpers.tpl"} <= names


def test_default_is_the_newest_version_and_the_one_before_is_known() -> None:
    default = yaml.safe_load((ROLE / "defaults/main.yml").read_text())["cert_manager_version"]
    assert default == max(VERSIONS, key=lambda version: [int(part) for part in version.split(".")])
    assert len(VERSIONS) == 2


@pytest.mark.parametrize("module", sorted({entry["module"] for entry in VERSIONS.values()}))
def test_modules_carry_their_checksums_and_stay_with_the_go_they_name(module: str) -> None:
    text = (ROLE / "files/go" / module / "go.mod").read_text()
    assert (ROLE / "files/go" / module / "go.sum").stat().st_size > 0
    assert "\ntoolchain " not in text
    assert re.search(r"^go 1\.2[0-6]\.", text, re.MULTILINE)
    assert "vcert" not in text, "the client of Venafi is not published in the version that is needed"
