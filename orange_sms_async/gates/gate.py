"""What a queue asks of a message, whom it asks, and what it is told."""

import hashlib
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeAlias

import attrs

from orange_sms_async.errors import Withheld
from orange_sms_async.messages import OutboundMessage
from orange_sms_async.outcomes import Priority

Answer: TypeAlias = datetime | Withheld | None
"""None: it may leave. An aware datetime: not before then. `Withheld`: not at all, and why."""


class Notes(Protocol):
    """
    What rules keep, in the outbox: counts that lapse, and lists.

    Every process that has the outbox open sees the same. Names are kept as they are given here;
    `Asked.count` hashes what it counts.
    """

    async def secret(self) -> bytes:
        """Return a key that is this outbox's own."""
        ...

    async def take(
        self, name: str, member: str, units: int, *, most: int, within: float, now: float
    ) -> bool:
        """
        Count a member's units, unless there would be more than `most` of them within so long.

        It is one step, even if others count at the same time. A member that is counted already is
        not counted again; its time begins anew.

        Returns:
            Whether it is counted.
        """
        ...

    async def give_back(self, member: str) -> None:
        """Count a member no more, under any name; an outbox does so with what was not sent."""
        ...

    async def enter(self, name: str, members: list[str]) -> None:
        """Put members on a list."""
        ...

    async def strike(self, name: str, member: str) -> None:
        """Take a member off a list."""
        ...

    async def has(self, name: str, member: str) -> bool:
        """Tell whether a list has a member."""
        ...

    async def members(self, name: str) -> list[str]:
        """Give all members of a list."""
        ...


@attrs.frozen
class Asked:
    """
    A message of which a gate is asked.

    Attributes:
        message: the message.
        lane: its lane.
        at: when, in seconds since 1970.
        leaving: whether it is about to leave; False when it is submitted.
        notes: what rules keep.
        secret: keys the hashes of what is counted.
    """

    message: OutboundMessage
    lane: Priority
    at: float
    leaving: bool
    notes: Notes = attrs.field(repr=False)
    secret: bytes = attrs.field(repr=False)

    @property
    def now(self) -> datetime:
        """The date of it."""
        return datetime.fromtimestamp(self.at, UTC)

    async def count(self, what: str, units: int = 1, *, most: int, within: timedelta) -> bool:
        """
        Count the message, once however often it is asked of, and only as long as there is room.

        What is certainly not sent in the end is given back.

        Args:
            what: what is counted, such as "codes to +225…"; only a keyed hash of it is kept.
            units: how many this message counts for.
            most: how many there may be.
            within: in how long. After that a message counts no more.

        Returns:
            Whether there was room.
        """
        name = hashlib.blake2b(what.encode(), key=self.secret, digest_size=16).hexdigest()
        reference, seconds = self.message.reference, within.total_seconds()
        return await self.notes.take(name, reference, units, most=most, within=seconds, now=self.at)


class Gate(Protocol):
    """
    Anything with this one method, which may be a coroutine function.

    A queue asks when a message is submitted and again before it leaves. What raises, or answers
    anything else, withholds. To foresee the end, it is also asked about times to come; nothing is
    counted then. It should answer within a tenth of a second, as the next message waits for it.
    """

    def ask(self, asked: Asked, /) -> Answer | Awaitable[Answer]:
        """Say nothing, a date to wait for, or why not."""
        ...


@attrs.frozen
class _AllOf:
    gates: tuple[Gate, ...]

    async def ask(self, asked: Asked) -> Answer:
        latest: datetime | None = None
        for gate in self.gates:
            answer = gate.ask(asked)
            if isinstance(answer, Awaitable):
                answer = await answer
            if isinstance(answer, Withheld):
                return answer
            if answer is not None:
                latest = max(answer, latest) if latest else answer
        return latest


def all_of(*gates: Gate) -> Gate:
    """
    Make one gate of several: the first that withholds decides, else the latest date.

    Args:
        *gates: asked in this order; put what counts last, as it counts what another withholds.
    """
    return _AllOf(gates)
