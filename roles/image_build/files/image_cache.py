# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache of the image builder: an OCI image layout and a map from inputs to digests."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any, Iterator, Mapping

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


def canonical(value: Any) -> bytes:
    """Return the one JSON text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


class Layout:
    """An OCI image layout that serves as cache. Files appear in it whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs = folder / "blobs" / "sha256"
        self.inputs = folder / "inputs"

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Make the layout if it is missing and keep other builders out; they wait."""
        for path in (self.blobs, self.inputs):
            path.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            self._write(self.folder / "oci-layout", canonical({"imageLayoutVersion": "1.0.0"}))
            yield

    def _write(self, path: Path, data: bytes) -> None:
        if path.is_file() and path.read_bytes() == data:
            return
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".new-", delete=False) as stream:
            stream.write(data)
        Path(stream.name).replace(path)

    def add_bytes(self, data: bytes) -> dict[str, Any]:
        """Store a small blob; return its digest and size as a descriptor has them."""
        digest = hashlib.sha256(data).hexdigest()
        self._write(self.blobs / digest, data)
        return {"digest": "sha256:" + digest, "size": len(data)}

    def add_file(self, path: Path) -> dict[str, Any]:
        """Move a file of the cache's file system into the blobs; return digest and size."""
        digest = file_digest(path)
        path.chmod(0o644)
        path.replace(self.blobs / digest)
        return {"digest": "sha256:" + digest, "size": (self.blobs / digest).stat().st_size}

    def recall(self, key: str) -> dict[str, Any] | None:
        """Return the descriptor that was built from these inputs, if its blob is whole."""
        try:
            known: dict[str, Any] = json.loads((self.inputs / key).read_bytes())
            blob = self.blobs / known["digest"].removeprefix("sha256:")
            return known if blob.stat().st_size == known["size"] else None
        except (OSError, ValueError, KeyError):
            return None

    def remember(self, key: str, descriptor: Mapping[str, Any]) -> None:
        """Note which blob these inputs gave."""
        self._write(self.inputs / key, canonical(descriptor))

    def name(self, reference: str, manifest: Mapping[str, Any]) -> None:
        """Make the reference name this manifest in the index."""
        index_file = self.folder / "index.json"
        note = {"org.opencontainers.image.ref.name": reference}
        try:
            old = json.loads(index_file.read_bytes())["manifests"]
        except (OSError, ValueError, KeyError):
            old = []
        entries = [one for one in old if one.get("annotations") != note]
        entries.append(dict(manifest, mediaType=MANIFEST_TYPE, annotations=note))
        self._write(index_file, canonical({"schemaVersion": 2, "manifests": entries}))
