# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads kubeconfig files, service accounts and exec credentials (private to the collection)."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from typing import Any, Mapping

from .._context import Context
from .._errors import InvalidInput, PermanentError, TransientError
from .kubeconfig import KubeSettings, overlay, parse

_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_EXEC_TIMEOUT_S = 60
_MAX_FILE = 4 * 1024 * 1024


def load_settings(params: Mapping[str, Any], ctx: Context) -> KubeSettings:
    """Return where and as whom to connect, from options, environment, files, in this order.

    Raises InvalidInput (option ``kubeconfig``, ``context`` or ``host``) when nothing
    usable is found. Every credential found is registered with ``ctx.secrets``.
    """
    path = params.get("kubeconfig") or ctx.env.get("KUBECONFIG", "").split(os.pathsep)[0]
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
    settings = _with_exec_token(settings, params, ctx)
    for secret in (settings.token, settings.key_data):
        ctx.secrets.add(secret)
    if not settings.verify:
        ctx.warn("The certificate of %s is not verified; set ca_cert instead." % settings.server)
    return settings


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
    """Run the credential program of the kubeconfig, when there is one and it is allowed."""
    spec = settings.exec_spec
    if not spec:
        return settings
    if not params.get("allow_exec_auth"):
        raise InvalidInput(
            "allow_exec_auth",
            "%s runs the program '%s' to get credentials" % (settings.source, spec.get("command")),
            "Set it to true if you trust that file.",
        )
    env = dict(ctx.env)
    env.update({str(item["name"]): str(item["value"]) for item in spec.get("env") or []})
    env["KUBERNETES_EXEC_INFO"] = json.dumps(
        {"apiVersion": spec.get("apiVersion"), "kind": "ExecCredential", "spec": {"interactive": False}}
    )
    status = _run_exec([str(spec.get("command"))] + [str(arg) for arg in spec.get("args") or []], env, settings.source)
    token, cert, key = (
        status.get(name, "") for name in ("token", "clientCertificateData", "clientKeyData")
    )
    ctx.secrets.add(token)
    ctx.secrets.add(key)
    return replace(settings, token=token, cert_data=_b64(cert), key_data=_b64(key), exec_spec=None)


def _run_exec(argv: list[str], env: Mapping[str, str], source: str) -> Mapping[str, Any]:
    resource = "the program '%s' of %s" % (argv[0], source)
    try:
        done = subprocess.run(
            argv, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, timeout=_EXEC_TIMEOUT_S, check=False
        )
        status = json.loads(done.stdout).get("status") or {} if done.returncode == 0 else {}
    except subprocess.TimeoutExpired as error:
        raise TransientError("run", resource, "no answer in %d s" % _EXEC_TIMEOUT_S, code="auth") from error
    except (OSError, ValueError, AttributeError) as error:
        raise PermanentError("run", resource, type(error).__name__, code="auth") from error
    if not status:
        raise PermanentError("run", resource, "it ended with status %d" % done.returncode, code="auth")
    return dict(status)


def _b64(pem: str) -> str:
    import base64

    return base64.b64encode(pem.encode()).decode() if pem else ""
