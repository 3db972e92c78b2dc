"""Receipts received into the outbox while messages are sent from it."""

import asyncio
import contextlib
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import attrs
import typer

from orange_sms_async import (
    DeliveryStatus,
    OutboxUnusable,
    ReceiptReceiver,
    SendQueue,
)
from orange_sms_async.cli.options import warn_without
from orange_sms_async.cli.place import DurableOutbox
from orange_sms_async.cli.serving import listening, serving

_EVERY = 1.0  # seconds between two counts of the outbox

ReceiptsPort = Annotated[
    int | None,
    typer.Option(
        "--receipts",
        min=0,
        max=65535,
        metavar="PORT",
        help="Receive delivery receipts on this port of 127.0.0.1, into the outbox; 0 picks a "
        "free port.",
    ),
]


def listens(port: int, secret: str | None) -> socket.socket:
    """Take a port of this machine for receipts, or end with a one-line error."""
    warn_without(secret)
    return listening("127.0.0.1", port, instead="--receipts 0")


@contextlib.asynccontextmanager
async def receipts_taken(
    queue: SendQueue,
    listener: socket.socket,
    secret: str | None,
    came: Callable[[], object] = bool,
) -> AsyncIterator[str]:
    """Keep receipts in a queue's outbox while the block lasts; yield the address."""
    receiver = ReceiptReceiver(lambda _: came(), secret=secret, store=queue)
    async with serving(receiver, listener) as address:
        yield address


@attrs.define(eq=False)
class Deliveries:
    """
    The receipt endpoint of a campaign, whose outbox keeps the receipts.

    Attributes:
        listener: the socket it answers on.
        wait: seconds to wait for receipts after the campaign's last message.
    """

    outbox: DurableOutbox
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
        """Receive receipts for a queue while the block lasts; yield the address."""
        async with receipts_taken(queue, self.listener, self.secret, self._came.set) as address:
            watching = asyncio.create_task(self._watch(), name="orange-sms deliveries")
            try:
                yield address
            finally:
                watching.cancel()
                await asyncio.wait({watching})

    async def come(self) -> None:
        """Wait until all final receipts are there, the time is up, or the outbox is closed."""
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
        self._came.set()  # whoever waits finds the outbox closed
