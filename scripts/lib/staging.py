# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the checkout where Ansible looks for the collection ``slipway.gitops``."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from . import places

_COLLECTION = Path("ansible_collections/slipway/gitops")


def linked() -> Path:
    """Return a collections path in which ``slipway.gitops`` is a link to the checkout."""
    root = places.cache() / "checkouts" / places.checkout_key()
    link = root / _COLLECTION
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink() or Path(os.readlink(link)) != places.CHECKOUT:
        link.unlink(missing_ok=True)
        link.symlink_to(places.CHECKOUT)
    return root


def copied(name: str, without: tuple[str, ...] = ()) -> Path:
    """Return a fresh copy of the collection's folder: ansible-test refuses links.

    Holds what Git tracks or would track, as it is now, committed or not, but for the top
    level folders ``without``. ``name`` keeps copies apart that are used at the same time.
    Output of earlier runs is dropped.
    """
    folder = places.cache() / "copies" / places.checkout_key() / name / _COLLECTION
    if folder.exists():
        shutil.rmtree(folder)
    for relative in files():
        if relative.parts[0] in without:
            continue
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(places.CHECKOUT / relative, target, follow_symlinks=False)
    return folder


def files() -> list[Path]:
    """Return the files of the checkout that Git tracks or would track."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=places.CHECKOUT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    names = sorted({Path(name) for name in listing.split("\0") if name})
    return [name for name in names if (places.CHECKOUT / name).is_symlink() or (places.CHECKOUT / name).is_file()]
