"""How far the messages of a campaign have come, as far as receipts tell."""

import asyncio
import contextlib
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator

import attrs

from orange_sms_async import DeliveryStatus, SendQueue
from orange_sms_async.cli.serving import serving
from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.receiver import ReceiptReceiver

_EVERY = 1.0  # seconds between two counts of the outbox


@attrs.define(eq=False)
class Deliveries:
    """
    The endpoint of a campaign, whose outbox keeps what comes.

    Attributes:
        listener: where they are taken.
        wait: seconds for receipts after the last message of the campaign.
    """

    outbox: SqliteOutbox
    listener: socket.socket
    secret: str | None = attrs.field(repr=False)
    wait: float
    counts: Counter[str] = attrs.field(factory=Counter, init=False)
    _came: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    @property
    def delivered(self) -> int:
        return self.counts[DeliveryStatus.DELIVERED_TO_TERMINAL]

    @contextlib.asynccontextmanager
    async def served(self, queue: SendQueue) -> AsyncIterator[str]:
        """Take receipts for a queue while the block lasts; yield the address."""
        receiver = ReceiptReceiver(lambda _: self._came.set(), secret=self.secret, store=queue)
        async with serving(receiver, self.listener) as address:
            watching = asyncio.create_task(self._watch(), name="orange-sms deliveries")
            try:
                yield address
            finally:
                watching.cancel()
                await asyncio.wait({watching})

    async def come(self) -> None:
        """Wait until all final receipts are there, no longer, or the outbox is closed."""
        with contextlib.suppress(OutboxUnusable):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.wait):
                    self._came.clear()
                    while await self.outbox.awaited(time.time()):
                        await self._came.wait()
                        self._came.clear()
            self.counts = await self.outbox.deliveries()

    async def _watch(self) -> None:
        with contextlib.suppress(OutboxUnusable):  # closed: the campaign is at its end
            while True:
                self.counts = await self.outbox.deliveries()
                await asyncio.sleep(_EVERY)
        self._came.set()  # who waits finds it closed
