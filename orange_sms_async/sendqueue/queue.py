"""Messages in, one paced stream out, futures back."""

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self

import anyio
import attrs

from orange_sms_async.errors import (
    AccessDenied,
    AuthenticationFailed,
    InvalidMessage,
    MessageExpired,
    MessageWithdrawn,
    NotSent,
    OrangeSMSError,
    OutboxUnusable,
    OutcomeUnknown,
    QueueClosed,
    QueueFull,
    Throttled,
    TokenExpired,
)
from orange_sms_async.messages import OutboundMessage, ResourceId, SentMessage
from orange_sms_async.outbox import Entry, OnUnknown, Outbox
from orange_sms_async.outbox.memory import MemoryOutbox
from orange_sms_async.outcomes import Outcome, Priority, State
from orange_sms_async.pacing import Departure, Pacer, departure
from orange_sms_async.receipts import REPORTED_WITHIN, DeliveryReceipt
from orange_sms_async.sendqueue.backoff import Backoff
from orange_sms_async.sendqueue.bulk import Bulk, Messages

_log = logging.getLogger(__name__)

_DRAIN = 60.0  # seconds a drain goes on without a message accepted
_CUT = 60.0  # seconds after which, on closing, a request without end is cut
_MOST_WORKERS = 200  # as many as Client has connections: a worker without one would leave late
_OF_A_SENDER = ("ready", "attempt", "pacer", "timeout")
_ALL_OF_IT = "ready, attempt, pacer and timeout"
_UNPACED_WORKERS = 20  # httpx's cost a request grows with its connections


class Sender(Protocol):
    """
    What a queue needs of a client. A wrapper forwards all four.

    Attributes:
        pacer: of the account, shared by all who send for it.
        timeout: seconds that an attempt takes at most.
    """

    @property
    def pacer(self) -> Pacer: ...

    @property
    def timeout(self) -> float: ...

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
        sent: accepted by Orange since the queue was opened; likewise the four after it. One that
            was unknown until a receipt came counts as both.
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


@attrs.define(eq=False)
class _Watched:
    """
    A message submitted to this queue and not settled yet.

    Attributes:
        futures: one for each time it was submitted.
        keeping: while a durable outbox writes it down.
        place: in its lane, held until it is taken for the first time.
        expiry: ends it in time, if it expires.
        doubtful: it may have been sent once, and waits to be sent again.
    """

    message: OutboundMessage
    place: anyio.Semaphore | None
    futures: list[asyncio.Future[ResourceId]] = attrs.field(factory=list)
    keeping: asyncio.Future[Outcome | None] | None = None
    expiry: asyncio.TimerHandle | None = None
    doubtful: bool = False

    @property
    def unwanted(self) -> bool:
        return all(future.cancelled() for future in self.futures)

    def leave_place(self) -> None:
        if self.place:
            self.place.release()
            self.place = None

    def end(self, resource_id: ResourceId | None, error: BaseException | None) -> None:
        self.leave_place()
        if self.expiry:
            self.expiry.cancel()
        for future in self.futures:
            if future.done():
                continue
            if error:
                future.set_exception(error)
            elif resource_id is not None:
                future.set_result(resource_id)


