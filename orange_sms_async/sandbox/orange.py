"""Orange's API on this machine: one ASGI app, or one transport for an httpx client."""

import asyncio
import random
import uuid
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Literal

import attrs
import httpx
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from orange_sms_async.sandbox import control
from orange_sms_async.sandbox.account import Account, Contract, contracts_everywhere
from orange_sms_async.sandbox.answers import Answer, RefusalError
from orange_sms_async.sandbox.doors import Door, keep_silent
from orange_sms_async.sandbox.evidence import BusiestSecond, Receipt, Request, Sent, Statistics
from orange_sms_async.sandbox.faults import Fault, Faults, On, Silence, failure
from orange_sms_async.sandbox.gateway import Gateway
from orange_sms_async.sandbox.incoming import Incoming, read
from orange_sms_async.sandbox.limits import (
    ORANGE_RATE,
    Bucket,
    CalendarSecond,
    Limit,
    Rolling,
    Spike,
)
from orange_sms_async.sandbox.receipts import Receipts
from orange_sms_async.sandbox.tokens import ExpiresIn, Tokens

Throttle = Literal["rolling", "calendar", "bucket", "spike"]

_LIMITS: dict[str, Callable[[float], Limit]] = {
    "rolling": Rolling,
    "calendar": CalendarSecond,
    "bucket": Bucket,
    "spike": Spike,
}

# "We generated a default sender name associated with your account" (D).
_DEFAULT_SENDER_NAME = "SMS 123456"

_fixed = attrs.setters.frozen
_duration = attrs.validators.ge(0.0)


def _names(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names)


def _listed(contracts: Iterable[Contract]) -> tuple[Contract, ...]:
    return tuple(contracts)


