# SPDX-License-Identifier: GPL-3.0-or-later
"""What git, ssh and forges say when they refuse, and what it is called here."""

from __future__ import annotations

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._git.failure import failure, push_failure
from ansible_collections.slipway.gitops.plugins.module_utils._process import Completed

ADVICE = (
    "fatal: Could not read from remote repository.\n\n"
    "Please make sure you have the correct access rights\nand the repository exists.\n"
)

SAID = [
    ("host_key", "permanent", "No ED25519 host key is known for [h]:22 and you have requested strict checking.\n"
     "Host key verification failed.\n" + ADVICE),
    ("host_key", "permanent", "@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@\n" + ADVICE),
    ("auth", "permanent", "git@h: Permission denied (publickey).\n" + ADVICE),
    ("auth", "permanent", "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures\n" + ADVICE),
    ("auth", "permanent", "remote: Invalid username or password.\nfatal: Authentication failed for 'https://h/x/'\n"),
    ("auth", "permanent", "fatal: could not read Username for 'https://h': terminal prompts disabled\n"),
    ("auth", "permanent", "fatal: unable to access 'https://h/x/': The requested URL returned error: 403\n"),
    ("auth", "permanent", "ERROR: The key you are authenticating with has been marked as read only.\n" + ADVICE),
    ("auth", "permanent", "GitLab: You are not allowed to push code to this project.\n" + ADVICE),
    ("tls", "permanent", "fatal: unable to access 'https://h/': SSL certificate problem: self-signed certificate\n"),
    ("tls", "permanent", "fatal: unable to access 'https://h/': server certificate verification failed. CAfile: x\n"),
    ("tls", "permanent", "fatal: unable to access 'https://h/': SSL: no alternative certificate subject name\n"),
    ("repo_missing", "permanent", "ERROR: Repository not found.\n" + ADVICE),
    ("repo_missing", "permanent", "remote: The project you were looking for could not be found.\n" + ADVICE),
    ("repo_missing", "permanent", "fatal: repository 'https://h/x.git/' not found\n"),
    ("repo_missing", "permanent", "fatal: '/x.git' does not appear to be a git repository\n" + ADVICE),
    ("ref_missing", "permanent", "fatal: couldn't find remote ref refs/heads/x\n"),
    ("redirect", "permanent", "fatal: unable to access 'https://h/x/': The requested URL returned error: 302\n"),
    ("unreachable", "transient", "ssh: connect to host h port 22: Connection refused\n" + ADVICE),
    ("unreachable", "transient", "ssh: Could not resolve hostname h: Name or service not known\n" + ADVICE),
    ("unreachable", "transient", "ssh: connect to host h port 22: Connection timed out\n" + ADVICE),
    ("unreachable", "transient", "kex_exchange_identification: read: Connection reset by peer\n" + ADVICE),
    ("unreachable", "transient", "fatal: the remote end hung up unexpectedly\nfatal: early EOF\n"),
    ("unreachable", "transient", "error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502\n"),
    ("unreachable", "transient", "fatal: unable to access 'https://h/': Failed to connect to h port 443\n"),
    ("unreachable", "transient", ADVICE),
    ("storage", "transient", "error: file write error: No space left on device\nfatal: unable to write\n"),
    ("refused", "permanent", "this account was closed\n" + ADVICE),
    ("git", "permanent", "fatal: something new\n"),
    ("git", "permanent", ""),
]  # fmt: skip


@pytest.mark.parametrize(("code", "error_class", "said"), SAID)
def test_a_failure_has_its_code_and_class(code, error_class, said):
    error = failure("fetch", "branch 'main'", Completed(128, b"", b"warning: x\n" + said.encode()))
    assert (error.code, error.error_class) == (code, error_class)
    assert "Please make sure" not in str(error)
    assert error.cause


PUSHES = [
    ("lost_race", "transient", "[rejected] (stale info)"),
    ("lost_race", "transient", "[rejected] (fetch first)"),
    ("lost_race", "transient", "[rejected] (non-fast-forward)"),
    ("lost_race", "transient", "[remote rejected] (cannot lock ref 'refs/heads/main': is at a but expected b)"),
    ("lost_race", "transient", "[remote rejected] (failed to update ref)"),
    ("lost_race", "transient", "[remote rejected] (incorrect old value provided)"),
    ("rejected", "permanent", "[remote rejected] (pre-receive hook declined)"),
    ("rejected", "permanent", "[remote rejected] (protected branch hook declined)"),
    ("rejected", "permanent", "[remote rejected] (unpacker error)"),
    ("unreachable", "transient", "[remote failure] (remote failed to report status)"),
]


@pytest.mark.parametrize(("code", "error_class", "status"), PUSHES)
def test_a_refused_push_is_a_lost_race_or_final(code, error_class, status):
    out = "To ssh://h/x\n!\trefs/heads/x:refs/heads/main\t%s\nDone\n" % status
    error = push_failure(
        "branch 'main'", Completed(1, out.encode(), b"remote: told by a hook\nerror: failed to push\n")
    )
    assert (error.code, error.error_class) == (code, error_class)
    if code == "rejected":
        assert "told by a hook" in str(error)
