"""Messages in, one paced stream out, futures back."""

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Protocol, Self
from weakref import WeakKeyDictionary

import anyio
import attrs

from orange_sms_async.backoff import Backoff
from orange_sms_async.bulk import Bulk, Messages
from orange_sms_async.errors import (
    AccessDenied,
    AuthenticationFailed,
    InvalidMessage,
    MessageExpired,
    MessageWithdrawn,
    NotSent,
    OrangeSMSError,
    OutcomeUnknown,
    QueueClosed,
    QueueFull,
    Throttled,
    TokenExpired,
)
from orange_sms_async.messages import OutboundMessage, ResourceId, SentMessage
from orange_sms_async.outbox import Entry, Outbox, Outcome, Priority, State
from orange_sms_async.outbox.memory import MemoryOutbox
from orange_sms_async.pacing import Pacer

_log = logging.getLogger(__name__)

_DRAIN = 60.0  # seconds a drain goes on without a message accepted
_CUT = 60.0  # seconds after which, on closing, a request without end is cut
_MOST_WORKERS = 200  # as many as Client has connections: a worker without one would leave late
_UNPACED_WORKERS = 20  # httpx's cost a request grows with its connections


class Sender(Protocol):
    """What a queue needs of a client."""

    async def ready(self) -> None:
        """Return when a message can leave at once."""

    async def attempt(self, message: OutboundMessage) -> SentMessage:
        """Post a message once."""
        ...


@attrs.frozen(kw_only=True)
class QueueStatistics:
    """
    A queue at one moment.

    Attributes:
        waiting: messages not on the wire yet, by lane.
        in_flight: messages on the wire.
        sent: accepted by Orange since the queue was opened; likewise the four after it.
        pace: slots a second, as spaced now.
        guard: the share by which slots are further apart than the bare rate asks.
        estimated_end: when the last waiting message leaves at this pace; those for later count
            as if they could leave now. None when none waits.
    """

    waiting: Mapping[Priority, int]
    in_flight: int
    sent: int
    failed: int
    unknown: int
    expired: int
    withdrawn: int
    pace: float
    guard: float
    estimated_end: datetime | None


# The limit is Orange's for the account, not for a queue: queues on one client take turns.
_pacers: WeakKeyDictionary[Sender, Pacer] = WeakKeyDictionary()


