"""Token first, slot second, message last: one loop that hands each message to a request."""

import asyncio
import math
from collections.abc import Callable
from typing import cast

import anyio

from orange_sms_async.errors import (
    AccessDenied,
    AuthenticationFailed,
    ConnectionFailed,
    NotSent,
    OrangeSMSError,
    OutboxUnusable,
    OutcomeUnknown,
    Throttled,
    TokenExpired,
    Withheld,
    in_words,
)
from orange_sms_async.events import Answered, Claimed, Left, PaceChanged, PutBack, WaitingFor
from orange_sms_async.messages import SentMessage
from orange_sms_async.outbox import Claim, Outbox
from orange_sms_async.outcomes import Outcome, State, expired, not_again, unknown, withdrawn
from orange_sms_async.pacing import Departure, departure
from orange_sms_async.sendqueue.asking import Asking
from orange_sms_async.sendqueue.backoff import Backoff
from orange_sms_async.sendqueue.sender import Sender, check_rate
from orange_sms_async.sendqueue.watch import STEP, Watch

_CUT = 60.0  # seconds after which closing cuts a request that does not end
_MANY = 5  # throttled requests, with none accepted between them, until that is reported
_STANDBY = 0.25  # seconds between two checks whether the turn is free
_TIDY = 1.0  # seconds between two looks for expired messages


