"""A local Orange: one ASGI app, or one transport for an httpx client."""

import random

import attrs
import httpx
from attrs import field
from attrs.validators import ge, in_
from starlette.types import Receive, Scope, Send

from orange_sms_async.sandbox import parts
from orange_sms_async.sandbox.control import desk
from orange_sms_async.sandbox.orange.account_answers import AccountShape
from orange_sms_async.sandbox.orange.api import App
from orange_sms_async.sandbox.orange.evidence import Receipt, Recent, Request, Sent, Statistics
from orange_sms_async.sandbox.orange.faults import KNOWN, Fault, Faults, On, failure
from orange_sms_async.sandbox.orange.feed import Events
from orange_sms_async.sandbox.orange.inbox import DEFAULT_SENDER_NAME, Inbox
from orange_sms_async.sandbox.orange.ledger import Account, Contract, contracts_everywhere
from orange_sms_async.sandbox.orange.limits import ORANGE_RATE
from orange_sms_async.sandbox.orange.notifier import Receipts
from orange_sms_async.sandbox.orange.outbound import LONGEST_MESSAGE, SenderNameError
from orange_sms_async.sandbox.orange.receipt_statuses import ReceiptFaults
from orange_sms_async.sandbox.orange.tasks import Tasks
from orange_sms_async.sandbox.orange.tokens import ExpiresIn, Tokens
from orange_sms_async.sandbox.orange.traffic import Traffic
from orange_sms_async.sandbox.orange.transport import Door
from orange_sms_async.sandbox.settings import (
    Throttle,
    announced,
    as_contracts,
    as_names,
    duration,
    fixed,
    one_of,
)


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
        receipt_faults: what becomes of receipts that do not simply come.
        sender_names: those approved at the beginning.
        sender_name_error: what another one is answered with; Orange does not say.
        raw_sender: whether a sender address may stand in the path as `tel:+...`.
        longest_message: characters; one more is SVC0280, whose limit Orange does not say.
        subscriptions: whether the operations that only old clients call are there.
        account_shape: "2021" answers contracts and purchases as before 2022.
        contracts: what there is at the beginning: all 13 countries, with plenty of units.
        latency: seconds each request travels, and each answer; `jitter` adds up to so many more.
        token_latency: seconds the token endpoint needs besides.
        keep: messages, requests and receipts that are remembered, of each so many; an eighth more
            may be. `statistics` counts them all.
        account: what was bought and is left: `buy`, `expire`, `approve`, `withdraw` change it.
        sent: the messages taken, in order of arrival.
        requests: all requests, in order of arrival.
        faults: what is to go wrong.
        inbox: the messages with their evidence.
        events: what happens, for whoever watches.
        counted: what `statistics` gives a copy of.
    """

    rate: float | None = field(default=ORANGE_RATE, on_setattr=fixed)
    throttle: Throttle = field(default="rolling", on_setattr=fixed, validator=one_of(Throttle))
    throttle_status: int = field(default=403, on_setattr=fixed, validator=in_((403, 429)))
    client_id: str = field(default="sandbox", on_setattr=fixed)
    client_secret: str = field(default="sandbox", on_setattr=fixed)
    token_lifetime: float = field(default=3600.0, on_setattr=fixed, validator=duration)
    expires_in: ExpiresIn = field(default="string", on_setattr=fixed, validator=one_of(ExpiresIn))
    receipt_url: str | None = field(default=None, on_setattr=fixed)
    receipt_delay: float = field(default=1.0, on_setattr=announced, validator=duration)
    receipt_transport: httpx.AsyncBaseTransport | None = field(default=None, on_setattr=fixed)
    receipt_faults: ReceiptFaults = field(factory=ReceiptFaults, on_setattr=announced)
    sender_names: frozenset[str] = field(
        default=frozenset({"MonService"}), converter=as_names, on_setattr=fixed
    )
    sender_name_error: SenderNameError = field(
        default="SVC0002", on_setattr=fixed, validator=one_of(SenderNameError)
    )
    raw_sender: bool = field(default=True, on_setattr=fixed)
    longest_message: int = field(default=LONGEST_MESSAGE, on_setattr=fixed, validator=ge(1))
    subscriptions: bool = field(default=True, on_setattr=fixed)
    account_shape: AccountShape = field(
        default="current", on_setattr=fixed, validator=one_of(AccountShape)
    )
    contracts: tuple[Contract, ...] = field(
        factory=contracts_everywhere, converter=as_contracts, on_setattr=fixed
    )
    latency: float = field(default=0.0, on_setattr=announced, validator=duration)
    jitter: float = field(default=0.0, on_setattr=announced, validator=duration)
    token_latency: float = field(default=0.0, on_setattr=announced, validator=duration)
    keep: int = field(default=10_000, on_setattr=fixed, validator=ge(1))
    seed: int | None = field(default=None, on_setattr=fixed)

    account: Account = field(init=False)
    inbox: Inbox = field(init=False)
    requests: list[Request] = field(init=False)
    faults: Faults = field(init=False)
    events: Events = field(factory=Events, init=False)
    tokens: Tokens = field(init=False)
    counted: Statistics = field(factory=Statistics, init=False)
    traffic: Traffic = field(init=False)
    transport: httpx.AsyncBaseTransport = field(init=False)

    _chance: random.Random = field(init=False)
    _receipts: Receipts = field(init=False)
    _tasks: Tasks = field(factory=Tasks, init=False)
    _app: App = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self.account = Account(
            self.contracts,
            self.sender_names | {DEFAULT_SENDER_NAME},
            self._chance,
            lambda: self.events.publish("account"),
        )
        self.faults = Faults(self._chance, lambda: self.events.publish("faults"))
        self.inbox = Inbox(self.keep)
        self.requests = Recent(self.keep)
        self.tokens = Tokens(
            client_id=self.client_id,
            client_secret=self.client_secret,
            lifetime=self.token_lifetime,
            expires_in=self.expires_in,
        )
        self._receipts = parts.receipts(self, self._chance, self._tasks)
        self.traffic = parts.traffic(self, self._chance)
        self._app = App(
            traffic=self.traffic,
            receipts=self._receipts,
            desk=desk(self),
            make_up_id=lambda: parts.made_up_uuid(self._chance),
            start=self._tasks.start,
            close=self.aclose,
        )
        self.transport = Door(httpx.ASGITransport(self), self._tasks.start)

    def __repr__(self) -> str:
        return f"<Sandbox {self.throttle} rate={self.rate} accepted={self.counted.accepted}>"

    @property
    def authorization(self) -> str:
        """The ready-made Authorization header for the token endpoint, as Orange's portal shows."""
        return self.tokens.authorization

    # What is to go wrong.

    def fail_next(
        self,
        status: int | str,
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

        Instead of a status and its parts, the name of a fault that the page lists says it all:
        `fail_next("429/53", times=3)`.

        Raises:
            KeyError: no fault has that name.
        """
        if isinstance(status, str):
            self.faults.add(on, KNOWN[status], times)
            return
        answer = failure(
            status,
            code=code,
            message=message,
            message_id=message_id,
            variable=variable,
            error=error,
            body=body,
        )
        parts = (str(status), code and str(code), message_id, error)
        name = "/".join(part for part in parts if part) + " taken" * taken
        self.faults.add(on, Fault(name, answer, taken), times)

    def fail_sometimes(self, share: float, fault: str, *, on: On = "message") -> None:
        """
        Let a share of all requests, from 0 to 1, meet a fault that the page lists, by its name.

        What `fail_next` and its like have said comes first. There is one such chance at a time; a
        share of 0 ends it.

        Raises:
            KeyError: no fault has that name.
        """
        self.faults.happen_sometimes(share, on, KNOWN[fault])

    def drop_next(self, times: int = 1, *, on: On = "message", taken: bool = True) -> None:
        """Carry out the next requests, and close the connection instead of answering."""
        self.faults.add(on, KNOWN["drop" + " taken" * taken], times)

    def hang_next(self, times: int = 1, *, on: On = "message", taken: bool = True) -> None:
        """Carry out the next requests, and never answer."""
        self.faults.add(on, KNOWN["hang" + " taken" * taken], times)

    def behave(self) -> None:
        """End all faults: those to come, latency and jitter, and those of receipts."""
        self.faults.clear()
        self.latency = self.jitter = self.token_latency = 0.0
        self.receipt_faults = ReceiptFaults()

    def expire_tokens(self) -> None:
        """Make every token issued until now too old (401, code 42)."""
        self.tokens.expire()
        self.events.publish("account")

    def forget_tokens(self) -> None:
        """Make every token issued until now unknown (401, code 41)."""
        self.tokens.forget()
        self.events.publish("account")

    async def deliver(self, resource_id: str, status: str = "DeliveredToTerminal") -> Receipt:
        """
        Post a delivery receipt now, whatever it says, and return how it was received.

        Raises:
            ValueError: there is no `receipt_url` to post it to.
            KeyError: no such message is remembered.
        """
        if self.receipt_url is None:
            raise ValueError("no receipt_url was set")
        return await self._receipts.post(self.inbox.find(resource_id), status)

    # What happened.

    @property
    def sent(self) -> list[Sent]:
        return self.inbox.sent

    @property
    def receipts(self) -> list[Receipt]:
        """The delivery receipts posted, with what the endpoint answered."""
        return self._receipts.posted

    @property
    def most_in_a_second(self) -> int:
        """The most messages that arrived in any rolling second, let through or not."""
        return self.counted.most_in_a_second

    @property
    def throttled(self) -> int:
        """Messages refused by the limit."""
        return self.counted.throttled

    def statistics(self) -> Statistics:
        return attrs.evolve(self.counted)

    def clear(self) -> None:
        """Empty the inbox; what was counted stays counted."""
        self.inbox.clear()
        self.events.publish("cleared")

    # The doors.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def aclose(self) -> None:
        """End what still runs: receipts not yet posted, answers nobody waits for, the page."""
        self.events.close()
        await self._tasks.end()
        await self._receipts.aclose()
