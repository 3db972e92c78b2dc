"""Many messages in, a report for each out, in bounded memory."""

import asyncio
import contextlib
import itertools
import math
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
)
from functools import partial
from types import TracebackType
from typing import Self, cast

import anyio
import attrs

from orange_sms_async.errors import MessageWithdrawn, OrangeSMSError
from orange_sms_async.messages import OutboundMessage, ResourceId
from orange_sms_async.outbox import Outbox
from orange_sms_async.outcomes import Outcome
from orange_sms_async.receipts import DeliveryReceipt

Messages = Iterable[OutboundMessage] | AsyncIterable[OutboundMessage]
Submit = Callable[[OutboundMessage], Awaitable[asyncio.Future[ResourceId]]]
Delivery = Callable[[str], Awaitable[DeliveryReceipt | None]]


@attrs.frozen
class SendReport:
    """
    The result of one message of a bulk: a resource id or an error, never both.

    Attributes:
        message: the message.
        resource_id: Orange's id of it, if Orange accepted it.
        error: the error, if Orange did not accept it or the outcome is unknown.
        delivery: the receipt with the furthest status, in a bulk that waits for receipts.
    """

    message: OutboundMessage
    resource_id: ResourceId | None = None
    error: OrangeSMSError | None = None
    delivery: DeliveryReceipt | None = None


class Bulk:
    """
    The reports of a bulk, in order of completion: `async with` it, then `async for` over it.

    At most `window` messages are between the source and the reader at any time. Leaving early
    withdraws messages that wait in memory and that nobody else waits for. Requests on the wire
    finish.
    """

    # Not an async generator: one that owns a task breaks its caller when left by `break`.

    def __init__(
        self,
        messages: Messages,
        window: int,
        submit: Submit,
        withdraw: Callable[[str], Awaitable[bool]] | None,
        delivery: Delivery | None = None,
    ) -> None:
        if window < 1:
            raise ValueError("window: at least 1 message")
        self._messages = messages
        self._window = anyio.Semaphore(window, fast_acquire=True)
        self._submit = submit
        self._withdraw, self._delivery = withdraw, delivery
        self._waiting = set[asyncio.Task[None]]()  # for receipts
        self._unreported: dict[int, OutboundMessage] = {}
        self._futures: dict[int, asyncio.Future[ResourceId]] = {}
        self._fed = False
        self._source_error: Exception | None = None
        self._reports = asyncio.Queue[SendReport | None]()
        self._feeder: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._feeder = asyncio.create_task(self._feed(), name="orange-sms bulk")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        feeder = cast("asyncio.Task[None]", self._feeder)
        feeder.cancel()
        # Shielded, so that no message stays queued unread.
        for waiting in self._waiting:
            waiting.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait({feeder, *self._waiting})
            if self._withdraw:
                for number, future in list(self._futures.items()):
                    if future.cancel():
                        await self._withdraw(self._unreported[number].reference)

    def __aiter__(self) -> AsyncIterator[SendReport]:
        return self

    async def __anext__(self) -> SendReport:
        """
        Return the next report.

        Raises:
            RuntimeError: the bulk was not entered; nothing was submitted.
            Exception: after the last report, the error of the source of the messages, if any.
        """
        if self._feeder is None:
            raise RuntimeError("use a bulk inside `async with queue.bulk(…) as reports:`")
        report = await self._reports.get()
        if report is None:
            self._reports.put_nowait(None)
            raise self._source_error or StopAsyncIteration
        self._window.release()
        return report

    async def _feed(self) -> None:
        number = itertools.count()
        try:
            async with contextlib.aclosing(_each(self._messages)) as messages:
                async for message in messages:
                    await self._window.acquire()
                    await self._feed_one(next(number), message)
        except Exception as error:  # noqa: BLE001 -- a source may raise anything: the reader gets it
            self._source_error = error
        finally:
            self._fed = True
            self._end_when_reported()

    async def _feed_one(self, number: int, message: OutboundMessage) -> None:
        self._unreported[number] = message
        try:
            future = await self._submit(message)
        except OrangeSMSError as error:
            self._report(number, error=error)
        except BaseException:
            del self._unreported[number]
            raise
        else:
            self._futures[number] = future
            future.add_done_callback(partial(self._settled, number))

    def _settled(self, number: int, future: asyncio.Future[ResourceId]) -> None:
        del self._futures[number]
        if future.cancelled():
            self._report(number, error=MessageWithdrawn("withdrawn: its future was cancelled"))
        elif error := future.exception():
            self._report(number, error=cast("OrangeSMSError", error))
        elif self._delivery is None:
            self._report(number, resource_id=future.result())
        else:
            delivered = self._delivered(number, future.result(), self._delivery)
            waiting = asyncio.ensure_future(delivered)
            self._waiting.add(waiting)
            waiting.add_done_callback(self._waiting.discard)

    async def _delivered(self, number: int, resource_id: ResourceId, wait: Delivery) -> None:
        delivery = None
        # The queue ends, or has forgotten the message: no more is known about it.
        with contextlib.suppress(OrangeSMSError, KeyError):
            delivery = await wait(self._unreported[number].reference)
        self._report(number, resource_id=resource_id, delivery=delivery)

    def _report(
        self,
        number: int,
        *,
        resource_id: ResourceId | None = None,
        error: OrangeSMSError | None = None,
        delivery: DeliveryReceipt | None = None,
    ) -> None:
        message = self._unreported.pop(number)
        self._reports.put_nowait(SendReport(message, resource_id, error, delivery))
        self._end_when_reported()

    def _end_when_reported(self) -> None:
        if self._fed and not self._unreported:
            self._reports.put_nowait(None)


async def _each(messages: Messages) -> AsyncGenerator[OutboundMessage, None]:
    if isinstance(messages, AsyncIterable):
        async for message in messages:
            yield message
    else:
        for message in messages:
            yield message


async def delivery(
    delivered: Callable[[str, float], Awaitable[DeliveryReceipt]],
    outcome: Callable[[str], Awaitable[Outcome]],
    reference: str,
    within: float,
) -> DeliveryReceipt | None:
    """Wait for the final receipt of a message; if none comes in time, return the furthest."""
    try:
        return await delivered(reference, within)
    except TimeoutError:
        return (await outcome(reference)).delivery


def check_finite(name: str, seconds: float) -> None:
    """
    Check a time to wait.

    Raises:
        ValueError: it is not a finite number of seconds.
    """
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{name}: a finite number of seconds")


def check_durable(outbox: Outbox) -> None:
    """
    Refuse an outbox that stores no receipts.

    Raises:
        RuntimeError: it stores none. The error says which one does.
    """
    if not outbox.durable:
        raise RuntimeError(
            "receipts need a durable outbox, as one in memory forgets what was sent: "
            "use a SqliteOutbox, or a ReceiptBook"
        )
