# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A YAML file of a repository, and the scalars that shall be set in it (private to the collection)."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Mapping, Sequence

from .._edit.commit import FENCE_FOLDER
from .._edit.document import DocumentError
from .._edit.plain import reads_as_string
from .._edit.scalar import Plain, Scalar
from .._edit.subject import Outcome, State
from .._errors import InvalidInput
from .._gitref import check_path
from .edit import ABSENT, PRESENT, KeyMissing, ValueProblem, Wish, set_values
from .keys import parse_key

_MAX_TEXT = 4096
#: Whole numbers that every reader of YAML and JSON keeps exactly.
_MAX_NUMBER = 2**53


class ValuesFile:
    """The file at ``path`` with ``wanted`` values."""

    def __init__(self, path: str, wanted: Sequence[Wish]) -> None:
        self._path = path
        self._wanted = wanted

    @property
    def places(self) -> Sequence[str]:
        """The one path where the file is."""
        return [self._path]

    def choose(self, found: Sequence[str], branch: str) -> str:
        """Return the path. Raises InvalidInput ``file_missing``."""
        if not found:
            cause = "there is no file '%s' in %s" % (self._path, branch)
            raise InvalidInput("path", cause, "Name a file from the top of the repository.", code="file_missing")
        return found[0]

    def edit(self, path: str, data: bytes) -> Outcome:
        """Set the values. Raises InvalidInput ``key_missing``, ``value_unusable`` and ``yaml_invalid``."""
        try:
            return set_values(data, self._wanted)
        except KeyMissing as error:
            hint = "Check its spelling; 'create: true' adds a key to a mapping that is there."
            raise InvalidInput("values", "%s: %s" % (path, error), hint, code="key_missing") from error
        except ValueProblem as error:
            raise InvalidInput("values", "%s: %s" % (path, error), code="value_unusable") from error
        except DocumentError as error:
            raise InvalidInput("path", "%s: %s" % (path, error), code="yaml_invalid") from error

    def headline(self, states: Sequence[State]) -> str:
        """Name the keys with their values."""
        return ", ".join("%s %s" % (state["key"], _shown(state)) for state in states)

    def describe(self, state: State) -> str:
        """Name a key and its value."""
        return "%s (now %s)" % (state["key"], _shown(state))


def values_file(params: Mapping[str, Any]) -> ValuesFile:
    """Return what the options of the module ask for, or raise InvalidInput."""
    path = check_path(params["path"])
    if not path or (path + "/").startswith(FENCE_FOLDER.partition("/")[0] + "/"):
        raise InvalidInput("path", "%r is not a file with values" % params["path"][:300])
    is_rollback = params["kind"] == "rollback"
    # What was verified once may be restored whatever it is.
    return ValuesFile(path, wishes(params["values"], [] if is_rollback else params["deny_values"], is_rollback))


def wishes(values: Sequence[Mapping[str, Any]], deny: Sequence[str], is_rollback: bool = False) -> list[Wish]:
    """Check the option ``values`` and return it as wishes.

    A rollback also takes whatever else a recorded state can hold (null, ``plain`` text, long text,
    large numbers), and adds keys that are gone.

    Raises InvalidInput for an empty list, a key that is no key path or given twice, a value
    that is no text, whole number or boolean, and a denied one.
    """
    if not values:
        raise InvalidInput("values", "the list is empty", "Name at least one key.")
    found: list[Wish] = []
    for index, item in enumerate(values):
        where = "values[%d]" % index
        wish = _wish(item, where, is_rollback)
        if wish.place in (other.place for other in found):
            raise InvalidInput("values", "key '%s' is given twice" % wish.key, "Give each key once.")
        for pattern in deny:
            if isinstance(wish.value, str) and fnmatchcase(wish.value, pattern):
                cause = "'%s' is denied by deny_values ('%s')" % (wish.value, pattern)
                raise InvalidInput(where + ".value", cause, "Use a value that names one build.", code="value_denied")
        found.append(wish)
    return found


def _wish(item: Mapping[str, Any], where: str, is_rollback: bool) -> Wish:
    key = str(item["key"])
    try:
        parse_key(key)
    except ValueError as error:
        hint = "Write it as image.tag, a\\.b or containers[0].image."
        raise InvalidInput(where + ".key", "%r: %s" % (key[:300], error), hint) from error
    is_present = (item.get("state") or PRESENT) == PRESENT
    value = item.get("value")
    is_plain = bool(item.get("plain"))
    if is_plain and not (is_rollback and is_present and _is_unsettled(value)):
        cause = "it is only for a rollback, and for text that readers of YAML take for something else"
        raise InvalidInput(where + ".plain", cause, "Leave it out.")
    if not is_present:
        if value is not None:
            raise InvalidInput(where + ".value", "a key that shall be absent has no value")
        return Wish(key, is_present=False)
    if value is None and not is_rollback:
        raise InvalidInput(where + ".value", "there is none", "Give one, or 'state: %s'." % ABSENT)
    checked = Plain(value) if is_plain else _scalar(value, where + ".value", is_rollback)
    return Wish(key, checked, create=is_rollback or bool(item.get("create")))


def _is_unsettled(value: Any) -> bool:
    """Tell whether a value is text that means something else, to some reader, without quotes."""
    return isinstance(value, str) and value != "" and not reads_as_string(value)


def _scalar(value: Any, option: str, is_rollback: bool) -> Scalar:
    """Return a value as text, whole number, boolean or null, or raise InvalidInput."""
    if isinstance(value, float):
        cause = "%r is a number with a fraction, which may not be what was typed (1.10 becomes 1.1)" % value
        raise InvalidInput(option, cause, "Write it in quotes.")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) >= _MAX_NUMBER and not is_rollback:
            raise InvalidInput(option, "%d digits are more than readers keep" % len(str(value)), "Write it in quotes.")
        return int(value)
    if not isinstance(value, str):
        raise InvalidInput(option, "it is a %s, not a single value" % type(value).__name__)
    if not is_rollback and (len(value) > _MAX_TEXT or not value.isprintable()):
        raise InvalidInput(option, "it is not one line of at most %d printable characters" % _MAX_TEXT)
    return str(value)


def _shown(state: State) -> str:
    return "absent" if state["state"] == ABSENT else str(state["value"]) or '""'
