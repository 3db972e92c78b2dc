"""The most that a campaign may spend."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable

import attrs

from orange_sms_async import NotSent, OutboundMessage, Refused, count_segments


@attrs.define(eq=False)
class Budget:
    """
    Counts the units of messages that Orange took, may have taken, or is just being asked to take.

    Attributes:
        most: units, at one a segment.
        exceeded: told why, when the next message would cost more than is left.
    """

    most: float = math.inf
    exceeded: Callable[[str], object] = attrs.field(default=lambda _: None)
    _spent: int = attrs.field(default=0, init=False)
    _on_wire: int = attrs.field(default=0, init=False)
    _answered: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    @contextlib.asynccontextmanager
    async def pays(self, message: OutboundMessage) -> AsyncIterator[None]:
        """
        Spend what a message costs while the block asks Orange to take it; not if it does not.

        Raises:
            NotSent: there is not enough left.
        """
        units = count_segments(message.text).segments
        # What is on the wire may be refused, and costs nothing then.
        while self._spent + units > self.most and self._on_wire:
            self._answered.clear()
            await self._answered.wait()
        if self._spent + units > self.most:
            why = f"--max-units {self.most}: {self._spent} spent, the next message costs {units}"
            self.exceeded(why)
            raise NotSent(why)
        self._spent, self._on_wire = self._spent + units, self._on_wire + 1
        try:
            yield
        except (NotSent, Refused):
            self._spent -= units
            raise
        finally:
            self._on_wire -= 1
            self._answered.set()
