# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits a file in a branch: plan on the tip, one commit, compare-and-swap push (private to the collection).

What is edited, and how, is the business of a :class:`~.subject.Subject`.

A push that lost a race is planned again on the new tip. A push whose answer was lost is
settled by looking whether its commit is in the branch; it is never repeated blindly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, ContextManager, Mapping, Optional, Protocol, Sequence

from .._context import Backoff, Clock, Context
from .._errors import InvalidInput, SlipwayError, TransientError
from .._gitref import Author, File, check_person
from .._lease import Lease
from .commit import (
    Holder,
    Purpose,
    check_environment,
    check_fence,
    check_purpose,
    fence_path,
    holder,
    message,
    read_fence,
    render_fence,
)
from .subject import Outcome, State, Subject

#: The longest a push may take, in seconds; so much of a lease must be left when it begins.
PUSH_S = 30.0
#: With less time left than this, in seconds, no further attempt is begun: its end would not be seen.
_LAST_PUSH_S = 2.0
_FETCH_TRIES = 3
_DAY_S = 86400.0


class Branch(Protocol):
    """One branch of a remote repository."""

    @property
    def label(self) -> str:
        """The branch as messages name it."""

    def fetch(self, since: str = "") -> str:
        """Fetch and return the tip; ``since`` names the commit that was built on before."""

    def contains(self, tip: str, commit: str) -> bool:
        """Tell whether ``commit`` is ``tip`` or an ancestor of it."""

    def read(self, commit: str, paths: Sequence[str]) -> dict[str, Optional[File]]:
        """Return the files at ``paths``; None for what is no file."""

    def commit(self, parent: str, files: Mapping[str, File], message: str, author: Author) -> str:
        """Create a commit locally and return it."""

    def push(self, commit: str, parent: str, timeout_s: float) -> None:
        """Push ``commit`` if the branch still points to ``parent``; TransientError ``lost_race`` if not."""


@dataclass(frozen=True)
class Ports:
    """What the use case works with. ``open`` and ``lock`` take the deadline (monotonic seconds)."""

    open: Callable[[float], ContextManager[Branch]]
    lock: Callable[[float], ContextManager[Any]]
    clock: Clock
    lease: Lease
    random: Callable[[], float]


@dataclass(frozen=True)
class Request:
    """The checked options."""

    subject: Subject
    purpose: Purpose
    who: Optional[Holder]
    environment: str
    author: tuple[str, str]


@dataclass(frozen=True)
class Plan:
    """What a commit on ``tip`` would change; the same for check mode, diff and the real run."""

    tip: str
    path: str
    old: File
    outcome: Outcome
    fence: int = 0

    @property
    def changed(self) -> bool:
        """Whether anything has to be written."""
        return self.old.data != self.outcome.data


def check(params: Mapping[str, Any], subject_of: Callable[[Mapping[str, Any]], Subject]) -> Request:
    """Return the options as a request, or raise InvalidInput before anything is done."""
    for option in ("app", "version"):
        if params.get(option) == "":
            raise InvalidInput(option, "it is empty", "Leave it out or give it a value.")
    purpose = Purpose(
        params["kind"],
        params.get("app") or "",
        params.get("version") or "",
        params.get("commit_message") or "",
        {str(key): str(value) for key, value in (params.get("trailers") or {}).items()},
    )
    check_purpose(purpose)
    if not 0 < params["timeout"] <= _DAY_S:  # false for NaN, too
        raise InvalidInput("timeout", "%s is not a number of seconds above zero, up to a day" % params["timeout"])
    who = holder(params.get("lease"))
    environment = params.get("environment") or ""
    return Request(
        subject=subject_of(params),
        purpose=purpose,
        who=who,
        environment=who.environment if who else environment and check_environment("environment", environment),
        author=(
            check_person("author_name", params["author_name"]),
            check_person("author_email", params["author_email"]),
        ),
    )


def run(
    params: Mapping[str, Any], subject_of: Callable[[Mapping[str, Any]], Subject], ports: Ports, ctx: Context
) -> dict[str, Any]:
    """Make the edit that ``subject_of`` reads from ``params`` and return the module's result.

    Raises InvalidInput before any side effect; FencedError when a later delivery has
    written or the lease is lost; TransientError, PermanentError and NotFound from Git.
    """
    started = ports.clock.monotonic()
    request = check(params, subject_of)
    deadline = started + params["timeout"]
    with ports.open(deadline) as branch:
        delivery = _Delivery(request, branch, ports, ctx, deadline)
        if ctx.check_mode:
            plan = delivery.plan(delivery.fetch())
            result = dict(_result(plan, ctx), commit=plan.tip, attempts=0, pushed=False)
        else:
            with ports.lock(deadline):
                result = delivery.run()
    seconds = round(ports.clock.monotonic() - started, 3)
    return dict(result, branch=params["branch"], seconds=seconds)


