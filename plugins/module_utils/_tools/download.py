# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gets a tool's files from their official release pages (private to the collection)."""

from __future__ import annotations

import os
from typing import Callable
from urllib.parse import urlsplit

from .._context import Backoff
from .._errors import PermanentError, SlipwayError, TransientError
from .._progress import Voice
from .plan import Download, Tool, published_sha256
from .ports import Ports

_TRIES = 3
_MIB = 1024 * 1024
#: Failures that no other way may paper over.
_FINAL = ("checksum_mismatch", "disk", "cache", "archive")


class Downloader:
    """Downloads the files of one tool; every one must match its published digest."""

    def __init__(self, tool: Tool, ports: Ports, voice: Voice, warn: Callable[[str], None]) -> None:
        self._tool = tool
        self._ports = ports
        self._voice = voice
        self._warn = warn

    @property
    def obstacle(self) -> str:
        """Why a download is not even tried, or nothing."""
        if "download" not in self._tool.ways or not self._tool.downloads:
            return "not allowed or not offered"
        hosts = {urlsplit(download.url).netloc for download in self._tool.downloads}
        silent = sorted(host for host in hosts if self._ports.store.is_unreachable(host))
        return "%s did not answer a few minutes ago" % ", ".join(silent) if silent else ""

    def download(self, staged: str) -> str:
        """Download all files; return nothing, or why that cannot be done now.

        Raises PermanentError ``checksum_mismatch``, ``archive``, ``disk``.
        """
        try:
            for download in self._tool.downloads:
                self._download_file(download, staged)
        except SlipwayError as error:
            if error.code in _FINAL:
                raise
            if error.code == "unreachable":
                self._ports.store.mark_unreachable(error.resource)
            self._voice.say("no download: %s" % error.cause)
            if error.code == "tls":
                self._warn(str(error))
            return str(error)
        return ""

    def _download_file(self, download: Download, staged: str) -> None:
        backoff = Backoff(0.5, 4.0, self._ports.random)
        for _retry in range(_TRIES - 1):
            try:
                self._try_file(download, staged)
            except TransientError as error:
                if error.code == "unreachable":
                    raise
                self._voice.say("%s; trying again" % error.cause)
                self._ports.clock.sleep(backoff.delay())
            else:
                return
        self._try_file(download, staged)

    def _try_file(self, download: Download, staged: str) -> None:
        expected = download.sha256 or self._published(download)
        target = os.path.join(staged, download.path)
        file = target + ".archive" if download.member else target
        self._voice.say("downloading from %s" % urlsplit(download.url).netloc)
        actual = self._ports.fetch.to_file(download.url, file, self._on_bytes)
        if actual != expected:
            raise PermanentError(
                "download",
                self._tool.title,
                "%s has SHA-256 %s, but %s is expected" % (download.url, actual, expected),
                "The file was corrupted or replaced on its way and has been thrown away; find out why.",
                code="checksum_mismatch",
            )
        if download.member:
            self._ports.machine.unpack(file, download.member, target)

    def _published(self, download: Download) -> str:
        digest = published_sha256(self._ports.fetch.text(download.sha256_url), download.url)
        if not digest:
            cause = "%s holds no SHA-256 for it" % download.sha256_url
            hint = "Releases of long ago may have none; then set the checksum of this one yourself, as sha256:DIGEST."
            raise PermanentError("verify", self._tool.title, cause, hint, code="no_checksum")
        return digest

    def _on_bytes(self, done: int, expected: int) -> None:
        of = " of %d" % (expected // _MIB) if expected else ""
        self._voice.beat(lambda: "downloading, %d%s MiB" % (done // _MIB, of))
