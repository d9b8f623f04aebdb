# SPDX-License-Identifier: GPL-3.0-or-later
"""The waiting and the writes of argocd_app under faults that a real Argo CD does not show on demand."""

from __future__ import annotations

import copy
from typing import Any, Callable, Iterator, Mapping, Optional

import pytest

from ansible_collections.slipway.gitops.plugins.module_utils._argocd.descent import Delivered, relation
from ansible_collections.slipway.gitops.plugins.module_utils._argocd.operation import FENCE
from ansible_collections.slipway.gitops.plugins.module_utils._argocd.ports import Ports, Sight
from ansible_collections.slipway.gitops.plugins.module_utils._argocd.service import run
from ansible_collections.slipway.gitops.plugins.module_utils._argocd.state import (
    BEHIND,
    CHANGED,
    DESCENDANT,
    DIVERGED,
)
from ansible_collections.slipway.gitops.plugins.module_utils._argocd.view import OPERATION_INFO, REFRESH
from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry.argocd_app import _delivered
from ansible_collections.slipway.gitops.plugins.module_utils._errors import (
    FencedError,
    InvalidInput,
    NotFound,
    SlipwayError,
    TransientError,
)
from ansible_collections.slipway.gitops.plugins.module_utils._lease import NoLease

OURS, OTHER = "a" * 40, "b" * 40
Change = Callable[[dict[str, Any]], None]


