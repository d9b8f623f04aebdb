# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How git is run: a private repository, environment and credentials (private to the collection).

Nothing of the machine or the user takes part: no system or user configuration, no hooks, no
agent, no prompt, no transport but the one asked for. A password travels through an inherited
pipe; it is never in an argument list, an environment, a URL or a file.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Mapping, Optional, Sequence
from urllib.parse import quote

from .._context import Clock
from .._errors import InvalidInput, TransientError
from .._gitref import Address
from .._process import Command, Completed, ProcessTimeout, run

# Files below this size, in bytes, come with the one fetch: 95 of 100 kustomizations are (measured
# on 231 of four public repositories), while the bulk of a large repository is not. The exception
# costs one more request, over ssh on the connection that is already open.
BLOB_LIMIT = 1200

# sockaddr_un holds 108 bytes, and ssh appends 17 characters while it opens the socket.
_MAX_SOCKET_PATH = 90

_KEPT_ENVIRONMENT = (
    "PATH", "TMPDIR", "SSL_CERT_DIR", "SSL_CERT_FILE",
    "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy",
)  # fmt: skip

_CONFIG = """\
[core]
\trepositoryformatversion = 1
\tbare = true
\thooksPath = /dev/null
\tfsmonitor = false
\tattributesFile = /dev/null
[extensions]
\tpartialClone = origin
[remote "origin"]
\turl = "{url}"
\tpromisor = true
\tpartialclonefilter = blob:limit={limit}
[protocol]
\tversion = 2
\tallow = never
[protocol "{transport}"]
\tallow = always
[http]
\tfollowRedirects = false
\tsslVerify = true
\tsslVersion = tlsv1.2
[credential]
\thelper =
[gc]
\tauto = 0
[maintenance]
\tauto = false
[fetch]
\trecurseSubmodules = false
"""

# Answers only for the origin it was made for, so that no other server is given anything.
_ASKPASS = """\
#!/bin/sh
case "$1" in
  "Username for '$SLIPWAY_ORIGIN': ") printf '%s\\n' "$SLIPWAY_USERNAME" ;;
  "Password for '$SLIPWAY_ORIGIN_USER': " | "Password for '$SLIPWAY_ORIGIN_ENCODED': ")
    cat "/dev/fd/$SLIPWAY_PASSWORD_FD" ;;
  *) exit 1 ;;
esac
"""


@dataclass(frozen=True)
class Credentials:
    """Who we are to the server, and how we know it: paths of files, names and one secret."""

    key_file: str = ""
    known_hosts: str = ""
    username: str = ""
    password: str = ""
    ca_cert: str = ""


def check_credentials(credentials: Credentials, address: Address) -> None:
    """Raise InvalidInput for files that cannot be read or do not fit the transport."""
    for option in ("key_file", "known_hosts", "ca_cert"):
        path = getattr(credentials, option)
        if path and (not os.path.isfile(path) or not os.access(path, os.R_OK)):
            raise InvalidInput(option, "%s is not a readable file" % path)
        if any(char in path for char in '"\n\r'):
            raise InvalidInput(option, "the path holds a quote or a line end")
    if credentials.password and address.transport not in ("https", "http"):
        raise InvalidInput("password", "a password is used with https:// only", "Use key_file for SSH.")
    if credentials.password and any(char in credentials.password for char in "\n\r\0"):
        raise InvalidInput("password", "it holds a line end")
    if any(ord(char) < 32 or char in "'\"" for char in credentials.username):
        raise InvalidInput("username", "it holds a quote or a control character")


