# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole gate over recorded rollouts, in virtual time: what it says, and when."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Generator, Mapping, Optional

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.slipway.gitops.plugins.module_utils._context import Context
from ansible_collections.slipway.gitops.plugins.module_utils._entry.health_gate import ENTRY
from ansible_collections.slipway.gitops.plugins.module_utils._errors import (
    FencedError,
    Forbidden,
    InvalidInput,
    NotFound,
    SlipwayError,
    TransientError,
    UnhealthyError,
)
from ansible_collections.slipway.gitops.plugins.module_utils._gate import service
from ansible_collections.slipway.gitops.plugins.module_utils._gate.http_check import Answer
from ansible_collections.slipway.gitops.plugins.module_utils._lease import NoLease

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures/gate"
STREAMS = ("deployments/gatelab", "replicasets/gatelab", "pods/gatelab")


class FakeClock:
    """Virtual time, so that a rollout of half a minute is judged in milliseconds."""

    def __init__(self, wall: float) -> None:
        self.now = 0.0
        self._wall = wall

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self._wall + self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class FakeCluster:
    """Plays a recorded rollout back: as API server, and as observer of it.

    ``begin_s`` is the moment of the recording at which the gate starts, ``stalled_from`` one
    after which the observer, but not the API server, stops telling of changes.
    """

    def __init__(self, case: str, begin_s: float = 0.0, stalled_from: float = float("inf")) -> None:
        header, *self._lines = map(json.loads, (FIXTURES / (case + ".jsonl")).read_text().splitlines())
        self.clock = FakeClock(header["wall"] + begin_s)
        self._states: dict[int, dict[str, dict[str, Any]]] = {}
        self._begin = begin_s
        self._stalled_from = stalled_from
        self.faults: dict[str, SlipwayError] = {}
        self.events: list[dict[str, Any]] = []
        self.log: Callable[[Mapping[str, str]], str] = lambda query: ""
        self.requests: list[str] = []
        self.unreachable_until = 0.0

    def state(self, at: float) -> dict[str, dict[str, Any]]:
        """Return the objects by stream as they were at ``at`` of the recording."""
        count = sum(1 for line in self._lines if line["at"] <= max(at, 0.0))
        if count not in self._states:
            found: dict[str, dict[str, Any]] = {stream: {} for stream in STREAMS}
            for line in self._lines[:count]:
                found[line["stream"]].pop(line["name"], None)
                if line["object"] is not None:
                    found[line["stream"]][line["name"]] = line["object"]
            self._states[count] = found
        return self._states[count]

    def snapshots(self, deadline: float, tick_s: float = 1.0) -> Generator[dict[str, Any], None, None]:
        while self.clock.now < deadline:
            yield self.state(min(self._begin + self.clock.now, self._stalled_from))
            self.clock.sleep(tick_s)

    def get(self, path: str, query: Optional[Mapping[str, str]] = None) -> dict[str, Any]:
        return self._answer(path)[path.rsplit("/", 1)[1]]

    def list(self, path: str, label_selector: str = "", field_selector: str = "") -> dict[str, Any]:
        self.requests.append(path)
        if path.endswith("/events"):
            uid = field_selector.partition("=")[2]
            return {"items": [item for item in self.events if item["involvedObject"]["uid"] == uid]}
        return {"items": list(self._answer(path + "/")[None].values())}

    def _answer(self, path: str) -> dict[Any, Any]:
        if self.clock.now < self.unreachable_until:
            raise TransientError("reach", "the Kubernetes API", "connection refused", code="unreachable")
        now = self.state(self._begin + self.clock.now)
        kind, name = path.rsplit("/", 2)[1:]
        items = now.get(kind + "/gatelab", {})
        if name and name not in items:
            raise NotFound("read", path)
        return {None: items, **items}

    def get_text(self, path: str, query: Optional[Mapping[str, str]] = None) -> str:
        self.requests.append(path)
        return self.log(query or {})


