# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads kubeconfig files, service accounts and exec credentials (private to the collection)."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any, Mapping

from .._context import Context
from .._errors import InvalidInput, PermanentError, SlipwayError
from .kubeconfig import KubeSettings, overlay, parse

_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_EXEC_TIMEOUT_S = 60
_MAX_FILE = 4 * 1024 * 1024


def load_settings(params: Mapping[str, Any], ctx: Context) -> KubeSettings:
    """Return where and as whom to connect, from options, environment, files, in this order.

    Raises InvalidInput (option ``kubeconfig``, ``context`` or ``host``) when nothing
    usable is found. Every credential found is registered with ``ctx.secrets``.
    """
    path = params.get("kubeconfig") or _first(ctx.env.get("KUBECONFIG", ""))
    default = os.path.join(ctx.env.get("HOME", "/"), ".kube", "config")
    if path:
        settings = _from_file(os.path.expanduser(path), params.get("context"))
    elif params.get("host"):
        settings = KubeSettings(server=params["host"], source="option 'host'")
    elif os.path.exists(default):
        settings = _from_file(default, params.get("context"))
    elif os.path.exists(_SERVICE_ACCOUNT + "/token"):
        settings = _from_service_account(ctx.env)
    else:
        raise InvalidInput(
            "kubeconfig", "no cluster is named: no kubeconfig, no host, not in a pod", "Set 'kubeconfig'."
        )
    settings = overlay(settings, params)
    if not settings.verify:
        ctx.warn("The certificate of %s is not verified; set ca_cert instead." % settings.server)
    return _with_credentials(settings, params, ctx)


def _first(paths: str) -> str:
    """Return the first path of the variable KUBECONFIG; files are not merged."""
    return next((path for path in paths.split(os.pathsep) if path), "")


def _with_credentials(settings: KubeSettings, params: Mapping[str, Any], ctx: Context) -> KubeSettings:
    """Get what expires (a projected token, the answer of a program), so that it can be got again."""
    current = _with_exec_token(settings, params, ctx) if settings.exec_spec else settings
    if current.token_file:
        current = replace(current, token=read_text(current.token_file, "kubeconfig").strip())
    for secret in (current.token, current.key_data):
        ctx.secrets.add(secret)
    if not (current.token.isascii() and current.token.isprintable()):
        option = "api_key" if params.get("api_key") else "kubeconfig"
        raise InvalidInput(option, "the token holds characters that no token has, such as a line end")
    if settings.exec_spec or settings.token_file:
        current = replace(current, renew=lambda: _with_credentials(settings, params, ctx))
    return current


def read_text(path: str, option: str) -> str:
    """Return the text of a small file; a failure names ``option``."""
    try:
        with open(path, encoding="utf-8") as handle:
            text = handle.read(_MAX_FILE + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InvalidInput(option, "cannot read %s: %s" % (path, reason)) from error
    if len(text) > _MAX_FILE:
        raise InvalidInput(option, "%s is larger than 4 MiB" % path)
    return text


def _from_file(path: str, context: Any) -> KubeSettings:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = loader(read_text(path, "kubeconfig")).get_single_data()
    except yaml.YAMLError as error:
        raise InvalidInput("kubeconfig", "%s is not valid YAML" % path) from error
    settings = parse(document, context, path)
    folder = os.path.dirname(os.path.abspath(path))
    files: dict[str, Any] = {
        name: os.path.join(folder, getattr(settings, name))
        for name in ("ca_file", "cert_file", "key_file", "token_file")
        if getattr(settings, name)
    }
    return replace(settings, **files)


def _from_service_account(env: Mapping[str, str]) -> KubeSettings:
    host, port = env.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc"), env.get("KUBERNETES_SERVICE_PORT", "443")
    return KubeSettings(
        server="https://%s:%s" % ("[%s]" % host if ":" in host else host, port),
        source="service account",
        ca_file=_SERVICE_ACCOUNT + "/ca.crt",
        token_file=_SERVICE_ACCOUNT + "/token",
    )


def _with_exec_token(settings: KubeSettings, params: Mapping[str, Any], ctx: Context) -> KubeSettings:
    """Run the credential program of the kubeconfig, if it is allowed."""
    spec: Mapping[str, Any] = settings.exec_spec or {}
    program = str(spec.get("command") or "")
    if not params.get("allow_exec_auth"):
        raise InvalidInput(
            "allow_exec_auth",
            "%s runs the program '%s' to get credentials" % (settings.source, program),
            "Set it to true if you trust that file.",
        )
    if os.sep in program:  # a relative path is meant from the kubeconfig, a bare name from PATH
        program = os.path.join(os.path.dirname(os.path.abspath(settings.source)), program)
    env = dict(ctx.env)
    env.update({str(item["name"]): str(item["value"]) for item in spec.get("env") or []})
    env["KUBERNETES_EXEC_INFO"] = json.dumps(
        {"apiVersion": spec.get("apiVersion"), "kind": "ExecCredential", "spec": {"interactive": False}}
    )
    status = _run_exec([program] + [str(arg) for arg in spec.get("args") or []], env, settings.source)
    token, cert, key = (str(status.get(name) or "") for name in ("token", "clientCertificateData", "clientKeyData"))
    ctx.secrets.add(key)
    return replace(settings, token=token, cert_data=_b64(cert), key_data=_b64(key), exec_spec=None)


def _run_exec(argv: list[str], env: Mapping[str, str], source: str) -> Mapping[str, Any]:
    """Return the ``status`` that a credential program prints. What it says otherwise may hold secrets."""
    from .._process import Command, run  # most clusters need no program

    resource = "the program '%s' of %s" % (argv[0], source)
    try:
        done = run(Command(argv, env, _EXEC_TIMEOUT_S))
        status = json.loads(done.stdout).get("status") if done.returncode == 0 else None
    except SlipwayError as error:
        error.what, error.resource, error.code = "run", resource, "auth"
        raise
    except (ValueError, AttributeError):
        raise PermanentError("run", resource, "it did not print an ExecCredential", code="auth") from None
    if done.returncode:
        raise PermanentError("run", resource, "it ended with status %d" % done.returncode, code="auth")
    if not isinstance(status, Mapping):
        raise PermanentError("run", resource, "it printed no credentials", code="auth")
    return status


def _b64(pem: str) -> str:
    import base64

    return base64.b64encode(pem.encode()).decode() if pem else ""
