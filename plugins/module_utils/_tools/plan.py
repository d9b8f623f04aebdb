# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tool is and by which ways it may come (private to the collection, no I/O)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Iterator, Mapping, Optional, Sequence
from urllib.parse import urlsplit

#: In this order; a way that does not lead to the tool is followed by the next one.
WAYS = ("path", "cache", "download", "build")

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_SHA256 = re.compile(r"\b[0-9a-fA-F]{64}\b")
_GO_VERSION = re.compile(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?")
_GO_LINE = re.compile(r"^go (\d+)\.(\d+)(?:\.(\d+))?", re.MULTILINE)

GoVersion = tuple[int, int, int]


@dataclass(frozen=True)
class Platform:
    """Operating system and architecture in the spelling of Go and of release pages."""

    os: str
    arch: str

    @classmethod
    def of(cls, system: str, machine: str) -> Platform:
        """Return the platform for what ``platform.system()`` and ``.machine()`` say."""
        return cls(system.lower(), _ARCHITECTURES.get(machine.lower(), machine.lower()))


@dataclass(frozen=True)
class Download:
    """Where one file is published.

    ``sha256`` is a pinned digest, else ``sha256_url`` names the checksum file that is
    published beside the download. ``member`` is the file's path inside a tar archive.
    """

    path: str
    url: str
    sha256: str = ""
    sha256_url: str = ""
    member: str = ""


@dataclass(frozen=True)
class Build:
    """How the tool comes from a pinned Go module.

    ``module_dir`` holds go.mod and go.sum. ``package`` is compiled to the tool; or, for
    a set of plain files, ``source`` is the module out of whose folder they are copied.
    """

    module_dir: str
    package: str = ""
    source: str = ""
    ldflags: str = ""
    cgo: bool = False


@dataclass(frozen=True)
class Tool:
    """A program of one version, or (with ``is_program`` false) a set of plain files.

    ``files`` are paths below the tool's folder in the cache; a program has exactly one.
    ``version_pattern`` has one group, which matches the version in what
    ``version_command`` (arguments only) prints.
    """

    name: str
    version: str
    platform: Platform
    files: tuple[str, ...]
    is_program: bool = True
    version_command: tuple[str, ...] = ()
    version_pattern: str = ""
    downloads: tuple[Download, ...] = ()
    build: Optional[Build] = None
    ways: tuple[str, ...] = WAYS

    @property
    def title(self) -> str:
        return "%s %s" % (self.name, self.version)

    @property
    def folder(self) -> str:
        """Name of the tool's folder in the cache."""
        return "-".join((self.name, self.version, self.platform.os, self.platform.arch))

    def is_right(self, output: str) -> bool:
        """True when what the version command printed names exactly our version."""
        return self.version_in(output) == self.version

    def version_in(self, output: str) -> str:
        """Return the version found in what the version command printed, or nothing."""
        found = re.search(self.version_pattern, output)
        return found.group(1) if found else ""


def tool_errors(tool: Tool) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a tool's description, as option and cause."""
    for option, value in (("name", tool.name), ("version", tool.version)):
        if not _PLAIN_NAME.fullmatch(value):
            yield option, "'%s' is no plain name of letters, digits, '.', '_', '+' and '-'" % value
    for path in tool.files:
        if path.startswith("/") or ".." in path.split("/") or not path.strip("/."):
            yield "files", "'%s' is no path below the tool's folder" % path
    yield from _pattern_errors(tool.version_pattern)
    for download in tool.downloads:
        yield from _download_errors(download)
    if tool.build is not None and tool.is_program != bool(tool.build.package):
        yield "build", "a program is built from 'package', plain files are taken from 'source'"


def _pattern_errors(pattern: str) -> Iterator[tuple[str, str]]:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        yield "version_pattern", "it is no regular expression (%s)" % error
    else:
        if groups != 1:
            yield "version_pattern", "it must have exactly one group, which matches the version"


def _download_errors(download: Download) -> Iterator[tuple[str, str]]:
    for option, url in (("download.url", download.url), ("download.checksum", download.sha256_url)):
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.netloc):
            yield option, "'%s' is no http or https address" % url
    if download.sha256 and not _SHA256.fullmatch(download.sha256):
        yield "download.checksum", "'%s' is no SHA-256 in hexadecimal" % download.sha256


def expand(template: str, values: Mapping[str, str]) -> str:
    """Fill ``{version}``, ``{os}`` and the like into a URL, package or flag; others stay."""
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match.group(1), match.group(0)), template)


def mirrored(url: str, mirror: str) -> str:
    """Return the address at a mirror: its base, then host and path of the original.

    The host stays in the path, so that one mirror can hold files of several hosts.
    """
    if not mirror:
        return url
    parts = urlsplit(url)
    return "%s/%s%s" % (mirror.rstrip("/"), parts.netloc, parts.path)


def published_sha256(text: str, url: str) -> str:
    """Return the digest for ``url`` from what is published beside it, or nothing.

    Understands a bare digest, ``digest  name`` lines for one file or many, and the JSON
    in which GitHub describes a release with the digest of each of its files.
    """
    name = urlsplit(url).path.rsplit("/", 1)[-1]
    if text.lstrip().startswith("{"):
        return _release_digest(text, name)
    lines = [line.split() for line in text.splitlines() if _SHA256.search(line)]
    for words in lines:
        if any(word.lstrip("*").rsplit("/", 1)[-1] == name for word in words):
            return _digest(words)
    return _digest(lines[0]) if len(lines) == 1 and len(lines[0]) == 1 else ""


def _release_digest(text: str, name: str) -> str:
    try:
        assets = {asset["name"]: str(asset["digest"]) for asset in json.loads(text)["assets"]}
    except (ValueError, KeyError, TypeError):
        return ""
    kind, _colon, digest = assets.get(name, "").partition(":")
    return digest.lower() if kind == "sha256" and _SHA256.fullmatch(digest) else ""


def _digest(words: Sequence[str]) -> str:
    return next((word.lower() for word in words if _SHA256.fullmatch(word)), "")


def go_version(output: str) -> GoVersion:
    """Return the version in what ``go version`` printed; 0.0.0 when there is none."""
    return _triple(_GO_VERSION.search(output))


def required_go(go_mod: str) -> GoVersion:
    """Return the lowest Go version that a go.mod accepts; 0.0.0 when it does not say."""
    return _triple(_GO_LINE.search(go_mod))


def _triple(match: Optional[re.Match[str]]) -> GoVersion:
    if match is None:
        return (0, 0, 0)
    major, minor, patch = match.groups()
    return (int(major), int(minor), int(patch or 0))
