"""What a queue asks a gate about a message, and what the gate answers."""

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
    The notes of rules, kept in the outbox: counts that lapse, and lists.

    Every process that has the outbox open sees the same notes. Names are stored as given here;
    `Asked.count` hashes what it counts.
    """

    async def secret(self) -> bytes:
        """Return this outbox's own key."""
        ...

    async def take(
        self, name: str, member: str, units: int, *, most: int, within: float, now: float
    ) -> bool:
        """
        Count a member's units, unless more than `most` units would then count.

        This is one step, even if others count at the same time. A member that already counts is
        not counted twice; its time starts again.

        Returns:
            Whether it is counted.
        """
        ...

    async def give_back(self, member: str) -> None:
        """Stop counting a member, under any name. An outbox does so when a message was not sent."""
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
        """Return all members of a list."""
        ...


@attrs.frozen
class Asked:
    """
    A message that a gate is asked about.

    Attributes:
        message: the message.
        lane: its lane.
        at: the time it is asked about, in seconds since 1970.
        leaving: whether it is about to leave; False when it is submitted.
        notes: the rules' notes, in the outbox.
        secret: the key for hashes of what is counted.
    """

    message: OutboundMessage
    lane: Priority
    at: float
    leaving: bool
    notes: Notes = attrs.field(repr=False)
    secret: bytes = attrs.field(repr=False)

    @property
    def now(self) -> datetime:
        """The time it is asked about, as an aware datetime in UTC."""
        return datetime.fromtimestamp(self.at, UTC)

    async def count(self, what: str, units: int = 1, *, most: int, within: timedelta) -> bool:
        """
        Count the message if there is room. It counts once, however often the gate is asked.

        If the message is certainly not sent in the end, it no longer counts.

        Args:
            what: what is counted, such as "codes to +225…"; only a keyed hash of it is kept.
            units: how many this message counts for.
            most: how many units may count at the same time.
            within: how long a message counts.

        Returns:
            Whether there was room.
        """
        name = hashlib.blake2b(what.encode(), key=self.secret, digest_size=16).hexdigest()
        reference, seconds = self.message.reference, within.total_seconds()
        return await self.notes.take(name, reference, units, most=most, within=seconds, now=self.at)


class Gate(Protocol):
    """
    Anything with this one method, which may be a coroutine function.

    A queue asks when a message is submitted, and again before it leaves. A gate that raises, or
    answers anything else, withholds. To estimate the end, the queue also asks about future times;
    nothing is counted then. Answer within a tenth of a second: the next message waits for it.
    """

    def ask(self, asked: Asked, /) -> Answer | Awaitable[Answer]:
        """Return None, a date to wait for, or `Withheld`."""
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
    Make one gate of several. The first that withholds decides; otherwise the latest date applies.

    Args:
        *gates: asked in this order. Put gates that keep a count at the end: an earlier one would
            also count messages that a later one withholds.
    """
    return _AllOf(gates)
