# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubeconfig of a service account: what it holds, and when it is still good."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.slipway.gitops.plugins.module_utils._account.kubeconfig import Place, good_until, render
from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry.service_account_kubeconfig import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._errors import InvalidInput

PLACE = Place("deploy", "slipway", "https://127.0.0.1:6443", "Y2E=")


def token(**claims: Any) -> str:
    """Return a token that says something of itself; it is signed by nobody."""
    said = {"sub": PLACE.user, "exp": 2_000_000_000, **claims}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, said)]
    return ".".join([*parts, "c2ln"])


def test_kubeconfig_names_one_cluster_one_user_one_context() -> None:
    document = yaml.safe_load(render(PLACE, "t0ken"))
    assert document["clusters"][0]["cluster"] == {"server": PLACE.server, "certificate-authority-data": "Y2E="}
    assert document["users"] == [{"name": "deploy", "user": {"token": "t0ken"}}]
    assert document["current-context"] == document["contexts"][0]["name"] == "deploy"


@pytest.mark.parametrize(
    "text, until",
    [
        (render(PLACE, token()), 2_000_000_000.0),
        (None, 0.0),
        ("", 0.0),
        ("a: [", 0.0),
        (render(PLACE, "no token"), 0.0),
        (render(PLACE, token(sub="system:serviceaccount:slipway:other")), 0.0),
        (render(Place("deploy", "slipway", "https://other:6443", "Y2E="), token()), 0.0),
        (render(Place("deploy", "slipway", "https://127.0.0.1:6443", "b3RoZXI="), token()), 0.0),
    ],
)
def test_good_until(text: str, until: float) -> None:
    assert good_until(text, PLACE) == until


def params(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    given = {"name": "deploy", "namespace": "slipway", "path": str(tmp_path / "c.yml"), "state": "present"}
    return {**given, "ttl": 3600, "renew_before": None, "timeout": 5.0, **changes}


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"name": "../x"}, "not a Kubernetes name"),
        ({"namespace": "A"}, "not a Kubernetes name"),
        ({"path": "here.yml"}, "not absolute"),
        ({"ttl": 599}, "less than the 600"),
        ({"renew_before": 3600}, "not between 0 and 'ttl'"),
        ({"renew_before": -1}, "not between 0 and 'ttl'"),
    ],
)
def test_bad_input_is_refused(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=told):
        ENTRY.run(params(tmp_path, **changes), Context())


def test_file_is_removed_once(tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    file.write_text("x")
    assert ENTRY.run(params(tmp_path, state="absent"), Context(check_mode=True))["changed"]
    assert file.exists()
    assert ENTRY.run(params(tmp_path, state="absent"), Context())["changed"]
    assert not ENTRY.run(params(tmp_path, state="absent"), Context())["changed"]
