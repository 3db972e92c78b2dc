"""The simulated Orange and its page: an ASGI app, or a transport for an httpx client."""

from typing import Any

import attrs
import httpx
from attrs import field
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from orange_sms_async.sandbox.control.app import control_app
from orange_sms_async.sandbox.control.changes import Changes
from orange_sms_async.sandbox.control.guard import Guard, from_another_site
from orange_sms_async.sandbox.control.views import Views
from orange_sms_async.sandbox.orange.api import OrangeApi
from orange_sms_async.sandbox.orange.awaited import awaited
from orange_sms_async.sandbox.orange.evidence import (
    Receipt,
    Recent,
    Reply,
    Request,
    Sent,
    Statistics,
)
from orange_sms_async.sandbox.orange.faults import KNOWN, Fault, Faults, On, failure
from orange_sms_async.sandbox.orange.feed import Feed
from orange_sms_async.sandbox.orange.inbox import Inbox, Message
from orange_sms_async.sandbox.orange.ledger import Account
from orange_sms_async.sandbox.orange.tokens import Tokens
from orange_sms_async.sandbox.orange.traffic import Traffic
from orange_sms_async.sandbox.orange.transport import InProcess
from orange_sms_async.sandbox.settings import ReceiptFaults, Settings

_CHANGEABLE = ("latency", "jitter", "token_latency", "receipt_delay", "receipt_faults")


