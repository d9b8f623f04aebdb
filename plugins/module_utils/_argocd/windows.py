# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sync windows of an AppProject, judged as Argo CD judges them (private to the collection).

Argo CD's API server refuses a sync outside its windows. Writing the operation directly
would only leave it Running until a window opens, so the windows are asked first.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase
from typing import Any, Mapping, Optional

Window = Mapping[str, Any]
_UNITS = {"h": 3600, "m": 60, "s": 1}
_NAMES = {
    3: ("", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    4: ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_LONGEST = timedelta(days=366)


def blocked(project: Mapping[str, Any], app: Mapping[str, Any], now_s: float, is_manual: bool) -> str:
    """Return why no sync may begin at ``now_s`` (seconds since the epoch), or an empty string.

    Deny beats allow; with allow windows and none of them open, everything is denied. A window
    that cannot be read blocks, as it does in Argo CD.
    """
    windows = _windows(project, app)
    now = datetime.fromtimestamp(now_s, timezone.utc)
    try:
        active = [item for item in windows if _is_active(item, now)]
    except ValueError as error:
        return "a sync window cannot be read: %s" % error
    denies = [item for item in active if item.get("kind") == "deny"]
    allows = [item for item in windows if item.get("kind") == "allow"]
    if denies:
        return "" if is_manual and _all_manual(denies) else _text("a deny window is open", denies)
    if not allows or any(item in active for item in allows):
        return ""
    return "" if is_manual and _all_manual(allows) else _text("no allow window is open", allows)


def listed(project: Mapping[str, Any], app: Mapping[str, Any], now_s: float) -> list[dict[str, Any]]:
    """Return the windows about ``app`` in the words of the AppProject, and whether each is open at ``now_s``.

    ``is_active`` is None for a window that cannot be read.
    """
    now = datetime.fromtimestamp(now_s, timezone.utc)
    return [_shown(item, now) for item in _windows(project, app)]


def _shown(window: Window, now: datetime) -> dict[str, Any]:
    try:
        is_active: Optional[bool] = _is_active(window, now)
    except ValueError:
        is_active = None
    texts = {key: str(window.get(key) or "") for key in ("kind", "schedule", "duration", "timeZone")}
    return {**texts, "manualSync": bool(window.get("manualSync")), "is_active": is_active}


def _windows(project: Mapping[str, Any], app: Mapping[str, Any]) -> list[Window]:
    return [item for item in (project.get("spec") or {}).get("syncWindows") or [] if _matches(item, app)]


def _all_manual(windows: list[Window]) -> bool:
    return all(item.get("manualSync") for item in windows)


def _text(cause: str, windows: list[Window]) -> str:
    shown = ["'%s' for %s" % (item.get("schedule"), item.get("duration")) for item in windows[:3]]
    return "%s (%s)" % (cause, ", ".join(shown))


def _matches(window: Window, app: Mapping[str, Any]) -> bool:
    """Tell whether a window is about this Application; groups are joined by OR unless ``andOperator``."""
    destination = (app.get("spec") or {}).get("destination") or {}
    groups = (
        (window.get("applications"), [app["metadata"]["name"]]),
        (window.get("clusters"), [destination.get("name"), destination.get("server")]),
        (window.get("namespaces"), [destination.get("namespace") or ""]),
    )
    answers = [
        any(fnmatchcase(value, pattern) for pattern in patterns for value in values if value is not None)
        for patterns, values in groups
        if patterns
    ]
    return bool(answers) and (all(answers) if window.get("andOperator") else any(answers))


def _is_active(window: Window, now: datetime) -> bool:
    """Tell whether a start of the schedule lies within the last ``duration``, in the window's zone."""
    fields = _schedule(str(window.get("schedule") or ""))
    length = min(_duration(str(window.get("duration") or "")), _LONGEST)
    local = (now + _offset(str(window.get("timeZone") or ""), now)).replace(tzinfo=None)
    start = local.replace(second=0, microsecond=0)
    if start == local:
        start -= timedelta(minutes=1)
    while start > local - length:
        if not _is_day(fields, start):
            start = start.replace(hour=0, minute=0) - timedelta(minutes=1)
        elif start.hour in fields[1][0] and start.minute in fields[0][0]:
            return True
        else:
            start -= timedelta(minutes=1)
    return False


def _offset(zone: str, now: datetime) -> timedelta:
    """Return the zone's offset now; an unknown zone counts as UTC, as in Argo CD."""
    from zoneinfo import ZoneInfo

    try:
        return now.astimezone(ZoneInfo(zone)).utcoffset() or timedelta() if zone else timedelta()
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        return timedelta()


Field = tuple[frozenset[int], bool]


def _is_day(fields: list[Field], at: datetime) -> bool:
    """Apply cron's rule: a restricted day of month and a restricted weekday are alternatives."""
    if at.month not in fields[3][0]:
        return False
    day, weekday = at.day in fields[2][0], (at.weekday() + 1) % 7 in fields[4][0]
    return (day and weekday) if fields[2][1] or fields[4][1] else (day or weekday)


def _schedule(text: str) -> list[Field]:
    parts = text.split()
    if len(parts) != len(_RANGES):
        raise ValueError("schedule '%s' does not have five fields" % text)
    return [_field(part, index) for index, part in enumerate(parts)]


def _field(text: str, index: int) -> Field:
    """Return the values of one cron field, and whether it stands for every value."""
    low, high = _RANGES[index]
    values: set[int] = set()
    is_star = False
    for item in text.lower().split(","):
        match = re.fullmatch(r"(\*|\?|[0-9a-z]+)(?:-([0-9a-z]+))?(?:/([0-9]+))?", item)
        if not match:
            raise ValueError("cron field '%s'" % text)
        first, last, step = match.groups()
        is_star = is_star or (first in ("*", "?") and step in (None, "1"))
        begin = low if first in ("*", "?") else _number(first, index)
        end = _end(first, last, step, index)
        if not low <= begin <= end <= high or step == "0":
            raise ValueError("cron field '%s'" % text)
        values.update(range(begin, end + 1, int(step or 1)))
    return frozenset(values), is_star


def _end(first: str, last: Optional[str], step: Optional[str], index: int) -> int:
    if last:
        return _number(last, index)
    return _RANGES[index][1] if first in ("*", "?") or step else _number(first, index)


def _number(text: str, index: int) -> int:
    if text.isdigit():
        return int(text)
    names = _NAMES.get(index, ())
    if text not in names:
        raise ValueError("cron value '%s'" % text)
    return names.index(text)


def _duration(text: str) -> timedelta:
    """Return a duration in Go's spelling, such as 1h30m."""
    if not re.fullmatch(r"([0-9]+(\.[0-9]+)?[hms])+", text):
        raise ValueError("duration '%s'" % text)
    parts = re.findall(r"([0-9.]+)([hms])", text)
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))
