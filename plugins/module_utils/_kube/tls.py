# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trust and client certificates for the connection to an API server (private to the collection)."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from contextlib import contextmanager
from typing import Iterator

from .._errors import InvalidInput
from .auth import read_text
from .kubeconfig import KubeSettings


def tls_context(settings: KubeSettings) -> ssl.SSLContext:
    """Return a TLS context that trusts the cluster's own authority only, where one is given.

    Raises InvalidInput naming the option whose certificate or key cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif settings.ca_data or settings.ca_file:
        _trust(context, settings)
    else:
        context.load_default_certs()
    if settings.cert_data or settings.cert_file:
        _load_client_certificate(context, settings)
    return context


def _trust(context: ssl.SSLContext, settings: KubeSettings) -> None:
    if settings.ca_data:
        option, text = "kubeconfig", _decoded(settings.ca_data, settings.source).decode("utf-8", "replace")
    else:
        option, text = "ca_cert", read_text(settings.ca_file, "ca_cert")
    try:
        # OpenSSL takes ASCII only, while bundles name authorities in any script in their comments.
        context.load_verify_locations(cadata=text.encode("ascii", "replace").decode("ascii"))
    except ssl.SSLError as error:
        where = settings.ca_file or settings.source
        raise InvalidInput(option, "%s holds no usable certificate authority (%s)" % (where, error.reason)) from error


def _decoded(data: str, source: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except ValueError as error:
        raise InvalidInput("kubeconfig", "%s holds certificate data that is not base64" % source) from error


def _load_client_certificate(context: ssl.SSLContext, settings: KubeSettings) -> None:
    cert = _decoded(settings.cert_data, settings.source) if settings.cert_data else None
    key = _decoded(settings.key_data, settings.source) if settings.key_data else None
    cert = cert or read_text(settings.cert_file, "client_cert").encode()
    key = key or read_text(settings.key_file, "client_key").encode()
    is_locked = False

    def passphrase() -> str:
        nonlocal is_locked
        is_locked = True
        return ""  # without this function OpenSSL would ask on the terminal, and wait

    with _private_file(cert + b"\n" + key) as path:
        try:
            context.load_cert_chain(path, password=passphrase)
        except ssl.SSLError as error:
            if is_locked:
                raise InvalidInput(
                    "client_key", "the key is protected by a passphrase", "Give a key without one."
                ) from error
            cause = "certificate and key are not usable: %s" % error.reason
            raise InvalidInput("client_cert", cause) from error


@contextmanager
def _private_file(content: bytes) -> Iterator[str]:
    """Show ``content`` as a file, which is all that OpenSSL takes: in memory, where a kill leaves nothing."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        with os.fdopen(os.memfd_create("slipway"), "wb") as memory:
            memory.write(content)
            memory.flush()
            yield "/proc/self/fd/%d" % memory.fileno()
        return
    handle, path = tempfile.mkstemp(prefix="slipway-")
    try:
        with os.fdopen(handle, "wb") as private:
            private.write(content)
        yield path
    finally:
        os.unlink(path)
