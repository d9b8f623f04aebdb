# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that Argo CD gives to ``kustomize build``, as far as a plan takes them (private to the collection).

Whoever may write the ConfigMap of Argo CD must not make this machine run programs or read its
files. Options that only permit something are left out: kustomize builds the same without them,
or fails because it needs the permission.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Optional, Sequence

from .._errors import PermanentError

KEY = "kustomize.buildOptions"
_ROOT_ONLY = "LoadRestrictionsRootOnly"
_RESTRICTORS = ("--load-restrictor", "--load_restrictor")
#: What changes the manifests and nothing else; the second value tells whether a value follows.
_TAKEN = {"--reorder": True, "--enable-managedby-label": False}
#: What permits programs or files, or counts only with such a permission.
_LEFT_OUT = {
    **dict.fromkeys((*_RESTRICTORS, "--env", "-e", "--mount", "--network-name"), True),
    **dict.fromkeys(("--helm-api-versions", "--helm-command", "--helm-kube-version"), True),
    **dict.fromkeys(("--enable-helm", "--enable-exec", "--enable-star", "--network", "--as-current-user"), False),
    **dict.fromkeys(("--enable-alpha-plugins", "--enable_alpha_plugins", "--helm-debug", "--stack-trace"), False),
}


@dataclass(frozen=True)
class BuildOptions:
    """What kustomize is given, what it is not, and why nothing is known, if so."""

    taken: Sequence[str] = ()
    left_out: Sequence[str] = ()
    unknown_because: str = ""

    def notes(self) -> list[str]:
        """Return for people what is not taken into account."""
        notes = ["%s: %s" % (KEY, self.unknown_because)] if self.unknown_because else []
        if self.left_out:
            notes.append("%s %s (these files build without)" % (KEY, " ".join(self.left_out)))
        return notes

    def hint(self) -> str:
        """Return what to do when the build fails; nothing when no option was left out."""
        if not self.left_out:
            return ""
        return (
            "Argo CD builds with %s, which lets the repository run programs or read other files of this machine,"
            " and is left out here. If it is trusted with that, set kustomize_build_options."
        ) % " ".join(self.left_out)


NO_OPTIONS = BuildOptions()


def of_config_map(config_map: Mapping[str, Any], version: str) -> BuildOptions:
    """Return the options for the kustomize that an Application names by ``version``, usually nothing.

    Raises PermanentError ``build_options`` for one that is not known: what it does to the
    manifests is not known either.
    """
    metadata = config_map.get("metadata") or {}
    key = "%s.%s" % (KEY, version) if version else KEY
    words = str((config_map.get("data") or {}).get(key) or "").split()
    taken: list[str] = []
    left_out: list[str] = []
    for name, value, spelled in _options(words):
        if name is None:
            resource = "ConfigMap %s/%s" % (metadata.get("namespace"), metadata.get("name"))
            hint = "Set kustomize_build_options to the options that the plan is to be built with."
            cause = "its %s have %s, which is not known here" % (key, spelled[0])
            raise PermanentError("plan with", resource, cause, hint, code="build_options")
        if name in _TAKEN:
            taken += spelled
        elif value != "false" and not (name in _RESTRICTORS and value == _ROOT_ONLY):
            left_out += spelled
    return BuildOptions(taken, left_out)


def _options(words: Sequence[str]) -> Iterator[tuple[Optional[str], str, list[str]]]:
    """Yield name, value and words of each option; no name for one that is not known."""
    pending = list(words)
    while pending:
        spelled = [pending.pop(0)]
        name, has_value, value = spelled[0].partition("=")
        takes_value = {**_TAKEN, **_LEFT_OUT}.get(name)
        if takes_value and not has_value and pending:
            spelled.append(pending.pop(0))
            value = spelled[1]
        yield (name if takes_value is not None else None), value, spelled
