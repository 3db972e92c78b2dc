"""From the gateway to the backend: the checks of a request, in Orange's order."""

import re
from collections.abc import Callable
from typing import Any

import attrs

from orange_sms_async.sandbox.orange.account_answers import (
    contracts,
    purchase_orders,
    statistics,
)
from orange_sms_async.sandbox.orange.answers import Answer, RefusalError, gateway_error, in_json
from orange_sms_async.sandbox.orange.evidence import Sent, Statistics
from orange_sms_async.sandbox.orange.faults import On
from orange_sms_async.sandbox.orange.incoming import Incoming
from orange_sms_async.sandbox.orange.ledger import Account
from orange_sms_async.sandbox.orange.limits import LIMITS, Limit, Rolling
from orange_sms_async.sandbox.orange.outbound import Outbound, read_outbound
from orange_sms_async.sandbox.orange.receipt_statuses import statuses_for
from orange_sms_async.sandbox.orange.subscriptions import Subscriptions
from orange_sms_async.sandbox.orange.tokens import Tokens
from orange_sms_async.sandbox.orange.units import count
from orange_sms_async.sandbox.orange.wrong import Wrong
from orange_sms_async.sandbox.settings import Settings

ALL_APIS_RATE = 25.0


@attrs.frozen
class Route:
    """
    One documented operation.

    Attributes:
        on: its kind, for faults.
        answer: carries it out, given the request, the time and the parts of the path.
        parts: the variable parts of the path, by name.
    """

    on: On
    answer: Callable[..., Answer]
    parts: dict[str, str]


