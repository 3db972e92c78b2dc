"""What the page can change; Python can call the same methods of the sandbox."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast, get_args

import attrs
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from orange_sms_async.sandbox.control.fields import Fields, read_fields, refuse
from orange_sms_async.sandbox.orange.evidence import Receipt, Reply
from orange_sms_async.sandbox.orange.faults import KNOWN, Faults, On
from orange_sms_async.sandbox.orange.ledger import Account
from orange_sms_async.sandbox.settings import (
    ALL_NETWORKS,
    COUNTRIES,
    ON_NET,
    Contract,
    Settings,
)

_KINDS: tuple[str, ...] = get_args(On)
_COUNTRIES = tuple(sorted(COUNTRIES.values()))
_OFFERS = (ALL_NETWORKS, ON_NET)
_UNITS = 1_000_000_000
_DAYS = 3_650
_SECONDS = 86_400.0
_SHARES = ("doubled", "reordered", "lost", "before_answer", "late", "revived", "unnamed")
_COMING = 100  # faults that may wait for their requests

Change = Callable[[Fields], None]


class Deliver(Protocol):
    """Posts a receipt for a message, and returns the endpoint's answer."""

    async def __call__(self, resource_id: str, status: str) -> Receipt: ...


@attrs.define(eq=False, kw_only=True)
class Changes:
    """
    The paths that change something, each answered by a method of its own.

    Attributes:
        settings: how slow Orange is, and what goes wrong with receipts.
        account: contracts and sender names.
        faults: the faults of requests.
        behave: ends all faults.
        expire_tokens: expires all tokens.
        clear: empties the inbox.
        reset: returns to the start.
        deliver: posts a receipt.
        reply: posts a recipient's reply.
    """

    settings: Settings
    account: Account
    faults: Faults
    behave: Callable[[], None]
    expire_tokens: Callable[[], None]
    clear: Callable[[], None]
    reset: Callable[[], None]
    deliver: Deliver
    reply: Callable[[str, str], Awaitable[Reply]]

    def routes(self) -> list[Route]:
        """List the paths."""
        changes: list[tuple[str, str, Change]] = [
            ("POST", "account/buy", self.buy),
            ("POST", "account/expire", self.expire),
            ("POST", "account/contract", self.edit_contract),
            ("POST", "account/sender-names", self.approve),
            ("DELETE", "account/sender-names", self.withdraw),
            ("POST", "token/expire", self.outdate_tokens),
            ("POST", "faults", self.set_faults),
            ("DELETE", "faults", self.clear_faults),
            ("DELETE", "messages", self.clear_messages),
            ("POST", "reset", self.start_anew),
        ]
        posts = [
            Route("/_sandbox/deliver", self.post_receipt, methods=["POST"]),
            Route("/_sandbox/reply", self.post_reply, methods=["POST"]),
        ]
        return posts + [
            Route(f"/_sandbox/{path}", _changed_by(change), methods=[method])
            for method, path, change in changes
        ]

    def buy(self, fields: Fields) -> None:
        fields.only("country", "offer_name", "units", "days")
        country, offer_name = _which(fields)
        units = fields.whole("units", 1, _UNITS)
        days = fields.whole("days", 0, _DAYS, default=30)
        self.account.buy(country, units, offer_name=offer_name, days=days)

    def expire(self, fields: Fields) -> None:
        fields.only("country", "offer_name")
        contract = self._contract(fields)
        self.account.expire(contract.country, contract.offer_name)

    def edit_contract(self, fields: Fields) -> None:
        fields.only("country", "offer_name", "available_units", "expiration_date")
        contract = self._contract(fields)
        if fields.has("expiration_date"):
            until = fields.moment("expiration_date")
        else:
            until = contract.expiration_date
        contract.available_units = fields.whole(
            "available_units", 0, _UNITS, default=contract.available_units
        )
        contract.expiration_date = until
        self.account.on_change()

    def approve(self, fields: Fields) -> None:
        fields.only("sender_name")
        try:
            self.account.approve(fields.text("sender_name"))
        except ValueError as error:
            refuse(f"sender_name: {error}")

    def withdraw(self, fields: Fields) -> None:
        fields.only("sender_name")
        try:
            self.account.withdraw(fields.text("sender_name"))
        except KeyError:
            raise HTTPException(404, "sender_name: not approved") from None

    def outdate_tokens(self, fields: Fields) -> None:
        fields.only()
        self.expire_tokens()

    def set_faults(self, fields: Fields) -> None:
        fields.only("next", "chance", "latency", "jitter", "receipts")
        # All is read before anything is set: a body that is refused changes nothing.
        set_them = [
            read(fields)
            for name, read in (
                ("next", self._next),
                ("chance", self._chance),
                ("latency", self._travel("latency")),
                ("jitter", self._travel("jitter")),
                ("receipts", self._receipts),
            )
            if fields.has(name)
        ]
        for set_one in set_them:
            set_one()

    def clear_faults(self, fields: Fields) -> None:
        fields.only()
        self.behave()

    def clear_messages(self, fields: Fields) -> None:
        fields.only()
        self.clear()

    def start_anew(self, fields: Fields) -> None:
        fields.only()
        self.reset()

    async def post_reply(self, request: Request) -> Response:
        fields = await read_fields(request)
        fields.only("address", "text")
        address, text = fields.text("address"), fields.text("text")
        if self.settings.reply_url is None and self.settings.receipt_url is None:
            raise HTTPException(409, "there is nowhere to post it: no reply URL was set")
        try:
            reply = await self.reply(address, text)
        except ValueError as error:
            refuse(f"address: {error}")
        return JSONResponse(reply.shown())

    async def post_receipt(self, request: Request) -> Response:
        fields = await read_fields(request)
        fields.only("resource_id", "status")
        resource_id = fields.text("resource_id")
        status = fields.text("status", default="DeliveredToTerminal")
        try:
            receipt = await self.deliver(resource_id, status)
        except ValueError:
            raise HTTPException(
                409, "there is nowhere to post it: no receipt URL was set"
            ) from None
        except KeyError:
            raise HTTPException(404, "resource_id: no such message is remembered") from None
        return JSONResponse({"answer": receipt.answer, "error": receipt.error})

    def _contract(self, fields: Fields) -> Contract:
        try:
            return self.account.contract(*_which(fields))
        except KeyError:
            raise HTTPException(404, "country, offer_name: no such contract") from None

    def _next(self, fields: Fields) -> Callable[[], None]:
        inner = fields.within("next")
        inner.only("fault", "times", "on")
        fault, on = KNOWN[inner.choice("fault", KNOWN)], _kind(inner)
        times = inner.whole("times", 1, 1_000_000, default=1)
        if len(self.faults.coming) >= _COMING:
            raise HTTPException(409, f"next: {_COMING} are waiting already")
        return lambda: self.faults.add(on, fault, times)

    def _chance(self, fields: Fields) -> Callable[[], None]:
        if fields.is_null("chance"):
            return lambda: self.faults.happen_sometimes(0, "message", KNOWN["drop"])
        inner = fields.within("chance")
        inner.only("fault", "share", "on")
        fault, on = KNOWN[inner.choice("fault", KNOWN)], _kind(inner)
        share = inner.number("share", 1)
        return lambda: self.faults.happen_sometimes(share, on, fault)

    def _travel(self, name: str) -> Callable[[Fields], Callable[[], None]]:
        def read(fields: Fields) -> Callable[[], None]:
            seconds = fields.number(name, _SECONDS)
            return lambda: setattr(self.settings, name, seconds)

        return read

    def _receipts(self, fields: Fields) -> Callable[[], None]:
        inner, settings = fields.within("receipts"), self.settings
        inner.only(*_SHARES, "delay", "late_by", "repeats", "status")
        told: dict[str, Any] = {name: inner.number(name, 1) for name in _SHARES if inner.has(name)}
        if inner.has("late_by"):
            told["late_by"] = inner.number("late_by", _SECONDS)
        if inner.has("repeats"):
            told["repeats"] = inner.whole("repeats", 0, 100)
        if inner.has("status"):
            told["status"] = None if inner.is_null("status") else inner.text("status")
        delay = inner.number("delay", _SECONDS, default=settings.receipt_delay)

        def set_them() -> None:
            settings.receipt_faults = attrs.evolve(settings.receipt_faults, **told)
            settings.receipt_delay = delay

        return set_them


def _changed_by(change: Change) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        change(await read_fields(request))
        return JSONResponse({})

    return answer


def _which(fields: Fields) -> tuple[str, str]:
    country = fields.choice("country", _COUNTRIES)
    return country, fields.choice("offer_name", _OFFERS, default=ALL_NETWORKS)


def _kind(fields: Fields) -> On:
    return cast("On", fields.choice("on", _KINDS, default="message"))
