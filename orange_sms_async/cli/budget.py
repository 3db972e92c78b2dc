"""The most that a campaign may spend: a client that asks for no message beyond it."""

import asyncio
from collections.abc import Callable

import attrs

from orange_sms_async import NotSent, OutboundMessage, Pacer, Refused, SentMessage, count_segments
from orange_sms_async.sendqueue import Sender


@attrs.define(eq=False)
class Budget:
    """
    Pays for the messages that a client sends, as long as there is enough left.

    What counts is one unit a segment, of messages that Orange took, may have taken, or is just
    being asked to take.

    Attributes:
        client: the one that sends.
        most: units.
        exceeded: told why, when the next message would cost more than is left.
    """

    client: Sender
    most: int
    exceeded: Callable[[str], object]
    _spent: int = attrs.field(default=0, init=False)
    _on_wire: int = attrs.field(default=0, init=False)
    _answered: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    @property
    def pacer(self) -> Pacer:
        return self.client.pacer

    @property
    def timeout(self) -> float:
        return self.client.timeout

    async def ready(self) -> None:
        await self.client.ready()

    async def attempt(self, message: OutboundMessage) -> SentMessage:
        """
        Send a message, and spend what it costs unless it certainly was not sent.

        Raises:
            NotSent: there is not enough left, or what the client raises.
        """
        units = count_segments(message.text).segments
        await self._check(units)
        self._spent, self._on_wire = self._spent + units, self._on_wire + 1
        try:
            return await self.client.attempt(message)
        except (NotSent, Refused):
            self._spent -= units
            raise
        finally:
            self._on_wire -= 1
            self._answered.set()

    async def _check(self, units: int) -> None:
        # What is on the wire may be refused, and costs nothing then.
        while self._spent + units > self.most and self._on_wire:
            self._answered.clear()
            await self._answered.wait()
        if self._spent + units > self.most:
            why = f"--max-units {self.most}: {self._spent} spent, the next message costs {units}"
            self.exceeded(why)
            raise NotSent(why)
