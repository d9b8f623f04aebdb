# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What identifies a cluster (private to the collection).

A name proves nothing: "nonprod" holds "prod", and a context is renamed in a second. Two facts
that cannot be had by accident do: the UID of namespace kube-system, which lives and dies with
the cluster's data, and the address that was asked, behind the certificate authority of the
kubeconfig.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .._errors import Forbidden, InvalidInput, PermanentError

_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Pins:
    """What the inventory says of the cluster: empty where it says nothing."""

    uid: str = ""
    server: str = ""
    is_required: bool = False


@dataclass(frozen=True)
class Seen:
    """Where we are: address, and how the kubeconfig calls it. ``uid`` is empty while unknown."""

    server: str
    context: str = ""
    source: str = ""
    uid: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """What is known, as a return value of a failure."""
        return {"cluster": {"uid": self.uid, "server": self.server, "context": self.context}}

    def __str__(self) -> str:
        named = "context '%s'" % self.context if self.context else "no context"
        return "the cluster at %s (%s%s)" % (self.server, named, " of " + self.source if self.source else "")


def check_pins(pins: Pins) -> None:
    """Refuse pins that nothing could equal. Raises InvalidInput."""
    if pins.uid and (not pins.uid.isprintable() or " " in pins.uid):
        raise InvalidInput("uid", "%r is not the UID of a namespace" % pins.uid[:80])
    if pins.server:
        canonical_server(pins.server, "server")


def canonical_server(text: str, option: str = "host") -> str:
    """Return the URL of an API server in one spelling, so that equal addresses are equal texts.

    Raises InvalidInput for what is no URL.
    """
    try:
        url = urlsplit(text if "//" in text else "https://" + text)
        port = url.port or _PORTS.get(url.scheme)
    except ValueError:
        port = None
    if port is None or not url.hostname:
        raise InvalidInput(option, "'%s' is not the URL of an API server" % text.rpartition("@")[2][:200])
    host = "[%s]" % url.hostname if ":" in url.hostname else url.hostname
    return "%s://%s:%d%s" % (url.scheme, host, port, url.path.rstrip("/"))


def check_server(pins: Pins, seen: Seen) -> None:
    """Refuse another address than the pinned one, before credentials are shown to it.

    Raises PermanentError ``cluster_mismatch``.
    """
    if pins.server and canonical_server(pins.server, "server") != canonical_server(seen.server):
        raise _mismatch(seen, "the pinned server is %s" % pins.server)


def check_uid(pins: Pins, seen: Seen) -> None:
    """Refuse a cluster that is not the pinned one, or not pinned although it has to be.

    Raises PermanentError ``cluster_mismatch`` or ``cluster_unpinned``.
    """
    if pins.uid and pins.uid != seen.uid:
        raise _mismatch(seen, "its kube-system namespace has the UID %s, the pinned one is %s" % (seen.uid, pins.uid))
    if pins.is_required and not (pins.uid and pins.server):
        lines = 'deploy_cluster_uid: "%s"\ndeploy_cluster_server: "%s"' % (seen.uid, seen.server)
        hint = "Make sure that it is the right one, then add these two lines to the inventory:\n" + lines + "\n"
        raise PermanentError("trust", str(seen), "it is not pinned", hint, "cluster_unpinned", seen.facts)


def unreadable(seen: Seen, error: Forbidden) -> Forbidden:
    """Return the error for an identity that may not ask who the cluster is."""
    cause = "the right to get namespaces 'kube-system' is missing (%s)" % error.cause
    rule = '{apiGroups: [""], resources: ["namespaces"], resourceNames: ["kube-system"], verbs: ["get"]}'
    hint = "Grant it by a Role in namespace kube-system: %s." % rule
    return Forbidden("identify", str(seen), cause, hint)


def _mismatch(seen: Seen, cause: str) -> PermanentError:
    hint = "Nothing was changed. Check kubeconfig and context; names of contexts prove nothing."
    return PermanentError("trust", str(seen), cause, hint, "cluster_mismatch", seen.facts)
