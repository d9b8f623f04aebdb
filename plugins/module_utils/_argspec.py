# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared pieces of argument specifications, as plain data (private to the collection).

One documentation fragment stands for each piece: same name, same options, same order.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible.module_utils.common.parameters import env_fallback

Spec = dict[str, Any]


def with_env(option: Spec, *names: str) -> Spec:
    """Return ``option`` with environment variables as its fallback, first one set wins."""
    return dict(option, fallback=(env_fallback, list(names)))


def merge(*pieces: Mapping[str, Any]) -> Spec:
    """Join pieces into one specification; a name that occurs twice is a defect."""
    joined: Spec = {}
    for piece in pieces:
        twice = sorted(set(joined) & set(piece))
        if twice:
            raise ValueError("options defined twice: %s" % ", ".join(twice))
        joined.update(piece)
    return joined


KUBE_AUTH: Spec = {
    "kubeconfig": with_env({"type": "path"}, "K8S_AUTH_KUBECONFIG"),
    "context": with_env({"type": "str"}, "K8S_AUTH_CONTEXT"),
    "host": with_env({"type": "str"}, "K8S_AUTH_HOST"),
    "api_key": with_env({"type": "str", "no_log": True}, "K8S_AUTH_API_KEY"),
    "validate_certs": with_env({"type": "bool", "aliases": ["verify_ssl"]}, "K8S_AUTH_VERIFY_SSL"),
    "ca_cert": with_env({"type": "path", "aliases": ["ssl_ca_cert"]}, "K8S_AUTH_SSL_CA_CERT"),
    "client_cert": with_env({"type": "path", "aliases": ["cert_file"]}, "K8S_AUTH_CERT_FILE"),
    "client_key": with_env({"type": "path", "aliases": ["key_file"]}, "K8S_AUTH_KEY_FILE"),
    "allow_exec_auth": with_env({"type": "bool", "default": False}, "SLIPWAY_ALLOW_EXEC_AUTH"),
}

#: For a module that talks to Git too, whose options have the names ``ca_cert`` and ``key_file`` first.
KUBE_AUTH_BESIDE_GIT: Spec = {
    **{name: option for name, option in KUBE_AUTH.items() if name not in ("ca_cert", "client_key")},
    "kube_ca_cert": with_env({"type": "path"}, "K8S_AUTH_SSL_CA_CERT"),
    "client_key": with_env({"type": "path"}, "K8S_AUTH_KEY_FILE"),
}

LEASE: Spec = {
    "lease": {
        "type": "dict",
        "options": {
            "backend": {"type": "str", "choices": ["sqlite"], "default": "sqlite"},
            "path": {"type": "path", "required": True},
            "environment": {"type": "str", "required": True},
            "entry": {"type": "str", "required": True},
            "fence": {"type": "int", "required": True},
            "token": {"type": "str", "required": True, "no_log": True},
            "ttl": {"type": "int", "default": 120},
        },
    },
}

GIT: Spec = {
    "repo": {"type": "str", "required": True},
    "branch": {"type": "str", "default": "main"},
    "key_file": with_env({"type": "path"}, "SLIPWAY_GIT_KEY_FILE"),
    "known_hosts": with_env({"type": "path"}, "SLIPWAY_GIT_KNOWN_HOSTS"),
    "username": with_env({"type": "str"}, "SLIPWAY_GIT_USERNAME"),
    "password": with_env({"type": "str", "no_log": True}, "SLIPWAY_GIT_PASSWORD"),
    "ca_cert": with_env({"type": "path"}, "SLIPWAY_GIT_CA_CERT"),
    "author_name": with_env({"type": "str", "default": "slipway.gitops"}, "SLIPWAY_GIT_AUTHOR_NAME"),
    "author_email": with_env({"type": "str", "default": "slipway-gitops@localhost"}, "SLIPWAY_GIT_AUTHOR_EMAIL"),
    "allow_file_urls": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": 60.0},
}

GIT_COMMIT: Spec = {
    "kind": {"type": "str", "choices": ["deploy", "rollback"], "default": "deploy"},
    "environment": {"type": "str"},
    "app": {"type": "str"},
    "version": {"type": "str"},
    "commit_message": {"type": "str"},
    "trailers": {"type": "dict"},
}

#: What kustomize_image sets, and yaml_value. A plan takes one of them.
IMAGE_EDIT: Spec = {
    "images": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "new_name": {"type": "str", "aliases": ["newName"]},
            "new_tag": {"type": "str", "aliases": ["newTag"]},
            "digest": {"type": "str"},
            "exact": {"type": "bool", "default": False},
            "create": {"type": "bool", "default": False},
        },
    },
    "deny_tags": {"type": "list", "elements": "str", "default": ["latest"]},
}
VALUE_EDIT: Spec = {
    "values": {
        "type": "list",
        "elements": "dict",
        "options": {
            "key": {"type": "str", "required": True, "no_log": False},
            "value": {"type": "raw"},
            "plain": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "create": {"type": "bool", "default": False},
        },
    },
    "deny_values": {"type": "list", "elements": "str", "default": []},
}


def required(piece: Mapping[str, Any], *names: str) -> Spec:
    """Return a piece in which some options have to be given."""
    return {name: dict(option, required=True) if name in names else option for name, option in piece.items()}
