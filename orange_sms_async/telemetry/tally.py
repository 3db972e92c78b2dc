"""Counts of a queue's events, in plain numbers."""

import asyncio
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Any

from orange_sms_async.events import Answered, Event, HeldBack, Reported, Settled
from orange_sms_async.outcomes import State
from orange_sms_async.segments import segments_of
from orange_sms_async.telemetry.labels import OTHER, country_of, error_name, rule_of, status_of
from orange_sms_async.telemetry.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Callable

ACCEPTED = "accepted"
"""The name of an attempt that Orange accepted. Any other has the name of its error."""


class Histogram:
    """
    A histogram of times.

    Args:
        bounds: seconds. A time counts in the first bound that it does not exceed.
    """

    def __init__(self, *bounds: float) -> None:
        self._bounds, self._counts, self.sum = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.sum += seconds

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """How many took at most each bound, as Prometheus counts them."""
        bounds, total, buckets = [*map(str, self._bounds), "+Inf"], 0, []
        for bound, count in zip(bounds, list(self._counts), strict=True):
            total += count
            buckets.append((bound, float(total)))
        return buckets


class Tally:
    """
    Counts a queue's events. It keeps the references of recently accepted messages.

    Attributes:
        settled: messages that this process settled, by country and state.
        attempts: requests, by result: "accepted", or an error's class.
        withheld: messages that the gate withheld, by its rule.
        units: SMS units that Orange accepted, by country; a long text counts as several.
        receipts: by country and status.
        accepted: seconds from the submission of a message to its acceptance.
        delivered: seconds from its acceptance to the receipt that says that the phone has it.
        listeners: the functions that the queue is to call, by the class of the event.
    """

    def __init__(self) -> None:
        self.settled, self.receipts = Counter[tuple[str, State]](), Counter[tuple[str, str]]()
        self.attempts, self.units = Counter[str](), Counter[str]()
        self.withheld = Counter[str]()
        self.accepted = Histogram(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
        self.delivered = Histogram(1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)
        self._sent = Recent[float]()
        self._now: Callable[[], float] = self._first
        self.listeners: dict[type[Event], Callable[[Any], None]] = {
            HeldBack: self._held_back,
            Answered: self._answered,
            Settled: self._settled,
            Reported: self._reported,
        }

    def _held_back(self, event: HeldBack) -> None:
        self.withheld[rule_of(event.error)] += 1

    def _first(self) -> float:
        self._now = asyncio.get_running_loop().time
        return self._now()

    def _answered(self, event: Answered) -> None:
        if event.error is not None:
            self.attempts[error_name(event.error)] += 1
            return
        self.attempts[ACCEPTED] += 1
        message = event.message
        self.units[country_of(message.to)] += segments_of(message.text)

    def _settled(self, event: Settled) -> None:
        outcome = event.outcome
        if event.here:
            country = country_of(event.message.to) if event.message else OTHER
            self.settled[country, outcome.state] += 1
        if outcome.state is State.SENT:
            now, ready_at = self._now(), event.ready_at
            if ready_at is not None:
                self.accepted.add(now - ready_at if now > ready_at else 0.0)
            self._sent.note(outcome.reference, now)

    def _reported(self, event: Reported) -> None:
        receipt, outcome = event.receipt, event.outcome
        self.receipts[country_of(receipt.address), status_of(receipt.status)] += 1
        if outcome and receipt.delivered and (since := self._sent.get(outcome.reference)):
            self._sent.forget(outcome.reference)
            self.delivered.add(self._now() - since)
