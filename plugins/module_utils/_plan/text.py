# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan as one screen for a person who has to say yes or no (private to the collection)."""

from __future__ import annotations

import re
from typing import Any, Iterable, Iterator, Mapping, Sequence

from .manifests import THIS_COMMIT

_WIDTH = 100
#: Lines of one diff that are shown; the rest is in plan.json.
_DIFF_LINES = 60
_COMMITS = 15
_SIGNS = {"created": "+", "changed": "~", "removed": "-", "unchanged": "=", "hook": "h", "unknown": "?"}
_UNKNOWN = "unknown"


def render(plan: Mapping[str, Any]) -> str:
    """Return the text: what goes where, what changes, what was checked, how to confirm."""
    sections: Sequence[tuple[str, Iterable[str]]] = (
        ("", _headline(plan)),
        ("Look at this first", ("! %s" % item["message"] for item in plan["problems"])),
        ("In Git", _git(plan["git"])),
        ("In the manifests", _manifests(plan["render"], _is_compared(plan["live"]))),
        ("In the cluster", _cluster(plan["live"])),
        ("Images", _images(plan["images"])),
        ("Commits", _commits(plan["commits"])),
        ("Shown, looked at again before anything is written, and not part of the hash", _shown(plan["shown"])),
        ("", _ending(plan)),
    )
    lines: list[str] = []
    for title, body in sections:
        found = list(body)
        if found:
            lines += ["", title, "-" * len(title)] if title else [""]
            lines += ["  " + line if title else line for line in found]
    return "\n".join(line.rstrip() for line in lines[1:]) + "\n"


def _headline(plan: Mapping[str, Any]) -> Iterator[str]:
    release, cluster, application = plan["release"], plan["cluster"], plan["application"]
    yield "=" * _WIDTH
    yield "PLAN  %s %s -> %s" % (application["name"], release["next"]["version"], plan["environment"])
    yield "=" * _WIDTH
    yield _row("release", "%s -> %s" % (release["now"]["version"] or _UNKNOWN, release["next"]["version"]))
    if not plan["git"]["changed"]:
        yield _row("", "Git holds this release already: no commit will be made")
    for name, digest in (("digest now", release["now"]["digest"]), ("digest next", release["next"]["digest"])):
        if digest:
            yield _row(name, _inline(digest))
    yield _row("cluster", "%s  (%s)" % (cluster.get("uid"), cluster.get("server") or "server not told"))
    yield _row(
        "", "context %s, Kubernetes %s" % (cluster.get("context") or _UNKNOWN, cluster.get("version") or _UNKNOWN)
    )
    labels = cluster.get("namespace_labels") or {}
    if cluster.get("namespace"):
        yield _row("namespace", "%s  %s" % (cluster["namespace"], _inline(labels) if labels else ""))
    argocd = application["argocd"]
    if argocd:
        switch = "on" if argocd["automated"] else "OFF"
        place = "%s/%s, auto-sync %s" % (argocd["namespace"], argocd["name"], switch)
        yield _row("Argo CD", "Application %s, now %s and %s" % (place, argocd["sync"], argocd["health"]))
    yield _row("Git", "%s at %s" % (plan["git"]["path"], plan["git"]["tip"][:12]))
    yield _row("", plan["git"]["branch"])


def _row(name: str, text: str) -> str:
    return "%-12s %s" % (name, text)


def _commits(commits: Mapping[str, Any]) -> Iterator[str]:
    if commits["note"]:
        yield commits["note"]
    if not commits["known"]:
        return
    listed = commits["of_application"]
    yield "%d since the last verified release %s, %d of them touch this application%s" % (
        commits["total"], commits["since"][:12], commits["touching"], ":" if listed else ".",
    )  # fmt: skip
    coming = {item["sha"] for item in commits["brought_live"]}
    for item in listed[:_COMMITS]:
        mark = "not live yet" if item["sha"] in coming else ""
        yield "%s  %-20s %s  %s" % (item["sha"][:12], item["author"][:20], item["subject"][:60], mark)
    yield from _more(len(listed) - _COMMITS, "commits")
    if len(listed) < commits["touching"]:
        yield "plan.json has the newest %d of them" % len(listed)


