"""The queue as its users see it: submit, ask for and withdraw messages."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Self, Unpack

import anyio

from orange_sms_async.errors import QueueFull
from orange_sms_async.events import Event
from orange_sms_async.gates.gate import Gate, Notes
from orange_sms_async.messages import OutboundMessage, ResourceId
from orange_sms_async.outbox import Outbox
from orange_sms_async.outbox.memory import MemoryOutbox
from orange_sms_async.outbox.summary import DeliveryCount
from orange_sms_async.outbox.terms import Terms, as_entry
from orange_sms_async.outcomes import Outcome, Priority, State
from orange_sms_async.receipts import REPORTED_WITHIN, DeliveryReceipt
from orange_sms_async.sendqueue.admission import Admission
from orange_sms_async.sendqueue.asking import Asking
from orange_sms_async.sendqueue.bulk import Bulk, Messages, check_durable, check_finite, delivery
from orange_sms_async.sendqueue.dispatch import Dispatch
from orange_sms_async.sendqueue.follow import Following
from orange_sms_async.sendqueue.sender import Sender, check_sender, workers_for
from orange_sms_async.sendqueue.statistics import QueueStatistics, look
from orange_sms_async.sendqueue.tickets import Phase
from orange_sms_async.sendqueue.watch import Watch

_DRAIN = 60.0  # seconds a drain goes on without a message accepted


class SendQueue:
    """
    Sends submitted messages: at most the client's rate in any rolling second, most urgent first.

    Use it in `async with`, in one event loop; create it anywhere. Leaving the block sends what
    waits in memory. With a durable outbox, it finishes the requests on the wire and leaves the rest
    there; `await queue.join()` waits for what was submitted here. After an exception, nothing more
    is sent. Processes that share an outbox share the rate; N queues in memory send N times as much.

    Args:
        client: a `Client`, or anything with its `ready`, `attempt`, `pacer` and `timeout`. With
            None, this queue only submits and looks up messages, and another process sends.
        capacity: messages of this process that may wait in each lane.
        workers: requests on the wire at once; by default enough for answers that take as long as
            the client's timeout, at most 200.
        outbox: where messages wait. By default in memory, lost with the process. In a
            `SqliteOutbox`, admitted messages are on disk, and the next queue continues with them.
        gate: asked about each message when it is submitted, and again before it leaves; see
            `orange_sms_async.gates`. Give all processes of an outbox the same gate.
        on_outcome: called with each message's final `Outcome`, even if nobody awaits its future.
            A message that a closed queue did not send has none. An exception in it is logged.
        on_event: called with each of `orange_sms_async.events` as it happens. It must return at
            once, because the queue waits for it. An exception in it is logged.
        retention: how long a durable outbox keeps finished messages and recognises their
            references; at least a day, in which their receipts may come.

    Attributes:
        listeners: called with each event; `listeners.add` adds one.
        recovered: messages settled by opening the queue: those on the wire when their process
            ended are UNKNOWN, or SENT if a receipt says so; others have EXPIRED since.

    Raises:
        TypeError: the client lacks one of the four, or is None and the outbox is in memory; or the
            gate has no `ask`.
        ValueError: `capacity` or `workers` is less than 1.
    """

    def __init__(
        self,
        client: Sender | None,
        *,
        capacity: int = 10_000,
        workers: int | None = None,
        outbox: Outbox | None = None,
        gate: Gate | None = None,
        on_outcome: Callable[[Outcome], object] | None = None,
        on_event: Callable[[Event], object] | None = None,
        retention: timedelta = timedelta(days=30),
    ) -> None:
        if capacity < 1:
            raise ValueError("capacity: at least 1 message")
        if workers is not None and workers < 1:
            raise ValueError("workers: at least 1 request at once")
        self._outbox: Outbox = outbox or MemoryOutbox()
        if client is not None:
            check_sender(client)
            workers = workers or workers_for(client)
        elif not self._outbox.durable:
            raise TypeError("client: None needs a durable outbox, from which another queue sends")
        self._client, self._workers = client, workers or 1
        self._asking = Asking(gate, self._outbox)
        self._retention = retention
        self._watch = Watch(
            capacity, durable=self._outbox.durable, on_outcome=on_outcome, on_event=on_event
        )
        self.listeners = self._watch.listeners
        self.recovered: list[Outcome] = []

    async def __aenter__(self) -> Self:
        if self._watch.phase is not Phase.NEW:
            raise RuntimeError("a SendQueue opens only once; create a new one")
        self._loop = asyncio.get_running_loop()
        # A loop whose clock jumps brings the wall clock that goes with it.
        self._now = getattr(self._loop, "wall_time", time.time)
        outbox, watch = self._outbox, self._watch
        await outbox.open(self._now(), self._retention)
        asking, workers = self._asking.since(self._now, self.listeners.tell), self._workers
        self._dispatch = Dispatch(
            self._client, outbox, watch, asking=asking, workers=workers, now=self._now
        )
        arrived = self._dispatch.arrived.set
        self._admission = Admission(outbox, watch, arrived, self._now)
        self.recovered = await self._dispatch.begin()
        watch.open(self._admission.unwanted)
        self._following = Following(outbox, watch, arrived, self._dispatch.stop)
        self._following.start()
        self._dispatch.start()
        for outcome in self.recovered:
            self.listeners.tell_outcome(outcome)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose(drain=exc_type is None and not self._outbox.durable)

    # -- messages in ----------------------------------------------------------------------------

    async def submit(
        self, message: OutboundMessage, **terms: Unpack[Terms]
    ) -> asyncio.Future[ResourceId]:
        """
        Admit a message, and return a future of its resource id. Waits while its lane is full.

        With a durable outbox, the message is then on disk. If you cancel the future while the
        message waits, an outbox in memory withdraws it; a durable one keeps it, and only the
        future ends. A message on the wire is not stopped. A reference that the outbox already has
        is not sent again: you get the future of the existing message.

        Args:
            message: what to send.
            **terms: `priority` (NORMAL); `not_before` and `expires_at`, aware datetimes between
                which the message may leave; `on_unknown`, "report" or "resend" (once more when
                its outcome is unknown: use it when a duplicate is better than no SMS).

        Returns:
            A future. If the message was not accepted, it raises `Refused`, `Withheld`,
            `OutcomeUnknown`, `MessageExpired`, `MessageWithdrawn` or `QueueClosed`.

        Raises:
            InvalidMessage: a datetime without time zone, or a reference that already belongs to
                another number or text.
            OutboxUnusable: the message cannot be kept, so it was not admitted.
            Withheld: a rule of the gate says no, and so it was not admitted.
            QueueClosed: the queue sends nothing more; `__cause__` says why.
        """
        self._watch.check_admits()
        entry = as_entry(message, **terms)
        if message.reference not in self._watch.tickets:
            await self._asking.admit(entry)
            await self._watch.enter(entry.priority)
            self._admission.admit(entry)
        future = self._watch.future(message)
        if written := self._watch.tickets[message.reference].written:
            await asyncio.wait({written})  # goes on even if this is cancelled
            written.result()
        return future

    def submit_nowait(
        self, message: OutboundMessage, **terms: Unpack[Terms]
    ) -> asyncio.Future[ResourceId]:
        """
        Admit a message at once or not at all. A durable outbox writes it to disk a little later.

        With a durable outbox the gate is asked only before the message leaves.

        Args:
            message: what to send.
            **terms: as `submit`.

        Raises:
            QueueFull: its lane is full; nothing was admitted.
            OrangeSMSError: as `submit`.
        """
        self._watch.check_admits()
        entry = as_entry(message, **terms)
        if message.reference not in self._watch.tickets:
            self._asking.admit_at_once(entry)
            try:
                self._watch.enter_nowait(entry.priority)
            except anyio.WouldBlock:
                raise QueueFull(f"the {entry.priority.name} lane is full") from None
            self._admission.admit(entry)
        return self._watch.future(message)

    async def send(self, message: OutboundMessage, **terms: Unpack[Terms]) -> ResourceId:
        """
        Submit a message and await its resource id.

        Args:
            message: what to send.
            **terms: as `submit`. This raises what `submit` and its future raise.
        """
        future = await self.submit(message, **terms)
        return await future

    def bulk(
        self,
        messages: Messages,
        *,
        window: int = 500,
        priority: Priority = Priority.BULK,
        expires_at: datetime | None = None,
        delivered_within: float | None = None,
    ) -> Bulk:
        """
        Send many messages in bounded memory, and report each result as it arrives.

        Leaving it early withdraws waiting messages that nobody else waits for, unless the outbox
        is durable.

        Args:
            messages: any iterable or async iterable. If it raises, the reports raise the same
                error at their end.
            window: messages between the source and the reader of the reports, at most.
            priority: their lane.
            expires_at: an aware datetime after which none of them leaves.
            delivered_within: seconds for which the report of an accepted message waits for its
                final receipt, in a durable outbox. After that it has the furthest one. At 5 a
                second, a window of 500 fills up if receipts take longer than 100 seconds.

        Raises:
            ValueError: `window` is less than 1, or `delivered_within` is not finite.
        """
        submit = partial(self.submit, priority=priority, expires_at=expires_at)
        withdraw = None if self._outbox.durable else self._withdraw_unwanted
        if delivered_within is None:
            return Bulk(messages, window, submit, withdraw)
        check_durable(self._outbox)
        check_finite("delivered_within", delivered_within)
        asked = partial(delivery, self.delivered, self.outcome, within=delivered_within)
        return Bulk(messages, window, submit, withdraw, asked)

    async def _withdraw_unwanted(self, reference: str) -> bool:
        return await self._admission.withdraw_unwanted(reference)

    # -- taken back -----------------------------------------------------------------------------

    async def withdraw(self, reference: str) -> bool:
        """
        Withdraw a waiting message.

        Returns:
            False if it is on the wire, finished or unknown, or if it waits to be sent a second
            time: the first may have arrived.
        """
        return await self._admission.withdraw(reference)

    # -- their outcomes ------------------------------------------------------------------------

    async def outcome(self, reference: str) -> Outcome:
        """
        Return how far a message has come.

        Raises:
            KeyError: not known. An outbox in memory forgets finished messages at once, a durable
                one after the retention time.
        """
        return await self._outbox.find(reference)

    def outcomes(self, state: State | None = None) -> AsyncIterator[Outcome]:
        """Iterate over all messages in the outbox, or those in one state."""
        return self._outbox.outcomes(state)

    async def resolve(self, reference: str, *, sent: ResourceId | None) -> bool:
        """
        Settle an UNKNOWN message of a durable outbox with what a person found out.

        A receipt that may have belonged to it can then settle another message to the same number.

        Args:
            reference: of the message.
            sent: its resource id; None if it was not sent, so that it waits again.

        Returns:
            False if there is no such message.

        Raises:
            InvalidMessage: the resource id is empty, or is that of another message.
        """
        return await self._admission.resolve(reference, sent)

    async def keep(self, receipt: DeliveryReceipt) -> Outcome | None:
        """
        Store a receipt in a durable outbox. Give the queue to a `ReceiptReceiver` as its `store`.

        The receipt belongs to the message with its resource id. If no message has that id, the
        receipt settles an UNKNOWN message as SENT, provided that this is certain: it came within
        24 hours after the attempt, and can belong to no other message to its number, not even one
        sent from elsewhere in this process. Messages that another process sent without this
        outbox cannot be told apart.

        Returns:
            The outcome of the message it belongs to; None if that is not known.

        Raises:
            OutboxUnusable: it could not be stored.
        """
        check_durable(self._outbox)
        return await self._admission.keep(receipt, self._client)

    async def delivered(self, reference: str, timeout: float = REPORTED_WITHIN) -> DeliveryReceipt:
        """
        Wait for the first final receipt of a message in a durable outbox, whoever sent it.

        Its `delivered` says whether the phone has the message. An UNKNOWN message is awaited as
        well, because its receipt may come.

        Args:
            reference: of the message.
            timeout: seconds; Orange reports within 24 hours, or not at all.

        Raises:
            TimeoutError: none came. The message may still have been delivered.
            KeyError: the message is not known.
            Refused: it was not sent. Withheld, MessageExpired and MessageWithdrawn say the same.
            QueueClosed: the queue ended first.
        """
        check_durable(self._outbox)
        check_finite("timeout", timeout)
        return await self._watch.delivered(reference, self.outcome, timeout)

    async def delivery_summary(self, *, since: datetime | None = None) -> list[DeliveryCount]:
        """
        Say how many messages arrived, by country and by the first two digits of the number.

        Args:
            since: an aware datetime: counts messages accepted from then on. None counts all stored.

        Raises:
            RuntimeError: the outbox is in memory, and so stores no receipts.
        """
        check_durable(self._outbox)
        return await self._outbox.delivery(since.timestamp() if since else 0.0, self._now())

    async def join(self) -> None:
        """Wait until all messages submitted here are settled, or the queue is closed."""
        await self._watch.until(self._watch.all_settled)

    @property
    def is_open(self) -> bool:
        """Whether it has been opened, so that it has statistics, even after closing."""
        return self._watch.phase is not Phase.NEW

    @property
    def notes(self) -> Notes:
        """The notes of the gate's rules in the outbox. `Suppression.add` asks for them."""
        return self._outbox.notes

    def statistics(self) -> QueueStatistics:
        """Describe the queue as it is now."""
        return look(self._watch, self._outbox, self._client, self._now(), self._asking.ends)

    # -- closing --------------------------------------------------------------------------------

    async def aclose(self, drain: bool | float = True) -> None:
        """
        Admit nothing more, send what waits, and end.

        Args:
            drain: True sends until everything in the outbox is settled, or nothing has been
                accepted for 60 seconds. A number sends for at most that many seconds. False sends
                nothing more. The rest gets `QueueClosed`, and remains in a durable outbox.
                Requests on the wire are awaited; after another 60 seconds they are cut, and their
                messages are unknown.
        """
        if self._watch.phase is Phase.OPEN:
            self._watch.phase = Phase.DRAINING
        why = None
        try:
            if drain:
                patience, renewed = (_DRAIN, True) if drain is True else (drain, False)
                why = await self._watch.drain(self._is_idle, patience, renewed=renewed)
        finally:
            self._dispatch.stop(why=why)
            # No scope around the queue may cut this: requests on the wire finish.
            with anyio.CancelScope(shield=True):
                await self._following.stop()
                await self._dispatch.finish()

    def _is_idle(self) -> bool:
        return not self._watch.tickets and not self._outbox.unfinished
