"""Tracks who waits for each message, where it is, and where the queue is in its life."""

import asyncio
import logging
from collections import ChainMap, Counter
from collections.abc import Awaitable, Callable, Collection
from contextvars import copy_context

import anyio

from orange_sms_async.errors import (
    InvalidMessage,
    OrangeSMSError,
    OutcomeUnknown,
    QueueClosed,
    in_words,
)
from orange_sms_async.events import Admitted, Event, GoingOn, Waiting, WaitingFor
from orange_sms_async.messages import OutboundMessage, ResourceId
from orange_sms_async.outcomes import Outcome, Priority, State, not_again
from orange_sms_async.receipts import DeliveryReceipt
from orange_sms_async.sendqueue.listeners import Listeners
from orange_sms_async.sendqueue.tickets import Phase, Place, Ticket

STEP = 10.0
"""Seconds between two looks at the wall clock while waiting for a date."""

_WORDS = {
    WaitingFor.LINE: "no connection to Orange",
    WaitingFor.ORANGE: "Orange is over capacity or gives no token",
    WaitingFor.RATE: "Orange throttles one request after another",
    WaitingFor.CLOCK: "the clock was set back, and scheduled messages wait until it has caught up",
    WaitingFor.DATABASE: "the outbox cannot be reached, or another program holds it",
    WaitingFor.TURN: "another process has the turn to send",
}

_log = logging.getLogger(__name__)


_STOPPED = Phase.STOPPED  # read several times a message, and enum members are slow to look up


