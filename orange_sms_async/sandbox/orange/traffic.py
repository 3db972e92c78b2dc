"""A request's way through Orange: it travels, is carried out or struck, and is put on record."""

import asyncio
import random
import time

import attrs

from orange_sms_async.sandbox.orange.answers import Answer, RefusalError
from orange_sms_async.sandbox.orange.arrivals import Arrivals, BusiestSecond
from orange_sms_async.sandbox.orange.evidence import Exchange, Request, Sent, Statistics
from orange_sms_async.sandbox.orange.faults import Coming, Faults, Silence
from orange_sms_async.sandbox.orange.feed import Feed
from orange_sms_async.sandbox.orange.gateway import Accepted, Gateway
from orange_sms_async.sandbox.orange.inbox import Inbox, Message
from orange_sms_async.sandbox.orange.incoming import Incoming
from orange_sms_async.sandbox.settings import Settings


@attrs.define(eq=False, kw_only=True)
class Traffic:
    """
    What reaches Orange.

    Attributes:
        gateway: carries a request out.
        faults: what a request may meet instead, or afterwards.
        inbox: takes the messages.
        events: told of each message and of each arrival.
        counted: all requests, by what became of them.
        requests: those remembered.
        settings: how long the way is.
        chance: decides how much of the jitter each way gets.
        arrivals: of messages in the last minute.
    """

    gateway: Gateway
    faults: Faults
    inbox: Inbox
    events: Feed
    counted: Statistics
    requests: list[Request]
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
            request_id: what its answer will be called.

        Returns:
            How it is answered, and the message that was taken, if one was.
        """
        await _pass(self._one_way())
        now = asyncio.get_running_loop().time()
        on, outcome, sent = self._carry_out(incoming, now)
        self._record(incoming, outcome, request_id, now)
        message = None
        if sent is not None:
            message = self._take(sent, incoming, outcome, request_id)
        if on == "message":
            self._count_arrival(now, _status(outcome))
        elif on == "token":
            self.events.publish("account")
        return outcome, message

    async def leave(self, incoming: Incoming) -> None:
        """Wait as long as the answer travels."""
        besides = self.settings.token_latency if incoming.path.startswith("/oauth/") else 0
        await _pass(self._one_way() + besides)

    def _one_way(self) -> float:
        return self.settings.latency + self.chance.uniform(0, self.settings.jitter)

    def _carry_out(
        self, incoming: Incoming, now: float
    ) -> tuple[str | None, Answer | Silence, Sent | None]:
        on = coming = None
        try:
            route = self.gateway.find(incoming)
            on, coming = route.on, self.faults.next(route.on)
            if coming is not None and not coming.fault.taken:
                return on, self._strike(coming), None
            # A fault that wants its message taken waits for one that can be.
            answer = route.answer(incoming, now, **route.parts)
        except RefusalError as refusal:
            return on, refusal.answer, None
        sent = answer.sent if isinstance(answer, Accepted) else None
        return on, answer if coming is None else self._strike(coming), sent

    def _strike(self, coming: Coming) -> Answer | Silence:
        self.faults.spend(coming)
        self.counted.failed += 1
        return coming.fault.outcome

    def _record(
        self, incoming: Incoming, outcome: Answer | Silence, request_id: str, now: float
    ) -> None:
        self.counted.requests += 1
        self.requests.append(
            Request(
                time=now,
                method=incoming.method,
                path=incoming.path,
                status=_status(outcome),
                client=incoming.client,
                request_id=request_id,
                headers=dict(incoming.headers),
            )
        )

    def _take(
        self, sent: Sent, incoming: Incoming, outcome: Answer | Silence, request_id: str
    ) -> Message:
        self.counted.accepted += 1
        exchange = _exchange(incoming, outcome, request_id)
        message = self.inbox.add(sent, exchange, time.time())
        self.events.publish("message", message.shown)
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


def _status(outcome: Answer | Silence) -> int | None:
    return outcome.status if isinstance(outcome, Answer) else None


def _exchange(incoming: Incoming, outcome: Answer | Silence, request_id: str) -> Exchange:
    answer = outcome if isinstance(outcome, Answer) else None
    return Exchange(
        method=incoming.method,
        path=incoming.target,
        headers=[
            (name, "Bearer …" if name == "authorization" else value)
            for name, value in incoming.headers.items()
        ],
        body=(incoming.body or b"").decode(errors="replace"),
        status=_status(outcome),
        answer_headers=answer.all_headers(request_id) if answer else [],
        answer_body=answer.body.decode(errors="replace") if answer else "",
    )