@attrs.define(kw_only=True, eq=False, repr=False)
class Sandbox(Settings):
    """
    A local simulation of Orange's API. Serve it, or pass `sandbox.transport` to an httpx client.

    It uses the event loop's clock, so a test whose loop jumps need not wait. Its arguments are
    attributes; only those that say so can be changed later. Seconds are finite, and 0 or more.

    Attributes:
        rate: messages accepted per second; None for no limit.
        throttle: how the rate is counted; Orange does not say, and the default is the strictest.
        throttle_status: what answers a message over the rate, 403 or 429 (code 53 either way).
        client_id: the id that the token endpoint requires, with `client_secret`.
        client_secret: see `client_id`.
        token_lifetime: seconds; None for Orange's own: an hour, and 90 days from `/oauth/v2/token`.
        expires_in: how the token answer gives the lifetime.
        receipt_url: where delivery receipts are posted. They say DeliveredToTerminal, except for
            recipients whose number ends in 99 (DeliveryImpossible), 98 (DeliveryUncertain) or 97
            (first MessageWaiting).
        reply_url: where replies are posted; by default, to the `receipt_url`.
        receipt_delay: seconds from a message to its receipt; can be changed.
        receipt_transport: reaches an endpoint in this process.
        receipt_faults: what goes wrong with receipts; can be changed.
        sender_names: the names approved at the start.
        sender_name_error: the error for any other name; Orange does not say which.
        raw_sender: whether the path may contain a sender address as `tel:+...`.
        longest_message: the most characters of a text. A longer one is refused with SVC0280; Orange
            does not document the limit.
        subscriptions: whether to offer the operations that only old clients call.
        account_shape: "2021" answers contracts and purchases as before 2022.
        contracts: the contracts at the start: all 13 countries, with plenty of units.
        latency: travel time of each request and each answer, in seconds; can be changed.
        jitter: random extra travel time each way, at most, in seconds; can be changed.
        token_latency: extra seconds the token endpoint takes; can be changed.
        strict: True also refuses rarer mistakes that Orange refuses. A set of names selects rules:
            `sender_names`, `sender_addresses`, `ivorian_numbers`, `on_net`, `request_rate`.
        keep: how many messages, requests and receipts to remember (of each, approximately).
            `statistics` counts them all.
        seed: makes chance repeatable, including resource ids.
        account: what was bought and is left; change it with `buy`, `expire`, `approve`, `withdraw`.
        requests: all requests, in order of arrival; refused ones say what was `wrong`, and have
            the `exchange`.
        faults: the faults to come.
        inbox: the messages with their evidence.
        replies: the replies posted.
        events: what happens, for anyone who watches.
        tokens: the tokens issued.
        counted: the counts that `statistics` copies.
        traffic: handles each request on its way through Orange.
        transport: for an `httpx.AsyncClient` in this process.

    Raises:
        ValueError: an argument is not one of its choices, or out of range.
    """

    account: Account = field(init=False)
    inbox: Inbox = field(init=False)
    replies: Recent[Reply] = field(init=False)
    requests: Recent[Request] = field(init=False)
    faults: Faults = field(init=False)
    events: Feed = field(init=False)
    tokens: Tokens = field(init=False)
    counted: Statistics = field(init=False)
    traffic: Traffic = field(init=False)
    transport: httpx.AsyncBaseTransport = field(init=False)

    _orange: OrangeApi = field(init=False)
    _given: dict[str, Any] = field(init=False)
    _control: Guard = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._orange = orange = OrangeApi(self)
        self.account, self.inbox, self.requests = orange.account, orange.inbox, orange.requests
        self.faults, self.tokens, self.traffic = orange.faults, orange.tokens, orange.traffic
        self.events, self.counted = orange.events, orange.counted
        self.replies = orange.replies.posted
        self._given = {name: getattr(self, name) for name in _CHANGEABLE}
        self.on_change = lambda: self.events.publish("faults")
        self._control = control_app(self._views(), self._changes())
        self.transport = InProcess(httpx.ASGITransport(self), orange.tasks.start)

    def _views(self) -> Views:
        return Views(
            settings=self,
            inbox=self.inbox,
            account=self.account,
            tokens=self.tokens,
            requests=self.requests,
            replies=self.replies,
            faults=self.faults,
            events=self.events,
            arrivals=self.traffic.arrivals,
            counted=self.counted,
        )

    def _changes(self) -> Changes:
        return Changes(
            settings=self,
            account=self.account,
            faults=self.faults,
            behave=self.behave,
            expire_tokens=self.expire_tokens,
            clear=self.clear,
            reset=self.reset,
            deliver=self.deliver,
            reply=self.reply,
        )

    def __repr__(self) -> str:
        return f"<Sandbox {self.throttle} rate={self.rate} accepted={self.counted.accepted}>"

    @property
    def authorization(self) -> str:
        """The Authorization header for the token endpoint, as Orange's portal shows it."""
        return self.tokens.authorization

    # Faults.

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
        Answer the next requests with an error, even if they would be refused for another reason.

        The name of a fault that the page lists is enough: `fail_next("429/53", times=3)`. A status
        needs its parts: `fail_next(429, code=53, times=3)`.

        Args:
            status: an HTTP status, or a fault's name; with a name, only `times` and `on` count.
            code: makes it an error of the gateway.
            message: the text of such an error, or of one of the token endpoint.
            message_id: makes it an error of the SMS backend.
            variable: the variable of such an error.
            error: makes it an error of the token endpoint.
            body: the body of an answer in none of these forms.
            times: how many requests meet it.
            on: the kind of request.
            taken: whether Orange carries the request out first: the message is in `sent`, and yet
                its answer is an error.

        Raises:
            KeyError: no fault has that name.
            ValueError: `times` is less than 1, or `on` is no kind of request.
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
        Let a share of all requests meet a fault.

        Faults set by `fail_next` and similar calls come first. Only one share is set at a time.

        Args:
            share: from 0 to 1; 0 ends it.
            fault: its name, as the page lists it.
            on: the kind of request.

        Raises:
            KeyError: no fault has that name.
            ValueError: `share` is not from 0 to 1, or `on` is no kind of request.
        """
        self.faults.happen_sometimes(share, on, KNOWN[fault])

    def drop_next(self, times: int = 1, *, on: On = "message", taken: bool = True) -> None:
        """
        Close the connection instead of answering the next requests.

        Args:
            times: how many requests meet it.
            on: which kind of request does.
            taken: whether the request is first carried out.

        Raises:
            ValueError: `times` is less than 1, or `on` is no kind of request.
        """
        self.faults.add(on, KNOWN["drop" + " taken" * taken], times)

    def hang_next(self, times: int = 1, *, on: On = "message", taken: bool = True) -> None:
        """
        Never answer the next requests.

        Args:
            times: how many requests meet it.
            on: which kind of request does.
            taken: whether the request is first carried out.

        Raises:
            ValueError: `times` is less than 1, or `on` is no kind of request.
        """
        self.faults.add(on, KNOWN["hang" + " taken" * taken], times)

    def behave(self) -> None:
        """End all faults, including latency, jitter and those of receipts."""
        self.faults.clear()
        self.latency = self.jitter = self.token_latency = 0.0
        self.receipt_faults = ReceiptFaults()

    def expire_tokens(self) -> None:
        """Expire every token issued until now (401, code 42)."""
        self.tokens.expire()
        self.events.publish("account")

    def forget_tokens(self) -> None:
        """Make every token issued until now unknown (401, code 41)."""
        self.tokens.forget()
        self.events.publish("account")

    async def deliver(self, resource_id: str, status: str = "DeliveredToTerminal") -> Receipt:
        """
        Post a delivery receipt now.

        Args:
            resource_id: the message's id.
            status: any status, even one that Orange does not document.

        Returns:
            The receipt, with the endpoint's answer.

        Raises:
            ValueError: there is no `receipt_url` to post it to, and no subscription.
            KeyError: no such message is remembered.
        """
        if self.receipt_url is None and not self._orange.subscriptions:
            raise ValueError("no receipt_url was set")
        return await self._orange.notifier.post(self.inbox.find(resource_id), status)

    async def reply(self, address: str, text: str) -> Reply:
        """
        Post a short message from a recipient now, as Orange posts replies.

        Args:
            address: the sender of the reply, such as `+2250701020304`.
            text: its text.

        Returns:
            The reply, with the endpoint's answer.

        Raises:
            ValueError: not a number, or there is neither a `reply_url` nor a `receipt_url`.
        """
        return await self._orange.replies.post(address, text)

    def reset(self) -> None:
        """Return to the start, as the arguments say: nothing sent, no token, no fault."""
        self._orange.start_anew()
        for name, value in self._given.items():
            setattr(self, name, value)
        self.events.publish("cleared")
        self.events.publish("reload")

    # Evidence.

    async def wait(
        self, *, to: str = "", text: str = "", after: int = 0, timeout: float = 30.0
    ) -> Message:
        """
        Return the newest matching message, as soon as there is one.

        Args:
            to: the recipient's number, in any spelling; empty for any recipient.
            text: what its text must contain, in upper or lower case.
            after: the `number` of a message; only newer ones match.
            timeout: seconds.

        Returns:
            The message: its `sent` and its `number`.

        Raises:
            TimeoutError: none came in time, or the sandbox was closed.
        """
        return await awaited(
            self.inbox, self.events, to=to, text=text, after=after, timeout=timeout, coded=False
        )

    @property
    def sent(self) -> list[Sent]:
        """The messages taken, in order of arrival."""
        return self.inbox.sent

    @property
    def receipts(self) -> list[Receipt]:
        """The delivery receipts posted, with what the endpoint answered."""
        return self._orange.notifier.posted

    @property
    def most_in_a_second(self) -> int:
        """The most messages that arrived in any rolling second, let through or not."""
        return self.counted.most_in_a_second

    @property
    def throttled(self) -> int:
        """Messages refused by the limit."""
        return self.counted.throttled

    def statistics(self) -> Statistics:
        """Return counts of everything until now, including what is no longer remembered."""
        return attrs.evolve(self.counted)

    def clear(self) -> None:
        """Empty the inbox; the counts stay."""
        self.inbox.clear()
        self.events.publish("cleared")

    # Serving and closing.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as Orange, or as the page if the path belongs to the page."""
        if _is_for_page(scope):
            await self._control(scope, receive, send)
        elif scope["type"] == "http" and from_another_site(scope):
            refusal = {"error": "the page of another site may not call this sandbox"}
            await JSONResponse(refusal, 403)(scope, receive, send)
        else:
            await self._orange(scope, receive, send)

    async def aclose(self) -> None:
        """Stop what still runs: receipts not yet posted, answers nobody waits for, the page."""
        await self._orange.aclose()


def _is_for_page(scope: Scope) -> bool:
    if scope["type"] != "http":
        return False
    path: str = scope["path"]
    return path.startswith("/_sandbox/") or (path == "/" and scope["method"] in {"GET", "HEAD"})
