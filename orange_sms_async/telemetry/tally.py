"""What the events of a queue come to, in plain numbers."""

import asyncio
import time
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING

from orange_sms_async.events import Admitted, Answered, Claimed, Event, PutBack, Reported, Settled
from orange_sms_async.outcomes import Priority, State
from orange_sms_async.segments import count_segments
from orange_sms_async.telemetry.labels import OTHER, country_of, error_name, status_of

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


class Tally:
    """
    Counts what a queue tells. It keeps references and numbers of nothing but what is under way.

    Attributes:
        settled: messages that this process settled, by country and state.
        attempts: requests, by what they came to: "accepted", or an error's class.
        units: SMS that Orange took, a long text counted as several, by country.
        receipts: by country and status.
        accepted: seconds from the submission of a message to its acceptance.
        delivered: seconds from there to the receipt that the phone has it.
    """

    def __init__(self) -> None:
        self.settled, self.receipts = Counter[tuple[str, State]](), Counter[tuple[str, str]]()
        self.attempts, self.units = Counter[str](), Counter[str]()
        self.accepted = Histogram(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
        self.delivered = Histogram(1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)
        self._since: dict[str, float] = {}
        self._country: dict[str, str] = {}
        self._waiting: dict[Priority, dict[str, float]] = {lane: {} for lane in Priority}
        self._claimed: dict[str, tuple[Priority, float]] = {}
        self._sent: dict[str, float] = {}
        self._clock: Callable[[], float] | None = None
        self._tellers: dict[type, Callable[..., None]] = {
            Admitted: self._admitted,
            Claimed: self._was_claimed,
            Answered: self._answered,
            PutBack: self._put_back,
            Settled: self._settled,
            Reported: self._reported,
        }

    def tell(self, event: Event) -> None:
        """Count an event, in the queue's event loop."""
        if teller := self._tellers.get(type(event)):
            teller(event)

    def oldest(self) -> dict[Priority, float]:
        """Tell how many seconds ago what waits longest in each lane could have left."""
        now = self._clock() if self._clock else 0.0
        # Of copies, as another thread may ask.
        since = {lane: list(waiting.values()) for lane, waiting in self._waiting.items()}
        return {lane: max(0.0, now - min(times, default=now)) for lane, times in since.items()}

    def _now(self) -> float:
        if self._clock is None:
            self._clock = asyncio.get_running_loop().time
        return self._clock()

    def _admitted(self, event: Admitted) -> None:
        message, ready = event.message, self._now()
        reference = message.reference
        if event.not_before:
            wall = getattr(asyncio.get_running_loop(), "wall_time", time.time)
            ready += max(0.0, event.not_before - wall())
        self._since[reference] = self._waiting[event.priority][reference] = ready
        self._country[reference] = country_of(message.to)

    def _was_claimed(self, event: Claimed) -> None:
        reference = event.message.reference
        since = self._waiting[event.priority].pop(reference, None)
        if since is None:  # another process, or an earlier one, admitted it
            since = self._now()
            self._country[reference] = country_of(event.message.to)
        self._claimed[reference] = event.priority, since

    def _put_back(self, event: PutBack) -> None:
        reference = event.message.reference
        if claimed := self._claimed.pop(reference, None):
            lane, since = claimed
            self._waiting[lane][reference] = since

    def _answered(self, event: Answered) -> None:
        if event.error is not None:
            self.attempts[error_name(event.error)] += 1
            return
        self.attempts[ACCEPTED] += 1
        units = count_segments(event.message.text).segments
        self.units[country_of(event.message.to)] += units

    def _settled(self, event: Settled) -> None:
        outcome = event.outcome
        reference, state = outcome.reference, outcome.state
        country = self._country.pop(reference, OTHER)
        if event.here:
            self.settled[country, state] += 1
        since = self._since.pop(reference, None)
        if self._claimed.pop(reference, None) is None:
            for waiting in self._waiting.values():
                waiting.pop(reference, None)
        if state is State.SENT:
            self._taken(reference, since)

    def _taken(self, reference: str, since: float | None) -> None:
        now = self._now()
        if since is not None:
            self.accepted.add(max(0.0, now - since))
        self._sent[reference] = now
        if len(self._sent) > _MOST:
            del self._sent[next(iter(self._sent))]

    def _reported(self, event: Reported) -> None:
        receipt, outcome = event.receipt, event.outcome
        self.receipts[country_of(receipt.address), status_of(receipt.status)] += 1
        if outcome and receipt.delivered and (since := self._sent.pop(outcome.reference, None)):
            self.delivered.add(self._now() - since)
