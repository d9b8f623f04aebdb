# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kustomization of a repository, and the images that shall be set in it (private to the collection)."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from .._edit.document import DocumentError
from .._edit.subject import Outcome, State
from .._errors import InvalidInput
from .._gitref import check_path
from .image import ImageError, Wish, set_images, wishes

FILE_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")


def places(path: str) -> list[str]:
    """Return where the kustomization at ``path`` may be: the path is its folder, or the file itself."""
    inside = ["%s/%s" % (path, name) if path else name for name in FILE_NAMES]
    return [*([path] if path else []), *inside]


class Kustomization:
    """The kustomization at ``path`` with ``wanted`` images."""

    def __init__(self, path: str, wanted: Sequence[Wish]) -> None:
        self._path = path
        self._wanted = wanted

    @property
    def places(self) -> Sequence[str]:
        """Paths where the file may be."""
        return places(self._path)

    def choose(self, found: Sequence[str], branch: str) -> str:
        """Return the one file that exists. Raises InvalidInput ``kustomization_missing``."""
        if len(found) != 1:
            cause = "%s has both %s" % (self._path or "the top folder", " and ".join(found))
            if not found:
                cause = "there is no kustomization at '%s' in %s" % (self._path or ".", branch)
            raise InvalidInput("path", cause, "Name the file.", code="kustomization_missing")
        return found[0]

    def edit(self, path: str, data: bytes) -> Outcome:
        """Set the images. Raises InvalidInput ``image_missing`` and ``kustomization_invalid``."""
        try:
            return set_images(data, self._wanted)
        except ImageError as error:
            raise InvalidInput("images", "%s: %s" % (path, error), code="image_missing") from error
        except DocumentError as error:
            raise InvalidInput("path", "%s: %s" % (path, error), code="kustomization_invalid") from error

    def headline(self, states: Sequence[State]) -> str:
        """Name the images with their tag or the beginning of their digest."""
        return ", ".join("%s %s" % (state["name"], state["newTag"] or (state["digest"] or "")[:19]) for state in states)

    def describe(self, state: State) -> str:
        """Name an image and what the file says about it."""
        return "image '%s' (now tag %s, digest %s)" % (state["name"], state["newTag"], state["digest"])


def kustomization(params: Mapping[str, Any]) -> Kustomization:
    """Return what the options of the module ask for, or raise InvalidInput."""
    exact = params["kind"] == "rollback"
    # What was verified once may be restored whatever it is called.
    return Kustomization(
        check_path(params["path"]), wishes(params["images"], [] if exact else params["deny_tags"], exact)
    )
