"""What the events of a queue come to, in plain numbers."""

import asyncio
import time
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs

from orange_sms_async.events import (
    Admitted,
    Answered,
    Claimed,
    Event,
    HeldBack,
    PutBack,
    Reported,
    Settled,
)
from orange_sms_async.outcomes import Priority, State
from orange_sms_async.segments import count_segments
from orange_sms_async.telemetry.labels import OTHER, country_of, error_name, rule_of, status_of

if TYPE_CHECKING:
    from collections.abc import Callable

ACCEPTED = "accepted"
"""What an attempt is called that Orange took; any other has the name of its error."""

_MOST = 20_000  # accepted messages whose receipt is timed: more than an hour's at 5 a second


class Histogram:
    """
    How many of some times were how long.

    Args:
        bounds: seconds; a time counts in the first that it does not exceed.
    """

    def __init__(self, *bounds: float) -> None:
        self._bounds, self._counts, self.sum = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.sum += seconds

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """How many took at most so long, as Prometheus counts them."""
        bounds, total, buckets = [*map(str, self._bounds), "+Inf"], 0, []
        for bound, count in zip(bounds, list(self._counts), strict=True):
            total += count
            buckets.append((bound, float(total)))
        return buckets


@attrs.define(eq=False)
class _Held:
    """
    A message that is under way.

    Attributes:
        ready: since when it could leave, as this process knows, on the loop's clock.
        submitted: whether that was here.
        waits: whether it waits, and is not on the wire.
    """

    lane: Priority
    country: str
    ready: float
    submitted: bool
    waits: bool


class Tally:
    """
    Counts what a queue tells. It keeps references of what is under way, or was accepted lately.

    Attributes:
        settled: messages that this process settled, by country and state.
        attempts: requests, by what they came to: "accepted", or an error's class.
        withheld: messages that the gate withheld, by its rule.
        units: SMS that Orange took, a long text counted as several, by country.
        receipts: by country and status.
        accepted: seconds from the submission of a message to its acceptance.
        delivered: seconds from there to the receipt that the phone has it.
        listeners: what the queue is to tell, by the class of the event.
    """

    def __init__(self) -> None:
        self.settled, self.receipts = Counter[tuple[str, State]](), Counter[tuple[str, str]]()
        self.attempts, self.units = Counter[str](), Counter[str]()
        self.withheld = Counter[str]()
        self.accepted = Histogram(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
        self.delivered = Histogram(1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)
        self._held: dict[str, _Held] = {}
        self._sent: dict[str, float] = {}
        self._clock: Callable[[], float] | None = None
        self.listeners: dict[type[Event], Callable[[Any], None]] = {
            Admitted: self._admitted,
            HeldBack: self._held_back,
            Claimed: self._claimed,
            Answered: self._answered,
            PutBack: self._put_back,
            Settled: self._settled,
            Reported: self._reported,
        }

    def oldest(self) -> dict[Priority, float]:
        """Tell how many seconds ago what waits longest in each lane could have left."""
        oldest = dict.fromkeys(Priority, 0.0)
        now = self._clock() if self._clock else 0.0
        for held in list(self._held.values()):  # of a copy, as another thread may ask
            if held.waits:
                oldest[held.lane] = max(oldest[held.lane], now - held.ready)
        return oldest

    def _now(self) -> float:
        if self._clock is None:
            self._clock = asyncio.get_running_loop().time
        return self._clock()

    def _ready(self, not_before: float) -> float:
        """Tell from when on a message can leave, on the loop's clock."""
        if not not_before:
            return self._now()
        wall = getattr(asyncio.get_running_loop(), "wall_time", time.time)
        return self._now() + max(0.0, not_before - wall())

    def _admitted(self, event: Admitted) -> None:
        message, ready = event.message, self._ready(event.not_before)
        self._held[message.reference] = _Held(
            event.priority, country_of(message.to), ready, True, True
        )

    def _held_back(self, event: HeldBack) -> None:
        self.withheld[rule_of(event.error)] += 1

    def _claimed(self, event: Claimed) -> None:
        message = event.message
        if held := self._held.get(message.reference):
            held.waits = False
        else:  # another process, or an earlier one, admitted it
            country = country_of(message.to)
            held = _Held(event.priority, country, self._now(), False, False)
            self._held[message.reference] = held

    def _put_back(self, event: PutBack) -> None:
        if held := self._held.get(event.message.reference):
            held.waits = True
            if event.not_before:
                held.ready = self._ready(event.not_before)

    def _answered(self, event: Answered) -> None:
        if event.error is not None:
            self.attempts[error_name(event.error)] += 1
            return
        self.attempts[ACCEPTED] += 1
        message = event.message
        self.units[country_of(message.to)] += count_segments(message.text).segments

    def _settled(self, event: Settled) -> None:
        outcome = event.outcome
        state, held = outcome.state, self._held.pop(outcome.reference, None)
        if event.here:
            self.settled[held.country if held else OTHER, state] += 1
        if state is State.SENT:
            now = self._now()
            if held and held.submitted:
                self.accepted.add(max(0.0, now - held.ready))
            self._sent[outcome.reference] = now
            if len(self._sent) > _MOST:
                del self._sent[next(iter(self._sent))]

    def _reported(self, event: Reported) -> None:
        receipt, outcome = event.receipt, event.outcome
        self.receipts[country_of(receipt.address), status_of(receipt.status)] += 1
        if outcome and receipt.delivered and (since := self._sent.pop(outcome.reference, None)):
            self.delivered.add(self._now() - since)
