# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets images in the text of a kustomization (private to the collection).

:func:`set_images` is a pure function from bytes and wishes to bytes. It changes the
characters of the wanted values and nothing else, then parses its own result and compares
it with the intention; any difference is an error, never a file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Mapping, Optional, Sequence

from .._edit.document import Document, DocumentError, Node, decode, outline, parse
from .._edit.scalar import is_null, is_string
from .._edit.subject import Outcome
from .._errors import InvalidInput
from .style import EntryEditor, append_entries, preferred_quote

FIELDS = ("newName", "newTag", "digest")
State = dict[str, Optional[str]]

_NAME = re.compile(r"[!-~]{1,255}")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?/)?%s(?:/%s)*" % (_COMPONENT, _COMPONENT))
_HASH = r"(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})"
_DIGEST = re.compile(_HASH)
# kustomize appends newTag as it is, so that a tag may bring its digest along.
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(?:@%s)?" % _HASH)


class ImageError(DocumentError):
    """A wanted image and the file do not fit together."""


@dataclass(frozen=True)
class Wish:
    """What one image shall be: fields that are None stay as they are.

    A digest takes the place of a tag and the other way round. ``exact`` also removes the
    fields that are None. ``create`` adds an entry when the file has none of that name.
    """

    name: str
    new_name: Optional[str] = None
    new_tag: Optional[str] = None
    digest: Optional[str] = None
    exact: bool = False
    create: bool = False

    def target(self, now: State) -> State:
        """Return the state that follows from the present one."""
        wanted: State = {"newName": self.new_name, "newTag": self.new_tag, "digest": self.digest}
        if not self.exact:
            dropped = "newTag" if self.digest else "digest" if self.new_tag else ""
            for field in FIELDS:
                if wanted[field] is None and field != dropped:
                    wanted[field] = now.get(field)
        return {"name": self.name, **wanted}


def wishes(images: Sequence[Mapping[str, Any]], deny_tags: Sequence[str], exact: bool = False) -> list[Wish]:
    """Check the option ``images`` and return it as wishes; ``exact`` makes all of them exact.

    Raises InvalidInput for an empty list, a name given twice, a reference that no
    registry accepts, a tag together with a digest, a denied tag, or nothing to set.
    """
    if not images:
        raise InvalidInput("images", "the list is empty", "Name at least one image.")
    found: list[Wish] = []
    for index, image in enumerate(images):
        wish = Wish(
            image["name"], image.get("new_name"), image.get("new_tag"), image.get("digest"),
            exact or bool(image.get("exact")), bool(image.get("create")),
        )  # fmt: skip
        _check(wish, "images[%d]" % index, deny_tags)
        if wish.name in (other.name for other in found):
            raise InvalidInput("images", "image '%s' is given twice" % wish.name, "Give each image once.")
        found.append(wish)
    return found


def _check(wish: Wish, where: str, deny_tags: Sequence[str]) -> None:
    for option, value, pattern, rule in (
        ("name", wish.name, _NAME, "1 to 255 printable ASCII characters without spaces"),
        ("new_name", wish.new_name, _REPOSITORY, "an image repository, lower case, without tag and digest"),
        ("new_tag", wish.new_tag, _TAG, "1 to 128 of letters, digits, '_', '.', '-', not beginning with '.' or '-'"),
        ("digest", wish.digest, _DIGEST, "sha256: and 64 (or sha512: and 128) lower-case hexadecimal digits"),
    ):
        if value is not None and not pattern.fullmatch(value):
            raise InvalidInput("%s.%s" % (where, option), "%r is not valid" % value[:300], "It must be %s." % rule)
    if wish.create and not _REPOSITORY.fullmatch(wish.name):
        raise InvalidInput(where + ".name", "'%s' cannot be created: it is no image repository" % wish.name)
    if wish.new_tag and wish.digest:
        raise InvalidInput(where + ".digest", "a digest and new_tag contradict each other", "Give one of them.")
    if not (wish.exact or wish.new_name or wish.new_tag or wish.digest):
        raise InvalidInput(where, "nothing to set for '%s'" % wish.name, "Give new_tag, digest or new_name.")
    for pattern_text in deny_tags:
        if wish.new_tag is not None and fnmatchcase(wish.new_tag.partition("@")[0], pattern_text):
            raise InvalidInput(
                where + ".new_tag", "tag '%s' is denied by deny_tags ('%s')" % (wish.new_tag, pattern_text),
                "Use a tag that names one build.", code="tag_denied",
            )  # fmt: skip