class Dispatch:
    """
    Claims messages and attempts them, until it is stopped.

    Args:
        sender: posts them; None if this process only submits.
        outbox: where they wait; open.
        watch: gets the result of each message.
        asking: says whether a message may leave.
        workers: requests on the wire at once.
        now: the queue's clock.

    Attributes:
        arrived: set when a new message may be waiting.
    """

    def __init__(
        self,
        sender: Sender | None,
        outbox: Outbox,
        watch: Watch,
        *,
        asking: Asking,
        workers: int,
        now: Callable[[], float],
    ) -> None:
        self._asking = asking
        self._outbox, self._watch, self._sends = outbox, watch, sender is not None
        if sender:
            self._sender, self._pacer = sender, sender.pacer
        self._now, self._tell = now, watch.listeners.tell
        self._workers = asyncio.Semaphore(workers)
        self._loop = asyncio.get_running_loop()
        self.arrived = asyncio.Event()
        self._handing_out = False
        self._requests = set[asyncio.Task[None]]()
        self._pacing, self._waiting = anyio.CancelScope(), anyio.CancelScope()
        self._backoff = Backoff()
        self._refused_in_a_row = 0
        self._latest = 0.0  # the latest time that the wall clock has shown
        self._tidied = -math.inf  # on the loop's clock

    # -- beginning and ending -------------------------------------------------------------------

    async def begin(self) -> list[Outcome]:
        """Take the turn at once if it is free, and settle what an earlier sender left."""
        try:
            if self._sends:
                check_rate(self._sender, self._outbox.rate)
            return await self._take_turn() or []
        except BaseException:
            await self._outbox.aclose()
            raise

    def start(self) -> None:
        """Start sending."""
        # A task of its own owns the requests: a queue's __aenter__ and __aexit__ may run in
        # different tasks (pytest's fixtures do so).
        self._running = self._loop.create_task(self._run(), name="orange-sms queue")

    async def _run(self) -> None:
        try:
            with self._pacing:
                await (self._pace() if self._sends else anyio.sleep_forever())
        finally:
            self.stop()
            try:
                with anyio.CancelScope(shield=True):
                    await self._requests_over()
                    await self._outbox.aclose()
            finally:
                self._watch.end()

    async def _requests_over(self) -> None:
        # Not a task group, which costs one more turn of the loop for each message. A task that was
        # cancelled before it began stays in the set.
        while pending := [request for request in self._requests if not request.done()]:
            try:
                await asyncio.wait(pending)
            except asyncio.CancelledError:
                for request in pending:
                    request.cancel()

    def stop(self, cause: BaseException | None = None, why: str | None = None) -> None:
        """Claim nothing more; what is on the wire finishes."""
        if self._watch.stopped:
            return
        if not self._handing_out:  # what was claimed is handed out or put back, never cut
            self._pacing.cancel()
        if cause:
            why = f"the queue stopped: {in_words(cause)}"
        self._watch.stop(cause, why)

    async def finish(self) -> None:
        """Wait for requests on the wire; cut those that do not end: their outcome is unknown."""
        await asyncio.wait({self._running}, timeout=_CUT)
        while not self._running.done():
            for task in (*self._requests, self._running):
                task.cancel()
            # A custom client may swallow the cancellation; cancel again.
            await asyncio.wait({self._running}, timeout=1.0)

    # -- one loop -------------------------------------------------------------------------------

    async def _pace(self) -> None:
        try:
            while not self._watch.stopped:
                await self._something_to_send()
                await self._workers.acquire()
                slot = await self._slot()
                self._handing_out = True
                await self._hand_out(slot)
                self._handing_out = False
        except Exception as error:  # noqa: BLE001 -- a custom client may raise anything
            self.stop(error)

    async def _take_turn(self) -> list[Outcome] | None:
        """Take the turn to send; return what that settled, or None while another has it."""
        if not (self._sends and await self._outbox.take_turn(self._now())):
            return None
        if self._outbox.sent_lately:
            self._pacer.hold(1.0)
        if self._outbox.guard is not None:
            self._pacer.guard = self._outbox.guard
        return await self._tidy()

    async def _wait_for_turn(self) -> None:
        while (settled := await self._take_turn()) is None:
            if self._outbox.away:
                pass  # the task that follows the outbox reports it
            elif words := await self._outbox.holder(self._now()):
                self._watch.waits_for(WaitingFor.TURN, words=words)
            else:
                self._watch.goes_on()  # waiting messages leave from the process with the turn
            await asyncio.sleep(_STANDBY)
        self._watch.goes_on()
        self._settled(settled)

    async def _tidy(self) -> list[Outcome]:
        self._tidied = self._loop.time()
        return await self._outbox.tidy(self._now())

    def _settled(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            self._watch.settle(outcome)

    async def _something_to_send(self) -> None:
        while True:
            if not self._outbox.has_turn:
                await self._wait_for_turn()
            if self._loop.time() - self._tidied >= _TIDY:
                self._settled(await self._tidy())
            self.arrived.clear()
            ready_at = await self._outbox.ready_at()
            now = self._now()
            if ready_at is not None and ready_at <= now:
                return
            self._say_what_for(ready_at, now)
            with anyio.move_on_after(min((ready_at or math.inf) - now, STEP)):
                await self.arrived.wait()

    def _say_what_for(self, ready_at: float | None, now: float) -> None:
        self._latest = max(self._latest, now)
        if ready_at is not None and now < self._latest - 1:
            self._watch.waits_for(WaitingFor.CLOCK)
        elif not self._requests:
            self._watch.goes_on()  # no waiting message could leave now

    async def _slot(self) -> float:
        while True:
            if (pause := self._backoff.until - self._loop.time()) > 0:
                await asyncio.sleep(pause)
            try:
                await self._sender.ready()
            except NotSent as error:
                self._pause(error)
                continue
            if math.isinf(self._pacer.rate):
                return self._loop.time()  # nothing to wait for
            # If a token is refused or the connection lost while this waits, start again at once:
            # otherwise the message would be held until it leaves beside the next one.
            with anyio.CancelScope() as self._waiting:
                slot = await self._pacer.slot()
                if not self._waiting.cancel_called:  # in the same instant
                    return slot

    def _pause(self, error: NotSent) -> None:
        self._backoff.failed(self._loop.time())
        line = isinstance(error, ConnectionFailed)
        self._watch.waits_for(WaitingFor.LINE if line else WaitingFor.ORANGE, error)

    async def _hand_out(self, slot: float) -> None:
        # The request counts from its slot: other queues take slots while a durable outbox writes.
        leaving, claim = Departure(self._pacer), None
        try:
            claim = await self._claim()
        finally:
            if claim is None:
                leaving.over()
                self._workers.release()
        if claim is not None:
            request = self._request(claim, slot, leaving)
            self._requests.add(self._loop.create_task(request))

    async def _claim(self) -> Claim | None:
        while not self._watch.stopped and (claim := await self._outbox.claim(self._now())):
            message, priority, context = claim.message, claim.entry.priority, claim.entry.context
            ticket = self._watch.claim(message, priority)
            attempt = claim.attempt
            self._tell(
                Claimed, message=message, priority=priority, attempt=attempt, context=context
            )
            if ticket.unwanted and not self._outbox.durable:
                await self._settle(claim, withdrawn(claim.reference))
            elif self._watch.stopped:  # it stopped while the claim was being stored
                await self._put_back(claim, again=claim.again)
            elif not (await self._expired(claim) or await self._withheld(claim)):
                return claim
        return None

    # -- many requests --------------------------------------------------------------------------

    async def _request(self, claim: Claim, slot: float, leaving: Departure) -> None:
        outcome: Outcome | None = None
        again, cut = claim.again, True
        leaving.begin(
            lambda: self._tell(Left, message=claim.message, attempt=claim.attempt),
            # A handshake may take long, and a process may be stopped and continued.
            lambda: self._now() >= claim.entry.expires_at or claim.too_late(),
        )
        departure.set(leaving)
        self._pacer.account.sends(claim.message.to, self._outbox.place)
        try:
            outcome = await self._attempt(claim, slot)
            cut = False
            if outcome and claim.entry.on_unknown == "resend" and not again and outcome.in_doubt:
                outcome, again = None, True
        finally:
            leaving.over()
            if cut:
                outcome = unknown(claim.reference, "the request was cut while it was on the wire")
            try:
                await (
                    self._settle(claim, outcome) if outcome else self._put_back(claim, again=again)
                )
            except Exception as error:  # noqa: BLE001 -- a custom outbox may raise anything
                self.stop(error)
            self._workers.release()
            # Not in a callback, which costs a turn of the loop for each message.
            self._requests.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _attempt(self, claim: Claim, slot: float) -> Outcome | None:
        """Return None when the message was certainly not sent and is to be tried again."""
        reference = claim.reference
        try:
            sent = await self._sender.attempt(claim.message)
            resource_id = sent.resource_id
        except OrangeSMSError as error:
            self._tell_answer(claim, error=error)
            return self._refused(reference, error, slot)
        except Exception as error:  # noqa: BLE001 -- a custom client may raise anything
            outcome = unknown(reference, f"the client raised {type(error).__name__}", error)
            self._tell_answer(claim, error=outcome.error)
            return outcome
        self._pacer.accepted(slot)
        self._answered()
        self._watch.accepted()
        self._tell_answer(claim, sent=sent)
        return Outcome(reference, State.SENT, resource_id)

    def _refused(self, reference: str, error: OrangeSMSError, slot: float) -> Outcome | None:
        if isinstance(error, NotSent):
            leaving = departure.get()
            if not (leaving and leaving.too_late):  # otherwise it says nothing about the server
                self._not_sent(error, slot)
            return None
        if isinstance(error, OutcomeUnknown):
            return Outcome(reference, State.UNKNOWN, error=error)
        self._answered()
        if isinstance(error, AuthenticationFailed | AccessDenied):
            self.stop(error)
            if self._outbox.durable:
                return None  # it waits with the others until the account is in order
        return Outcome(reference, State.FAILED, error=error)

    def _answered(self) -> None:
        self._outbox.guard = self._pacer.guard
        self._refused_in_a_row = 0
        self._backoff.answered()
        self._watch.goes_on()

    def _tell_answer(
        self, claim: Claim, *, sent: SentMessage | None = None, error: OrangeSMSError | None = None
    ) -> None:
        leaving = departure.get()
        if leaving and not isinstance(error, NotSent):
            leaving.left()  # for a client that does not report it
        self._tell(Answered, message=claim.message, attempt=claim.attempt, sent=sent, error=error)

    def _not_sent(self, error: NotSent, slot: float) -> None:
        if isinstance(error, Throttled) and not error.of_tokens:
            self._watch.throttled += 1
            self._refused_in_a_row += 1
            if self._refused_in_a_row >= _MANY:
                self._watch.waits_for(WaitingFor.RATE, error)
            before = self._pacer.guard
            self._pacer.throttled(slot)
            if self._pacer.guard != before:
                self._outbox.guard = self._pacer.guard
                self._tell(PaceChanged, pace=self._pacer.pace, guard=self._pacer.guard)
        elif not isinstance(error, TokenExpired):
            self._pause(error)
            self._waiting.cancel()
        elif self._backoff.token_refused(self._loop.time(), slot):
            self._waiting.cancel()

    # -- the end of a claim ---------------------------------------------------------------------

    async def _expired(self, claim: Claim) -> bool:
        if self._now() < claim.entry.expires_at:
            return False
        await self._settle(claim, expired(claim.reference))
        return True

    async def _withheld(self, claim: Claim) -> bool:
        answer = await self._asking.leave(claim)
        if isinstance(answer, Withheld):
            self._asking.held_back(claim.entry, answer, leaving=True)
            await self._settle(claim, Outcome(claim.reference, State.FAILED, error=answer))
        elif answer is not None:
            await self._put_back(claim, again=claim.again, not_before=answer)
        return answer is not None

    async def _put_back(self, claim: Claim, *, again: bool, not_before: float = 0.0) -> None:
        if self._now() >= claim.entry.expires_at:
            outcome = not_again if again else expired
            await self._settle(claim, outcome(claim.reference))
            return
        try:
            await self._outbox.put_back(claim, again=again, not_before=not_before)
        except OutboxUnusable as error:
            self.stop(error)
        self._given_up(claim, again=again, not_before=not_before)
        self.arrived.set()

    def _given_up(self, claim: Claim, *, again: bool, not_before: float = 0.0) -> None:
        self._tell(PutBack, message=claim.message, attempt=claim.attempt, not_before=not_before)
        delay = max(0.0, not_before - self._now())
        self._watch.put_back(claim.reference, again=again, delay=delay)

    async def _settle(self, claim: Claim, outcome: Outcome) -> None:
        if claim.again and outcome.state is not State.SENT:
            outcome = not_again(outcome.reference, outcome.error)
        settled = [outcome]
        try:
            settled = await self._outbox.settle(claim, outcome, self._now())
        except OutboxUnusable as error:
            # The outcome is right, but not stored. The next opening will call it unknown.
            self.stop(error)
        if not settled:  # another process has it now, and will report its outcome
            self._given_up(claim, again=claim.again)
        self._settled(settled)