class Gate:
    """One call of the gate on a fake cluster."""

    def __init__(self, cluster: FakeCluster, **options: Any) -> None:
        self.cluster = cluster
        self.lines: list[str] = []
        self.asked: list[float] = []
        self.answer: Callable[[], Answer] = lambda: Answer(200, b'{"version": "2"}')
        self.lease: Any = NoLease()
        self.ctx = Context(progress=self.lines.append)
        given = {"namespace": "gatelab", "deployments": ["web"], "fail_on": [], **options}
        self._options = {name: value for name, value in given.items() if value is not None}

    def ask(self, check: Any) -> Answer:
        self.asked.append(self.cluster.clock.now)
        return self.answer()

    def run(self) -> dict[str, Any]:
        checked = ArgumentSpecValidator(ENTRY.argument_spec, **ENTRY.constraints).validate(self._options)
        assert checked.error_messages == []
        cluster = self.cluster
        ports = service.Ports(lambda: cluster, lambda kube, streams: cluster, self.ask, cluster.clock, self.lease)
        return service.run(checked.validated_parameters, ports, self.ctx)


NEW_IMAGE = ["gate.test/box:2"]


def test_a_good_release_passes_after_its_window() -> None:
    gate = Gate(FakeCluster("good"), stable_for=4, images=NEW_IMAGE)
    result = gate.run()
    assert (result["verdict"], result["changed"]) == ("pass", False)
    assert 4.0 <= result["seconds"]["stability"] < 4.3
    assert result["seconds"]["total"] == pytest.approx(result["seconds"]["rollout"] + result["seconds"]["stability"])
    (summary,) = result["deployments"]
    assert (summary["ready"], summary["old_ready"], summary["images"]) == (1, 0, NEW_IMAGE)
    assert result["diagnosis"] == {}


@pytest.mark.parametrize("begin_s", [0.0, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 8.0, 12.0, 16.0, 20.0])
@pytest.mark.parametrize("window", [2.0, 3.0, 5.0])
def test_a_release_that_crashes_without_a_probe_never_passes(begin_s: float, window: float) -> None:
    cluster = FakeCluster("crash-no-probe", begin_s)
    result = Gate(cluster, stable_for=window, wait_timeout=60, images=NEW_IMAGE).run()
    assert (result["verdict"], result["reason"]) == ("fail", "CrashLoopBackOff")
    assert result["diagnosis"]["exit_code"] == 3
    assert cluster.clock.now + begin_s < 25


def test_it_looked_ready_for_a_moment() -> None:
    """The recording does show what makes others pass it: a moment in which all counts are right."""
    result = Gate(FakeCluster("crash-no-probe"), stable_for=0, wait_timeout=60, images=NEW_IMAGE).run()
    assert result["verdict"] == "pass"


def test_a_missing_image_fails_after_its_grace() -> None:
    result = Gate(FakeCluster("missing-image"), images=["registry.slipway.test/nothing:9"]).run()
    assert (result["verdict"], result["reason"]) in [("fail", "ImagePullBackOff"), ("fail", "ErrImagePull")]
    assert 15.0 <= result["seconds"]["total"] < 18.0
    assert result["diagnosis"]["log"] == {}


def test_a_stalled_watch_passes_nothing() -> None:
    """The observer goes on showing the moment at which all was well; the fresh reads do not."""
    moment = next(at / 100 for at in range(0, 400, 5) if _looks_ready("crash-no-probe", at / 100))
    cluster = FakeCluster("crash-no-probe", moment, stalled_from=moment)
    result = Gate(cluster, stable_for=3, wait_timeout=20, images=NEW_IMAGE).run()
    assert result["verdict"] in ("fail", "timeout")


def _looks_ready(case: str, at: float) -> bool:
    gate = Gate(FakeCluster(case, at, stalled_from=at), stable_for=0, wait_timeout=0.1, images=NEW_IMAGE)
    return bool(gate.run()["verdict"] == "pass")


def test_verdict_fails_the_task_unless_told_otherwise() -> None:
    with pytest.raises(UnhealthyError) as failed:
        Gate(FakeCluster("crash-no-probe"), fail_on=["fail"]).run()
    assert failed.value.error_class == "unhealthy"
    assert failed.value.result["verdict"] == "fail"
    assert str(failed.value).startswith("Failed to verify Deployment gatelab/web: Pod gatelab/web-")


