# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the use cases about Applications need from outside (private to the collection)."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Mapping, NamedTuple, Optional, Protocol

from .._context import Clock
from .._errors import NotFound, PermanentError, SlipwayError
from .._kube.paths import APPLICATIONS, object_path
from .._lease import Lease, NoLease
from .state import UNKNOWN

Object = dict[str, Any]


class Kube(Protocol):
    """The Kubernetes API; raises the typed errors of ``_errors``."""

    def get(self, path: str, query: Optional[Mapping[str, str]] = None) -> Object: ...

    def list(self, path: str, label_selector: str = "", field_selector: str = "") -> Object: ...

    def apply(
        self, path: str, body: Mapping[str, Any], manager: str, force: bool = False, dry_run: bool = False
    ) -> Object: ...

    def merge_patch(self, path: str, body: Mapping[str, Any], dry_run: bool = False) -> Object: ...

    def replace(self, path: str, body: Mapping[str, Any], dry_run: bool = False) -> Object: ...

    def delete(self, path: str, propagation: str = "", dry_run: bool = False) -> Object: ...


class Sight(NamedTuple):
    """One look at an Application: the object, or None while it does not exist, and current trouble."""

    app: Optional[Object]
    fault: Optional[SlipwayError]


def _nobody(_ours: str, _other: str) -> str:
    return UNKNOWN


@dataclass(frozen=True)
class Ports:
    """``observe(namespace, name, deadline)`` yields a Sight at every change and about every second.

    ``relation(ours, other)`` tells how another commit relates to ours, in the words of ``state``.
    ``new_id`` returns a fresh operation id.
    """

    client: Kube
    clock: Clock
    observe: Callable[[str, str, float], Iterator[Sight]]
    new_id: Callable[[], str]
    relation: Callable[[str, str], str] = _nobody
    lease: Lease = field(default_factory=NoLease)


@dataclass(frozen=True)
class Target:
    """The Application a task is about."""

    namespace: str
    name: str

    @property
    def path(self) -> str:
        return object_path(APPLICATIONS, self.namespace, self.name)

    def __str__(self) -> str:
        return "Application %s/%s" % (self.namespace, self.name)


@contextmanager
def about(resource: object) -> Iterator[None]:
    """Let errors of the API name the object as people know it, and say when Argo CD is missing."""
    try:
        yield
    except NotFound as error:
        if is_argocd_missing(error):
            hint = "Install it (role slipway.gitops.argocd), or check kubeconfig and context."
            cause = "this cluster does not know Applications: Argo CD is not installed"
            raise PermanentError(error.what, str(resource), cause, hint, code="argocd_missing") from error
        error.resource = str(resource)
        raise
    except SlipwayError as error:
        if error.resource.startswith("/"):
            error.resource = str(resource)
        raise


def is_argocd_missing(error: NotFound) -> bool:
    """Tell the missing kind from the missing object; the API server answers 404 to both."""
    return "could not find the requested resource" in error.cause or "page not found" in error.cause


def find(client: Kube, target: Target) -> Optional[Object]:
    """Return the Application, or None. Raises PermanentError ``argocd_missing``."""
    try:
        return client.get(target.path)
    except NotFound as error:
        if is_argocd_missing(error):
            raise
        return None