def set_images(data: bytes, wanted: Sequence[Wish]) -> Outcome:
    """Return the kustomization ``data`` with all wishes fulfilled.

    Raises DocumentError when the file cannot be edited safely and ImageError when it does
    not fit a wish (image absent, present twice, shared through an anchor).
    """
    bom, text = decode(data)
    document = parse(text)
    images = _images(document)
    places = [_place(document, images, wish) for wish in wanted]
    before = [_state(node) if node else _unset(wish.name) for wish, node in zip(wanted, places)]
    after = [wish.target(now) for wish, now in zip(wanted, before)]
    created = [state for node, state in zip(places, after) if node is None]
    numbers = {id(node): number for number, node in enumerate(images)}
    wanted_states = {numbers[id(node)]: state for node, state in zip(places, after) if node is not None}
    edited = _edited(document, wanted_states, created)
    if edited is document:
        return Outcome(data, before, after)
    _verify(document, edited, wanted_states, created)
    return Outcome((bom + edited.text).encode("utf-8"), before, after)


def _edited(document: Document, wanted: Mapping[int, State], created: Sequence[State]) -> Document:
    """Return the document with entries, named by their position, in the wanted states, and with those to add.

    An entry loses one key at a time, since a key may have moved up to where another one was.
    """
    for _turn in FIELDS:
        images = _images(document)
        quote = preferred_quote(images)
        plans = [EntryEditor(document, quote, images[number]).edits(state) for number, state in wanted.items()]
        edits = [edit for plan in plans for edit in plan]
        document = document.edited(edits) if edits else document
        if not edits:
            break
    return document.edited(append_entries(document, created)) if created else document


def _images(document: Document) -> list[Node]:
    """Return the entries of the list ``images``; none when it is absent or null."""
    node = document.root.get("images")
    if node is None or (node.kind == "scalar" and is_null(node)):
        return []
    if node.kind != "seq":
        raise DocumentError("images is not a list (line %d)" % document.line_number(node.start))
    for entry in node.value:
        if entry.kind != "map" or entry.get("<<") is not None:
            kind = "merged from an alias" if entry.kind == "map" else "not a mapping"
            raise DocumentError("the entry of images on line %d is %s" % (document.line_number(entry.start), kind))
    return list(node.value)


def _place(document: Document, images: list[Node], wish: Wish) -> Optional[Node]:
    """Return the one entry a wish is about; None when it shall be created."""
    named = [entry for entry in images if _name(entry) == wish.name]
    if len(named) > 1:
        lines = ", ".join(str(document.line_number(entry.start)) for entry in named)
        raise ImageError("image '%s' occurs more than once (lines %s)" % (wish.name, lines))
    if not named and not wish.create:
        known = ", ".join(sorted(name for name in map(_name, images) if name)) or "none"
        raise ImageError("image '%s' is not in it; its images: %s" % (wish.name, known))
    for node in (document.root, document.root.get("images"), *named):
        if node is not None and node.anchor in document.aliased:
            raise ImageError("image '%s' is shared through the anchor &%s" % (wish.name, node.anchor))
    return named[0] if named else None


def _name(entry: Node) -> Optional[str]:
    node = entry.get("name")
    return node.value if node is not None and node.kind == "scalar" else None


def _unset(name: str) -> State:
    return {"name": name, "newName": None, "newTag": None, "digest": None}


def _state(entry: Node) -> State:
    """Return name and fields of an entry as text; absent, null and empty are all None."""
    state: State = {"name": _name(entry)}
    for field in FIELDS:
        node = entry.get(field)
        if node is not None and node.kind != "scalar":
            raise ImageError("%s of image '%s' is not a plain value (alias, list or mapping)" % (field, state["name"]))
        state[field] = None if node is None or node.value == "" or is_null(node) else node.value
    return state


def _verify(old: Document, new: Document, wanted: Mapping[int, State], created: Sequence[State]) -> None:
    """Raise DocumentError unless ``new`` is ``old`` with the wanted states and nothing else."""
    others = [_other_keys(document.root, "images") for document in (old, new)]
    old_entries, new_entries = _images(old), _images(new)
    sound = others[0] == others[1] and len(new_entries) == len(old_entries) + len(created)
    sound = sound and old.aliased == new.aliased
    for number, (before, after) in enumerate(zip(old_entries, new_entries)):
        state = wanted.get(number)
        if state is None:
            sound = sound and outline(before) == outline(after)
        else:
            sound = sound and _holds(after, state) and _other_keys(before, *FIELDS) == _other_keys(after, *FIELDS)
    for state, after in zip(created, new_entries[len(old_entries) :]):
        sound = sound and _holds(after, state) and _name(after) == state["name"]
    if not sound:
        raise DocumentError("the edit would change more than the wanted values; edit this file by hand once")


def _other_keys(node: Node, *names: str) -> list[Any]:
    return [(outline(key), outline(value)) for key, value in node.value if key.value not in names]


def _holds(entry: Node, state: State) -> bool:
    """Tell whether an entry has exactly this state, each value a string for every reader."""
    for field in FIELDS:
        node = entry.get(field)
        if state[field] is not None and (node is None or node.kind != "scalar" or not is_string(node)):
            return False
    return _state(entry) == state
