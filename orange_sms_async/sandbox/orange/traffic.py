"""A request's way through Orange: it travels, is carried out or meets a fault, is recorded."""

import asyncio
import random
import time

import attrs

from orange_sms_async.sandbox.orange.answers import Answer, RefusalError
from orange_sms_async.sandbox.orange.arrivals import Arrivals, BusiestSecond
from orange_sms_async.sandbox.orange.evidence import Recent, Request, Sent, Statistics
from orange_sms_async.sandbox.orange.faults import Coming, Faults, Silence
from orange_sms_async.sandbox.orange.feed import Feed
from orange_sms_async.sandbox.orange.gateway import Accepted, Gateway
from orange_sms_async.sandbox.orange.inbox import Inbox, Message
from orange_sms_async.sandbox.orange.incoming import Incoming
from orange_sms_async.sandbox.orange.redacted import exchange
from orange_sms_async.sandbox.orange.wrong import Wrong
from orange_sms_async.sandbox.settings import Settings


@attrs.frozen
class _Done:
    """The result of a request; `on` is its kind, None if it is not one of Orange's."""

    on: str | None
    outcome: Answer | Silence
    sent: Sent | None = None
    wrong: Wrong | None = None
    fault: str | None = None


@attrs.define(eq=False, kw_only=True)
class Traffic:
    """
    What reaches Orange.

    Attributes:
        gateway: carries a request out.
        faults: what a request may meet instead, or afterwards.
        inbox: keeps the messages.
        events: receives each message and each arrival.
        counted: all requests, by result.
        requests: the remembered ones.
        settings: the travel times.
        chance: decides how much jitter each way gets.
        arrivals: of messages in the last minute.
    """

    gateway: Gateway
    faults: Faults
    inbox: Inbox
    events: Feed
    counted: Statistics
    requests: Recent[Request]
    settings: Settings
    chance: random.Random
    arrivals: Arrivals = attrs.field(factory=Arrivals, init=False)
    _busiest: BusiestSecond = attrs.field(factory=BusiestSecond, init=False)

    async def arrive(
        self, incoming: Incoming, request_id: str
    ) -> tuple[Answer | Silence, Message | None]:
        """
        Let a request travel to Orange, and carry it out.

        Args:
            incoming: the request.
            request_id: the id of its answer.

        Returns:
            The answer, and the message that was taken, if any.
        """
        await _pass(self._one_way())
        now = asyncio.get_running_loop().time()
        done = self._carry_out(incoming, now)
        self._record(incoming, done, request_id, now)
        message = None
        if done.sent is not None:
            message = self._take(done.sent, incoming, done.outcome, request_id)
        if done.on == "message":
            self._count_arrival(now, _status(done.outcome))
        elif done.on == "token":
            self.events.publish("account")
        return done.outcome, message

    def start_anew(self) -> None:
        """Forget what arrived."""
        self.requests.clear()
        self.arrivals.clear()
        self._busiest = BusiestSecond()

    async def leave(self, incoming: Incoming) -> None:
        """Wait as long as the answer travels."""
        besides = self.settings.token_latency if incoming.path.startswith("/oauth/") else 0
        await _pass(self._one_way() + besides)

    def _one_way(self) -> float:
        return self.settings.latency + self.chance.uniform(0, self.settings.jitter)

    def _carry_out(self, incoming: Incoming, now: float) -> _Done:
        on = coming = None
        try:
            route = self.gateway.find(incoming)
            on, coming = route.on, self.faults.next(route.on)
            if coming is not None and not coming.fault.taken:
                return self._struck(on, coming)
            # A fault whose message is taken waits for a message that can be taken.
            self.gateway.admit(incoming, now)
            answer = route.answer(incoming, now, **route.parts)
        except RefusalError as refusal:
            if on == "message":
                self._count_refusal(refusal.wrong)
            return _Done(on, refusal.answer, wrong=refusal.wrong)
        sent = answer.sent if isinstance(answer, Accepted) else None
        if coming is not None:
            return self._struck(on, coming, sent)
        return _Done(on, answer, sent)

    def _struck(self, on: str, coming: Coming, sent: Sent | None = None) -> _Done:
        self.faults.spend(coming)
        self.counted.failed += 1
        fault = coming.fault
        return _Done(on, fault.outcome, sent, Wrong.FAULT, fault.name)

    def _count_refusal(self, wrong: Wrong) -> None:
        if wrong in {Wrong.TOO_FAST, Wrong.TOO_FAST_OVER_ALL}:
            self.counted.throttled += 1
        else:
            self.counted.refused += 1

    def _record(self, incoming: Incoming, done: _Done, request_id: str, now: float) -> None:
        self.counted.requests += 1
        status = _status(done.outcome)
        refused = status is None or status >= 400
        request = Request(
            time=now,
            method=incoming.method,
            path=incoming.path,
            status=status,
            client=incoming.client,
            request_id=request_id,
            headers=dict(incoming.pairs),
            number=self.counted.requests,
            wall_time=time.time(),
            on=done.on,
            wrong=done.wrong,
            fault=done.fault,
            exchange=exchange(incoming, _answer(done.outcome), request_id) if refused else None,
        )
        self.requests.append(request)
        if refused:
            shown = request.shown()  # now, so that the event does not keep the whole request
            self.events.publish("request", lambda: shown)

    def _take(
        self, sent: Sent, incoming: Incoming, outcome: Answer | Silence, request_id: str
    ) -> Message:
        self.counted.accepted += 1
        kept = exchange(incoming, _answer(outcome), request_id)
        message = self.inbox.add(sent, kept, time.time())
        shown = message.shown()
        self.events.publish("message", lambda: shown)
        return message

    def _count_arrival(self, now: float, status: int | None) -> None:
        self._busiest.add(now)
        self.counted.most_in_a_second = max(self.counted.most_in_a_second, self._busiest.most)
        moment = time.time()
        self.arrivals.add(moment, status)
        self.events.publish("arrival", lambda: (moment, status))


async def _pass(duration: float) -> None:
    if duration > 0:
        await asyncio.sleep(duration)


def _answer(outcome: Answer | Silence) -> Answer | None:
    return outcome if isinstance(outcome, Answer) else None


def _status(outcome: Answer | Silence) -> int | None:
    return outcome.status if isinstance(outcome, Answer) else None
