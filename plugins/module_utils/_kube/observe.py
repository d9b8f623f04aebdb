# Copyright (c) 2026, slipway.gitops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches several collections of objects at once (private to the collection).

LIST first, so that a state already reached is seen at once; then WATCH from there, so that
a change is seen within milliseconds and costs no request. A lost stream is taken up again
from the last version, an expired one by a new LIST. Where watching is forbidden, LIST
every second takes its place.
"""

from __future__ import annotations

import queue
import random
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generator, NamedTuple, Optional

from .._context import Backoff, Clock
from .._errors import PermanentError, SlipwayError

if TYPE_CHECKING:
    from .client import KubeClient
from .stream import Objects, Stream

_POLL_S = 1.0
#: A stream that ends sooner than this, that often in a row, is not to be trusted.
_LASTING_S = 1.0
_BRIEF = 3


@dataclass(frozen=True)
class _News:
    """What a stream's thread reports: a full list, one change, or trouble."""

    stream: str
    type: str
    object: dict[str, Any]
    items: Optional[Objects] = None
    fault: Optional[SlipwayError] = None


class _Desk(NamedTuple):
    """Where a stream's thread reports to, and what tells it to stop."""

    news: queue.Queue[_News]
    ended: threading.Event
    clock: Clock


def _key(item: dict[str, Any]) -> str:
    return str(item["metadata"]["name"])


class Observer:
    """Snapshots of streams until a deadline. One use only; close by leaving the iteration."""

    def __init__(self, client: KubeClient, streams: list[Stream], clock: Clock) -> None:
        self._client = client
        self._streams = streams
        self._clock = clock
        self._news: queue.Queue[_News] = queue.Queue()
        self._ended = threading.Event()
        self._clients: list[KubeClient] = []
        self._state: dict[str, Objects] = {}
        self.faults: dict[str, SlipwayError] = {}

    def snapshots(self, deadline: float, tick_s: float = 1.0) -> Generator[dict[str, Objects], None, None]:
        """Yield {stream: {name: object}}: first at once, then at every change and every ``tick_s``.

        Ends at ``deadline`` (of the monotonic clock). The first LIST raises what it meets;
        later trouble is kept in ``faults`` by stream, while the last state stays visible.
        The yielded mapping is the observer's own and lives on: read, do not keep.
        """
        versions = {stream.name: self._list(stream) for stream in self._streams}
        try:
            yield self._state
            for stream in self._streams:
                self._start(stream, versions[stream.name])
            while self._clock.monotonic() < deadline:
                self._collect(min(tick_s, deadline - self._clock.monotonic()))
                yield self._state
        finally:
            self._ended.set()
            for client in self._clients:
                client.interrupt()

    def _list(self, stream: Stream) -> str:
        answer = self._client.list(stream.path, stream.label_selector, stream.field_selector)
        version = _version_of(answer, stream)
        self._state[stream.name] = _objects(answer)
        return version

    def _collect(self, wait_s: float) -> None:
        """Take in the next news, waiting for it, and all that came with it."""
        try:
            news = self._news.get(timeout=max(0.0, wait_s))
            while True:
                self._take_in(news)
                news = self._news.get_nowait()
        except queue.Empty:
            return

    def _take_in(self, news: _News) -> None:
        if news.fault is not None:
            self.faults[news.stream] = news.fault
            return
        self.faults.pop(news.stream, None)
        if news.items is not None:
            self._state[news.stream] = news.items
        elif news.type == "DELETED":
            self._state[news.stream].pop(_key(news.object), None)
        elif news.type in ("ADDED", "MODIFIED"):
            self._state[news.stream][_key(news.object)] = news.object

    def _start(self, stream: Stream, version: str) -> None:
        client = self._client.clone()
        self._clients.append(client)
        follower = _Follower(stream, client, version, _Desk(self._news, self._ended, self._clock))
        # A daemon, because a task timeout must be able to end the worker at any moment.
        threading.Thread(target=follower.run, daemon=True).start()


class _Follower:
    """Keeps one stream alive, in a thread of its own, until ``ended``."""

    def __init__(self, stream: Stream, client: KubeClient, version: str, desk: _Desk) -> None:
        self._stream = stream
        self._client = client
        self._version = version
        self._news, self._ended, self._clock = desk
        self._can_watch = True
        self._rest()

    def _rest(self) -> None:
        """Begin anew to count what goes wrong."""
        self._brief = 0
        self._backoff = Backoff(0.1, 2.0, random.random)

    def run(self) -> None:
        """Follow the stream. Whatever happens here is reported: silence would look like a quiet cluster."""
        while not self._ended.is_set():
            try:
                self._step()
            except SlipwayError as error:
                self._take(error)
            except Exception as error:  # a defect of ours
                self._take(PermanentError("watch", self._stream.path, "unexpected %r" % error, code="defect"))
        self._client.close()

    def _step(self) -> None:
        if not self._version:
            self._version = self._relist()
        if self._can_watch:
            self._watch()
        else:
            self._version = ""
            self._ended.wait(_POLL_S)

    def _watch(self) -> None:
        """Pass on one stream until it ends; one that never lasts is looked after by LIST."""
        began = self._clock.monotonic()
        stream = self._stream
        try:
            for event in self._client.watch(stream.path, self._version, (stream.label_selector, stream.field_selector)):
                self._version = str(event.object["metadata"]["resourceVersion"])
                if event.type != "BOOKMARK":
                    self._news.put(_News(stream.name, event.type, event.object))
        except SlipwayError as error:
            if error.code != "cut":
                raise
        if self._clock.monotonic() - began >= _LASTING_S:
            self._rest()
            return
        self._brief += 1
        if self._brief >= _BRIEF:
            self._version = ""  # a LIST tells whether the API server is there at all
        self._ended.wait(self._backoff.delay())

    def _take(self, error: SlipwayError) -> None:
        """Report trouble, unless there is a way around it."""
        is_watching = bool(self._version)
        self._version = ""  # a LIST shows what was missed, and that the trouble is over
        if error.code == "forbidden" and is_watching and self._can_watch:
            self._can_watch = False
            return
        if error.code != "gone" and not self._ended.is_set():
            self._news.put(_News(self._stream.name, "FAULT", {}, fault=error))
        self._ended.wait(self._backoff.delay())

    def _relist(self) -> str:
        stream = self._stream
        answer = self._client.list(stream.path, stream.label_selector, stream.field_selector)
        items, version = _objects(answer), _version_of(answer, stream)
        self._news.put(_News(stream.name, "LIST", {}, items=items))
        return version


def _objects(answer: dict[str, Any]) -> Objects:
    return {_key(item): item for item in answer.get("items") or []}


def _version_of(answer: dict[str, Any], stream: Stream) -> str:
    version = (answer.get("metadata") or {}).get("resourceVersion")
    if not version:
        raise PermanentError("list", stream.path, "the answer is not a list of objects", code="not_an_api")
    return str(version)