class SendQueue:
    """
    Sends what is submitted: at most `rate` in any rolling second, the most urgent first.

    Use it in `async with`, in one event loop. Leaving the block waits until all is settled;
    leaving it through an exception sends nothing more. N processes with a queue each send at
    N × `rate`.

    client: a `Client`, or anything with its `ready` and `attempt`.
    rate: messages a second; `math.inf` for no pacing. Orange: "limited to 5 SMS per second".
    capacity: messages that may wait in each lane.
    workers: requests on the wire at once; by default enough for answers that take as long as the
        client's timeout allows, 200 at the most.
    outbox: where messages wait; by default in memory.
    pacer: by default one per client, which its queues share.
    on_outcome: called with each message's final `Outcome`, also when nobody awaits its future.
    """

    def __init__(
        self,
        client: Sender,
        *,
        rate: float = 5.0,
        capacity: int = 10_000,
        workers: int | None = None,
        outbox: Outbox | None = None,
        pacer: Pacer | None = None,
        on_outcome: Callable[[Outcome], object] | None = None,
    ) -> None:
        if capacity < 1:
            raise ValueError("capacity: at least 1 message")
        self._client = client
        self._pacer = pacer or _shared_pacer(client, rate)
        self._workers = anyio.Semaphore(
            workers or _workers_for(client, self._pacer.rate), fast_acquire=True
        )
        self._rooms = {
            priority: anyio.Semaphore(capacity, fast_acquire=True) for priority in Priority
        }
        self._outbox: Outbox = outbox or MemoryOutbox()
        self._on_outcome = on_outcome
        self._entries: dict[str, Entry] = {}
        self._settled = Counter[State]()
        self._in_flight = 0
        self._withdrawals = set[asyncio.Task[bool]]()
        self._arrived, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._pacing, self._waiting = anyio.CancelScope(), anyio.CancelScope()
        self._draining: anyio.CancelScope | None = None
        self._admits, self._closed = True, False
        self._cause: BaseException | None = None
        self._backoff = Backoff()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        # Dates are kept on a clock of our own, which nobody steps.
        self._epoch = time.time() - self._loop.time()
        # A task of its own opens and closes the task group: __aenter__ and __aexit__ may run in
        # different tasks (pytest's fixtures do so), and a task group does not survive that.
        self._supervisor = self._loop.create_task(self._supervise(), name="orange-sms queue")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose(drain=exc_type is None)

    # -- messages in ----------------------------------------------------------------------------

    async def submit(
        self,
        message: OutboundMessage,
        *,
        priority: Priority = Priority.NORMAL,
        not_before: datetime | None = None,
        expires_at: datetime | None = None,
    ) -> asyncio.Future[ResourceId]:
        """
        Admit a message, waiting while its lane is full; return the future of its resource id.

        The future raises what became of the message instead: `Refused`, `OutcomeUnknown`,
        `MessageExpired`, `MessageWithdrawn` or `QueueClosed`. Cancelling it while the message
        waits withdraws the message; on the wire, the message goes on without it. A reference
        that is not finished yet gets the future it has.

        not_before, expires_at: aware datetimes between which the message may leave.

        Raises:
            InvalidMessage: a datetime without time zone, or a reference that is not finished yet
                with another number or text.
            QueueClosed: the queue sends nothing more; `__cause__` says why.
        """
        entry = self._entry(message, priority, not_before, expires_at)
        await self._rooms[priority].acquire()
        return self._admit(entry)

    def submit_nowait(
        self,
        message: OutboundMessage,
        *,
        priority: Priority = Priority.NORMAL,
        not_before: datetime | None = None,
        expires_at: datetime | None = None,
    ) -> asyncio.Future[ResourceId]:
        """
        Admit a message at once or not at all.

        Raises:
            QueueFull: its lane is full; nothing was admitted.
            InvalidMessage, QueueClosed: as `submit`.
        """
        entry = self._entry(message, priority, not_before, expires_at)
        try:
            self._rooms[priority].acquire_nowait()
        except anyio.WouldBlock:
            raise QueueFull(f"the {priority.name} lane is full") from None
        return self._admit(entry)

    async def send(
        self,
        message: OutboundMessage,
        *,
        priority: Priority = Priority.NORMAL,
        not_before: datetime | None = None,
        expires_at: datetime | None = None,
    ) -> ResourceId:
        """
        Submit a message and await its resource id.

        Raises: as `submit` and its future.
        """
        future = await self.submit(
            message, priority=priority, not_before=not_before, expires_at=expires_at
        )
        return await future

    def bulk(
        self,
        messages: Messages,
        *,
        window: int = 500,
        priority: Priority = Priority.BULK,
        expires_at: datetime | None = None,
    ) -> Bulk:
        """
        Send many messages in bounded memory and report on each as it is settled.

        messages: any iterable or async iterable; what it raises, the reports raise at their end.
        window: messages between the source and the reader of the reports at any time.
        """
        submit = partial(self.submit, priority=priority, expires_at=expires_at)
        return Bulk(messages, window, submit, self.withdraw)

    def _entry(
        self,
        message: OutboundMessage,
        priority: Priority,
        not_before: datetime | None,
        expires_at: datetime | None,
    ) -> Entry:
        return Entry(
            message,
            priority,
            self._loop.create_future(),
            _timestamp("not_before", not_before, 0.0),
            _timestamp("expires_at", expires_at, math.inf),
        )

    def _admit(self, entry: Entry) -> asyncio.Future[ResourceId]:
        reference = entry.message.reference
        if self._admits and reference not in self._entries:
            self._entries[reference] = entry
            entry.future.add_done_callback(partial(self._watched, entry))
            self._outbox.add(entry)
            self._idle.clear()
            self._arrived.set()
            return entry.future
        self._rooms[entry.priority].release()
        if not self._admits:
            raise self._closing_error()
        return self._admitted_before(entry.message)

    def _admitted_before(self, message: OutboundMessage) -> asyncio.Future[ResourceId]:
        known = self._entries[message.reference]
        if (known.message.to, known.message.text) != (message.to, message.text):
            raise InvalidMessage("reference: waits already, with another number or text")
        return known.future

    def _watched(self, entry: Entry, future: asyncio.Future[ResourceId]) -> None:
        if not future.cancelled():
            future.exception()  # retrieved: nobody has to await every future
        elif entry.waits and not self._closed:
            # Not the task group's: anyio starts no task where no task runs, as here.
            withdrawal = self._loop.create_task(self.withdraw(entry.message.reference))
            self._withdrawals.add(withdrawal)
            withdrawal.add_done_callback(self._withdrawals.discard)

    # -- what became of them --------------------------------------------------------------------

    async def withdraw(self, reference: str) -> bool:
        """Take a waiting message back; False if it is on the wire, finished or not known."""
        entry = self._entries.get(reference)
        if entry is None or not entry.waits:
            return False
        await self._withdraw(entry)
        return True

    async def outcome(self, reference: str) -> Outcome:
        """
        Tell where a message is on its way.

        Raises:
            KeyError: not known; an outbox in memory forgets finished messages.
        """
        return Outcome(reference, self._entries[reference].state)

    async def join(self) -> None:
        """Wait until no message waits and none is on the wire, or the queue is closed."""
        await self._idle.wait()

    def statistics(self) -> QueueStatistics:
        """Describe the queue as it is now."""
        waiting = {priority: self._outbox.waiting(priority) for priority in Priority}
        left = sum(waiting.values()) / self._pacer.pace
        return QueueStatistics(
            waiting=waiting,
            in_flight=self._in_flight,
            sent=self._settled[State.SENT],
            failed=self._settled[State.FAILED],
            unknown=self._settled[State.UNKNOWN],
            expired=self._settled[State.EXPIRED],
            withdrawn=self._settled[State.WITHDRAWN],
            pace=self._pacer.pace,
            guard=self._pacer.guard,
            estimated_end=datetime.fromtimestamp(self._now() + left, UTC) if left else None,
        )

    # -- closing --------------------------------------------------------------------------------

    async def aclose(self, drain: bool | float = True) -> None:
        """
        Admit nothing more, send what waits, and end.

        drain: True sends until all is settled, or nothing has been accepted for 60 seconds; a
            number does so for that many seconds; False sends nothing more. What is left gets
            `QueueClosed`. A request on the wire is waited for in any case.
        """
        self._admits = False
        try:
            seconds = _DRAIN if drain is True else float(drain)
            with anyio.move_on_after(seconds) as scope:
                self._draining = scope if drain is True else None
                await self.join()
        finally:
            self._stop()
            await self._end()

    async def _end(self) -> None:
        await asyncio.wait({self._supervisor}, timeout=_CUT)
        if not self._supervisor.done():
            self._group.cancel_scope.cancel()
            await asyncio.wait({self._supervisor})

    def _stop(self, cause: BaseException | None = None) -> None:
        if self._closed:
            return
        self._admits, self._closed, self._cause = False, True, cause
        self._pacing.cancel()
        for entry in list(self._entries.values()):
            if entry.waits:
                self._close(entry)
        self._idle.set()

    def _close(self, entry: Entry) -> None:
        self._leave_room(entry)
        del self._entries[entry.message.reference]
        if not entry.future.done():
            entry.future.set_exception(self._closing_error())

    def _closing_error(self) -> QueueClosed:
        error = QueueClosed("the queue sends nothing more")
        error.__cause__ = self._cause
        return error

    # -- the paced stream out -------------------------------------------------------------------

    async def _supervise(self) -> None:
        try:
            async with anyio.create_task_group() as self._group:
                with self._pacing:
                    await self._pace()
        finally:
            self._stop()

    async def _pace(self) -> None:
        """Token first, slot second, message last: nothing bunches up behind a token."""
        try:
            while True:
                await self._something_to_send()
                await self._workers.acquire()
                slot = await self._slot()
                with anyio.CancelScope(shield=True):
                    await self._hand_out(slot)
        except OrangeSMSError as error:
            self._stop(error)
        except Exception as error:  # noqa: BLE001 -- a client of somebody's may raise anything
            # Its own words may hold what must not be logged; `QueueClosed` carries it as cause.
            _log.error("the queue stopped: its client raised %s", type(error).__name__)
            self._stop(error)

    async def _something_to_send(self) -> None:
        while True:
            self._arrived.clear()
            ready_at = await self._outbox.ready_at()
            wait = math.inf if ready_at is None else ready_at - self._now()
            if wait <= 0:
                return
            with anyio.move_on_after(wait):
                await self._arrived.wait()

    async def _slot(self) -> float:
        while True:
            if (pause := self._backoff.until - self._loop.time()) > 0:
                await asyncio.sleep(pause)
            try:
                await self._client.ready()
            except NotSent:
                self._backoff.failed(self._loop.time())
                continue
            # A token refused, or a line lost, while this waits: begin anew at once, or the message
            # would be kept back until it leaves beside the next one.
            with anyio.CancelScope() as self._waiting:
                return await self._pacer.slot()

    async def _hand_out(self, slot: float) -> None:
        entry = await self._take()
        if entry is None:
            self._workers.release()
        else:
            self._in_flight += 1
            self._group.start_soon(self._work, entry, slot)

    async def _take(self) -> Entry | None:
        while entry := await self._outbox.take(self._now()):
            if entry.attempts == 1:
                self._rooms[entry.priority].release()
            if entry.future.cancelled():
                await self._withdraw(entry)
            elif not await self._expired(entry):
                return entry
        return None

    async def _work(self, entry: Entry, slot: float) -> None:
        reference = entry.message.reference
        cut = OutcomeUnknown("the request was cut while it was on the wire")
        outcome: Outcome | None = Outcome(reference, State.UNKNOWN, error=cut)
        try:
            outcome = await self._attempt(entry.message, slot)
        finally:
            with anyio.CancelScope(shield=True):
                self._in_flight -= 1
                self._workers.release()
                await (self._settle(entry, outcome) if outcome else self._again(entry))

    async def _attempt(self, message: OutboundMessage, slot: float) -> Outcome | None:
        """Return None when the message was certainly not sent and is to be tried again."""
        reference = message.reference
        try:
            sent = await self._client.attempt(message)
            self._pacer.accepted(sent.left_at)
        except NotSent as error:
            self._not_sent(error, slot)
            return None
        except OutcomeUnknown as error:
            return Outcome(reference, State.UNKNOWN, error=error)
        except OrangeSMSError as error:
            self._backoff.answered()
            if isinstance(error, AuthenticationFailed | AccessDenied):
                self._stop(error)
            return Outcome(reference, State.FAILED, error=error)
        except Exception as error:  # noqa: BLE001 -- a client of somebody's may raise anything
            unknown = OutcomeUnknown(f"the client raised {type(error).__name__}")
            unknown.__cause__ = error
            return Outcome(reference, State.UNKNOWN, error=unknown)
        self._backoff.answered()
        if self._draining:
            self._draining.deadline = anyio.current_time() + _DRAIN
        return Outcome(reference, State.SENT, sent.resource_id)

    def _not_sent(self, error: NotSent, slot: float) -> None:
        if isinstance(error, Throttled):
            self._pacer.throttled(slot)
        elif not isinstance(error, TokenExpired):
            self._backoff.failed(self._loop.time())
            self._waiting.cancel()
        elif self._backoff.token_refused(self._loop.time(), slot):
            self._waiting.cancel()

    # -- outcomes -------------------------------------------------------------------------------

    async def _again(self, entry: Entry) -> None:
        if self._closed:
            self._close(entry)
        elif not await self._expired(entry):
            await self._outbox.put_back(entry)
            self._arrived.set()

    async def _expired(self, entry: Entry) -> bool:
        if self._now() < entry.expires_at:
            return False
        error = MessageExpired("its time ran out before it could be sent")
        await self._settle(entry, Outcome(entry.message.reference, State.EXPIRED, error=error))
        return True

    async def _withdraw(self, entry: Entry) -> None:
        self._leave_room(entry)
        error = MessageWithdrawn("withdrawn before it was sent")
        await self._settle(entry, Outcome(entry.message.reference, State.WITHDRAWN, error=error))

    async def _settle(self, entry: Entry, outcome: Outcome) -> None:
        await self._outbox.settle(entry, outcome)
        self._settled[outcome.state] += 1
        self._entries.pop(outcome.reference, None)
        if not entry.future.done():
            if outcome.error:
                entry.future.set_exception(outcome.error)
            elif outcome.resource_id:
                entry.future.set_result(outcome.resource_id)
        if not self._entries:
            self._idle.set()
        self._tell(outcome)

    def _leave_room(self, entry: Entry) -> None:
        # The first time a message is taken frees its place; put back, it waits beside the others.
        if entry.waits and not entry.attempts:
            self._rooms[entry.priority].release()

    def _tell(self, outcome: Outcome) -> None:
        if self._on_outcome is None:
            return
        try:
            self._on_outcome(outcome)
        except Exception as error:  # noqa: BLE001 -- their callback must not stop our queue
            _log.error("on_outcome raised %s", type(error).__name__)

    def _now(self) -> float:
        return self._epoch + self._loop.time()


def _timestamp(name: str, date: datetime | None, default: float) -> float:
    if date is None:
        return default
    if date.tzinfo is None:
        raise InvalidMessage(f"{name}: a datetime with a time zone")
    return date.timestamp()


def _shared_pacer(client: Sender, rate: float) -> Pacer:
    pacer = _pacers.setdefault(client, Pacer(rate))
    if pacer.rate != rate:
        raise ValueError(f"rate: another queue on this client is paced at {pacer.rate:g}/s already")
    return pacer


def _workers_for(client: Sender, rate: float) -> int:
    if math.isinf(rate):
        return _UNPACED_WORKERS
    timeout: float = getattr(client, "timeout", 30.0)
    return min(max(1, math.ceil(min(rate * timeout, _MOST_WORKERS))), _MOST_WORKERS)
