# SPDX-License-Identifier: GPL-3.0-or-later
"""The layers of the image builder: lists of files, and Debian roots from this machine's apt."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import platform
import shlex
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any, Mapping, Sequence

from image_cache import Layout, canonical, file_digest
from image_process import BuildError, run, say

# Part of every key: raise it when the same recipe shall give another layer.
FORMAT = 1
# All times inside an image. A constant, because a digest must depend on contents only.
EPOCH = 1577836800  # 2020-01-01
UNNEEDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


@functools.cache
def source_digest(source: str) -> str:
    """Return the SHA-256 of a file that goes into an image, read once even if it goes into many."""
    return file_digest(Path(source))


def layer_inputs(layer: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that the contents of a layer depend on, as plain data."""
    if "debian" in layer:
        return {"format": FORMAT, "machine": platform.machine(), "suite": suite(), **layer}
    files = []
    for item in layer["files"]:
        known = {key: value for key, value in item.items() if key != "source"}
        if "source" in item:
            known["sha256"] = source_digest(item["source"])
        files.append(known)
    return {"format": FORMAT, "files": files}


def layer_key(layer: Mapping[str, Any]) -> str:
    """Return the name under which the cache knows a layer with these inputs."""
    return hashlib.sha256(canonical(layer_inputs(layer))).hexdigest()


def parents(path: PurePosixPath) -> list[PurePosixPath]:
    """Return the folders above a path, outermost first, without the root."""
    return [parent for parent in reversed(path.parents) if parent.name]


def tar_entry(item: Mapping[str, Any]) -> tarfile.TarInfo:
    """Return the archive header of one file, link or directory of a recipe."""
    info = tarfile.TarInfo(item["path"].lstrip("/"))
    info.mtime = EPOCH
    info.uid = info.gid = int(item.get("owner", 0))
    if "link" in item:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, item["link"], 0o777
    elif item.get("directory"):
        info.type, info.mode = tarfile.DIRTYPE, int(item.get("mode", "0755"), 8)
    else:
        info.mode = int(item.get("mode", "0644"), 8)
    return info


def write_files_layer(files: Sequence[Mapping[str, Any]], target: Path) -> None:
    """Write the archive of a list of files, equal for equal lists."""
    known: set[PurePosixPath] = {PurePosixPath(one["path"]) for one in files}
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for item in files:
            for folder in parents(PurePosixPath(item["path"])):
                if folder not in known:
                    known.add(folder)
                    archive.addfile(tar_entry({"path": str(folder), "directory": True}))
            info = tar_entry(item)
            if "source" in item:
                source = Path(item["source"])
                info.size = source.stat().st_size
                with source.open("rb") as stream:
                    archive.addfile(info, stream)
            else:
                data = item.get("content", "").encode() if info.isreg() else b""
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


def suite() -> str:
    """Return the code name of this machine's distribution, which the Debian layers follow."""
    fields = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    try:
        return fields["VERSION_CODENAME"].strip('"')
    except KeyError:
        raise BuildError("/etc/os-release names no VERSION_CODENAME: not a Debian system.") from None


def apt_sources() -> list[str]:
    """Return the distribution's own sources as one-line entries, from apt itself.

    Asking apt instead of reading its files covers every format and place of them. Sources
    of third parties are left out: their packages have no place in the image.
    """
    wanted = "$(ORIGIN)\t$(CREATED_BY)\t$(REPO_URI)\t$(RELEASE)\t$(COMPONENT)"
    answer = run(["apt-get", "indextargets", "--format", wanted])
    entries = []
    for line in answer.splitlines():
        origin, kind, uri, release, component = line.split("\t")
        entry = "deb %s %s %s" % (uri, release, component)
        if origin in ("Debian", "Ubuntu") and kind == "Packages" and entry not in entries:
            entries.append(entry)
    if not entries:
        raise BuildError("apt knows no source of the distribution. Run 'apt-get update' first.")
    return entries


def apt_options() -> list[str]:
    """Return how this machine's apt reaches its sources (proxies), as mmdebstrap options."""
    lines = run(["apt-config", "dump"]).splitlines()
    return ["--aptopt=" + line for line in lines if line.startswith("Acquire::http") and "Proxy" in line]


def write_debian_layer(layer: Mapping[str, Any], target: Path) -> None:
    """Write the archive of a minimal Debian root with the packages and users of the layer."""
    command = ["mmdebstrap", "--variant=minbase", "--format=tar", "--skip=output/dev"]
    command += ["--include=" + ",".join(layer["debian"])]
    command += ["--dpkgopt=path-exclude=" + pattern for pattern in UNNEEDED]
    for user in layer.get("users", []):
        add = "useradd --uid %d --user-group --create-home --shell /usr/sbin/nologin %s"
        hook = add % (int(user["id"]), shlex.quote(user["name"]))
        command.append('--customize-hook=chroot "$1" ' + hook)
    command += ['--customize-hook=rm -rf "$1"/var/log/* "$1"/var/cache/*', *apt_options()]
    command += [suite(), str(target), *apt_sources()]
    environment = dict(os.environ, SOURCE_DATE_EPOCH=str(EPOCH), LC_ALL="C")
    run(command, env=environment, live=True)


def build_layer(layout: Layout, layer: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the descriptor of a layer and whether it had to be built."""
    key = layer_key(layer)
    known = layout.recall(key)
    if known:
        return known, False
    with tempfile.TemporaryDirectory(dir=layout.folder, prefix=".layer-") as scratch:
        target = Path(scratch) / "layer.tar"
        if "debian" in layer:
            say("Building a Debian root with %s" % ", ".join(layer["debian"]))
            write_debian_layer(layer, target)
        else:
            write_files_layer(layer["files"], target)
        descriptor = layout.add_file(target)
    layout.remember(key, descriptor)
    return descriptor, True
