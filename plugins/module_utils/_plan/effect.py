# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an edit delivers anything at all (private to the collection)."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from .._errors import PermanentError
from .._gate.image import carries, not_carried, parse_image


def check_images(path: str, states: Sequence[Mapping[str, Any]], references: Sequence[str]) -> None:
    """Raise PermanentError ``no_effect`` for an image entry that is not what a rendered container uses.

    Such an edit would be committed, synced and judged, and nothing would be delivered.
    ``references`` are the images of all rendered containers.
    """
    for state in states:
        wanted = state["newName"] or state["name"]
        wanted += ":%s" % state["newTag"] if state["newTag"] else ""
        wanted += "@%s" % state["digest"] if state["digest"] else ""
        if not _is_used(wanted, references):
            cause = "no rendered workload uses %s; they use %s" % (wanted, ", ".join(references) or "no image at all")
            hint = (
                "The entry's name must be the image as the containers spell it, with registry and path,"
                " and neither a patch nor the Application's own kustomize.images may override it."
            )
            raise PermanentError("plan", "image '%s' in %s" % (state["name"], path), cause, hint, code="no_effect")


def check_values(path: str, is_changed: bool, is_same: bool) -> None:
    """Raise PermanentError ``no_effect`` for changed values that leave the manifests as they are."""
    if is_changed and is_same:
        hint = "Name a key that the chart's templates use, and a values file that the Application names."
        raise PermanentError("plan", "the values in %s" % path, "no manifest changes", hint, code="no_effect")


def _is_used(wanted: str, references: Sequence[str]) -> bool:
    if wanted in references:
        return True
    try:
        image = parse_image(wanted)
    except ValueError:
        return False
    return not not_carried(references, [image]) and carries(references, [image])