@attrs.define(kw_only=True, eq=False, repr=False)
class Sandbox:
    """
    A local Orange. Serve it, or hand `sandbox.transport` to an httpx client.

    Its clock is the event loop's, so that a test whose loop jumps need not wait.

    Attributes:
        rate: messages a second that are let through; None for any number.
        throttle: how that is counted; Orange does not say, the strictest is the default.
        throttle_status: what one too many is answered with, 403 or 429 (code 53 either way).
        token_lifetime: seconds.
        expires_in: how the token answer says it.
        receipt_url: where delivery receipts are posted, `receipt_delay` seconds after a message
            was taken. They say DeliveredToTerminal, except for recipients that end in 99
            (DeliveryImpossible), 98 (DeliveryUncertain) and 97 (MessageWaiting first).
        receipt_transport: reaches a `receipt_url` in this process.
        contracts: what there is at the beginning: all 13 countries, with plenty of units.
        latency: seconds each request travels, and each answer; `jitter` adds up to so many more.
        token_latency: seconds the token endpoint needs besides.
        account: what was bought and is left: `buy` and `expire` change it.
        sent: the messages taken, in order of arrival.
        requests: all requests, in order of arrival.
    """

    rate: float | None = attrs.field(default=ORANGE_RATE, on_setattr=_fixed)
    throttle: Throttle = attrs.field(
        default="rolling", on_setattr=_fixed, validator=attrs.validators.in_(_LIMITS)
    )
    throttle_status: int = attrs.field(
        default=403, on_setattr=_fixed, validator=attrs.validators.in_((403, 429))
    )
    client_id: str = attrs.field(default="sandbox", on_setattr=_fixed)
    client_secret: str = attrs.field(default="sandbox", on_setattr=_fixed)
    token_lifetime: float = attrs.field(default=3600.0, on_setattr=_fixed, validator=_duration)
    expires_in: ExpiresIn = attrs.field(default="string", on_setattr=_fixed)
    receipt_url: str | None = attrs.field(default=None, on_setattr=_fixed)
    receipt_delay: float = attrs.field(default=1.0, validator=_duration)
    receipt_transport: httpx.AsyncBaseTransport | None = attrs.field(
        default=None, on_setattr=_fixed
    )
    sender_names: frozenset[str] = attrs.field(
        default=frozenset({"MonService"}), converter=_names, on_setattr=_fixed
    )
    contracts: tuple[Contract, ...] = attrs.field(
        factory=contracts_everywhere, converter=_listed, on_setattr=_fixed
    )
    latency: float = attrs.field(default=0.0, validator=_duration)
    jitter: float = attrs.field(default=0.0, validator=_duration)
    token_latency: float = attrs.field(default=0.0, validator=_duration)
    seed: int | None = attrs.field(default=None, on_setattr=_fixed)

    account: Account = attrs.field(init=False)
    sent: list[Sent] = attrs.field(factory=list, init=False)
    requests: list[Request] = attrs.field(factory=list, init=False)
    transport: httpx.AsyncBaseTransport = attrs.field(init=False)

    _chance: random.Random = attrs.field(init=False)
    _gateway: Gateway = attrs.field(init=False)
    _receipts: Receipts = attrs.field(init=False)
    _faults: Faults = attrs.field(factory=Faults, init=False)
    _failed: int = attrs.field(default=0, init=False)
    _arrivals: BusiestSecond = attrs.field(factory=BusiestSecond, init=False)
    _tasks: set[asyncio.Task[Any]] = attrs.field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self.account = Account(self.contracts, self._chance)
        self.transport = Door(httpx.ASGITransport(self), self._start)
        self._receipts = Receipts(
            self.receipt_url, lambda: self.receipt_delay, self.receipt_transport
        )
        tokens = Tokens(
            client_id=self.client_id,
            client_secret=self.client_secret,
            lifetime=self.token_lifetime,
            expires_in=self.expires_in,
        )
        self._gateway = Gateway(
            tokens=tokens,
            account=self.account,
            limit=None if self.rate is None else _LIMITS[self.throttle](self.rate),
            throttle_status=self.throttle_status,
            approved=self.sender_names | {_DEFAULT_SENDER_NAME},
            make_up_id=self._made_up_uuid,
            take=self._take,
        )

    def __repr__(self) -> str:
        return f"<Sandbox {self.throttle} rate={self.rate} accepted={len(self.sent)}>"

    @property
    def authorization(self) -> str:
        """The ready-made Authorization header for the token endpoint, as Orange's portal shows."""
        return self._gateway.tokens.authorization

    # What is to go wrong.

    def fail_next(
        self,
        status: int,
        *,
        code: int | None = None,
        message: str | None = None,
        message_id: str | None = None,
        variable: str | None = None,
        error: str | None = None,
        body: str = "",
        times: int = 1,
        on: On = "message",
        taken: bool = False,
    ) -> None:
        """
        Answer the next requests with an error, whatever else may be wrong with them.

        `code` makes it an error of the gateway, `message_id` (and `variable`) one of the SMS
        backend, `error` one of the token endpoint; otherwise it has this `body` and no envelope.
        With `taken` the request is first carried out: a message is in `sent` and yet failed.
        """
        answer = failure(
            status,
            code=code,
            message=message,
            message_id=message_id,
            variable=variable,
            error=error,
            body=body,
        )
        self._faults.add(on, Fault(answer, taken), times)

    def drop_next(self, times: int = 1, *, on: On = "message", taken: bool = True) -> None:
        """Carry out the next requests, and close the connection instead of answering."""
        self._faults.add(on, Fault(Silence.DROP, taken), times)

    def hang_next(self, times: int = 1, *, on: On = "message", taken: bool = True) -> None:
        """Carry out the next requests, and never answer."""
        self._faults.add(on, Fault(Silence.HANG, taken), times)

    def expire_tokens(self) -> None:
        """Make every token issued until now too old (401, code 42)."""
        self._gateway.tokens.expire()

    def forget_tokens(self) -> None:
        """Make every token issued until now unknown (401, code 41)."""
        self._gateway.tokens.forget()

    async def deliver(self, resource_id: str, status: str = "DeliveredToTerminal") -> Receipt:
        """
        Post a delivery receipt now, whatever it says, and return how it was received.

        Raises:
            ValueError: there is no `receipt_url` to post it to.
            KeyError: no such message is remembered.
        """
        if self.receipt_url is None:
            raise ValueError("no receipt_url was set")
        for sent in reversed(self.sent):
            if sent.resource_id == resource_id:
                return await self._receipts.post(sent, status)
        raise KeyError(resource_id)

    # What happened.

    @property
    def receipts(self) -> list[Receipt]:
        """The delivery receipts posted, with what the endpoint answered."""
        return self._receipts.posted

    @property
    def most_in_a_second(self) -> int:
        """The most messages that arrived in any rolling second, let through or not."""
        return self._arrivals.most

    @property
    def throttled(self) -> int:
        """Messages refused by the limit."""
        return self._gateway.throttled

    def statistics(self) -> Statistics:
        delivered = sum(receipt.answer == 200 for receipt in self.receipts)
        return Statistics(
            accepted=len(self.sent),
            throttled=self.throttled,
            refused=self._gateway.refused - self.throttled,
            failed=self._failed,
            requests=len(self.requests),
            token_requests=self._gateway.tokens.requests,
            most_in_a_second=self.most_in_a_second,
            units_used=self.account.units_used,
            receipts_delivered=delivered,
            receipts_undelivered=len(self.receipts) - delivered,
        )

    # The doors.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close"})

    async def aclose(self) -> None:
        """End what still runs: receipts not yet posted, answers nobody waits for."""
        loop = asyncio.get_running_loop()
        running = [task for task in self._tasks if task.get_loop() is loop]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._receipts.aclose()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._receipts.prepare()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            incoming = await read(scope, receive)
        except ClientDisconnect:
            return
        request_id = self._made_up_uuid()
        outcome = await self._outcome(incoming, request_id)
        if isinstance(outcome, Silence):
            await keep_silent(outcome, receive, send)
            return
        response = Response(outcome.body, outcome.status, dict(outcome.headers), outcome.media_type)
        # "Every answer carries it; Orange's support asks for it" (D).
        response.headers["X-OAPI-Request-Id"] = request_id
        await response(scope, receive, send)

    async def _outcome(self, incoming: Incoming, request_id: str) -> Answer | Silence:
        if incoming.path.startswith(control.PREFIX):
            return control.answer(self, incoming)
        await self._travel()
        now = asyncio.get_running_loop().time()
        outcome = self._carry_out(incoming, now)
        self.requests.append(
            Request(
                time=now,
                method=incoming.method,
                path=incoming.path,
                status=outcome.status if isinstance(outcome, Answer) else None,
                client=incoming.client,
                request_id=request_id,
                headers=dict(incoming.headers),
            )
        )
        await self._travel(self.token_latency if incoming.path.startswith("/oauth/") else 0)
        return outcome

    async def _travel(self, besides: float = 0) -> None:
        duration = self.latency + self._chance.uniform(0, self.jitter) + besides
        if duration > 0:
            await asyncio.sleep(duration)

    def _carry_out(self, incoming: Incoming, now: float) -> Answer | Silence:
        try:
            route = self._gateway.find(incoming)
            if route.on == "message":
                self._arrivals.add(now)
            fault = self._faults.next(route.on)
            if fault is not None and not fault.taken:
                return self._strike(route.on, fault)
            # A fault that wants its message taken waits for one that can be.
            answer = route.answer(incoming, now, **route.parts)
        except RefusalError as refusal:
            return refusal.answer
        return answer if fault is None else self._strike(route.on, fault)

    def _strike(self, on: On, fault: Fault) -> Answer | Silence:
        self._faults.spend(on)
        self._failed += 1
        return fault.outcome

    def _take(self, sent: Sent) -> None:
        self.sent.append(sent)
        if self.receipt_url is not None:
            self._start(self._receipts.follow(sent))

    def _made_up_uuid(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever still waits for it sees it; nobody else need hear of it
