"""Whether messages leave an outbox: who sends, what waits, and for how long."""

import datetime as dt
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping

import attrs

from orange_sms_async import Priority, State
from orange_sms_async.cli.place import DurableOutbox
from orange_sms_async.outbox import KeptMessage
from orange_sms_async.outbox.sqlite.statements import CUT


@attrs.frozen
class Health:
    """
    A read-only view of an outbox at one moment.

    Attributes:
        holder: the process that has the turn, and since when, in seconds since 1970.
        waiting: messages by lane.
        oldest: how many seconds ago the oldest waiting message was due; None if none is due.
        counts: messages by state; those whose sender is gone count as unknown.
    """

    holder: tuple[str, float] | None
    waiting: Mapping[Priority, int]
    oldest: float | None
    counts: Counter[State]

    @classmethod
    async def of(cls, outbox: DurableOutbox) -> "Health":
        holder, counts, now = await outbox.at_work(), await outbox.counts(), time.time()
        if holder is None:
            counts[State.UNKNOWN] += counts.pop(State.SENDING, 0)
        since = await outbox.oldest(now)
        waiting = {lane: outbox.waiting(lane) for lane in Priority}
        return cls(holder, waiting, None if since is None else max(now - since, 0.0), counts)

    def lines(self) -> list[str]:
        """Describe it to a person."""
        urgent, normal, bulk = (self.waiting[lane] for lane in Priority)
        oldest = "" if self.oldest is None else f"; the oldest has waited {_duration(self.oldest)}"
        waiting = f"Waiting: urgent {urgent}, normal {normal}, bulk {bulk}{oldest}."
        return [self._who(), waiting]

    def _who(self) -> str:
        if self.holder is None:
            return "No process has the turn: nothing is being sent."
        who, since = self.holder
        return (
            f"{who[:1].upper()}{who[1:]} has had the turn since {_date(since):%Y-%m-%d %H:%M:%S}."
        )

    def rows(self) -> list[tuple[str, ...]]:
        """Describe it to a program."""
        rows = [(f"waiting {lane.name.lower()}", f"{many}") for lane, many in self.waiting.items()]
        rows.append(("oldest", "none" if self.oldest is None else f"{self.oldest:.0f}"))
        if self.holder is None:
            return [("turn", "none"), *rows]
        who, since = self.holder
        return [("turn", who, _date(since).isoformat(timespec="seconds")), *rows]


def _date(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).astimezone()


def _duration(seconds: float) -> dt.timedelta:
    return dt.timedelta(seconds=round(seconds))


async def messages_in(outbox: DurableOutbox, state: State) -> AsyncIterator[KeptMessage]:
    """Yield the messages in a state, as `Health` counts them."""
    left_behind = await outbox.at_work() is None
    if not (left_behind and state is State.SENDING):
        async for message in outbox.messages(state):
            yield message
    if left_behind and state is State.UNKNOWN:
        async for message in outbox.messages(State.SENDING):
            outcome = attrs.evolve(message.outcome, state=state, error=CUT)
            yield attrs.evolve(message, outcome=outcome)