def test_timeout_says_that_it_may_yet_succeed() -> None:
    with pytest.raises(UnhealthyError) as failed:
        Gate(FakeCluster("missing-image"), wait_timeout=5, stable_for=1, fail_on=["timeout"]).run()
    assert failed.value.code == "timeout"
    assert "may still succeed" in str(failed.value)


def test_diagnosis_has_telling_events_and_a_masked_log() -> None:
    cluster = FakeCluster("crash-no-probe")
    pod = next(iter(set(cluster.state(20)["pods/gatelab"]) - set(cluster.state(0)["pods/gatelab"])))
    uid = cluster.state(20)["pods/gatelab"][pod]["metadata"]["uid"]
    cluster.events = [
        _event(cluster, uid, reason, at) for reason, at in (("BackOff", 9), ("Started", 8), ("BackOff", -60))
    ]
    cluster.log = lambda query: "starting\nPASSWORD=hunter2\n%s" % query["container"]
    result = Gate(cluster, log_lines=2).run()
    assert [event["reason"] for event in result["diagnosis"]["events"]] == ["BackOff"]
    assert result["diagnosis"]["log"] == {"container": "app", "previous": False, "lines": ["PASSWORD=********", "app"]}


def _event(cluster: FakeCluster, uid: str, reason: str, at: float) -> dict[str, Any]:
    from datetime import datetime, timezone

    moment = datetime.fromtimestamp(cluster.clock.wall() + at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"kind": "Pod", "name": "p", "uid": uid}
    return {"reason": reason, "message": "m", "lastTimestamp": moment, "involvedObject": about, "metadata": {}}


def test_a_log_that_may_not_be_read_changes_no_verdict() -> None:
    cluster = FakeCluster("crash-no-probe")

    def refuse(query: Mapping[str, str]) -> str:
        raise Forbidden("read", "pods/log")

    cluster.log = refuse
    result = Gate(cluster).run()
    assert result["verdict"] == "fail"
    assert result["diagnosis"]["log"]["missing"] == "no log: forbidden"


def test_log_of_a_container_that_the_kubelet_removed_is_taken_from_the_other_life() -> None:
    cluster = FakeCluster("crash-no-probe")
    cluster.log = lambda query: "boom" if query["previous"] else "unable to retrieve container logs for containerd://1"
    assert Gate(cluster).run()["diagnosis"]["log"] == {"container": "app", "previous": True, "lines": ["boom"]}


def test_a_cluster_that_cannot_be_observed_is_inconclusive() -> None:
    cluster = FakeCluster("good")
    cluster.faults = {"pods/gatelab": TransientError("reach", "the API", "no route to host", code="unreachable")}
    result = Gate(cluster, wait_timeout=15).run()
    assert (result["verdict"], result["reason"]) == ("inconclusive", "ClusterUnobservable")


def test_an_api_server_that_is_away_at_the_start_is_waited_for() -> None:
    cluster = FakeCluster("good")
    cluster.unreachable_until = 12.0
    assert Gate(cluster, stable_for=1).run()["verdict"] == "pass"


def test_an_api_server_that_stays_away_is_told_as_such() -> None:
    cluster = FakeCluster("good")
    cluster.unreachable_until = 1000.0
    with pytest.raises(TransientError):
        Gate(cluster).run()
    assert cluster.clock.now < 31.0


@pytest.mark.parametrize(
    "options, reason",
    [({"deployments": ["other"]}, "Missing"), ({"deployments": None, "label_selectors": ["a=b"]}, "NoDeployments")],
)
def test_nothing_to_judge_fails_at_once(options: dict[str, Any], reason: str) -> None:
    cluster = FakeCluster("good", begin_s=-1.0)
    if reason == "NoDeployments":
        cluster._lines = []
    result = Gate(cluster, **options).run()
    assert (result["verdict"], result["reason"]) == ("fail", reason)
    assert cluster.clock.now == 0.0


def test_urls_are_asked_only_when_the_rollout_is_ready() -> None:
    gate = Gate(
        FakeCluster("good"), stable_for=2, images=NEW_IMAGE, http=[{"url": "http://shop.example/", "version": "2"}]
    )
    result = gate.run()
    assert result["verdict"] == "pass"
    assert gate.asked[0] >= result["seconds"]["rollout"]
    assert result["http"][0]["in_a_row"] >= 3