def _git(git: Mapping[str, Any]) -> Iterator[str]:
    if not git["changed"]:
        yield "nothing changes"
    elif not git["diff"]:
        yield "only values that are masked differ"
    yield from _diff(git["diff"])


def _is_compared(live: Mapping[str, Any]) -> bool:
    """Whether the cluster's answers say all that the diff of the manifests would say."""
    return bool(live["objects"]) and not live["missing_rights"]


def _manifests(render: Mapping[str, Any], is_compared: bool) -> Iterator[str]:
    yield "rendered by %s %s, %d objects" % (render["renderer"], render["version"], len(render["objects"]))
    if render["build_options"]:
        yield "build options: %s" % " ".join(render["build_options"])
    for item in render["not_rendered"]:
        yield "not taken into account: %s" % item
    objects = render["objects"]
    if is_compared:  # each change once: below, as the cluster sees it
        objects = [dict(item, diff=item["diff"] if item["change"] == "removed" else "") for item in objects]
    yield from changes(objects, "nothing changes")


def _cluster(live: Mapping[str, Any]) -> Iterator[str]:
    if live["note"]:
        yield live["note"]
    for right in live["missing_rights"]:
        yield "not compared, a right is missing: %s" % right
    yield from changes(live["objects"], "nothing changes" if live["objects"] else "")


def changes(objects: Sequence[Mapping[str, Any]], nothing: str) -> Iterator[str]:
    """Yield one line per object that changes, with its diff; the unchanged are counted."""
    told = [item for item in objects if item["change"] != "unchanged"]
    for item in told:
        diff = _telling(item["diff"])
        only = ", only the commit that it is marked with" if item["diff"] and not diff else ""
        yield "%s %s %s%s" % (_SIGNS[item["change"]], item["name"], item["change"], only)
        yield from ("    " + line for line in _diff(diff))
    same = len(objects) - len(told)
    if told and same:
        yield "= %d more unchanged" % same
    if not told and nothing:
        yield nothing


def _telling(diff: str) -> str:
    """Return a diff without the parts where only the mark of the delivery's commit changes."""
    head, *parts = re.split(r"^(?=@@ )", diff, flags=re.MULTILINE)
    kept = [part for part in parts if not _is_mark(part)]
    return "".join(kept) and head + "".join(kept) if parts else head


def _is_mark(part: str) -> bool:
    lines = part.split("\n")
    added = [line for line in lines if line.startswith("+")]
    removed = [line for line in lines if line.startswith("-")]
    return len(added) == len(removed) > 0 and all(THIS_COMMIT in line for line in added)


def _diff(text: str) -> Iterator[str]:
    lines = [line for line in text.split("\n") if line and not line.startswith(("--- ", "+++ "))]
    yield from lines[:_DIFF_LINES]
    yield from _more(len(lines) - _DIFF_LINES, "lines")


def _more(count: int, what: str) -> Iterator[str]:
    if count > 0:
        yield "... %d more %s: see plan.json" % (count, what)


def _images(images: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for item in images:
        mark = "+" if item["is_new"] else "="
        yield "%s %s  in %s" % (mark, item["reference"], ", ".join(item["used_by"]))


def _shown(shown: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(shown):
        value = shown[name]
        if isinstance(value, (list, tuple)) and value and not isinstance(value[0], (str, int, float)):
            yield "%s:" % name
            yield from ("  - " + _inline(item) for item in value)
        else:
            yield "%s: %s" % (name, _inline(value))


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join("%s=%s" % (key, _inline(value[key])) for key in sorted(value, key=str)) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(_inline(item) for item in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None or value == "" else str(value)


def _ending(plan: Mapping[str, Any]) -> Iterator[str]:
    yield "=" * _WIDTH
    yield "hash %s" % plan["hash"]
    yield "To confirm exactly this plan without a terminal: -e deploy_confirm=%s" % plan["hash"]
    yield "It is void as soon as cluster, application, digests, the touched files or the manifests differ."
    yield "=" * _WIDTH
