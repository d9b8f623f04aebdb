# SPDX-License-Identifier: GPL-3.0-or-later
"""Have the image of the pod sandbox in a containerd; build it from a static busybox.

The sandbox container only holds the pod's namespaces, so its program only has to wait.
Called until it succeeds: it fails while containerd does not answer yet.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import subprocess
import sys
import tarfile

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    """Add one file; the constant time makes equal contents equal archives."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(content), mode, 0
    archive.addfile(info, io.BytesIO(content))


def image(reference: str, program: bytes) -> bytes:
    """Return a docker-archive whose only layer is ``program``."""
    layer_stream = io.BytesIO()
    with tarfile.open(fileobj=layer_stream, mode="w") as layer:
        add(layer, "busybox", program, 0o755)
    layer_bytes = layer_stream.getvalue()
    config = {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Entrypoint": ["/busybox", "sleep", "2147483647"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer_bytes).hexdigest()]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        add(archive, "config.json", json.dumps(config, sort_keys=True).encode())
        add(archive, "layer.tar", layer_bytes)
        add(archive, "manifest.json", json.dumps(manifest).encode())
    return stream.getvalue()


def main() -> int:
    socket, reference, busybox = sys.argv[1:4]
    ctr = ["ctr", "--address", socket, "--namespace", "k8s.io", "images"]
    listed = subprocess.run([*ctr, "list", "--quiet"], capture_output=True, text=True, check=False)
    if listed.returncode:
        sys.stderr.write(listed.stderr)
        return 1
    if reference in listed.stdout.split():
        return 0
    with open(busybox, "rb") as handle:
        archive = image(reference, handle.read())
    imported = subprocess.run([*ctr, "import", "-"], input=archive, capture_output=True, check=False)
    if imported.returncode:
        sys.stderr.write(imported.stderr.decode(errors="replace"))
    return imported.returncode


if __name__ == "__main__":
    sys.exit(main())