@pytest.mark.parametrize(
    "answer, verdict, reason",
    [
        (Answer(200, b'{"version": "1"}'), "fail", "HttpMismatch"),
        (Answer(fault="Connection refused"), "fail", "HttpMismatch"),
        (Answer(fault="x does not resolve", is_evidence=False), "inconclusive", "HttpNoEvidence"),
    ],
)
def test_wrong_answers_are_judged_when_their_time_is_over(answer: Answer, verdict: str, reason: str) -> None:
    url = {"url": "http://shop.example/", "version": "2", "wait_timeout": 20}
    gate = Gate(FakeCluster("good"), stable_for=1, images=NEW_IMAGE, http=[url])
    gate.answer = lambda: answer
    result = gate.run()
    assert (result["verdict"], result["reason"]) == (verdict, reason)
    assert 20.0 <= gate.cluster.clock.now < 25.0


def test_an_answer_that_flaps_does_not_pass() -> None:
    url = {"url": "http://shop.example/", "interval": 0.5, "wait_timeout": 10}
    gate = Gate(FakeCluster("good"), stable_for=1, http=[url])
    gate.answer = lambda: Answer(503 if len(gate.asked) % 3 == 0 else 200)
    assert gate.run()["verdict"] == "fail"


def test_a_url_alone_must_answer_for_the_whole_window() -> None:
    gate = Gate(
        FakeCluster("good"), namespace=None, deployments=None, stable_for=5, http=[{"url": "http://shop.example/"}]
    )
    gate.answer = lambda: Answer(503 if gate.cluster.clock.now < 3.0 else 200)
    assert gate.run()["verdict"] == "pass"
    assert gate.cluster.clock.now >= 8.0


def test_a_refused_address_met_on_the_way_is_an_error() -> None:
    gate = Gate(FakeCluster("good"), stable_for=0, http=[{"url": "http://shop.example/"}])

    def refuse() -> Answer:
        raise InvalidInput("http.url", "a metadata address")

    gate.answer = refuse
    with pytest.raises(InvalidInput):
        gate.run()


class CountingLease(NoLease):
    """A lease that is asked, and lost at ``lost_at``."""

    def __init__(self, clock: FakeClock, lost_at: float) -> None:
        self.asked = 0
        self._clock = clock
        self._lost_at = lost_at

    def renew_if_due(self) -> None:
        self.asked += 1
        if self._clock.now >= self._lost_at:
            raise FencedError("renew", "the lease", "taken over")


def test_the_lease_is_kept_and_its_loss_ends_the_gate() -> None:
    gate = Gate(FakeCluster("missing-image"))
    gate.lease = CountingLease(gate.cluster.clock, lost_at=6.0)
    with pytest.raises(FencedError):
        gate.run()
    assert gate.lease.asked >= 50
    assert gate.cluster.clock.now < 6.2


def test_a_delivery_that_was_asked_to_stop_stops() -> None:
    gate = Gate(FakeCluster("missing-image"))
    gate.lease = NoLease()
    gate.lease.cancel_requested = True
    result = gate.run()
    assert (result["verdict"], result["reason"]) == ("inconclusive", "CancelRequested")


def test_progress_is_never_silent_for_ten_seconds() -> None:
    gate = Gate(FakeCluster("missing-image"), wait_timeout=60, images=["registry.slipway.test/nothing:9"])
    shown: list[float] = []
    gate.ctx = Context(progress=lambda line: shown.append(gate.cluster.clock.now))
    gate.run()
    assert max(after - before for before, after in zip([0.0, *shown], [*shown, gate.cluster.clock.now])) < 10.0


@pytest.mark.parametrize("case, requests", [("good", 4)])
def test_few_requests(case: str, requests: int) -> None:
    """One read to find it and three to confirm; the rest is told by the watch."""
    cluster = FakeCluster(case)
    Gate(cluster, stable_for=2, images=NEW_IMAGE).run()
    assert len(cluster.requests) + 1 <= requests
