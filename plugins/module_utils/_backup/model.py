# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup is: its name, its manifest, its checksums, and which ones are kept (private to the collection).

A backup is a folder ``<app>/<environment>/<UTC time>-<release>`` with ``manifest.json``, the
files that it names, and ``SHA256SUMS`` over all of them, which ``sha256sum --check`` reads too.
Nothing that stands in these files is trusted before it was checked here.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Iterable, Mapping, NamedTuple, Optional, Sequence

FORMAT = 1
MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
LIVE = "live.json"
ARGOCD = "argocd.json"
SECRETS = "secrets.age"
HELM_VALUES = "helm-values.json"
HELM_MANIFEST = "helm-manifest.yaml"
#: What a backup may consist of besides its manifest and checksums. Any other file condemns it.
FILES = (LIVE, ARGOCD, SECRETS, HELM_VALUES, HELM_MANIFEST)

#: A backup that was moved into place has such a name; anything else in the folder is none.
_FOLDER = re.compile(r"(\d{8}T\d{6}Z)-([A-Za-z0-9_+][A-Za-z0-9._+-]{0,63})(?:~(\d{1,4}))?")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
#: Names of objects are longer than those of folders; none has a slash or begins with a dot.
_OBJECT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9:._-]{0,251}[A-Za-z0-9])?")
_UNFIT = re.compile(r"[^A-Za-z0-9._+-]")
_SUM_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9][A-Za-z0-9.-]{0,40})")
_STAMP = "%Y%m%dT%H%M%SZ"
_DAY_S = 86400.0
_UID = re.compile(r"[A-Za-z0-9-]{1,64}")

Object = dict[str, Any]


class BackupError(ValueError):
    """A backup that cannot be one; the text is the cause."""


class Place(NamedTuple):
    """Where the backups of one application in one environment are, below the store."""

    app: str
    environment: str

    def __str__(self) -> str:
        return "%s/%s" % self


class Folder(NamedTuple):
    """The name of one backup, taken apart. Sorts by time; ``number`` tells those of one second apart."""

    stamp: str
    number: int
    release: str

    @classmethod
    def of(cls, name: str) -> Optional[Folder]:
        """Return the parts of a name, or None for what is no name of a backup."""
        found = _FOLDER.fullmatch(name)
        if not found:
            return None
        try:
            datetime.strptime(found.group(1), _STAMP)
        except ValueError:
            return None
        return cls(found.group(1), int(found.group(3) or 1), found.group(2))

    @property
    def at_s(self) -> float:
        """Seconds since the epoch."""
        return datetime.strptime(self.stamp, _STAMP).replace(tzinfo=timezone.utc).timestamp()

    def __str__(self) -> str:
        return "%s-%s%s" % (self.stamp, self.release, "~%d" % self.number if self.number > 1 else "")


def is_word(text: str) -> bool:
    """Tell whether a text can be the name of an application or an environment, and of a folder."""
    return bool(_WORD.fullmatch(text))


def is_object_name(value: Any) -> bool:
    """Tell whether a value can be the name of an object, and nothing else in a path."""
    return isinstance(value, str) and bool(_OBJECT.fullmatch(value))


def folder_for(at_s: float, release: str, taken: Iterable[str]) -> Folder:
    """Return a name that is not taken: two backups of one second differ by a counter."""
    stamp = datetime.fromtimestamp(at_s, timezone.utc).strftime(_STAMP)
    word = _UNFIT.sub("_", release)[:64].lstrip(".-") or "unknown"
    folders = [folder for folder in map(Folder.of, taken) if folder and folder.stamp == stamp]
    return Folder(stamp, max((folder.number for folder in folders), default=0) + 1, word)


def newest_first(names: Iterable[str]) -> list[str]:
    """Return those that are names of backups, the newest first."""
    folders = [folder for folder in map(Folder.of, names) if folder]
    return [str(folder) for folder in sorted(folders, reverse=True)]


def outlived(names: Iterable[str], now_s: float, keep_last: Optional[int], keep_days: Optional[float]) -> list[str]:
    """Return the backups that no rule keeps, oldest first.

    One is kept when it is among the ``keep_last`` newest or younger than ``keep_days``; the
    newest is always kept, and without any rule all are.
    """
    if keep_last is None and keep_days is None:
        return []
    ordered = newest_first(names)
    young_s = now_s - (keep_days or 0) * _DAY_S
    old = ordered[max(keep_last or 0, 1) :]
    if keep_days is not None:
        old = [name for name in old if _at_s(name) < young_s]
    return old[::-1]


