"""An outbox in memory: it forgets what is finished, and everything when the process ends."""

import heapq
import itertools
import math
from collections import Counter
from collections.abc import AsyncIterator, Collection
from datetime import timedelta

import attrs

from orange_sms_async.messages import ResourceId
from orange_sms_async.outbox import Claim, Entry
from orange_sms_async.outbox.notebook import Notebook
from orange_sms_async.outbox.summary import DeliveryCount
from orange_sms_async.outcomes import Outcome, Priority, State
from orange_sms_async.receipts import DeliveryReceipt

_OWNER = "this process"  # nobody else can claim


@attrs.define(eq=False)
class _Held:
    """A message that is not finished, and where it is."""

    entry: Entry
    arrival: int
    state: State = State.SCHEDULED
    attempt: int = 0
    again: bool = False


class _Heap:
    """Messages in one state, the first on top. One that left the state is dropped when on top."""

    # Nothing can be taken out of the middle of a heap.

    def __init__(self, state: State) -> None:
        self._state = state
        self._items: list[tuple[float, int, _Held]] = []

    def push(self, key: float, held: _Held) -> None:
        held.state = self._state
        heapq.heappush(self._items, (key, held.arrival, held))

    def top(self) -> _Held | None:
        while self._items and self._items[0][2].state is not self._state:
            heapq.heappop(self._items)
        return self._items[0][2] if self._items else None


class MemoryOutbox:
    """A heap for each lane, in the order of submission, and one by date for scheduled messages."""

    durable = False
    look_every = math.inf
    has_turn = True
    sent_lately = away = False
    rate: float | None = None
    guard: float | None = None

    def __init__(self) -> None:
        self._arrivals = itertools.count()
        self.place = object()
        self._forget()

    def _forget(self) -> None:
        self._held: dict[str, _Held] = {}
        self._lanes = {priority: _Heap(State.QUEUED) for priority in Priority}
        self._later = _Heap(State.SCHEDULED)
        self._waiting = Counter[Priority]()
        self.notes = Notebook()

    async def open(self, now: float, retention: timedelta) -> None:
        pass

    async def aclose(self) -> None:
        self._forget()

    async def take_turn(self, now: float) -> bool:
        return True

    async def holder(self, now: float) -> str | None:
        return None

    async def tidy(self, now: float) -> list[Outcome]:
        return []

    def changed(self) -> bool:
        return False

    async def news(self, awaited: Collection[str]) -> list[Outcome]:
        return []

    @property
    def unfinished(self) -> int:
        return len(self._held)

    def waiting(self, priority: Priority) -> int:
        return self._waiting[priority]

    def add(self, entry: Entry) -> None:
        held = self._held[entry.message.reference] = _Held(entry, next(self._arrivals))
        self._waiting[entry.priority] += 1
        self._queue(held, entry.not_before)

    def _queue(self, held: _Held, not_before: float = 0.0) -> None:
        if not_before:
            held.entry.not_before = not_before
            self._later.push(not_before, held)
        else:
            self._lanes[held.entry.priority].push(held.arrival, held)

    async def ready_at(self) -> float | None:
        if any(lane.top() for lane in self._lanes.values()):
            return 0.0
        first = self._later.top()
        return first.entry.not_before if first else None

    async def claim(self, now: float) -> Claim | None:
        while (due := self._later.top()) and due.entry.not_before <= now:
            self._queue(due)
        for priority, lane in self._lanes.items():
            if held := lane.top():
                held.state, held.attempt = State.SENDING, held.attempt + 1
                self._waiting[priority] -= 1
                return Claim(held.entry, _OWNER, held.attempt, held.again)
        return None

    async def put_back(self, claim: Claim, *, again: bool, not_before: float = 0.0) -> None:
        if held := self._claimed(claim):
            held.again = again
            self._waiting[held.entry.priority] += 1
            self._queue(held, not_before)

    async def settle(self, claim: Claim, outcome: Outcome, now: float) -> list[Outcome]:
        held = self._claimed(claim)
        if held is None:
            return []  # what is unknown is finished, and so forgotten
        self._finish(held, outcome)
        return [outcome]

    def _claimed(self, claim: Claim) -> _Held | None:
        held = self._held.get(claim.reference)
        if held is None or held.state is not State.SENDING or claim.owner != _OWNER:
            return None
        # By identity: the reference may have been added again since.
        same = held.entry is claim.entry and held.attempt == claim.attempt
        return held if same else None

    def _finish(self, held: _Held, outcome: Outcome) -> None:
        del self._held[outcome.reference]
        held.state = outcome.state
        counts = outcome.state in (State.SENT, State.UNKNOWN)
        self.notes.over(outcome.reference, counts=counts)

    async def keep(self, receipt: DeliveryReceipt, now: float) -> tuple[Outcome, bool] | None:
        return None  # sent messages are forgotten, so no receipt finds its message

    async def withdraw(self, outcome: Outcome, now: float) -> bool:
        held = self._held.get(outcome.reference)
        if held is None or not held.state.waits or held.again:
            return False
        self._waiting[held.entry.priority] -= 1
        self._finish(held, outcome)
        return True

    async def resolve(self, reference: str, sent: ResourceId | None, now: float) -> list[Outcome]:
        return []  # what is unknown is finished, and so forgotten

    async def delivery(self, since: float, now: float) -> list[DeliveryCount]:
        return []  # what is sent is forgotten

    async def find(self, reference: str) -> Outcome:
        return Outcome(reference, self._held[reference].state)

    async def outcomes(self, state: State | None) -> AsyncIterator[Outcome]:
        for reference, held in list(self._held.items()):
            if state in (None, held.state):
                yield Outcome(reference, held.state)
