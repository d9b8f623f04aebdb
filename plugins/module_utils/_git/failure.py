# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What git and ssh say when they fail, as typed errors (private to the collection)."""

from __future__ import annotations

import re

from .._errors import NotFound, PermanentError, SlipwayError, TransientError
from .._process import Completed

# The first line that fits decides, so the specific ones stand first. Texts are those of git
# 2.24 to 2.51, OpenSSH 8 to 10 and libcurl with OpenSSL or GnuTLS, with LC_ALL=C.
_TABLE: tuple[tuple[type[SlipwayError], str, str, str], ...] = (
    (
        PermanentError,
        "host_key",
        "Put the server's host key into known_hosts, after you have compared it with its owner.",
        "host key verification failed|remote host identification has changed|no .* host key is known",
    ),
    (
        PermanentError,
        "tls",
        "Give the authority's certificate with ca_cert. Verification cannot be switched off.",
        (
            "ssl certificate|certificate verif|server certificate|ssl_error|ssl connect|tls(?:v1)? (?:alert|handshake)|"
            "gnutls_handshake|wrong version number|certificate subject name|self[- ]signed"
        ),
    ),
    (
        PermanentError,
        "auth",
        "Check key_file, or username and password, and the account's rights.",
        (
            "permission denied|authentication failed|could not read (?:username|password)|invalid credentials|"
            "too many authentication failures|error: 40[13]|http 40[13]|terminal prompts disabled|dubious ownership|"
            "may only read|read[ -]only|not allowed to (?:push|upload|download|access)|access denied"
        ),
    ),
    (NotFound, "ref_missing", "Check option branch.", "couldn't find remote ref|remote branch .* not found"),
    (
        NotFound,
        "repo_missing",
        "Check option repo.",
        (
            "does not appear to be a git repository|no such repository|repository .*not found|not found$|http 404|"
            "repository .* does not exist|no such file or directory|error: 404|not a git repository|"
            "project .* could not be found"
        ),
    ),
    (
        PermanentError,
        "redirect",
        "Give the repository's new address in option repo.",
        "unable to update url base from redirection|error: 30[1278]|http 30[1278]",
    ),
    (PermanentError, "transport", "Use https:// or ssh:// in option repo.", "transport '.*' not allowed"),
    (
        TransientError,
        "storage",
        "Free space where it is needed.",
        "no space left|disk quota exceeded|read-only file system|input/output error",
    ),
    (
        TransientError,
        "unreachable",
        "Check option repo and the network.",
        (
            "could not resolve|name or service not known|no route to host|network is unreachable|timed out|broken pipe|"
            "connection (?:refused|reset|timed out|closed)|connection to .* closed|remote end hung up|early eof|"
            "unexpected disconnect|rpc failed|error: 5[0-9][0-9]|http 5[0-9][0-9]|failed to connect|could not connect|"
            "timeout, server|kex_exchange_identification|empty reply"
        ),
    ),
)

# "!<TAB>from:to<TAB>[kind] (reason)" of git push --porcelain.
_REFUSED = re.compile(r"^!\t[^\t]*\t\[(?P<kind>[^\]]+)\](?: \((?P<reason>.*)\))?", re.MULTILINE)
_RACE = re.compile(
    r"stale info|fetch first|non-fast-forward|cannot lock ref|failed to (?:lock|update ref)|incorrect old value"
    r"|needs force|reference already exists|is at [0-9a-f]+ but expected|atomic transaction failed",
    re.IGNORECASE,
)


_ADVICE = re.compile(
    r"fatal: could not read from remote repository|please make sure you have the correct|and the repository exists",
    re.IGNORECASE,
)


class LostRace(TransientError):
    """The branch is no longer where we built on; nothing was pushed."""

    code = "lost_race"


def failure(what: str, resource: str, completed: Completed) -> SlipwayError:
    """Return the typed error for a git command that failed."""
    said, is_connection = _said(completed)
    for kind, code, hint, pattern in _TABLE:
        found = re.search(pattern, said, re.IGNORECASE | re.MULTILINE)
        if found:
            return kind(what, resource, _line_of(said, found.start()), hint, code=code)
    if not is_connection:
        return PermanentError(what, resource, _last(said) or "git ended with %d" % completed.returncode, code="git")
    if said:
        hint = "Check key_file, the account's rights, and option repo."
        return PermanentError(what, resource, "the server says: %s" % _last(said), hint, code="refused")
    return TransientError(what, resource, "the server closed the connection without a word", code="unreachable")


def push_failure(resource: str, completed: Completed) -> SlipwayError:
    """Return the typed error for a push that failed: lost race, refusal by the server, or other."""
    refused = _REFUSED.search(completed.out)
    if not refused:
        return failure("push to", resource, completed)
    reason = refused["reason"] or refused["kind"]
    if refused["kind"] == "remote failure":  # the server ended before it said whether it took the commit
        return TransientError("push to", resource, "no answer came (%s)" % reason, code="unreachable")
    if _RACE.search(reason):
        return LostRace("push to", resource, "another push moved or locked the branch (%s)" % reason)
    told = [line[7:].strip() for line in completed.err.splitlines() if line.startswith("remote:")]
    cause = "the server refused it (%s)" % reason + (": " + " ".join(filter(None, told))[:500] if told else "")
    return PermanentError("push to", resource, cause, "Check the branch's protection rules.", code="rejected")


def _said(completed: Completed) -> tuple[str, bool]:
    """Return what was said, without git's general advice, and whether that advice was about the connection."""
    lines = [line for line in completed.err.splitlines() if line.strip() and not line.startswith("warning: ")]
    kept = [line for line in lines if not _ADVICE.match(line)]
    return "\n".join(kept), len(kept) < len(lines)


def _line_of(text: str, index: int) -> str:
    line = text[text.rfind("\n", 0, index) + 1 :].split("\n", 1)[0]
    return re.sub(r"^(?:fatal|error|remote): ", "", line.strip())[:500]


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return _line_of(lines[-1], 0) if lines else ""
