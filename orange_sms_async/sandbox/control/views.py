"""What the page shows: messages, recipients, the account, the rate, the faults."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import attrs
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from orange_sms_async.sandbox.control.fields import refuse
from orange_sms_async.sandbox.control.stream import stream
from orange_sms_async.sandbox.orange.arrivals import Arrivals
from orange_sms_async.sandbox.orange.awaited import awaited, code_in
from orange_sms_async.sandbox.orange.evidence import Exchange, Receipt, Reply, Statistics
from orange_sms_async.sandbox.orange.evidence import Request as OrangeRequest
from orange_sms_async.sandbox.orange.faults import KNOWN, Faults
from orange_sms_async.sandbox.orange.feed import Feed
from orange_sms_async.sandbox.orange.inbox import Inbox, Message
from orange_sms_async.sandbox.orange.ledger import Account
from orange_sms_async.sandbox.orange.tokens import Tokens
from orange_sms_async.sandbox.settings import Settings

_MOST = 200  # messages or recipients in one answer
_TOKENS = 20
_LONGEST = 300  # seconds that somebody may wait for a message


@attrs.define(eq=False, kw_only=True)
class Views:
    """
    The paths that change nothing, each answered by a method of its own.

    Attributes:
        settings: the limit, and what goes wrong with time and receipts.
        inbox: the messages.
        account: contracts and sender names.
        tokens: the tokens issued.
        requests: the remembered ones.
        replies: the replies posted.
        faults: the faults of requests.
        events: the feed.
        arrivals: of messages in the last minute.
        counted: counts of what happened.
    """

    settings: Settings
    inbox: Inbox
    account: Account
    tokens: Tokens
    requests: Sequence[OrangeRequest]
    replies: Sequence[Reply]
    faults: Faults
    events: Feed
    arrivals: Arrivals
    counted: Statistics

    def routes(self) -> list[Route]:
        """List the paths."""
        views = {
            "statistics": self.show_statistics,
            "sent": self.show_sent,
            "messages": self.show_messages,
            "messages/{resource_id}": self.show_message,
            "requests": self.show_requests,
            "requests/{request_id}": self.show_request,
            "recipients": self.show_recipients,
            "replies": self.show_replies,
            "wait": self.wait,
            "health": self.show_health,
            "account": self.show_account,
            "rate": self.show_rate,
            "faults": self.show_faults,
            "events": self.show_events,
        }
        return [Route(f"/_sandbox/{path}", answer) for path, answer in views.items()]

    async def show_statistics(self, _: Request) -> Response:
        return JSONResponse(attrs.asdict(self.counted))

    async def show_sent(self, _: Request) -> Response:
        return JSONResponse([attrs.asdict(sent) for sent in self.inbox.sent])

    async def show_messages(self, request: Request) -> Response:
        asked = request.query_params
        before = _whole(asked.get("before", ""), 1, 2**53, default=2**53)
        limit = _whole(asked.get("limit", ""), 1, _MOST, default=50)
        found = self.inbox.newest_first(asked.get("q", ""), asked.get("address") or None)
        older = (message for message in found if message.number < before)
        page = list(islice(older, limit + 1))
        shown = [message.shown() for message in page[:limit]]
        return JSONResponse({"messages": shown, "more": len(page) > limit})

    async def show_message(self, request: Request) -> Response:
        try:
            message = self.inbox.find(request.path_params["resource_id"])
        except KeyError:
            raise HTTPException(404, "resource_id: no such message is remembered") from None
        return JSONResponse(_in_full(message))

    async def show_requests(self, request: Request) -> Response:
        asked = request.query_params
        before = _whole(asked.get("before", ""), 1, 2**53, default=2**53)
        limit = _whole(asked.get("limit", ""), 1, _MOST, default=50)
        sought = asked.get("q", "").casefold()
        older = (
            one
            for one in reversed(self.requests)
            if one.refused and one.number < before and one.speaks_of(sought)
        )
        page = list(islice(older, limit + 1))
        shown = [one.shown() for one in page[:limit]]
        return JSONResponse({"requests": shown, "more": len(page) > limit})

    async def show_request(self, request: Request) -> Response:
        request_id = request.path_params["request_id"]
        for one in reversed(self.requests):
            if one.request_id == request_id and one.exchange is not None:
                return JSONResponse(one.shown() | _exchanged(one.exchange))
        raise HTTPException(404, "request_id: no such refused request is remembered")

    async def show_recipients(self, request: Request) -> Response:
        found = _recipients(self.inbox, request.query_params.get("q", ""))
        return JSONResponse({"recipients": found})

    async def show_replies(self, request: Request) -> Response:
        address = request.query_params.get("address") or None
        of_it = (one for one in reversed(self.replies) if address in (None, one.address))
        return JSONResponse({"replies": [one.shown() for one in islice(of_it, _MOST)]})

    async def wait(self, request: Request) -> Response:
        asked = request.query_params
        coded = asked.get("code", "") not in {"", "0"}
        seconds = _whole(asked.get("timeout", ""), 0, _LONGEST, default=30)
        try:
            message = await awaited(
                self.inbox,
                self.events,
                to=asked.get("to", ""),
                text=asked.get("text", ""),
                after=_whole(asked.get("after", ""), 0, 2**53, default=0),
                timeout=seconds,
                coded=coded,
            )
        except TimeoutError:
            raise HTTPException(404, f"no such message within {seconds} seconds") from None
        if coded:
            return PlainTextResponse(code_in(message.sent.text))
        return JSONResponse(message.shown())

    async def show_health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def show_account(self, _: Request) -> Response:
        return JSONResponse(_account(self.settings.client_id, self.account, self.tokens))

    async def show_rate(self, _: Request) -> Response:
        return JSONResponse(
            {
                "limit": self.settings.rate,
                "throttle": self.settings.throttle,
                "most_in_a_second": self.counted.most_in_a_second,
                "arrivals": self.arrivals.last_minute(),
            }
        )

    async def show_faults(self, _: Request) -> Response:
        settings = self.settings
        receipts = attrs.asdict(settings.receipt_faults) | {"delay": settings.receipt_delay}
        travel = {"latency": settings.latency, "jitter": settings.jitter}
        known = [{"name": fault.name, "label": fault.label} for fault in KNOWN.values()]
        coming = _coming(self.faults)
        return JSONResponse(coming | travel | {"receipts": receipts, "known": known})

    async def show_events(self, request: Request) -> Response:
        return stream(self.events, request.headers.get("last-event-id", ""))


def _whole(text: str, lowest: int, highest: int, *, default: int) -> int:
    if not text:
        return default
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 17 else -1
    if not lowest <= number <= highest:
        refuse(f"{text[:20]!a}: a whole number from {lowest} to {highest}")
    return number


def _in_full(message: Message) -> dict[str, Any]:
    receipts = [_receipt(receipt) for receipt in message.receipts]
    return message.shown() | _exchanged(message.exchange) | {"receipts": receipts}


def _exchanged(exchange: Exchange) -> dict[str, Any]:
    return {
        "request": {
            "method": exchange.method,
            "path": exchange.path,
            "headers": exchange.headers,
            "body": exchange.body,
        },
        "answer": {
            "status": exchange.status,
            "headers": exchange.answer_headers,
            "body": exchange.answer_body,
        },
    }


def _receipt(receipt: Receipt) -> dict[str, Any]:
    return {
        "time": receipt.wall_time,
        "status": receipt.status,
        "body": receipt.body,
        "answer": receipt.answer,
        "answer_body": receipt.answer_body,
        "error": receipt.error,
    }


def _recipients(inbox: Inbox, sought: str) -> list[dict[str, Any]]:
    lasts: dict[str, Message] = {}
    counts: dict[str, int] = {}
    for message in inbox.newest_first(sought):
        address = message.sent.address
        lasts.setdefault(address, message)
        counts[address] = counts.get(address, 0) + 1
    return [
        {"address": address, "messages": counts[address], "last": last.shown()}
        for address, last in islice(lasts.items(), _MOST)
    ]


def _account(client_id: str, account: Account, issued: Tokens) -> dict[str, Any]:
    now = issued.now()
    contracts = [
        {
            "country": contract.country,
            "offer_name": contract.offer_name,
            "available_units": contract.available_units,
            "expiration_date": contract.expiration_date.isoformat(),
            "status": contract.status,
        }
        for contract in account.contracts
    ]
    tokens = [
        {
            "age": now - token.at,
            "expires_in_seconds": max(0.0, token.until - now),
            "expired": now >= token.until,
        }
        for token in islice(issued.newest_first, _TOKENS)
    ]
    return {
        "client_id": client_id,
        "contracts": contracts,
        "sender_names": sorted(account.sender_names),
        "tokens": tokens,
    }


def _coming(faults: Faults) -> dict[str, Any]:
    coming = [
        {"id": one.id, "on": one.on, "fault": one.fault.name, "left": one.left}
        for one in faults.coming
    ]
    chance = faults.chance and {
        "share": faults.chance.share,
        "on": faults.chance.on,
        "fault": faults.chance.fault.name,
    }
    return {"next": coming, "chance": chance}
