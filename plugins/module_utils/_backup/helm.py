# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Helm knows about a release, without the Secrets in it (private to the collection).

Helm keeps each revision in a Secret: gzipped JSON, base64 twice. Values and manifest quote the
application's Secrets, so what is kept in the clear is cut and masked; the whole is in Helm's
own Secret, which a backup holds encrypted or not at all.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from typing import Any, Iterable, Mapping, Optional

from .._argocd.redact import masked
from .._context import MASK
from .model import BackupError, Object

try:
    import yaml
except ImportError:  # the entry reports it
    yaml = None  # type: ignore[assignment]

_MAX = 32 * 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_RELEASE = "meta.helm.sh/release-name"
_SEPARATOR = re.compile(r"(?m)^---.*\n")
_SAYS_SECRET = re.compile(r"""(?m)^[\s-]*["']?kind["']?\s*:\s*["']?Secret["']?\s*(#.*)?,?$""")
#: Shorter values would mask words that are no secret.
_LEAST = 4


def release_of(items: Iterable[Object]) -> str:
    """Return the name of the Helm release that made one of the objects, or nothing."""
    for item in items:
        name = (item["metadata"].get("annotations") or {}).get(_RELEASE)
        if name:
            return str(name)
    return ""


def newest(secrets: Iterable[Object]) -> Optional[Object]:
    """Return Helm's Secret of the newest revision that was deployed."""
    found = [item for item in secrets if item.get("type") == "helm.sh/release.v1"]
    deployed = [item for item in found if _label(item, "status") == "deployed"] or found
    return max(deployed, key=lambda item: int(_label(item, "version") or 0), default=None)


def _label(item: Object, name: str) -> str:
    return str((item["metadata"].get("labels") or {}).get(name) or "")


def decode(secret: Object) -> dict[str, Any]:
    """Return the release in Helm's Secret. Raises BackupError."""
    try:
        packed = base64.b64decode(base64.b64decode((secret.get("data") or {})["release"]))
        inflater = zlib.decompressobj(_GZIP)
        text = inflater.decompress(packed, _MAX)
        release = json.loads(text) if inflater.eof else None
    except (KeyError, TypeError, ValueError, binascii.Error, zlib.error, RecursionError) as error:
        raise BackupError("Helm's Secret cannot be read (%s)" % type(error).__name__) from error
    if not isinstance(release, dict):
        raise BackupError("Helm's Secret is too large or holds no release")
    return release


def files(release: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return values and manifest of a release as files, without what its Secrets hold."""
    manifest = str(release.get("manifest") or "")
    kept, hidden = [], set()
    for document in _SEPARATOR.split(manifest):
        if _SAYS_SECRET.search(document):
            hidden |= _values_of(document)
        elif document.strip():
            kept.append("---\n" + document.strip("\n") + "\n")
    chart = release.get("chart") or {}
    values = {
        "release": release.get("name"),
        "revision": release.get("version"),
        "chart": {key: (chart.get("metadata") or {}).get(key) for key in ("name", "version", "appVersion")},
        "user": release.get("config") or {},
        "defaults": chart.get("values") or {},
    }
    text = without(masked(values), hidden)
    return json.dumps(text, indent=2).encode() + b"\n", str(without("".join(kept), hidden)).encode()


def without(node: Any, secrets: Iterable[str]) -> Any:
    """Return a copy in which no text holds one of the secrets."""
    hidden = sorted((secret for secret in secrets if len(secret) >= _LEAST), key=len, reverse=True)

    def cut(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: cut(item) for key, item in value.items()}
        if isinstance(value, list):
            return [cut(item) for item in value]
        for secret in hidden if isinstance(value, str) else ():
            value = value.replace(secret, MASK)
        return value

    return cut(node)


def secret_names(release: Mapping[str, Any]) -> list[str]:
    """Return the names of the Secrets that a release consists of; those of hooks come and go."""
    documents = [text for text in _SEPARATOR.split(str(release.get("manifest") or "")) if _SAYS_SECRET.search(text)]
    found = [item for text in documents for item in _objects_in(text) if item.get("kind") == "Secret"]
    return sorted({str(item["metadata"]["name"]) for item in found if (item.get("metadata") or {}).get("name")})


def _values_of(document: str) -> set[str]:
    """Return what a manifest of Secrets holds, as written and decoded."""
    return {value for item in _objects_in(document) for value in secret_values(item)}


def _objects_in(document: str) -> list[Object]:
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        parsed = loader(document).get_single_data()
    except yaml.YAMLError:
        return []
    items = parsed.get("items") if isinstance(parsed, dict) and parsed.get("kind") == "List" else [parsed]
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def secret_values(secret: Mapping[str, Any]) -> set[str]:
    """Return everything that a Secret holds, as it is and decoded."""
    found = set()
    for value in (secret.get("stringData") or {}).values():
        found.add(str(value))
    for value in (secret.get("data") or {}).values():
        found.add(str(value))
        try:
            found.add(base64.b64decode(str(value), validate=True).decode())
        except (ValueError, binascii.Error):
            continue
    return {text.strip("\n") for text in found}
