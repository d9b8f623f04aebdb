# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Meaning of a kubeconfig, without reading any file (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Callable, Mapping, Optional

from .._errors import InvalidInput


@dataclass(frozen=True)
class KubeSettings:
    """How to reach one API server as one identity. Data fields hold base64 text as in the file.

    ``renew`` returns the settings with fresh credentials, where these expire by design: a
    projected token that is rotated in its file, the answer of a credential program.
    """

    server: str
    context: str = ""
    namespace: str = "default"
    source: str = ""
    ca_data: str = ""
    ca_file: str = ""
    cert_data: str = ""
    cert_file: str = ""
    key_data: str = field(default="", repr=False)
    key_file: str = ""
    token: str = field(default="", repr=False)
    token_file: str = ""
    verify: bool = True
    server_name: str = ""
    proxy: str = ""
    exec_spec: Optional[Mapping[str, Any]] = field(default=None, repr=False)
    renew: Optional[Callable[[], KubeSettings]] = field(default=None, repr=False, compare=False)


def _named(document: Mapping[str, Any], kind: str, name: str, source: str) -> Mapping[str, Any]:
    """Return the body of one named cluster, user or context."""
    for item in document.get(kind + "s") or []:
        if isinstance(item, Mapping) and item.get("name") == name:
            body = item.get(kind)
            return body if isinstance(body, Mapping) else {}
    known = sorted(str(item.get("name")) for item in document.get(kind + "s") or [] if isinstance(item, Mapping))
    option = "context" if kind == "context" else "kubeconfig"
    raise InvalidInput(
        option,
        "%s has no %s '%s'" % (source, kind, name),
        "It has: %s." % (", ".join(known) or "none"),
    )


def parse(document: Any, context: Optional[str], source: str) -> KubeSettings:
    """Return the settings that ``context`` (or the current context) of a kubeconfig stands for.

    ``source`` is the file's path, for messages and for relative paths, which the caller
    resolves. Raises InvalidInput when the document or the context is not usable.
    """
    if not isinstance(document, Mapping):
        raise InvalidInput("kubeconfig", "%s is not a kubeconfig: a mapping is expected" % source)
    name = context or document.get("current-context") or ""
    if not name:
        raise InvalidInput("context", "%s has no current-context" % source, "Set the option 'context'.")
    chosen = _named(document, "context", str(name), source)
    cluster = _named(document, "cluster", str(chosen.get("cluster") or ""), source)
    user = _named(document, "user", str(chosen.get("user") or ""), source) if chosen.get("user") else {}
    if not cluster.get("server"):
        raise InvalidInput("kubeconfig", "cluster '%s' in %s has no server" % (chosen.get("cluster"), source))
    if user.get("auth-provider"):
        raise InvalidInput(
            "kubeconfig", "%s uses an auth-provider, which Kubernetes removed" % source, "Use exec or a token."
        )
    return KubeSettings(
        server=str(cluster["server"]),
        context=str(name),
        namespace=str(chosen.get("namespace") or "default"),
        source=source,
        ca_data=str(cluster.get("certificate-authority-data") or ""),
        ca_file=str(cluster.get("certificate-authority") or ""),
        cert_data=str(user.get("client-certificate-data") or ""),
        cert_file=str(user.get("client-certificate") or ""),
        key_data=str(user.get("client-key-data") or ""),
        key_file=str(user.get("client-key") or ""),
        token=str(user.get("token") or ""),
        token_file=str(user.get("tokenFile") or ""),
        verify=not cluster.get("insecure-skip-tls-verify"),
        server_name=str(cluster.get("tls-server-name") or ""),
        proxy=str(cluster.get("proxy-url") or ""),
        exec_spec=user.get("exec"),
    )


def overlay(settings: KubeSettings, params: Mapping[str, Any]) -> KubeSettings:
    """Return ``settings`` with the module's own options over them."""
    changes: dict[str, Any] = {}
    if params.get("host"):
        changes["server"] = params["host"]
    if params.get("api_key"):
        changes.update(
            token=params["api_key"], token_file="", exec_spec=None, cert_data="", cert_file="", key_data="", key_file=""
        )
    if params.get("validate_certs") is not None:
        changes["verify"] = params["validate_certs"]
    if params.get("ca_cert"):
        changes.update(ca_file=params["ca_cert"], ca_data="")
    if params.get("client_cert"):
        changes.update(cert_file=params["client_cert"], cert_data="")
    if params.get("client_key"):
        changes.update(key_file=params["client_key"], key_data="")
    return replace(settings, **changes)
