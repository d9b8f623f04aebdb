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
from typing import TYPE_CHECKING, Any, Iterator, Optional

from .._context import Backoff, Clock
from .._errors import SlipwayError

if TYPE_CHECKING:
    from .client import KubeClient
from .stream import Objects, Stream

_POLL_S = 1.0


@dataclass(frozen=True)
class _News:
    """What a stream's thread reports: a full list, one change, or trouble."""

    stream: str
    type: str
    object: dict[str, Any]
    items: Optional[Objects] = None
    fault: Optional[SlipwayError] = None


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

    def snapshots(self, deadline: float, tick_s: float = 1.0) -> Iterator[dict[str, Objects]]:
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
                client.close()

    def _list(self, stream: Stream) -> str:
        answer = self._client.list(stream.path, stream.label_selector, stream.field_selector)
        self._state[stream.name] = {_key(item): item for item in answer.get("items") or []}
        return str(answer["metadata"]["resourceVersion"])

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
        # A daemon, because a task timeout must be able to end the worker at any moment.
        threading.Thread(target=self._follow, args=(stream, client, version), daemon=True).start()

    def _follow(self, stream: Stream, client: KubeClient, version: str) -> None:
        """Keep one stream alive until the observer ends."""
        backoff = Backoff(0.1, 5.0, random.random)
        can_watch = True
        while not self._ended.is_set():
            try:
                if not version:
                    version = self._relist(stream, client)
                if not can_watch:
                    version = ""
                    self._ended.wait(_POLL_S)
                    continue
                for event in client.watch(stream.path, version, (stream.label_selector, stream.field_selector)):
                    version = str(event.object["metadata"]["resourceVersion"])
                    if event.type != "BOOKMARK":
                        self._news.put(_News(stream.name, event.type, event.object))
                    backoff = Backoff(0.1, 5.0, random.random)
            except SlipwayError as error:
                if error.code == "forbidden" and can_watch and version:
                    can_watch, version = False, ""
                    continue
                if error.code == "cut":
                    self._ended.wait(backoff.delay())
                    continue
                version = ""  # a LIST shows what was missed, and that the trouble is over
                if not self._ended.is_set() and error.code != "gone":
                    self._news.put(_News(stream.name, "FAULT", {}, fault=error))
                self._ended.wait(backoff.delay())

    def _relist(self, stream: Stream, client: KubeClient) -> str:
        answer = client.list(stream.path, stream.label_selector, stream.field_selector)
        items = {_key(item): item for item in answer.get("items") or []}
        self._news.put(_News(stream.name, "LIST", {}, items=items))
        return str(answer["metadata"]["resourceVersion"])
