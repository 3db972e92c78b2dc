"""Admits messages to the outbox, and withdraws those that still wait there."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from orange_sms_async.events import Reported
from orange_sms_async.messages import ResourceId
from orange_sms_async.outbox import Entry, Outbox
from orange_sms_async.outcomes import Outcome, expired, withdrawn
from orange_sms_async.receipts import DeliveryReceipt
from orange_sms_async.sendqueue.sender import Sender
from orange_sms_async.sendqueue.tickets import Place, Ticket
from orange_sms_async.sendqueue.watch import STEP, Watch


class Admission:
    """
    Admits and withdraws the messages of a queue.

    Args:
        outbox: where messages wait; open.
        watch: told who waits for each message.
        arrived: called when a new message may be waiting.
        now: the queue's clock.
    """

    def __init__(
        self,
        outbox: Outbox,
        watch: Watch,
        arrived: Callable[[], object],
        now: Callable[[], float],
    ) -> None:
        self._outbox, self._watch, self._arrived, self._now = outbox, watch, arrived, now
        self._loop = asyncio.get_running_loop()
        self._background = set[asyncio.Task[bool]]()

    # -- in -------------------------------------------------------------------------------------

    def admit(self, entry: Entry) -> None:
        """Admit a message that has a place in its lane, unless it is here already."""
        ticket = self._watch.issue(entry.message, entry.priority)
        if ticket is None:
            return
        ticket.not_before = entry.not_before
        if entry.not_before:
            ticket.ready_at += max(0.0, entry.not_before - self._now())
        entry.context = self._watch.listeners.context(entry)
        if entry.expires_at < math.inf:
            self._expire_in_time(ticket, entry.expires_at)
        ticket.written = self._outbox.add(entry)
        if ticket.written is None:
            self._watch.admitted(ticket)
            self._arrived()
        else:
            ticket.written.add_done_callback(partial(self._written, ticket))

    def _written(self, ticket: Ticket, written: asyncio.Future[Outcome | None]) -> None:
        reference = ticket.message.reference
        if written.cancelled():
            self._watch.abandon(reference)
        elif error := written.exception():
            self._watch.abandon(reference, error)
        elif known := written.result():
            self._known(ticket, known)
        else:
            self._watch.admitted(ticket)
        if self._watch.stopped and ticket.place is not Place.CLAIMED:
            self._watch.abandon(reference)
        self._arrived()

    def _known(self, ticket: Ticket, known: Outcome) -> None:
        ticket.leave_lane()
        if ticket.place is Place.BEING_KEPT:  # otherwise it was claimed since, or even put back
            ticket.place = Place.WAITING
        if known.state.finished:
            self._watch.known(known.reference, known)
        elif ticket.expiry:
            ticket.expiry.cancel()

    # -- what receipts say ----------------------------------------------------------------------

    async def keep(self, receipt: DeliveryReceipt, client: Sender | None) -> Outcome | None:
        """Store a receipt; return the outcome of its message, if that is known."""
        if client:
            receipt = client.pacer.account.as_kept(receipt, self._outbox.place)
        kept = await self._outbox.keep(receipt, self._now())
        outcome, settled = kept or (None, False)
        if outcome and settled:
            self._watch.settle(outcome)
        elif outcome:
            self._watch.inform(outcome)
        self._watch.listeners.tell(Reported, receipt=receipt, outcome=outcome)
        return outcome

    # -- taken back -----------------------------------------------------------------------------

    async def withdraw(self, reference: str) -> bool:
        """Withdraw a waiting message; return whether it waited."""
        return await self._shielded(self._finish_waiting(withdrawn(reference)))

    def unwanted(self, reference: str) -> None:
        """Withdraw a message soon, if none of its submitters waits for it any more."""
        self._soon(self.withdraw_unwanted(reference))

    async def withdraw_unwanted(self, reference: str) -> bool:
        """Withdraw a message, if none of its submitters waits for it any more."""
        ticket = self._watch.tickets.get(reference)
        return (
            ticket is not None
            and ticket.unwanted
            and await self._finish_waiting(withdrawn(reference))
        )

    async def resolve(self, reference: str, sent: ResourceId | None) -> bool:
        """Settle an UNKNOWN message with what a person found out; return False if there is none."""
        return await self._shielded(self._resolve(reference, sent))

    async def _resolve(self, reference: str, sent: ResourceId | None) -> bool:
        resolved = await self._outbox.resolve(reference, sent, self._now())
        if not resolved:
            return False
        for outcome in resolved:
            if outcome.state.finished:  # otherwise it waits again
                self._watch.settle(outcome)
        if not self._watch.stopped:
            self._arrived()
        return True

    def _expire_in_time(self, ticket: Ticket, expires_at: float) -> None:
        # In steps: the wall clock may be set, and goes on while a sleeping machine's timers stop.
        seconds = expires_at - self._now()
        if seconds > 0:
            step = min(seconds, STEP)
            again = partial(self._expire_in_time, ticket, expires_at)
            ticket.expiry = self._loop.call_later(step, again)
        else:
            # At once, even while the queue pauses or the lane is long, unless it is on the wire.
            self._soon(self._finish_waiting(expired(ticket.message.reference)))

    async def _finish_waiting(self, outcome: Outcome) -> bool:
        if not await self._outbox.withdraw(outcome, self._now()):
            return False
        self._watch.settle(outcome)
        return True

    async def _shielded(self, change: Coroutine[Any, Any, bool]) -> bool:
        # Carried out to the end, even if the caller goes away.
        return await asyncio.shield(self._soon(change))

    def _soon(self, change: Coroutine[Any, Any, bool]) -> asyncio.Task[bool]:
        # A task of its own, in case the caller goes away. A task group could not start it: anyio
        # starts none where no task runs, as in a future's callback.
        task = self._loop.create_task(change)
        self._background.add(task)
        task.add_done_callback(self._changed)
        return task

    def _changed(self, change: asyncio.Task[bool]) -> None:
        self._background.discard(change)
        if not change.cancelled():
            change.exception()  # retrieved: an outbox that fails stops the queue where it is used