class _Delivery:
    """One request on its way into the branch."""

    def __init__(self, request: Request, branch: Branch, ports: Ports, ctx: Context, deadline: float) -> None:
        self._request = request
        self._branch = branch
        self._ports = ports
        self._ctx = ctx
        self._deadline = deadline
        self._backoff = Backoff(0.05, 2.0, ports.random)

    def run(self) -> dict[str, Any]:
        """Plan, commit and push until the branch holds what is wanted."""
        plan = self.plan(self.fetch())
        attempts = 0
        while plan.changed:
            attempts += 1
            self._ports.lease.require(PUSH_S)
            commit = self._commit(plan)
            self._ports.lease.require(PUSH_S)
            tip = self._push(plan.tip, commit)
            if tip == commit or self._branch.contains(tip, commit):
                return dict(_result(plan, self._ctx), commit=commit, attempts=attempts, pushed=True)
            if self._left_s() < _LAST_PUSH_S:
                raise TransientError(
                    "push to", self._branch.label, "the branch moved or was locked in each of %d attempts" % attempts,
                    "Run the task again, or use a longer timeout.", code="lost_race",
                )  # fmt: skip
            before, plan = plan, self.plan(tip)
            self._warn_of_rivals(before.outcome.before, plan.outcome.before)
        return dict(_result(plan, self._ctx), commit=plan.tip, attempts=attempts, pushed=False)

    def fetch(self) -> str:
        """Fetch the tip; a passing fault is retried a few times, then it is the caller's."""
        for number in range(1, _FETCH_TRIES + 1):
            try:
                return self._branch.fetch()
            except TransientError:
                if number == _FETCH_TRIES or self._left_s() <= 0:
                    raise
                self._pause()
        raise AssertionError("unreachable")

    def plan(self, tip: str) -> Plan:
        """Return what has to change on ``tip``, or raise why it cannot."""
        subject, who, environment = self._request.subject, self._request.who, self._request.environment
        wanted = [*subject.places, *([fence_path(environment)] if environment else [])]
        files = self._branch.read(tip, wanted)
        fence_file = files.pop(fence_path(environment), None)
        stored = fence_file.data if fence_file else None
        if who:
            check_fence(who, stored)
        fence = read_fence(fence_path(environment), stored)
        found = {name: file for name, file in files.items() if file}
        name = subject.choose(list(found), self._branch.label)
        return Plan(tip, name, found[name], subject.edit(name, found[name].data), fence)

    def _commit(self, plan: Plan) -> str:
        request = self._request
        files = {plan.path: File(plan.old.mode, plan.outcome.data)}
        if request.who:
            files[fence_path(request.who.environment)] = File("100644", render_fence(request.who, request.purpose))
        text = message(request.purpose, request.who, request.subject.headline(plan.outcome.after))
        author = Author(*request.author, when=self._ports.clock.wall())
        return self._branch.commit(plan.tip, files, text, author)

    def _push(self, base: str, commit: str) -> str:
        """Push and return where the branch is then."""
        try:
            self._branch.push(commit, base, PUSH_S)
            return commit
        except TransientError as error:
            return self._tip_after(error, base, commit)

    def _tip_after(self, error: TransientError, base: str, commit: str) -> str:
        """Return where the branch is after a push that did not report success."""
        while self._left_s() > 0:
            self._pause()
            try:
                return self._branch.fetch(since=base)
            except TransientError:
                continue
        raise self._unsettled(error, commit) from error

    def _unsettled(self, error: TransientError, commit: str) -> SlipwayError:
        if error.code == "lost_race":
            return error
        return TransientError(
            "push to", self._branch.label, "%s, and the server could not be asked whether it took it" % error.cause,
            "Run the task again: it finds out.", code="push_unknown", result={"commit": commit},
        )  # fmt: skip

    def _left_s(self) -> float:
        return self._deadline - self._ports.clock.monotonic()

    def _pause(self) -> None:
        self._ports.lease.renew_if_due()
        self._ports.clock.sleep(self._backoff.delay())

    def _warn_of_rivals(self, before: Sequence[State], now: Sequence[State]) -> None:
        for old, new in zip(before, now):
            if old != new:
                self._ctx.warn(
                    "Another commit changed %s meanwhile; it is set as asked for here."
                    % self._request.subject.describe(new)
                )


def _result(plan: Plan, ctx: Context) -> dict[str, Any]:
    result: dict[str, Any] = {
        "changed": plan.changed,
        "path": plan.path,
        "before": plan.outcome.before,
        "after": plan.outcome.after,
        "fence": plan.fence,
    }
    if ctx.diff:
        result["diff"] = {
            "before": plan.old.data.decode("utf-8"),
            "after": plan.outcome.data.decode("utf-8"),
            "before_header": plan.path,
            "after_header": plan.path,
        }
    return result