@attrs.define(kw_only=True, eq=False, repr=False)
class Gateway:
    """
    Orange's operations. Nothing here waits, so requests are served in order of arrival.

    Attributes:
        tokens: the token endpoint, and the check of each request's token.
        account: pays for the messages.
        settings: what Orange does not document, or documents in several ways.
        make_up_id: makes a message's resource id.
        subscriptions: to receipts.
        counted: where units and token requests are counted.
    """

    tokens: Tokens
    account: Account
    settings: Settings
    make_up_id: Callable[[], str]
    subscriptions: Subscriptions
    counted: Statistics
    _limit: Limit | None = attrs.field(init=False)
    _limit_of_all: Limit | None = attrs.field(init=False)
    _operations: tuple[tuple[str, re.Pattern[str], On, Callable[..., Answer]], ...] = attrs.field(
        init=False
    )

    def __attrs_post_init__(self) -> None:
        self.start_anew()
        self._operations = tuple(
            (method, re.compile(path), on, answer)
            for method, path, on, answer in self._documented()
        )

    def start_anew(self) -> None:
        """Reset the counts of the limits."""
        rate = self.settings.rate
        self._limit = None if rate is None else LIMITS[self.settings.throttle](rate)
        # "25 a second per application, over all APIs" (D).
        strict = "request_rate" in self.settings.strict
        self._limit_of_all = Rolling(ALL_APIS_RATE) if strict else None

    def _documented(self) -> list[tuple[str, str, On, Callable[..., Answer]]]:
        outbound = "/smsmessaging/v1/outbound"
        sender, key = "(?P<sender>[^/]+)", "(?P<key>[^/]+)"
        operations: list[tuple[str, str, On, Callable[..., Answer]]] = [
            ("POST", f"{outbound}/{sender}/requests", "message", self._send),
            # Old clients still call v2, the older twin (seen).
            ("POST", "/oauth/v[23]/token", "token", self._token),
            ("GET", "/sms/admin/v1/contracts", "account", self._contracts),
            ("GET", "/sms/admin/v1/statistics", "account", self._statistics),
            ("GET", "/sms/admin/v1/purchaseorders", "account", self._purchase_orders),
        ]
        if self.settings.subscriptions:
            of_sender, one = f"{outbound}/{sender}/subscriptions", f"/{key}"
            operations += [
                ("POST", of_sender, "account", self._subscribe),
                ("GET", f"{outbound}/subscriptions{one}", "account", self._subscription),
                ("DELETE", of_sender + one, "account", self._unsubscribe),
            ]
        return operations

    def find(self, incoming: Incoming) -> Route:
        """
        Find the operation that a request is for.

        Raises:
            RefusalError: Orange has no operation at its path, or none with its method.
        """
        known = False
        for method, path, on, answer in self._operations:
            match = path.fullmatch(incoming.path)
            known = known or match is not None
            if match is not None and method == incoming.method:
                return Route(on, answer, match.groupdict())
        if known:
            raise RefusalError(gateway_error(61), Wrong.NO_SUCH_METHOD)
        raise RefusalError(gateway_error(60), Wrong.NO_SUCH_PATH)

    def admit(self, incoming: Incoming, now: float) -> None:
        """
        Make the checks that every operation has.

        Raises:
            RefusalError: too many requests, or the client does not accept JSON.
        """
        if self._limit_of_all is not None and not self._limit_of_all.admit(now):
            raise RefusalError(gateway_error(53), Wrong.TOO_FAST_OVER_ALL)
        if not incoming.accepts_json:
            raise RefusalError(gateway_error(62), Wrong.ACCEPT)

    def _send(self, incoming: Incoming, now: float, sender: str) -> Answer:
        self.tokens.check(incoming, now)
        # A choice: Orange does not document whether it counts a message that it then refuses. A
        # gateway, which counts before anyone has looked at the body, does.
        if self._limit is not None and not self._limit.admit(now):
            refusal = gateway_error(53, status=self.settings.throttle_status)
            raise RefusalError(refusal, Wrong.TOO_FAST)
        return _accepted(self._sent(*self._read(incoming, sender), now), incoming.base)

    def _read(self, incoming: Incoming, sender: str) -> tuple[Outbound, int]:
        content = incoming.json_object()
        outbound = read_outbound(
            sender, incoming.query, content, self.settings, self.account.sender_names
        )
        units = count(outbound.text)
        self.account.charge(outbound.address, units, on_net=outbound.on_net)
        self.counted.units_used += units
        return outbound, units

    def _sent(self, outbound: Outbound, units: int, now: float) -> Sent:
        return Sent(
            resource_id=self.make_up_id(),
            address=outbound.address,
            sender_address=outbound.sender_address,
            sender_name=outbound.sender_name,
            text=outbound.text,
            segments=units,
            time=now,
            on_net=outbound.on_net,
            status=statuses_for(
                outbound.address, on_net=outbound.on_net, strict=self.settings.strict
            )[-1],
        )

    def _token(self, incoming: Incoming, now: float) -> Answer:
        self.counted.token_requests += 1
        return self.tokens.answer(incoming, now)

    def _contracts(self, incoming: Incoming, now: float) -> Answer:
        self.tokens.check(incoming, now)
        answer = contracts(self.account, incoming.query.get("country"), self.settings.account_shape)
        return in_json(200, answer)

    def _statistics(self, incoming: Incoming, now: float) -> Answer:
        self.tokens.check(incoming, now)
        country, appid = incoming.query.get("country"), incoming.query.get("appid")
        return in_json(200, statistics(self.account, country, appid))

    def _purchase_orders(self, incoming: Incoming, now: float) -> Answer:
        self.tokens.check(incoming, now)
        answer = purchase_orders(
            self.account, incoming.query.get("country"), self.settings.account_shape
        )
        return in_json(200, answer)

    def _subscribe(self, incoming: Incoming, now: float, sender: str) -> Answer:
        self.tokens.check(incoming, now)
        return self.subscriptions.create(incoming, sender)

    def _subscription(self, incoming: Incoming, now: float, key: str) -> Answer:
        self.tokens.check(incoming, now)
        return self.subscriptions.read(key)

    def _unsubscribe(self, incoming: Incoming, now: float, key: str, **_: str) -> Answer:
        self.tokens.check(incoming, now)
        return self.subscriptions.delete(key)


@attrs.frozen
class Accepted(Answer):
    """The answer to a message that was taken."""

    sent: Sent = attrs.field(kw_only=True)


def _accepted(sent: Sent, base: str) -> Accepted:
    """Orange's 201, as captured: a list of addresses, a name only if one was sent."""
    sender = sent.sender_address
    url = f"{base}/smsmessaging/v1/outbound/{sender}/requests/{sent.resource_id}"
    request: dict[str, Any] = {"address": [sent.address], "senderAddress": sender}
    if sent.sender_name is not None:
        request["senderName"] = sent.sender_name
    request["outboundSMSTextMessage"] = {"message": sent.text}
    request["resourceURL"] = url
    # "Location repeats resourceURL" (D).
    answer = in_json(201, {"outboundSMSMessageRequest": request}, (("Location", url),))
    return Accepted(answer.status, answer.body, answer.headers, sent=sent)