class Session:
    """Runs git in a private bare repository; use it as a context manager.

    ``env`` is the environment of the task, of which PATH and proxy settings are used. All
    work ends at ``deadline`` (monotonic seconds of ``clock``).
    """

    def __init__(
        self, address: Address, credentials: Credentials, env: Mapping[str, str], clock: Clock, deadline: float
    ) -> None:
        self.address = address
        self._credentials = credentials
        self._task_env = env
        self._clock = clock
        self._deadline = deadline
        self._folder: Optional[Path] = None
        self.on_tick: Optional[Callable[[float], None]] = None

    def __enter__(self) -> Session:
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="slipway-git-", dir=self._task_env.get("TMPDIR") or None))
            self._create()
        except OSError as exc:
            self.__exit__()
            raise TransientError("create", "a temporary Git repository", str(exc), code="storage") from exc
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._folder is not None:
            if self._mux.exists():
                argv = ["ssh", "-F", "none", "-O", "exit", "-o", "ControlPath=%s" % self._mux, "slipway"]
                run(Command(argv, self._environment(), 5.0))
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    @property
    def folder(self) -> Path:
        """The bare repository's folder."""
        if self._folder is None:
            raise AssertionError("the session is not open: a defect of ours, not a state of the world")
        return self._folder

    def git(self, *args: str, data: Optional[bytes] = None, timeout_s: Optional[float] = None) -> Completed:
        """Run one git command; its return code is not judged.

        Raises TransientError ``timeout`` when the deadline passes first.
        """
        left_s = self._deadline - self._clock.monotonic()
        if left_s <= 0:
            raise TransientError("run", "git %s" % args[0], "no time was left", "Use a longer timeout.", code="timeout")
        secret = self._secret_pipe()
        env = self._environment()
        if secret is not None:
            env["SLIPWAY_PASSWORD_FD"] = str(secret)
        fds = () if secret is None else (secret,)
        timeout_s = left_s if timeout_s is None else min(left_s, timeout_s)
        try:
            return run(Command(("git", *args), env, timeout_s, input=data, pass_fds=fds), on_tick=self.on_tick)
        except ProcessTimeout as exc:
            said = exc.completed.err.strip().splitlines()[-1:]
            cause = "no answer within %.0f s%s" % (timeout_s, "; last: %s" % said[0] if said else "")
            raise TransientError("run", "git %s" % args[0], cause, code="timeout") from exc
        finally:
            if secret is not None:
                os.close(secret)

    @property
    def _mux(self) -> Path:
        return self.folder / "mux"

    def _create(self) -> None:
        """Lay out a bare repository: what ``git init`` would do, without starting it."""
        folder = self.folder
        for name in ("objects", "refs", "home"):
            (folder / name).mkdir()
        (folder / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
        url = self.address.url.replace("\\", "\\\\").replace('"', '\\"')
        config = _CONFIG.format(url=url, limit=BLOB_LIMIT, transport=self.address.transport)
        (folder / "config").write_text(config, encoding="utf-8")
        if self._credentials.password:
            askpass = folder / "askpass"
            askpass.write_text(_ASKPASS, encoding="ascii")
            askpass.chmod(0o700)

    def _environment(self) -> dict[str, str]:
        env = {name: self._task_env[name] for name in _KEPT_ENVIRONMENT if name in self._task_env}
        home = str(self.folder / "home")
        env.update(
            HOME=home, XDG_CONFIG_HOME=home, LC_ALL="C", GIT_DIR=str(self.folder),
            GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL=os.devnull, GIT_ATTR_NOSYSTEM="1",
            GIT_ALLOW_PROTOCOL=self.address.transport, GIT_TERMINAL_PROMPT="0",
            GIT_ASKPASS="/bin/false", SSH_ASKPASS="/bin/false", SSH_ASKPASS_REQUIRE="never",
            GIT_SSH_VARIANT="ssh", GIT_SSH_COMMAND=shlex.join(self._ssh()),
        )  # fmt: skip
        if self._credentials.ca_cert:
            env["GIT_SSL_CAINFO"] = self._credentials.ca_cert
        if self._credentials.password:
            scheme, _separator, host = self.address.origin.partition("://")
            user = self._credentials.username or "git"
            env.update(
                GIT_ASKPASS=str(self.folder / "askpass"),
                SLIPWAY_USERNAME=user,
                SLIPWAY_ORIGIN=self.address.origin,
                SLIPWAY_ORIGIN_USER="%s://%s@%s" % (scheme, user, host),
                SLIPWAY_ORIGIN_ENCODED="%s://%s@%s" % (scheme, quote(user, safe=""), host),
            )
        return env

    def _secret_pipe(self) -> Optional[int]:
        """Return the reading end of a pipe that holds the password, once."""
        if not self._credentials.password:
            return None
        reader, writer = os.pipe()
        os.write(writer, self._credentials.password.encode("utf-8") + b"\n")
        os.close(writer)
        return reader

    def _ssh(self) -> Sequence[str]:
        """Return the ssh command: strict host keys, only our key, one connection for all.

        The first command opens the connection, the later ones use it: the handshake costs
        more than everything else we do.
        """
        options = [
            "BatchMode=yes", "StrictHostKeyChecking=yes", "UpdateHostKeys=no", "CheckHostIP=no",
            "IdentitiesOnly=yes", "IdentityAgent=none", "ForwardAgent=no", "ForwardX11=no",
            "ClearAllForwardings=yes", "PermitLocalCommand=no", "ConnectTimeout=15",
            "ServerAliveInterval=5", "ServerAliveCountMax=3", "LogLevel=ERROR",
        ]  # fmt: skip
        if self._credentials.known_hosts:
            options += [
                "UserKnownHostsFile=%s" % _quoted(self._credentials.known_hosts),
                "GlobalKnownHostsFile=/dev/null",
            ]
        if self._credentials.key_file:
            options.append("IdentityFile=%s" % _quoted(self._credentials.key_file))
        if len(str(self._mux)) <= _MAX_SOCKET_PATH:
            options += ["ControlMaster=auto", "ControlPersist=15", "ControlPath=%s" % str(self._mux).replace("%", "%%")]
        return ["ssh", "-F", "none"] + [part for option in options for part in ("-o", option)]


def _quoted(path: str) -> str:
    """Return a path as ssh reads it in an option: quoted, without ``%`` expansion."""
    return '"%s"' % path.replace("%", "%%")