class Watch:
    """
    The messages of a queue and those who wait for them. No outbox and no client is known here.

    Args:
        capacity: messages that may wait in each lane.
        durable: whether messages outlive the queue.
        on_outcome: called with each outcome.
        on_event: called with each event.

    Attributes:
        cause: what stopped the queue; None if its owner closed it.
        why_stopped: the same in words.
        waiting_for: why nothing leaves now; None while something does.
        waiting_words: the same in words.
        waits_again: by lane, since when a message submitted elsewhere waits again after an attempt.
        time: the loop's clock.
        listeners: the callbacks of the queue.
    """

    def __init__(
        self,
        capacity: int,
        *,
        durable: bool,
        on_outcome: Callable[[Outcome], object] | None,
        on_event: Callable[[Event], object] | None,
    ) -> None:
        self.phase = Phase.NEW
        self.cause: BaseException | None = None
        self.why_stopped: str | None = None
        self.waiting_for: WaitingFor | None = None
        self.waiting_words: str | None = None
        self.counted, self.throttled = Counter[State](), 0
        self.tickets: dict[str, Ticket] = {}
        self.waits_again: dict[Priority, float] = {}
        self._capacity, self._durable = capacity, durable
        self.listeners = Listeners(on_outcome, on_event)
        self._awaiting: dict[str, list[asyncio.Future[DeliveryReceipt]]] = {}
        self._drains: list[tuple[anyio.CancelScope, float]] = []

    def open(self, unwanted: Callable[[str], object]) -> None:
        """
        Start, in the running event loop.

        Args:
            unwanted: called with the reference of a message that nobody waits for any more.
        """
        self.phase, self._unwanted = Phase.OPEN, unwanted
        self._on_given_up, self._context = self._given_up, copy_context()
        self._loop, self._changed = asyncio.get_running_loop(), asyncio.Event()
        self._changed.set()
        self.time = self._loop.time
        self._rooms = {
            priority: anyio.Semaphore(self._capacity, fast_acquire=True) for priority in Priority
        }

    @property
    def stopped(self) -> bool:
        """Whether nothing more is sent."""
        return self.phase >= _STOPPED

    def check_admits(self) -> None:
        if self.phase is Phase.NEW:
            raise RuntimeError("use a SendQueue inside `async with SendQueue(…) as queue:`")
        if _running_loop() is not self._loop:
            raise RuntimeError(
                "this queue runs in another event loop: "
                "use asyncio.run_coroutine_threadsafe(queue.submit(…), its loop)"
            )
        if self.phase is not Phase.OPEN:
            raise self.closing_error()

    def closing_error(self) -> QueueClosed:
        error = QueueClosed(self.why_stopped or "the queue is closed")
        error.__cause__ = self.cause
        return error

    # -- messages in ----------------------------------------------------------------------------

    async def enter(self, priority: Priority) -> None:
        """Wait for a place in a lane."""
        try:
            self.enter_nowait(priority)  # awaiting takes time, even if there is room
        except anyio.WouldBlock:
            await self._rooms[priority].acquire()

    def enter_nowait(self, priority: Priority) -> None:
        """
        Take a place in a lane.

        Raises:
            anyio.WouldBlock: the lane is full.
        """
        self._rooms[priority].acquire_nowait()

    def issue(self, message: OutboundMessage, priority: Priority) -> Ticket | None:
        """Use a place in the lane for a message; give the place back if it is not needed."""
        room, reference = self._rooms[priority], message.reference
        if self.phase is not Phase.OPEN or reference in self.tickets:
            room.release()
            return None
        ticket = self.tickets[reference] = Ticket(message, priority, Place.BEING_KEPT, room)
        ticket.ready_at, ticket.on_given_up = self.time(), self._on_given_up
        return ticket

    def future(self, message: OutboundMessage) -> asyncio.Future[ResourceId]:
        """
        Return another future of a message's resource id.

        Raises:
            QueueClosed: the queue closed while this waited for a place.
            InvalidMessage: another message waits under its reference.
        """
        self.check_admits()
        ticket = self.tickets[message.reference]
        if (ticket.message.to, ticket.message.text) != (message.to, message.text):
            raise InvalidMessage("reference: already waits, with another number or text")
        future: asyncio.Future[ResourceId] = self._loop.create_future()
        ticket.futures.append(future)
        # Without a context of its own, which would be one more object for each waiting message.
        future.add_done_callback(ticket.given_up, context=self._context)
        return future

    def _given_up(self, reference: str) -> None:
        if not (self.stopped or self._durable):
            self._unwanted(reference)

    # -- on their way ---------------------------------------------------------------------------

    def admitted(self, ticket: Ticket) -> None:
        """Note that a message is stored, and waits."""
        if ticket.place is Place.BEING_KEPT:  # otherwise this was reported when it was claimed
            ticket.place = Place.WAITING
            self.listeners.tell(
                Admitted,
                message=ticket.message,
                priority=ticket.priority,
                not_before=ticket.not_before,
            )

    def claim(self, message: OutboundMessage, priority: Priority) -> Ticket:
        """Note that a message was claimed; an earlier queue may have admitted it."""
        ticket = self.tickets.get(message.reference)
        if ticket is None:
            ticket = self.tickets[message.reference] = Ticket(message, priority, Place.CLAIMED)
            # What was put back is at the head of its lane: it is this one, or was sent elsewhere.
            ticket.ready_at = self.waits_again.pop(priority, self.time())
            ticket.ours = False
        self.admitted(ticket)
        ticket.place = Place.CLAIMED
        ticket.leave_lane()
        return ticket

    def put_back(self, reference: str, *, again: bool, delay: float) -> None:
        """Note that a claimed message waits `delay` seconds; `again` if it may have been sent."""
        ticket = self.tickets[reference]
        ticket.place = Place.IN_DOUBT if again else Place.WAITING
        if delay:
            ticket.ready_at = self.time() + delay
        if self.stopped:
            self.abandon(reference)
        elif not ticket.futures:
            del self.tickets[reference]
            if not delay:
                self.waits_again.setdefault(ticket.priority, ticket.ready_at)

    def settle(self, outcome: Outcome) -> None:
        """Report a message's outcome to all who wait for it."""
        self.counted[outcome.state] += 1
        if ticket := self.tickets.pop(outcome.reference, None):
            ticket.end(outcome.resource_id, outcome.error)
        self._look_whether_all_settled()
        self.listeners.tell_outcome(outcome, ticket)
        self.inform(outcome)

    def known(self, reference: str, outcome: Outcome) -> None:
        """Note that a message submitted here was finished by an earlier queue."""
        if ticket := self.tickets.pop(reference, None):
            ticket.end(outcome.resource_id, outcome.error)
            self._look_whether_all_settled()

    @property
    def awaited(self) -> Collection[str]:
        """The references of messages that somebody here waits for."""
        return ChainMap[str, object](self.tickets, self._awaiting)  # type: ignore[arg-type]

    def hear(self, outcome: Outcome) -> None:
        """Note what another process settled, or what a receipt says about it."""
        ticket = self.tickets.get(outcome.reference)
        if ticket and ticket.place is not Place.CLAIMED:  # else its answer is on its way here
            self.known(outcome.reference, outcome)
            self.accepted()
            self.listeners.tell_outcome(outcome, ticket, here=False)
        self.inform(outcome)

    def look(self) -> None:
        """Wake those who wait until all messages are settled, so that they check again."""
        self._changed.set()

    def abandon(self, reference: str, error: BaseException | None = None) -> None:
        """Stop watching a message that this queue will not settle."""
        if not (ticket := self.tickets.get(reference)):
            return
        if ticket.place is Place.IN_DOUBT and not self._durable:
            self.settle(not_again(reference))
            return
        del self.tickets[reference]
        ticket.end(None, error or self.closing_error())
        self._look_whether_all_settled()

    @property
    def in_flight(self) -> int:
        """Count the messages that are claimed."""
        # On a copy, because another thread may ask, for a scrape.
        return sum(ticket.place is Place.CLAIMED for ticket in list(self.tickets.values()))

    def all_settled(self) -> bool:
        """Tell whether nobody waits for a message that was submitted here."""
        return not any(ticket.futures for ticket in self.tickets.values())

    def _look_whether_all_settled(self) -> None:
        # The event is clear only while someone waits for it: otherwise each message would check.
        if not self._changed.is_set() and self.all_settled():
            self._changed.set()

    # -- waiting and ending ---------------------------------------------------------------------

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until a condition on the messages holds, or the queue has stopped."""
        while not self.stopped and not reached():
            self._changed.clear()
            await self._changed.wait()

    async def drain(
        self, reached: Callable[[], bool], patience: float, *, renewed: bool
    ) -> str | None:
        """
        Wait until a condition on the messages holds, but not without end.

        Args:
            patience: seconds.
            renewed: whether they start again with each message that Orange accepts.

        Returns:
            Why this gave up, in words; None if it did not.
        """
        with anyio.move_on_after(patience) as scope:
            if renewed:
                self._drains.append((scope, patience))
            await self.until(reached)
        if not scope.cancelled_caught:
            return None
        of_what = "nothing was accepted for" if renewed else "not everything was sent within"
        return f"the drain gave up: {of_what} {patience:g} s"

    def accepted(self) -> None:
        """Note that Orange accepted a message."""
        for drain, patience in self._drains:
            drain.deadline = anyio.current_time() + patience

    def stop(self, cause: BaseException | None, why: str | None) -> None:
        """Admit nothing more, and stop watching all that waits; `why` is for people."""
        self.phase, self.cause, self.why_stopped = Phase.STOPPED, cause, why
        if why:
            told = {"event": "stopped", "error": cause and type(cause).__name__}
            _log.error("nothing more is sent: %s", why, extra=told)
        for reference, ticket in list(self.tickets.items()):
            if ticket.place in (Place.WAITING, Place.IN_DOUBT):
                self.abandon(reference)
        # One who waits for a place in a lane wakes, finds the queue closed, and wakes the next.
        for room in self._rooms.values():
            room.release()
        self._changed.set()

    def end(self) -> None:
        """Let nobody wait any longer."""
        self.phase = Phase.ENDED
        # A loop that ends may cancel a request's task before it began.
        for reference in list(self.tickets):
            self.abandon(reference, OutcomeUnknown("cut before or while it was on the wire"))
        for waiting in self._awaiting.values():
            for future in waiting:
                if not future.done():
                    future.set_exception(self.closing_error())

    # -- receipts -------------------------------------------------------------------------------

    async def delivered(
        self, reference: str, find: Callable[[str], Awaitable[Outcome]], timeout: float
    ) -> DeliveryReceipt:
        """Wait for the final receipt of a message, which may be there already."""
        if self.phase is Phase.ENDED:
            raise self.closing_error()
        future: asyncio.Future[DeliveryReceipt] = self._loop.create_future()
        future.add_done_callback(_retrieved)
        self._awaiting.setdefault(reference, []).append(future)
        try:
            self.inform(await find(reference))
            await asyncio.wait({future}, timeout=timeout)
        finally:
            self._awaiting[reference].remove(future)
            if not self._awaiting[reference]:
                del self._awaiting[reference]
        if not future.done():
            raise TimeoutError("no final receipt came in time")
        return future.result()

    def inform(self, outcome: Outcome) -> None:
        """Tell those who wait for its delivery, if there is something final to tell."""
        for future in self._awaiting.get(outcome.reference, ()):
            if future.done():
                continue
            if outcome.delivery is not None and outcome.delivery.is_final:
                future.set_result(outcome.delivery)
            elif outcome.error is not None and outcome.state is not State.UNKNOWN:
                future.set_exception(outcome.error)

    # -- reports --------------------------------------------------------------------------------

    def waits_for(
        self, reason: WaitingFor, error: OrangeSMSError | None = None, words: str | None = None
    ) -> None:
        """Note why nothing leaves, and report it once; `words` says which process has the turn."""
        if self.waiting_for is not reason:
            self.goes_on()
            cause = f" ({in_words(error)})" if error else ""
            self.waiting_for, self.waiting_words = reason, f"{words or _WORDS[reason]}{cause}"
            told = {
                "event": "waiting",
                "reason": str(reason),
                "error": error and type(error).__name__,
            }
            _log.warning("nothing leaves: %s; trying again", self.waiting_words, extra=told)
            self.listeners.tell(Waiting, reason=reason, error=error, words=self.waiting_words)

    def goes_on(self) -> None:
        """Note that something leaves again, or that nothing waits."""
        if self.waiting_for:
            reason, self.waiting_for, self.waiting_words = self.waiting_for, None, None
            _log.info("sending again", extra={"event": "going_on", "reason": str(reason)})
            self.listeners.tell(GoingOn, reason=reason)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _retrieved(future: asyncio.Future[DeliveryReceipt]) -> None:
    if not future.cancelled():
        future.exception()  # whoever waited may have gone away
