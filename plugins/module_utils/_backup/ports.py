# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the use cases about backups need from outside (private to the collection)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, ContextManager, Mapping, Optional, Protocol, Sequence

from .._context import Clock
from .._lease import Lease
from .model import Object, Place


class Kube(Protocol):
    """The Kubernetes API; raises the typed errors of ``_errors``."""

    def get(self, path: str, query: Optional[Mapping[str, str]] = None) -> Object: ...

    def list(self, path: str, label_selector: str = "", field_selector: str = "") -> Object: ...

    def apply(
        self, path: str, body: Mapping[str, Any], manager: str, force: bool = False, dry_run: bool = False
    ) -> Object: ...

    def merge_patch(self, path: str, body: Mapping[str, Any], dry_run: bool = False) -> Object: ...


class Store(Protocol):
    """Where backups are kept; raises NotFound, CorruptError, InvalidInput, PermanentError."""

    def path(self, place: Place, name: str = "") -> str: ...

    def places(self) -> list[Place]: ...

    def names(self, place: Place) -> list[str]: ...

    def files(self, place: Place, name: str) -> list[str]: ...

    def read(self, place: Place, name: str, file: str) -> bytes: ...

    def lock(self, place: Place) -> ContextManager[None]: ...

    def write(self, place: Place, name: str, files: Mapping[str, bytes], ready: Callable[[], None]) -> None: ...

    def remove(self, place: Place, name: str) -> None: ...


class Cipher(Protocol):
    """Encryption for recipients."""

    def encrypt(self, data: bytes, recipients: Sequence[str]) -> bytes: ...

    def decrypt(self, data: bytes, identity_file: str) -> bytes: ...


@dataclass(frozen=True)
class Ports:
    """``connect`` opens the cluster when it is first needed, and raises when none is named.

    ``server`` is its address, for the record.
    """

    connect: Callable[[], Kube]
    server: Callable[[], str]
    store: Store
    cipher: Cipher
    clock: Clock
    lease: Lease