class FakeClock:
    """Time that passes only when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_800_000_000.0 + self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class FakeArgo:
    """One Application at an API server that fails on demand, and a controller that plays a script.

    ``script`` holds a change for each second; after its end nothing changes any more. The
    refresh annotation goes away by itself unless ``is_deaf``.
    """

    def __init__(self, *script: Change, **status: Any) -> None:
        self.clock = FakeClock()
        self.is_deaf = False
        self.lost_answers = 0
        self.conflicts = 0
        self.writes: list[str] = []
        self.script = list(script)
        self.window: Optional[dict[str, Any]] = None
        self.app: Optional[dict[str, Any]] = {
            "metadata": {"name": "shop", "namespace": "argocd", "resourceVersion": "1"},
            "spec": {"project": "default", "source": {"repoURL": "ssh://h/x"}, "syncPolicy": {"automated": {}}},
            "status": {"sync": {"status": "Synced", "revision": OURS}, **status},
        }

    def get(self, path: str, _query: Any = None) -> dict[str, Any]:
        if "appprojects" in path and self.window is not None:
            always = {"schedule": "* * * * *", "duration": "24h", "applications": ["*"]}
            return {"spec": {"syncWindows": [{**always, **self.window}]}}
        if "appprojects" in path or self.app is None:
            raise NotFound("read", path, "not found")
        return copy.deepcopy(self.app)

    def merge_patch(self, _path: str, body: Mapping[str, Any], **_options: Any) -> dict[str, Any]:
        assert self.app is not None
        self.writes.append("refresh")
        self.app["metadata"].setdefault("annotations", {}).update(body["metadata"]["annotations"])
        return self.app

    def replace(self, _path: str, body: Mapping[str, Any], **_options: Any) -> dict[str, Any]:
        assert self.app is not None
        if self.conflicts or body["metadata"]["resourceVersion"] != self.app["metadata"]["resourceVersion"]:
            self.conflicts -= 1
            raise TransientError("replace", "x", "modified", code="conflict")
        self.writes.append("operation")
        self.app = copy.deepcopy(dict(body))
        self.app["metadata"]["resourceVersion"] += "1"
        if self.lost_answers:
            self.lost_answers -= 1
            raise TransientError("replace", "x", "sent again, and the first had arrived", code="conflict")
        return self.app

    def observe(self, _namespace: str, _name: str, deadline: float) -> Iterator[Sight]:
        while self.clock.now < deadline:
            yield Sight(copy.deepcopy(self.app), None)
            self.clock.now += 1.0
            if self.app is not None and not self.is_deaf:
                self.app["metadata"].get("annotations", {}).pop(REFRESH, None)
            if self.script and self.app is not None:
                self.script.pop(0)(self.app)


def manual(app: dict[str, Any]) -> None:
    app["spec"]["syncPolicy"] = {}


def finish(phase: str, revision: str = OURS, message: str = "") -> Change:
    """Return the change with which the controller ends the running operation."""

    def change(app: dict[str, Any]) -> None:
        operation = app.pop("operation")
        app["status"]["operationState"] = {
            "phase": phase, "message": message, "operation": operation, "syncResult": {"revision": revision},
        }  # fmt: skip
        app["status"]["sync"] = {"status": "Synced" if phase == "Succeeded" else "OutOfSync", "revision": revision}

    return change


def wait(_app: dict[str, Any]) -> None:
    return None


def sync(argo: FakeArgo, ports: Optional[dict[str, Any]] = None, check: bool = False, **options: Any) -> dict[str, Any]:
    """Run state synced for our commit."""
    params = {
        "name": "shop", "namespace": "argocd", "state": "synced", "revision": OURS, "wait_timeout": 60, **options
    }  # fmt: skip
    given = {"new_id": lambda: "me", **(ports or {})}
    return run(params, Ports(argo, argo.clock, argo.observe, **given), Context(check_mode=check))  # type: ignore[arg-type]


def failure(argo: FakeArgo, ports: Optional[dict[str, Any]] = None, **options: Any) -> SlipwayError:
    with pytest.raises(SlipwayError) as caught:
        sync(argo, ports, **options)
    return caught.value


def test_redelivery_asks_once_and_changes_nothing() -> None:
    argo = FakeArgo()
    assert not sync(argo)["changed"]
    assert argo.writes == ["refresh"]


def test_check_mode_neither_writes_nor_waits() -> None:
    argo = FakeArgo(sync={"status": "OutOfSync", "revision": OTHER})
    manual(argo.app or {})
    assert sync(argo, check=True)["changed"]
    assert (argo.writes, argo.clock.now) == ([], 1000.0)


def test_a_refresh_under_way_is_followed_by_one_of_our_own() -> None:
    argo = FakeArgo()
    assert argo.app
    argo.app["metadata"]["annotations"] = {REFRESH: "normal"}
    sync(argo)
    assert argo.writes == ["refresh", "refresh"]


def test_a_comparison_that_never_comes_is_asked_for_again_by_another_value() -> None:
    argo = FakeArgo()
    argo.is_deaf = True
    error = failure(argo)
    assert (error.error_class, error.code) == ("transient", "timeout")
    assert "argocd-application-controller" in error.hint
    assert argo.writes.count("refresh") == 4
    assert "not reached in 60 s" in str(error)


def own(argo: FakeArgo) -> FakeArgo:
    """Take automated sync away, so that an operation of our own is needed."""
    assert argo.app
    manual(argo.app)
    argo.app["status"]["sync"] = {"status": "OutOfSync", "revision": OTHER}
    return argo


def test_our_operation_is_started_once() -> None:
    argo = own(FakeArgo(wait, finish("Succeeded")))
    result = sync(argo)
    assert (result["changed"], result["operation_started"], result["revision"]) == (True, True, OURS)
    assert argo.writes == ["refresh", "operation"]


@pytest.mark.parametrize("fault", ["lost_answers", "conflicts"])
def test_a_lost_answer_or_race_starts_no_second_operation(fault: str) -> None:
    argo = own(FakeArgo(wait, finish("Succeeded")))
    setattr(argo, fault, 1)
    assert sync(argo)["operation_started"]
    assert argo.writes.count("operation") == 1


def test_somebody_elses_operation_is_waited_for_and_then_reported() -> None:
    argo = own(FakeArgo())
    assert argo.app
    argo.app["operation"] = {"sync": {"revision": OTHER}}
    argo.app["status"]["operationState"] = {"phase": "Running", "operation": argo.app["operation"]}
    error = failure(argo)
    assert (error.error_class, error.code) == ("busy", "busy")
    assert "operation" not in argo.writes


def blocked(app: dict[str, Any]) -> None:
    """What Argo CD says of every operation in a closed window at first, before it sees that a person started it."""
    message = "Sync operation blocked by sync window"
    app["status"]["operationState"] = {"phase": "Running", "message": message, "operation": app["operation"]}


def test_a_window_holds_our_operation_back_for_good_only_when_it_stays_so() -> None:
    busy = [wait] * 12  # a controller that has much to do before it looks again
    assert sync(own(FakeArgo(wait, blocked, *busy, finish("Succeeded"))))["operation_started"]
    error = failure(own(FakeArgo(wait, blocked)))
    assert (error.error_class, error.code, 15 < error.result["seconds"] < 20) == ("busy", "window_closed", True)


@pytest.mark.parametrize(
    ("starter", "is_soon"),
    [({"initiatedBy": {"automated": True}}, True), ({"info": [{"name": OPERATION_INFO, "value": "earlier"}]}, False)],
    ids=["Argo CD itself", "an earlier run"],
)
def test_a_window_that_holds_an_operation_back_is_told_sooner_of_others(starter: Any, is_soon: bool) -> None:
    argo = FakeArgo(blocked)
    assert argo.app
    argo.app["operation"] = {"sync": {"revision": OURS}, **starter}
    error = failure(argo)
    assert (error.error_class, error.code, error.result["seconds"] < 10) == ("busy", "window_closed", is_soon)


def held_back(*script: Change, revision: str = OURS) -> FakeArgo:
    """Return an Application under automated sync whose operation does not begin."""
    return FakeArgo(*[wait] * 6, *script, sync={"status": "OutOfSync", "revision": revision})


SEEN = {
    "a window that lets a person through": ({"kind": "deny", "manualSync": True}, True, True),
    "no window that can be seen": (None, True, True),
    "no window that can be seen, and not asked for": (None, False, False),
    "a window that is open": ({"kind": "allow"}, True, False),
}


@pytest.mark.parametrize(("window", "by_hand", "starts"), SEEN.values(), ids=SEEN)
def test_by_hand_is_started_what_a_window_holds_back_or_may(window: Any, by_hand: bool, starts: bool) -> None:
    argo = held_back(finish("Succeeded") if starts else wait)
    argo.window = window
    if starts:
        result = sync(argo, manual=by_hand)
        assert (result["operation_started"], result["seconds"] < 10) == (True, True)
    else:
        assert failure(argo, manual=by_hand).code == "timeout"
    assert argo.writes.count("operation") == int(starts)


def test_a_window_that_lets_nobody_through_is_told_by_hand_too() -> None:
    argo = held_back()
    argo.window = {"kind": "deny"}
    error = failure(argo, manual=True)
    assert (error.code, error.result["operation_started"], "operation" in argo.writes) == (
        "window_closed",
        False,
        False,
    )


@pytest.mark.parametrize(("relation_", "code"), [(DESCENDANT, ""), (CHANGED, "superseded")])
def test_by_hand_a_later_commit_is_as_good_as_ours_if_it_kept_what_was_delivered(relation_: str, code: str) -> None:
    argo = held_back(finish("Succeeded", OTHER), revision=OTHER)
    argo.window = {"kind": "deny", "manualSync": True}
    ports = {"relation": lambda _ours, _other: relation_}
    if code:
        assert (failure(argo, ports, manual=True).code, "operation" in argo.writes) == (code, False)
    else:
        result = sync(argo, ports, manual=True)
        assert (result["operation_started"], result["revision"]) == (True, OTHER)


def test_our_operation_that_never_ends_is_stuck() -> None:
    error = failure(own(FakeArgo()))
    assert (error.error_class, error.code) == ("transient", "stuck")
    assert "terminate it" in error.hint


def test_a_failed_operation_is_tried_again_only_when_asked_and_once() -> None:
    def broken() -> FakeArgo:
        state = {"phase": "Failed", "message": "no", "syncResult": {"revision": OURS}, "startedAt": "1"}
        argo = FakeArgo(wait, finish("Failed", message="still no"), operationState=state)
        assert argo.app
        argo.app["status"]["sync"]["status"] = "OutOfSync"
        return argo

    once = broken()
    assert failure(once).code == "sync_failed"
    assert "operation" not in once.writes
    later = broken()
    assert later.app
    later.script = [wait, finish("Succeeded", OTHER)]
    later.app["status"]["sync"]["revision"] = later.app["status"]["operationState"]["syncResult"]["revision"] = OTHER
    ports = {"relation": lambda _ours, _other: DESCENDANT}
    assert sync(later, ports, retry_failed=True)["revision"] == OTHER
    twice = broken()
    error = failure(twice, retry_failed=True)
    assert (error.code, "still no" in error.cause) == ("sync_failed", True)
    assert (twice.writes.count("operation"), error.result["changed"]) == (1, True)


class FakeLease(NoLease):
    """A lease that is lost or cancelled after some calls."""

    fence = 5

    def __init__(self, good_for: int, cancel: bool = False) -> None:
        self._good_for = good_for
        self._cancel = cancel

    def renew_if_due(self) -> None:
        self._good_for -= 1
        if self._good_for < 0 and not self._cancel:
            raise FencedError("renew", "the lease", "it was taken", code="lease_lost")
        self.cancel_requested = self._cancel and self._good_for < 0

    def require(self, seconds: float) -> None:
        self.renew_if_due()


def test_a_lost_lease_ends_the_wait_and_starts_nothing() -> None:
    argo = own(FakeArgo())
    error = failure(argo, {"lease": FakeLease(2)})
    assert (error.error_class, error.code) == ("fenced", "lease_lost")
    assert "operation" not in argo.writes


def test_a_cancelled_delivery_ends_the_wait() -> None:
    assert failure(own(FakeArgo()), {"lease": FakeLease(4, cancel=True)}).code == "cancelled"


def test_a_higher_fence_is_respected_and_ours_is_written() -> None:
    overtaken = own(FakeArgo())
    assert overtaken.app
    overtaken.app["metadata"]["annotations"] = {FENCE: "6"}
    error = failure(overtaken, {"lease": FakeLease(99)})
    assert (error.error_class, error.code) == ("fenced", "fenced")
    assert "operation" not in overtaken.writes
    free = own(FakeArgo(wait, finish("Succeeded")))
    sync(free, {"lease": FakeLease(99)})
    assert free.app
    assert free.app["metadata"]["annotations"][FENCE] == "5"


def test_a_deleted_application_ends_the_wait() -> None:
    argo = FakeArgo(sync={"status": "OutOfSync", "revision": OURS})

    def vanish(_app: dict[str, Any]) -> None:
        argo.app = None

    argo.script = [wait, vanish]
    assert failure(argo).code == "deleted"


def test_a_passing_comparison_error_is_tolerated_and_a_lasting_one_is_not() -> None:
    text = "Failed to load target state: `kustomize build <path to cached source>/app` failed exit status 1"

    def broken(app: dict[str, Any]) -> None:
        app["status"]["conditions"] = [{"type": "ComparisonError", "message": text}]

    def healed(app: dict[str, Any]) -> None:
        del app["status"]["conditions"]
        app["status"]["sync"] = {"status": "Synced", "revision": OURS}

    sync(FakeArgo(broken, wait, wait, healed, sync={"status": "Unknown", "revision": "main"}), revision=None)
    lasting = FakeArgo(broken, sync={"status": "Unknown", "revision": "main"})
    error = failure(lasting)
    assert (error.error_class, error.code) == ("permanent", "comparison")
    assert lasting.clock.now < 1012
    text = "Failed to load target state: failed to list refs: dial tcp 10.0.0.9:22: connect: connection refused"
    away = FakeArgo(broken, sync={"status": "Unknown", "revision": "main"})
    error = failure(away)
    assert (error.error_class, error.code) == ("transient", "comparison")
    assert away.clock.now > 1020


def test_the_repository_is_asked_only_about_another_commit_and_once() -> None:
    asked: list[str] = []

    def ask(_ours: str, other: str) -> str:
        asked.append(other)
        return DESCENDANT

    sync(FakeArgo(), {"relation": ask})
    assert asked == []
    result = sync(FakeArgo(sync={"status": "Synced", "revision": OTHER}), {"relation": ask})
    assert (result["revision"], result["changed"], asked) == (OTHER, False, [OTHER])


def test_a_repository_that_does_not_answer_is_asked_again() -> None:
    answers: list[Any] = [TransientError("fetch", "x", "cut"), TransientError("fetch", "x", "cut"), CHANGED]

    def ask(_ours: str, _other: str) -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    error = failure(FakeArgo(sync={"status": "Synced", "revision": OTHER}), {"relation": ask})
    assert (error.error_class, error.code, error.result["superseded_by"]) == ("fenced", "superseded", OTHER)


def test_what_can_never_be_reached_is_refused_without_waiting() -> None:
    several = FakeArgo()
    assert several.app
    several.app["spec"] = {"sources": [{}, {}]}
    assert failure(several).code == "multi_source"
    pinned = FakeArgo()
    assert pinned.app
    pinned.app["spec"]["source"]["targetRevision"] = OTHER
    assert failure(pinned).code == "auto_sync"
    assert (several.writes, pinned.writes) == ([], [])


class FakeHistory:
    """Commits oldest first; the branch is their chain."""

    def __init__(self, **commits: str) -> None:
        self.commits = commits

    def load(self, commit: str) -> bool:
        return commit in self.commits

    def contains(self, tip: str, commit: str) -> bool:
        order = list(self.commits)
        return tip in order and order.index(commit) <= order.index(tip)

    def read(self, commit: str, paths: Any) -> dict[str, Optional[bytes]]:
        return {path: self.commits[commit].encode() if path == "app/kustomization.yml" else None for path in paths}


@pytest.mark.parametrize(
    ("ours", "other", "answer"),
    [("b", "c", DESCENDANT), ("b", "d", CHANGED), ("b", "a", BEHIND), ("x", "c", DIVERGED), ("b", "x", BEHIND)],
)
def test_relation_of_commits(ours: str, other: str, answer: str) -> None:
    history = FakeHistory(a="1", b="2", c="2", d="3")
    delivered = Delivered(
        ["app/kustomization.yaml", "app/kustomization.yml"], ["image"], lambda data, _name: {"tag": data.decode()}
    )
    assert relation(history, delivered, ours, other) == answer


def test_an_image_that_our_own_commit_does_not_have_is_bad_input() -> None:
    with pytest.raises(InvalidInput, match=r"expected\.images"):
        relation(
            FakeHistory(a="1", b="1"), Delivered(["app/kustomization.yml"], ["x"], lambda _data, _name: None), "a", "b"
        )


VALUES = {
    "a": 'image: {tag: "0"}',
    "b": 'image: {tag: "1"}',
    "c": "other: x\nimage:\n  tag: '1' # same",
    "d": "image: {tag: 1}",
    "e": "image: {}",
    "f": "image: [broken",
}


@pytest.mark.parametrize(
    ("other", "answer"), [("c", DESCENDANT), ("d", CHANGED), ("e", CHANGED), ("f", CHANGED), ("a", BEHIND)]
)
def test_relation_of_commits_by_a_value(other: str, answer: str) -> None:
    """What decides is the value to Helm: other quotes and other keys do not matter, another type does."""
    delivered = _delivered({"path": "app/kustomization.yml", "values": ["image.tag"]})
    assert relation(FakeHistory(**VALUES), delivered, "b", other) == answer


def test_a_value_that_our_own_commit_does_not_have_is_bad_input() -> None:
    delivered = _delivered({"path": "app/kustomization.yml", "values": ["image.tga"]})
    with pytest.raises(InvalidInput, match=r"expected\.values"):
        relation(FakeHistory(**VALUES), delivered, "b", "c")


def test_a_value_without_a_key_path_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(InvalidInput, match=r"expected\.values"):
        _delivered({"path": "app/values.yaml", "values": ["image..tag"]})