class SendQueue:
    """
    Sends what is submitted: at most the client's rate in any rolling second, most urgent first.

    Use it in `async with`, in one event loop. Leaving the block waits until all is settled;
    leaving it through an exception sends nothing more. N processes with a queue each send at
    N × that rate.

    client: a `Client`, or anything with its `ready`, `attempt`, `pacer` and `timeout`.
    capacity: messages that may wait in each lane.
    workers: requests on the wire at once; by default enough for answers that take as long as the
        client's timeout allows, 200 at the most.
    outbox: where messages wait; by default in memory, lost with the process. With a
        `SqliteOutbox` what was admitted is on disk: opening the queue goes on with it.
    retention: how long a durable outbox keeps finished messages and recognises their references;
        a day at least, in which their receipts may come.
    on_outcome: called with each message's final `Outcome`, also when nobody awaits its future;
        what a closed queue did not send has none.

    Attributes:
        recovered: what opening a durable outbox found: messages that were on the wire when their
            process ended are UNKNOWN, or SENT where a receipt says so; those whose time ran out
            since are EXPIRED.
    """

    def __init__(
        self,
        client: Sender,
        *,
        capacity: int = 10_000,
        workers: int | None = None,
        outbox: Outbox | None = None,
        on_outcome: Callable[[Outcome], object] | None = None,
        retention: timedelta = timedelta(days=30),
    ) -> None:
        if capacity < 1:
            raise ValueError("capacity: at least 1 message")
        if workers is not None and workers < 1:
            raise ValueError("workers: at least 1 request at once")
        if missing := [name for name in _OF_A_SENDER if not hasattr(client, name)]:
            raise TypeError(f"client: has no {missing[0]}; a wrapper forwards {_ALL_OF_IT}")
        self._client = client
        self._pacer = client.pacer
        self._workers = asyncio.Semaphore(workers or _workers_for(client))
        self._rooms = {
            priority: anyio.Semaphore(capacity, fast_acquire=True) for priority in Priority
        }
        self._outbox: Outbox = outbox or MemoryOutbox()
        self._on_outcome = on_outcome
        self._retention = retention
        self.recovered: list[Outcome] = []
        self._watched: dict[str, _Watched] = {}
        self._awaiting: dict[str, list[asyncio.Future[DeliveryReceipt]]] = {}
        self._settled = Counter[State]()
        self._on_wire = set[str]()  # references between being taken and settled or put back
        self._handing_out = False
        self._requests = set[asyncio.Task[None]]()
        self._endings = set[asyncio.Task[bool]]()
        self._arrived, self._idle = asyncio.Event(), asyncio.Event()
        self._pacing, self._waiting = anyio.CancelScope(), anyio.CancelScope()
        self._drains: list[anyio.CancelScope] = []
        self._entered, self._admits, self._closed = False, True, False
        self._cause: BaseException | None = None
        self._backoff = Backoff()

    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError("a SendQueue is opened once: make another")
        self._loop = asyncio.get_running_loop()
        # Dates are kept on a clock of our own, which nobody steps.
        self._epoch = time.time() - self._loop.time()
        self.recovered = await self._outbox.open(self._now(), self._retention)
        if self._outbox.sent_lately:
            self._pacer.hold(1.0)
        self._entered = True
        self._check_idle()
        # A task of its own opens and closes the task group: __aenter__ and __aexit__ may run in
        # different tasks (pytest's fixtures do so), and a task group does not survive that.
        self._supervisor = self._loop.create_task(self._supervise(), name="orange-sms queue")
        for outcome in self.recovered:
            self._tell(outcome)
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
        on_unknown: OnUnknown = "report",
    ) -> asyncio.Future[ResourceId]:
        """
        Admit a message, waiting while its lane is full; return the future of its resource id.

        With a durable outbox it is on disk then. The future raises what became of the message
        instead: `Refused`, `OutcomeUnknown`, `MessageExpired`, `MessageWithdrawn` or
        `QueueClosed`. Cancelling it while the message waits withdraws the message from an outbox
        in memory, and only stops the watching with a durable one; a message on the wire goes on.
        A reference that is kept already is not sent again: its future, and so its outcome, is
        that of the message kept.

        not_before, expires_at: aware datetimes between which the message may leave.
        on_unknown: "resend" sends it once more when its outcome is unknown, for whom a second SMS
            is better than none.

        Raises:
            InvalidMessage: a datetime without time zone, or a reference that is kept already with
                another number or text.
            OutboxUnusable: it cannot be kept, and so was not admitted.
            QueueClosed: the queue sends nothing more; `__cause__` says why.
        """
        self._check_open()
        entry = _entry(message, priority, not_before, expires_at, on_unknown)
        if message.reference not in self._watched:
            await self._rooms[priority].acquire()
            self._reserve(entry)
        future = self._watch(message)
        if keeping := self._watched[message.reference].keeping:
            await asyncio.wait({keeping})  # goes on should this be cancelled
            keeping.result()
        return future

    def submit_nowait(
        self,
        message: OutboundMessage,
        *,
        priority: Priority = Priority.NORMAL,
        not_before: datetime | None = None,
        expires_at: datetime | None = None,
        on_unknown: OnUnknown = "report",
    ) -> asyncio.Future[ResourceId]:
        """
        Admit a message at once or not at all.

        With a durable outbox it is on disk a little later; its future raises what prevents it.

        Raises:
            QueueFull: its lane is full; nothing was admitted.
            InvalidMessage, QueueClosed: as `submit`.
        """
        self._check_open()
        entry = _entry(message, priority, not_before, expires_at, on_unknown)
        if message.reference not in self._watched:
            try:
                self._rooms[priority].acquire_nowait()
            except anyio.WouldBlock:
                raise QueueFull(f"the {priority.name} lane is full") from None
            self._reserve(entry)
        return self._watch(message)

    async def send(
        self,
        message: OutboundMessage,
        *,
        priority: Priority = Priority.NORMAL,
        not_before: datetime | None = None,
        expires_at: datetime | None = None,
        on_unknown: OnUnknown = "report",
    ) -> ResourceId:
        """
        Submit a message and await its resource id.

        Raises: as `submit` and its future.
        """
        future = await self.submit(
            message,
            priority=priority,
            not_before=not_before,
            expires_at=expires_at,
            on_unknown=on_unknown,
        )
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
        Send many messages in bounded memory and report on each as it is settled.

        messages: any iterable or async iterable; what it raises, the reports raise at their end.
        window: messages between the source and the reader of the reports at any time.
        delivered_within: seconds for which the report of a message that was accepted waits for
            its final receipt, in a durable outbox; it then holds the furthest there is. At 5 a
            second a window of 500 fills up when receipts take longer than 100 seconds.

        Leaving it early withdraws what waits and nobody else waits for, unless the outbox is
        durable.

        Raises:
            ValueError: `window` holds nothing, or `delivered_within` is no finite time.
        """
        submit = partial(self.submit, priority=priority, expires_at=expires_at)
        withdraw = None if self._outbox.durable else self._withdraw_unwanted
        if delivered_within is None:
            return Bulk(messages, window, submit, withdraw)
        self._check_durable()
        _check_finite("delivered_within", delivered_within)
        delivery = partial(self._delivery, within=delivered_within)
        return Bulk(messages, window, submit, withdraw, delivery)

    async def _delivery(self, reference: str, within: float) -> DeliveryReceipt | None:
        try:
            return await self.delivered(reference, within)
        except TimeoutError:
            return (await self.outcome(reference)).delivery

    def _check_open(self) -> None:
        if not self._entered:
            raise RuntimeError("use a SendQueue inside `async with SendQueue(…) as queue:`")
        if not self._admits:
            raise self._closing_error()

    def _reserve(self, entry: Entry) -> None:
        """Use a place in the lane for a message, or give it back."""
        room, reference = self._rooms[entry.priority], entry.message.reference
        if not self._admits or reference in self._watched:
            room.release()
            return
        watched = self._watched[reference] = _Watched(entry.message, room)
        if entry.expires_at < math.inf:
            seconds = max(0.0, entry.expires_at - self._now())
            watched.expiry = self._loop.call_later(seconds, self._expire, reference)
        self._idle.clear()
        watched.keeping = self._outbox.add(entry)
        if watched.keeping is None:
            self._arrived.set()
        else:
            watched.keeping.add_done_callback(partial(self._kept, watched))

    def _watch(self, message: OutboundMessage) -> asyncio.Future[ResourceId]:
        self._check_open()  # it may have closed while this waited for a place
        watched = self._watched[message.reference]
        if (watched.message.to, watched.message.text) != (message.to, message.text):
            raise InvalidMessage("reference: waits already, with another number or text")
        future: asyncio.Future[ResourceId] = self._loop.create_future()
        watched.futures.append(future)
        future.add_done_callback(partial(self._watched_to_its_end, message.reference))
        return future

    def _kept(self, watched: _Watched, keeping: asyncio.Future[Outcome | None]) -> None:
        watched.keeping = None
        reference = watched.message.reference
        if keeping.cancelled():
            self._close(reference)
        elif error := keeping.exception():
            self._close(reference, error)
        elif known := keeping.result():
            watched.leave_place()
            if known.state.finished:
                self._watched.pop(reference, None)
                watched.end(known.resource_id, known.error)
                self._check_idle()
            elif watched.expiry:
                watched.expiry.cancel()
        # Not what was known as it was read: it may have been taken, or put back, since.
        if self._closed and reference not in self._on_wire:
            self._close(reference)
        self._arrived.set()

    def _watched_to_its_end(self, reference: str, future: asyncio.Future[ResourceId]) -> None:
        if not future.cancelled():
            future.exception()  # retrieved: nobody has to await every future
        elif not (self._closed or self._outbox.durable):
            self._in_background(self._withdraw_unwanted(reference))

    def _expire(self, reference: str) -> None:
        # At once, also while the queue pauses or its lane is long. Too late if it is on the wire.
        self._in_background(self._end_waiting(_expired(reference)))

    async def _withdraw_unwanted(self, reference: str) -> bool:
        watched = self._watched.get(reference)
        return (
            watched is not None
            and watched.unwanted
            and await self._end_waiting(_withdrawn(reference))
        )

    def _in_background(self, ending: Coroutine[Any, Any, bool]) -> asyncio.Task[bool]:
        # A task of its own, whoever asks and then goes away; and not the task group's, because
        # anyio starts none where no task runs, as in a future's callback.
        task = self._loop.create_task(ending)
        self._endings.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, ending: asyncio.Task[bool]) -> None:
        self._endings.discard(ending)
        if not ending.cancelled():
            ending.exception()  # retrieved: an outbox that fails stops the queue where it is used

    # -- what became of them --------------------------------------------------------------------

    async def withdraw(self, reference: str) -> bool:
        """
        Take a waiting message back.

        Returns False if it is on the wire, finished or not known, or waits to be sent a second
        time: the first may have arrived.
        """
        return await asyncio.shield(self._in_background(self._end_waiting(_withdrawn(reference))))

    async def _end_waiting(self, outcome: Outcome) -> bool:
        if not await self._outbox.withdraw(outcome, self._now()):
            return False
        self._finish(outcome)
        return True

    async def outcome(self, reference: str) -> Outcome:
        """
        Tell where a message is on its way.

        Raises:
            KeyError: not known. An outbox in memory forgets finished messages, a durable one does
                so after the retention time.
        """
        return await self._outbox.find(reference)

    def outcomes(self, state: State | None = None) -> AsyncIterator[Outcome]:
        """Tell of all messages the outbox knows, or of those in one state."""
        return self._outbox.outcomes(state)

    async def resolve(self, reference: str, *, sent: ResourceId | None) -> bool:
        """
        Settle an UNKNOWN message of a durable outbox with what a person found out.

        sent: its resource id; None if it was not sent, and so waits again.

        A receipt that might have been its own may then settle another one to the same number.

        Returns False if there is no such message.

        Raises:
            InvalidMessage: the resource id is empty, or is that of another message.
        """
        return await asyncio.shield(self._in_background(self._resolve(reference, sent)))

    async def _resolve(self, reference: str, sent: ResourceId | None) -> bool:
        resolved = await self._outbox.resolve(reference, sent, self._now())
        if not resolved:
            return False
        outcome, *others = resolved
        self._inform(outcome)
        for other in others:
            self._finish(other)
        if sent is None and not self._closed:
            self._idle.clear()
            self._arrived.set()
        return True

    async def keep(self, receipt: DeliveryReceipt) -> Outcome | None:
        """
        Keep a receipt in a durable outbox: a `ReceiptReceiver` is given the queue as its `store`.

        Returns the outcome of the message it belongs to; None if it is not known whose it is. It
        belongs to the message with its resource id. One with an id that no message has settles an
        UNKNOWN message as SENT where that is certain: it came within 24 hours after the attempt,
        no other unknown message to its number fits, and none is on the wire, was accepted without
        an id, or was sent twice. It cannot be told from a receipt for what another process sent
        to the same number through the same account.

        Raises:
            OutboxUnusable: it could not be kept.
        """
        self._check_durable()
        kept = await self._outbox.keep(receipt, self._now())
        if kept is None:
            return None
        outcome, settled = kept
        if settled:
            self._finish(outcome)
        else:
            self._inform(outcome)
        return outcome

    async def delivered(self, reference: str, timeout: float = REPORTED_WITHIN) -> DeliveryReceipt:
        """
        Wait for the first final receipt of a message in a durable outbox.

        Its `delivered` tells whether the phone has the message. The message may be waiting still,
        or be one of an earlier process; an UNKNOWN one is waited for too, as its receipt may come.

        timeout: seconds; Orange reports within 24 hours, or not at all.

        Raises:
            TimeoutError: none came; the message may have been delivered all the same.
            KeyError: the message is not known.
            Refused, MessageExpired, MessageWithdrawn: it was not sent.
            QueueClosed: the queue ended first.
        """
        self._check_durable()
        _check_finite("timeout", timeout)
        if self._supervisor.done():
            raise self._closing_error()
        future: asyncio.Future[DeliveryReceipt] = self._loop.create_future()
        future.add_done_callback(_retrieved)
        self._awaiting.setdefault(reference, []).append(future)
        try:
            self._inform(await self.outcome(reference))
            await asyncio.wait({future}, timeout=timeout)
        finally:
            self._awaiting[reference].remove(future)
            if not self._awaiting[reference]:
                del self._awaiting[reference]
        if not future.done():
            raise TimeoutError("no final receipt came in time")
        return future.result()

    def _check_durable(self) -> None:
        if not self._outbox.durable:
            raise RuntimeError(
                "an outbox in memory forgets the messages that receipts are of: "
                "use a SqliteOutbox, or a ReceiptBook"
            )

    def _inform(self, outcome: Outcome) -> None:
        """Tell who waits for its delivery, if there is something final to tell."""
        for future in self._awaiting.get(outcome.reference, ()):
            if future.done():
                continue
            if outcome.delivery is not None and outcome.delivery.is_final:
                future.set_result(outcome.delivery)
            elif outcome.error is not None and outcome.state is not State.UNKNOWN:
                future.set_exception(outcome.error)

    async def join(self) -> None:
        """Wait until no message waits and none is on the wire, or the queue is closed."""
        await self._idle.wait()

    def statistics(self) -> QueueStatistics:
        """Describe the queue as it is now."""
        waiting = {priority: self._outbox.waiting(priority) for priority in Priority}
        messages = sum(waiting.values())
        seconds = messages / self._pacer.pace
        return QueueStatistics(
            waiting=waiting,
            in_flight=len(self._on_wire),
            sent=self._settled[State.SENT],
            failed=self._settled[State.FAILED],
            unknown=self._settled[State.UNKNOWN],
            expired=self._settled[State.EXPIRED],
            withdrawn=self._settled[State.WITHDRAWN],
            pace=self._pacer.pace,
            guard=self._pacer.guard,
            estimated_end=(
                datetime.fromtimestamp(self._now() + seconds, UTC) if messages else None
            ),
        )

    # -- closing --------------------------------------------------------------------------------

    async def aclose(self, drain: bool | float = True) -> None:
        """
        Admit nothing more, send what waits, and end.

        drain: True sends until all is settled, or nothing has been accepted for 60 seconds; a
            number does so for that many seconds; False sends nothing more. What is left gets
            `QueueClosed`. A request on the wire is waited for in any case; after another 60
            seconds it is cut, and its outcome is unknown.
        """
        self._admits = False
        try:
            if drain:
                with anyio.move_on_after(_DRAIN if drain is True else drain) as scope:
                    if drain is True:
                        self._drains.append(scope)
                    await self.join()
        finally:
            self._stop()
            # Not to be cut by a scope around the queue: what is on the wire finishes.
            with anyio.CancelScope(shield=True):
                await self._end()

    async def _end(self) -> None:
        await asyncio.wait({self._supervisor}, timeout=_CUT)
        while not self._supervisor.done():
            for task in (*self._requests, self._supervisor):
                task.cancel()
            # A client of somebody's may take a cancellation for nothing: it gets another.
            await asyncio.wait({self._supervisor}, timeout=1.0)

    def _stop(self, cause: BaseException | None = None) -> None:
        if self._closed:
            return
        self._admits, self._closed, self._cause = False, True, cause
        if cause:
            # Not its words, which may hold anything; `QueueClosed` carries it.
            _log.error("the queue stopped on %s", type(cause).__name__)
        if not self._handing_out:  # what was taken is handed out or put back, never cut
            self._pacing.cancel()
        for reference, watched in list(self._watched.items()):
            if reference not in self._on_wire and not watched.keeping:
                self._close(reference)
        # Who waits for a place in a lane is woken, finds the queue closed, and wakes the next.
        for room in self._rooms.values():
            room.release()
        self._idle.set()

    def _close(self, reference: str, error: BaseException | None = None) -> None:
        if not (watched := self._watched.get(reference)):
            return
        if watched.doubtful and not self._outbox.durable:
            self._finish(_not_again(reference))
            return
        del self._watched[reference]
        watched.end(None, error or self._closing_error())
        self._check_idle()

    def _closing_error(self) -> QueueClosed:
        error = QueueClosed("the queue sends nothing more")
        error.__cause__ = self._cause
        return error

    # -- the paced stream out -------------------------------------------------------------------

    async def _supervise(self) -> None:
        try:
            # asyncio's own: anyio's takes five times as long to start a task.
            async with asyncio.TaskGroup() as self._group:
                with self._pacing:
                    await self._pace()
        finally:
            self._stop()
            try:
                with anyio.CancelScope(shield=True):
                    await self._outbox.aclose()
            finally:
                # A loop that ends may cancel a request's task before it began.
                for reference in list(self._watched):
                    self._close(reference, OutcomeUnknown("cut before or while it was on the wire"))
                for waiting in self._awaiting.values():
                    for future in waiting:
                        if not future.done():
                            future.set_exception(self._closing_error())

    async def _pace(self) -> None:
        """Token first, slot second, message last: nothing bunches up behind a token."""
        try:
            while not self._closed:
                await self._something_to_send()
                await self._workers.acquire()
                slot = await self._slot()
                self._handing_out = True
                await self._hand_out(slot)
                self._handing_out = False
        except Exception as error:  # noqa: BLE001 -- a client of somebody's may raise anything
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
                slot = await self._pacer.slot()
                if not self._waiting.cancel_called:  # in the same instant
                    return slot

    async def _hand_out(self, slot: float) -> None:
        # Counted from its slot on: while a durable outbox writes, other queues take theirs.
        leaving, entry = Departure(self._pacer), None
        try:
            entry = await self._take()
        finally:
            if entry is None:
                leaving.over()
                self._workers.release()
        if entry is not None:
            request = self._group.create_task(self._work(entry, slot, leaving))
            self._requests.add(request)
            request.add_done_callback(self._requests.discard)

    async def _take(self) -> Entry | None:
        while not self._closed and (entry := await self._outbox.take(self._now())):
            reference = entry.message.reference
            self._on_wire.add(reference)
            if watched := self._watched.get(reference):
                watched.leave_place()
                if watched.unwanted and not self._outbox.durable:
                    await self._settle(entry, _withdrawn(reference))
                    continue
            if self._closed:  # while it was written down: its owner was told that it was not sent
                await self._again(entry)
            elif not await self._expired(entry):
                return entry
        return None

    async def _work(self, entry: Entry, slot: float, leaving: Departure) -> None:
        cut = OutcomeUnknown("the request was cut while it was on the wire")
        outcome: Outcome | None = Outcome(entry.message.reference, State.UNKNOWN, error=cut)
        leaving.begin()
        departure.set(leaving)
        try:
            outcome = await self._attempt(entry.message, slot)
            if outcome and entry.on_unknown == "resend" and _in_doubt(outcome):
                outcome, entry.on_unknown = None, "resent"
        finally:
            leaving.over()
            await (self._settle(entry, outcome) if outcome else self._again(entry))
            self._workers.release()

    async def _attempt(self, message: OutboundMessage, slot: float) -> Outcome | None:
        """Return None when the message was certainly not sent and is to be tried again."""
        reference = message.reference
        try:
            sent = await self._client.attempt(message)
            resource_id = sent.resource_id
            self._pacer.accepted(slot)
        except NotSent as error:
            self._not_sent(error, slot)
            return None
        except OutcomeUnknown as error:
            return Outcome(reference, State.UNKNOWN, error=error)
        except OrangeSMSError as error:
            self._backoff.answered()
            if isinstance(error, AuthenticationFailed | AccessDenied):
                self._stop(error)
                if self._outbox.durable:
                    return None  # it waits with the others until the account is put right
            return Outcome(reference, State.FAILED, error=error)
        except Exception as error:  # noqa: BLE001 -- a client of somebody's may raise anything
            unknown = OutcomeUnknown(f"the client raised {type(error).__name__}")
            unknown.__cause__ = error
            return Outcome(reference, State.UNKNOWN, error=unknown)
        self._backoff.answered()
        for drain in self._drains:
            drain.deadline = anyio.current_time() + _DRAIN
        return Outcome(reference, State.SENT, resource_id)

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
        reference = entry.message.reference
        if await self._expired(entry):
            return
        try:
            await self._outbox.put_back(entry)
        except OutboxUnusable as error:
            self._stop(error)
        self._on_wire.discard(reference)
        if watched := self._watched.get(reference):
            watched.doubtful = entry.on_unknown == "resent"
        if self._closed:
            self._close(reference)
        self._arrived.set()

    async def _expired(self, entry: Entry) -> bool:
        if self._now() < entry.expires_at:
            return False
        await self._settle(entry, _expired(entry.message.reference))
        return True

    async def _settle(self, entry: Entry, outcome: Outcome) -> None:
        if entry.on_unknown == "resent" and outcome.state is not State.SENT:
            outcome = _not_again(outcome.reference, outcome.error)
        settled = [outcome]
        try:
            settled = await self._outbox.settle(outcome, self._now())
        except OutboxUnusable as error:
            # The outcome is true all the same; an outbox opened again will call it unknown.
            self._stop(error)
        self._on_wire.discard(outcome.reference)
        for each in settled:
            self._finish(each)

    def _finish(self, outcome: Outcome) -> None:
        self._settled[outcome.state] += 1
        if watched := self._watched.pop(outcome.reference, None):
            watched.end(outcome.resource_id, outcome.error)
        self._check_idle()
        self._tell(outcome)
        self._inform(outcome)

    def _check_idle(self) -> None:
        if not self._watched and not self._outbox.unfinished:
            self._idle.set()

    def _tell(self, outcome: Outcome) -> None:
        if self._on_outcome is None:
            return
        try:
            self._on_outcome(outcome)
        except Exception as error:  # noqa: BLE001 -- their callback must not stop our queue
            _log.error("on_outcome raised %s", type(error).__name__)

    def _now(self) -> float:
        return self._epoch + self._loop.time()


def _retrieved(future: asyncio.Future[DeliveryReceipt]) -> None:
    if not future.cancelled():
        future.exception()  # whoever waited may have gone away


def _check_finite(name: str, seconds: float) -> None:
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{name}: a finite number of seconds")


def _timestamp(name: str, date: datetime | None, default: float) -> float:
    if date is None:
        return default
    if not isinstance(date, datetime) or date.tzinfo is None:
        raise InvalidMessage(f"{name}: a datetime with a time zone")
    return date.timestamp()


def _entry(  # checked before anything is taken
    message: OutboundMessage,
    priority: Priority,
    not_before: datetime | None,
    expires_at: datetime | None,
    on_unknown: OnUnknown,
) -> Entry:
    if not isinstance(message, OutboundMessage):
        raise InvalidMessage("message: an OutboundMessage")
    if on_unknown not in ("report", "resend"):
        raise InvalidMessage('on_unknown: "report" or "resend"')
    return Entry(
        message,
        Priority(priority),
        _timestamp("not_before", not_before, 0.0),
        _timestamp("expires_at", expires_at, math.inf),
        on_unknown,
    )


def _expired(reference: str) -> Outcome:
    error = MessageExpired("its time ran out before it could be sent")
    return Outcome(reference, State.EXPIRED, error=error)


def _not_again(reference: str, cause: BaseException | None = None) -> Outcome:
    error = OutcomeUnknown("it was sent once with unknown outcome, and then not again")
    error.__cause__ = cause
    return Outcome(reference, State.UNKNOWN, error=error)


def _in_doubt(outcome: Outcome) -> bool:
    # A 201 without an id was taken for certain: to send it again is to send it twice.
    return isinstance(outcome.error, OutcomeUnknown) and not outcome.error.accepted


def _withdrawn(reference: str) -> Outcome:
    error = MessageWithdrawn("withdrawn before it was sent")
    return Outcome(reference, State.WITHDRAWN, error=error)


def _workers_for(client: Sender) -> int:
    if math.isinf(client.pacer.rate):
        return _UNPACED_WORKERS
    return math.ceil(min(client.pacer.rate * client.timeout, _MOST_WORKERS))
