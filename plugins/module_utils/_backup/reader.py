# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a backup and finds out whether it can be trusted (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

from .._errors import CorruptError, NotFound, SlipwayError
from .model import (
    ARGOCD,
    LIVE,
    MANIFEST,
    SECRETS,
    SUMS,
    BackupError,
    Manifest,
    Object,
    Place,
    digest,
    parse_manifest,
    parse_sums,
)
from .objects import check_belonging, identify, parse_list
from .ports import Store
from .request import LATEST

_PARTS = {"Application", "AppProject"}


@dataclass(frozen=True)
class Backup:
    """A backup whose checksums and contents were checked."""

    place: Place
    name: str
    manifest: Manifest
    files: Mapping[str, bytes]

    @property
    def fingerprint(self) -> str:
        """Digest over everything in it."""
        return digest(self.files[SUMS])

    @property
    def live(self) -> list[Object]:
        """Return the live objects. Raises BackupError for one that does not belong here."""
        items = parse_list(self.files[LIVE], LIVE)
        for item in items:
            check_belonging(item, self.manifest, may_be_secret=False)
        return items

    @property
    def argocd(self) -> list[Object]:
        """Return project and Application. Raises BackupError for anything else."""
        items = parse_list(self.files[ARGOCD], ARGOCD) if ARGOCD in self.files else []
        for item in items:
            what, wanted = identify(item), self.manifest.application
            is_ours = wanted and what.namespace == wanted[0] and what.group == "argoproj.io" and what.kind in _PARTS
            if not is_ours or (what.kind == "Application" and wanted and what.name != wanted[1]):
                raise BackupError("%s is no part of the Argo CD Application of this backup" % str(what))
        return items

    def secrets(self, clear: bytes) -> list[Object]:
        """Return the Secrets in what was decrypted. Raises BackupError for anything else."""
        items = parse_list(clear, SECRETS)
        for item in items:
            check_belonging(item, self.manifest, may_be_secret=True)
        return items


def find(store: Store, place: Place, name: str) -> str:
    """Return the name of the backup that is meant. Raises NotFound."""
    names = store.names(place)
    if not names:
        hint = "Make one with release_backup, or check app, environment and path."
        raise NotFound("find", "a backup of %s" % str(place), "there is none in %s" % store.path(place), hint)
    if name == LATEST:
        return names[0]
    if name not in names:
        hint = "The newest ones are %s." % ", ".join(names[:3])
        raise NotFound("find", "backup %s" % name, "it is not in %s" % store.path(place), hint)
    return name


def manifest_of(store: Store, place: Place, name: str) -> tuple[Manifest, Mapping[str, str], Mapping[str, bytes]]:
    """Return the checked manifest, all checksums, and the files read so far. Raises BackupError and SlipwayError."""
    try:
        files = {file: store.read(place, name, file) for file in (SUMS, MANIFEST)}
    except NotFound as error:
        raise BackupError("it has no %s" % (MANIFEST if MANIFEST in error.resource else SUMS)) from error
    sums = parse_sums(files[SUMS])
    if digest(files[MANIFEST]) != sums[MANIFEST]:
        raise BackupError("%s is not what was written: its checksum differs" % MANIFEST)
    return parse_manifest(files[MANIFEST], place, name, sums), sums, files


def open_backup(store: Store, place: Place, name: str) -> Backup:
    """Return a backup that is whole and consists of what may be in it. Raises CorruptError."""
    try:
        manifest, sums, read = manifest_of(store, place, name)
        files = dict(read)
        strange = sorted(set(store.files(place, name)) - set(sums) - {SUMS})
        if strange:
            raise BackupError("there is %r in it, which no backup has" % strange[0])
        for file in sorted(set(sums) - {MANIFEST}):
            files[file] = _whole(store, place, name, (file, sums[file]))
        backup = Backup(place, name, manifest, files)
        if not backup.live:
            raise BackupError("there is no object in it")
        list(backup.argocd)  # refuses what it cannot read
    except BackupError as error:
        raise corrupt(store, place, name, str(error)) from error
    return backup


def corrupt(store: Store, place: Place, name: str, cause: str) -> CorruptError:
    """Return the error for a backup that cannot be trusted."""
    hint = "It is left as it is. Use another one; release_backup_info with verify=checksums tells which are whole."
    return CorruptError("trust", "backup " + store.path(place, name), cause, hint, code="backup_corrupt")


def _whole(store: Store, place: Place, name: str, wanted: tuple[str, str]) -> bytes:
    file, sum_ = wanted
    try:
        data = store.read(place, name, file)
    except NotFound as error:
        raise BackupError("%s is missing" % file) from error
    if digest(data) != sum_:
        raise BackupError("%s is not what was written: its checksum differs" % file)
    return data


def problems_of(store: Store, place: Place, name: str, is_thorough: bool) -> tuple[Mapping[str, Any], list[str]]:
    """Return what a manifest says and what is wrong with the backup; thorough reads every file."""
    try:
        manifest, sums, _files = manifest_of(store, place, name)
        missing = sorted(set(sums) - set(store.files(place, name)))
        problems = ["%s is missing" % file for file in missing]
        if is_thorough and not problems:
            open_backup(store, place, name)
        return manifest.raw, problems
    except BackupError as error:
        return {}, [str(error)]
    except SlipwayError as error:
        return {}, [error.cause or str(error)]
