# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kubeconfig means, and which ones are refused with the option named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._errors import InvalidInput, PermanentError
from ansible_collections.slipway.gitops.plugins.module_utils._kube.auth import load_settings

USER: dict[str, Any] = {"name": "u", "user": {"token": "s3cret-token"}}


def kubeconfig(tmp_path: Path, **changes: Any) -> str:
    document: dict[str, Any] = {
        "current-context": "one",
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
            {"name": "two", "context": {"cluster": "d", "user": "u"}},
        ],
        "clusters": [
            {"name": "c", "cluster": {"server": "https://c:6443", "certificate-authority": "ca.crt"}},
            {"name": "d", "cluster": {"server": "https://d:6443", "insecure-skip-tls-verify": True}},
        ],
        "users": [USER],
    }
    document.update(changes)
    path = tmp_path / "config"
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def test_current_context_is_used_and_relative_files_lie_beside_the_kubeconfig(tmp_path: Path) -> None:
    ctx = Context()
    settings = load_settings({"kubeconfig": kubeconfig(tmp_path)}, ctx)
    assert (settings.server, settings.namespace) == ("https://c:6443", "shop")
    assert settings.ca_file == str(tmp_path / "ca.crt")
    assert "s3cret-token" in ctx.secrets.values


def test_options_override_the_file(tmp_path: Path) -> None:
    params = {"kubeconfig": kubeconfig(tmp_path), "context": "two", "host": "https://e", "validate_certs": True}
    settings = load_settings(params, Context())
    assert (settings.server, settings.verify) == ("https://e", True)


def test_switched_off_verification_is_said_loudly(tmp_path: Path) -> None:
    warnings: list[str] = []
    load_settings({"kubeconfig": kubeconfig(tmp_path), "context": "two"}, Context(warn=warnings.append))
    assert "not verified" in warnings[0]


EXEC = {"name": "u", "user": {"exec": {"command": "sh", "args": ["-c", "echo not run >&2; exit 3"]}}}


@pytest.mark.parametrize(
    ("params", "changes", "option", "text"),
    [
        ({"kubeconfig": "/nowhere/config"}, {}, "kubeconfig", "No such file"),
        ({"context": "prod"}, {}, "context", "It has: one, two"),
        ({}, {"current-context": ""}, "context", "no current-context"),
        ({}, {"clusters": []}, "kubeconfig", "no cluster 'c'"),
        ({}, {"users": [{"name": "u", "user": {"auth-provider": {"name": "gcp"}}}]}, "kubeconfig", "auth-provider"),
        ({}, {"users": [EXEC]}, "allow_exec_auth", "runs the program 'sh'"),
    ],
)
def test_unusable_kubeconfig_names_the_option(
    tmp_path: Path, params: dict[str, Any], changes: dict[str, Any], option: str, text: str
) -> None:
    full = dict({"kubeconfig": kubeconfig(tmp_path, **changes)}, **params)
    with pytest.raises(InvalidInput) as caught:
        load_settings(full, Context())
    assert caught.value.option == option
    assert text in str(caught.value)


def test_nothing_named_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no cluster is named"):
        load_settings({}, Context(env={"HOME": str(tmp_path)}))


def test_allowed_exec_gives_the_token_and_registers_it(tmp_path: Path) -> None:
    answer = json.dumps({"status": {"token": "exec-token"}})
    user = {"name": "u", "user": {"exec": {"command": "printf", "args": ["%s", answer]}}}
    ctx = Context(env={"PATH": "/usr/bin:/bin"})
    settings = load_settings({"kubeconfig": kubeconfig(tmp_path, users=[user]), "allow_exec_auth": True}, ctx)
    assert settings.token == "exec-token"
    assert "exec-token" in ctx.secrets.values


def test_exec_program_beside_the_kubeconfig_is_asked_again_for_fresh_credentials(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "token"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\necho x >> calls\n"
        "echo '{\"status\": {\"token\": \"token-'$(wc -l < calls | tr -d ' ')'\"}}'\n".replace(
            "calls", str(tmp_path / "calls")
        )
    )
    program.chmod(0o755)
    ctx = Context(env={"PATH": "/usr/bin:/bin"})
    user = {"name": "u", "user": {"exec": {"command": "bin/token"}}}
    settings = load_settings({"kubeconfig": kubeconfig(tmp_path, users=[user]), "allow_exec_auth": True}, ctx)
    assert settings.token == "token-1"
    assert settings.renew is not None
    assert settings.renew().token == "token-2"
    assert {"token-1", "token-2"} <= ctx.secrets.values


def test_exec_program_that_prints_no_credentials_is_not_quoted(tmp_path: Path) -> None:
    user = {"name": "u", "user": {"exec": {"command": "echo", "args": ["a-secret-that-is-no-json"]}}}
    with pytest.raises(PermanentError) as caught:
        load_settings(
            {"kubeconfig": kubeconfig(tmp_path, users=[user]), "allow_exec_auth": True},
            Context(env={"PATH": "/usr/bin:/bin"}),
        )
    assert caught.value.code == "auth"
    assert "a-secret" not in str(caught.value)


def test_credentials_are_in_no_representation(tmp_path: Path) -> None:
    settings = load_settings({"kubeconfig": kubeconfig(tmp_path)}, Context())
    assert "s3cret" not in repr(settings)
