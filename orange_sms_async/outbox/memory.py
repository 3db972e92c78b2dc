"""An outbox in memory: it forgets what is finished, and everything when the process ends."""

import heapq
import itertools
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from datetime import timedelta

from orange_sms_async.messages import ResourceId
from orange_sms_async.outbox import Entry
from orange_sms_async.outcomes import Outcome, Priority, State
from orange_sms_async.receipts import DeliveryReceipt


class MemoryOutbox:
    """An ordered lane per priority, and a heap of what is for later."""

    durable = False
    sent_lately = False

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._lanes = {priority: OrderedDict[str, Entry]() for priority in Priority}
        self._later: list[tuple[float, int, Entry]] = []
        self._scheduled = Counter[Priority]()
        self._arrivals = itertools.count()

    async def open(self, now: float, retention: timedelta) -> list[Outcome]:
        return []

    async def aclose(self) -> None:
        self._entries.clear()
        self._later.clear()
        self._scheduled.clear()
        for lane in self._lanes.values():
            lane.clear()

    @property
    def unfinished(self) -> int:
        return len(self._entries)

    def waiting(self, priority: Priority) -> int:
        return len(self._lanes[priority]) + self._scheduled[priority]

    def add(self, entry: Entry) -> None:
        self._entries[entry.message.reference] = entry
        if entry.not_before:
            entry.state = State.SCHEDULED
            self._scheduled[entry.priority] += 1
            heapq.heappush(self._later, (entry.not_before, next(self._arrivals), entry))
        else:
            self._queue(entry)

    def _queue(self, entry: Entry) -> None:
        entry.state = State.QUEUED
        self._lanes[entry.priority][entry.message.reference] = entry

    async def ready_at(self) -> float | None:
        if any(self._lanes.values()):
            return 0.0
        self._drop_withdrawn()
        return self._later[0][0] if self._later else None

    async def take(self, now: float) -> Entry | None:
        self._promote(now)
        for lane in self._lanes.values():
            if lane:
                _, entry = lane.popitem(last=False)
                entry.state = State.SENDING
                return entry
        return None

    def _promote(self, now: float) -> None:
        self._drop_withdrawn()
        while self._later and self._later[0][0] <= now:
            _, _, entry = heapq.heappop(self._later)
            self._scheduled[entry.priority] -= 1
            self._queue(entry)
            self._drop_withdrawn()

    def _drop_withdrawn(self) -> None:
        # A heap cannot give up what is in its middle: the withdrawn go when they reach the top.
        while self._later and self._later[0][2].state is not State.SCHEDULED:
            heapq.heappop(self._later)

    async def put_back(self, entry: Entry) -> None:
        self._queue(entry)
        self._lanes[entry.priority].move_to_end(entry.message.reference, last=False)

    async def settle(self, outcome: Outcome, now: float) -> list[Outcome]:
        self._entries.pop(outcome.reference).state = outcome.state
        return [outcome]

    async def keep(self, receipt: DeliveryReceipt, now: float) -> tuple[Outcome, bool] | None:
        return None  # what is sent is forgotten, so that a receipt is of nobody

    async def withdraw(self, outcome: Outcome, now: float) -> bool:
        entry = self._entries.get(outcome.reference)
        if entry is None or not entry.state.waits or entry.on_unknown == "resent":
            return False
        if entry.state is State.SCHEDULED:
            self._scheduled[entry.priority] -= 1
        else:
            del self._lanes[entry.priority][outcome.reference]
        await self.settle(outcome, now)
        return True

    async def resolve(self, reference: str, sent: ResourceId | None, now: float) -> list[Outcome]:
        return []  # what is unknown is finished, and so forgotten

    async def find(self, reference: str) -> Outcome:
        return Outcome(reference, self._entries[reference].state)

    async def outcomes(self, state: State | None) -> AsyncIterator[Outcome]:
        for reference, entry in list(self._entries.items()):
            if state in (None, entry.state):
                yield Outcome(reference, entry.state)
