"""What can be looked at: messages, recipients, the account, the rate, the faults."""

from itertools import islice
from typing import TYPE_CHECKING, Any

import attrs
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from orange_sms_async.sandbox.control.fields import refuse
from orange_sms_async.sandbox.control.stream import stream
from orange_sms_async.sandbox.orange.evidence import Receipt
from orange_sms_async.sandbox.orange.faults import KNOWN, Faults
from orange_sms_async.sandbox.orange.inbox import Inbox, Message

if TYPE_CHECKING:
    from orange_sms_async.sandbox.sandbox import Sandbox

_MOST = 200  # messages or recipients in one answer
_TOKENS = 20


@attrs.define(eq=False)
class Shown:
    _sandbox: "Sandbox"
    _token: str

    def routes(self) -> list[Route]:
        shown = {
            "token": self.token,
            "statistics": self.statistics,
            "sent": self.sent,
            "messages": self.messages,
            "messages/{resource_id}": self.message,
            "recipients": self.recipients,
            "account": self.account,
            "rate": self.rate,
            "faults": self.faults,
            "events": self.events,
        }
        return [Route(f"/_sandbox/{path}", answer) for path, answer in shown.items()]

    async def token(self, _: Request) -> Response:
        return JSONResponse({"token": self._token})

    async def statistics(self, _: Request) -> Response:
        return JSONResponse(attrs.asdict(self._sandbox.statistics()))

    async def sent(self, _: Request) -> Response:
        return JSONResponse([attrs.asdict(sent) for sent in self._sandbox.sent])

    async def messages(self, request: Request) -> Response:
        asked = request.query_params
        before = _whole(asked.get("before", ""), 1, 2**53, default=2**53)
        limit = _whole(asked.get("limit", ""), 1, _MOST, default=50)
        found = self._sandbox.inbox.newest_first(asked.get("q", ""), asked.get("address") or None)
        older = (message for message in found if message.number < before)
        page = list(islice(older, limit + 1))
        shown = [message.shown() for message in page[:limit]]
        return JSONResponse({"messages": shown, "more": len(page) > limit})

    async def message(self, request: Request) -> Response:
        try:
            message = self._sandbox.inbox.find(request.path_params["resource_id"])
        except KeyError:
            raise HTTPException(404, "resource_id: no message that is remembered") from None
        return JSONResponse(_in_full(message))

    async def recipients(self, request: Request) -> Response:
        found = _recipients(self._sandbox.inbox, request.query_params.get("q", ""))
        return JSONResponse({"recipients": found})

    async def account(self, _: Request) -> Response:
        return JSONResponse(_account(self._sandbox))

    async def rate(self, _: Request) -> Response:
        sandbox = self._sandbox
        return JSONResponse(
            {
                "limit": sandbox.rate,
                "throttle": sandbox.throttle,
                "most_in_a_second": sandbox.most_in_a_second,
                "arrivals": sandbox.traffic.arrivals.last_minute(),
            }
        )

    async def faults(self, _: Request) -> Response:
        sandbox = self._sandbox
        receipts = attrs.asdict(sandbox.receipt_faults) | {"delay": sandbox.receipt_delay}
        travel = {"latency": sandbox.latency, "jitter": sandbox.jitter}
        known = [{"name": fault.name, "label": fault.label} for fault in KNOWN.values()]
        coming = _coming(sandbox.faults)
        return JSONResponse(coming | travel | {"receipts": receipts, "known": known})

    async def events(self, request: Request) -> Response:
        return stream(self._sandbox.events, request.headers.get("last-event-id", ""))


def _whole(text: str, lowest: int, highest: int, *, default: int) -> int:
    if not text:
        return default
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 17 else 0
    if not lowest <= number <= highest:
        refuse(f"before, limit: a whole number from {lowest} to {highest}")
    return number


def _in_full(message: Message) -> dict[str, Any]:
    exchange = message.exchange
    return message.shown() | {
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
        "receipts": [_receipt(receipt) for receipt in message.receipts],
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


def _account(sandbox: "Sandbox") -> dict[str, Any]:
    now = sandbox.tokens.now()
    contracts = [
        {
            "country": contract.country,
            "offer_name": contract.offer_name,
            "available_units": contract.available_units,
            "expiration_date": contract.expiration_date.isoformat(),
            "status": contract.status,
        }
        for contract in sandbox.account.contracts
    ]
    tokens = [
        {
            "age": now - issued.at,
            "expires_in_seconds": max(0.0, issued.until - now),
            "expired": now >= issued.until,
        }
        for issued in islice(sandbox.tokens.newest_first, _TOKENS)
    ]
    return {
        "client_id": sandbox.client_id,
        "contracts": contracts,
        "sender_names": sorted(sandbox.account.sender_names),
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