def _at_s(name: str) -> float:
    folder = Folder.of(name)
    return folder.at_s if folder else 0.0


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` says, checked. ``raw`` is all of it, as returned to the operator."""

    raw: Mapping[str, Any]

    @property
    def cluster_uid(self) -> str:
        """UID of the namespace kube-system, which is the cluster's identity."""
        return str(self.raw["cluster"]["uid"])

    @property
    def namespace(self) -> str:
        """The one namespace that the release lives in."""
        return str(self.raw["namespace"])

    @property
    def application(self) -> Optional[tuple[str, str]]:
        """Namespace and name of the Argo CD Application, if there was one."""
        found = self.raw.get("application")
        return (str(found["namespace"]), str(found["name"])) if found else None

    @property
    def unread(self) -> Sequence[str]:
        """What of the release might not be read, and is missing in the backup."""
        return list(self.raw.get("unread") or [])

    @property
    def secrets(self) -> Sequence[Mapping[str, Any]]:
        """The Secrets of the release by name; their content is at most in ``secrets.age``."""
        return list(self.raw["secrets"]["names"])


def render(raw: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the complete content of a backup: ``files``, their manifest, the checksums over all."""
    described = {name: {"sha256": digest(data), "size": len(data)} for name, data in sorted(files.items())}
    content = dict(files)
    content[MANIFEST] = json.dumps({"format": FORMAT, **raw, "files": described}, indent=2).encode() + b"\n"
    lines = ["%s  %s\n" % (digest(data), name) for name, data in sorted(content.items())]
    return {**content, SUMS: "".join(lines).encode()}


def digest(data: bytes) -> str:
    """Return the SHA-256 of data in hex."""
    return hashlib.sha256(data).hexdigest()


def parse_sums(data: bytes) -> dict[str, str]:
    """Return file name -> digest. Raises BackupError for anything but plain names of known files."""
    sums: dict[str, str] = {}
    for line in data.decode("ascii", "replace").splitlines():
        found = _SUM_LINE.fullmatch(line)
        if not found or found.group(2) in sums or found.group(2) not in (MANIFEST, *FILES):
            raise BackupError("%s has a line that is not ours: %r" % (SUMS, line[:80]))
        sums[found.group(2)] = found.group(1)
    if MANIFEST not in sums or LIVE not in sums:
        raise BackupError("%s does not name %s and %s" % (SUMS, MANIFEST, LIVE))
    return sums


def parse_json(data: bytes, what: str) -> dict[str, Any]:
    """Return a JSON object. Raises BackupError."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BackupError("%s is not JSON (%s)" % (what, type(error).__name__)) from error
    if not isinstance(value, dict):
        raise BackupError("%s is not a JSON object" % what)
    return value


def parse_manifest(data: bytes, place: Place, name: str, sums: Mapping[str, str]) -> Manifest:
    """Return a manifest that belongs into this folder and to these checksums. Raises BackupError."""
    raw = parse_json(data, MANIFEST)
    if raw.get("format") != FORMAT:
        raise BackupError("%s is of format %r; this version reads format %d" % (MANIFEST, raw.get("format"), FORMAT))
    wanted = {"app": place.app, "environment": place.environment, "name": name}
    for key, value in wanted.items():
        if raw.get(key) != value:
            raise BackupError("%s says %s %r, but it lies in the folder of %r" % (MANIFEST, key, raw.get(key), value))
    _check_shape(raw)
    described = {file: entry["sha256"] for file, entry in raw["files"].items()}
    if described != {file: value for file, value in sums.items() if file != MANIFEST}:
        raise BackupError("%s and %s name different files or checksums" % (MANIFEST, SUMS))
    return Manifest(raw)


_TEXTS = ("at", "release", "commit", "namespace")


def _check_shape(raw: Mapping[str, Any]) -> None:
    """Raise BackupError unless everything that is read later has its type."""
    good = all(isinstance(raw.get(key), str) for key in _TEXTS) and is_word(raw["namespace"])
    good = good and _is_cluster(raw.get("cluster")) and _is_application(raw.get("application"))
    good = good and _is_secrets(raw.get("secrets"))
    for key in ("objects", "images", "left_out", "repositories"):
        good = good and isinstance(raw.get(key), list) and all(isinstance(item, dict) for item in raw[key])
    unread = raw.get("unread", [])  # older backups have none
    good = good and isinstance(unread, list) and all(isinstance(what, str) for what in unread)
    files = raw.get("files")
    if not (good and isinstance(files, dict)) or not all(
        isinstance(item, dict) and isinstance(item.get("sha256"), str) for item in files.values()
    ):
        raise BackupError("%s lacks a field or has one of the wrong type" % MANIFEST)


def _is_cluster(value: Any) -> bool:
    return isinstance(value, dict) and bool(_UID.fullmatch(str(value.get("uid")))) and "server" in value


def _is_application(value: Any) -> bool:
    return value is None or (
        isinstance(value, dict) and is_word(str(value.get("namespace"))) and is_object_name(value.get("name"))
    )


def _is_secrets(value: Any) -> bool:
    if not isinstance(value, dict) or value.get("mode") not in ("excluded", "encrypted"):
        return False
    names = value.get("names")
    return isinstance(names, list) and all(
        isinstance(item, dict) and is_object_name(item.get("name")) for item in names
    )
