"""Posts delivery receipts to the endpoint of whoever sent the message."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, cast
from weakref import WeakKeyDictionary

import anyio.lowlevel
import attrs
import httpx

from orange_sms_async.sandbox.orange.evidence import Receipt, Recent
from orange_sms_async.sandbox.orange.inbox import Message
from orange_sms_async.sandbox.orange.receipt_statuses import happens, statuses_for, statuses_with
from orange_sms_async.sandbox.settings import Settings

# A choice: how long Orange waits for an endpoint is not documented.
_PATIENCE = 10.0

# Each of so many lines is a pool of one connection, and whoever finds none free waits outside:
# a pool looks through all its connections and all who wait for one at every request (measured:
# 24 ms of the processor for each of a thousand together, half a millisecond so).
_LINES = 16

_ANSWER = 4_096  # bytes of the endpoint's answer that are kept


@attrs.define(eq=False)
class _Lines:
    """The ways to the endpoint; the one that came back last goes out first, still connected."""

    idle: list[httpx.AsyncBaseTransport]
    _free: asyncio.Semaphore = attrs.field(factory=lambda: asyncio.Semaphore(_LINES), init=False)

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[httpx.AsyncBaseTransport]:
        async with self._free:
            line = self.idle.pop()
            try:
                yield line
            finally:
                self.idle.append(line)


@attrs.define(eq=False, kw_only=True)
class Notifier:
    """
    Posts receipts and remembers how they were received.

    A receipt is posted once, unless `receipt_faults` say otherwise: whether Orange repeats it after
    another answer than 200 is not documented, and reports conflict.

    Attributes:
        settings: where receipts go and when, and what goes wrong with them. Its `keep` is also how
            many messages may wait for theirs: those of any more are lost.
        chance: decides which go wrong.
        url_for: says where the receipts of a sender address go; None for nowhere.
        on_posted: told of each.
        start: begins what ends with the sandbox.
        posted: those remembered, in order.
        waiting: how many messages wait for theirs.
    """

    settings: Settings
    chance: random.Random
    url_for: Callable[[str], str | None]
    on_posted: Callable[[Message, Receipt], None]
    start: Callable[[Coroutine[Any, Any, None]], object]
    posted: Recent[Receipt] = attrs.field(init=False)
    waiting: int = attrs.field(default=0, init=False)
    _lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Lines] = attrs.field(
        factory=WeakKeyDictionary, init=False
    )

    def __attrs_post_init__(self) -> None:
        self.posted = Recent(self.settings.keep)

    async def prepare(self) -> None:
        """Load what the first receipt needs: later it would hold up a message that arrives."""
        if self.settings.receipt_url is not None:
            self._connected()
            await anyio.lowlevel.checkpoint()

    async def begin(self, message: Message) -> None:
        """See to the receipts of a message; a first one that is to outrun the answer is posted."""
        settings, chance = self.settings, self.chance
        url = self.url_for(message.sent.sender_address)
        if url is None or self.waiting >= settings.keep:
            return
        faults = settings.receipt_faults
        sent = message.sent
        usual = statuses_for(sent.address, on_net=sent.on_net, strict=settings.strict)
        statuses = statuses_with(faults, usual, chance)
        if happens(faults.before_answer, chance):
            await self.post(message, statuses.pop(0))
        if statuses:
            self.start(self._follow_all(message, statuses))

    async def _follow_all(self, message: Message, statuses: Sequence[str]) -> None:
        self.waiting += 1
        try:
            for status in statuses:
                await self._follow(message, status)
        finally:
            self.waiting -= 1

    async def _follow(self, message: Message, status: str) -> None:
        faults = self.settings.receipt_faults
        late_by = faults.late_by if happens(faults.late, self.chance) else 0
        await asyncio.sleep(self.settings.receipt_delay + late_by)
        if happens(faults.lost, self.chance):
            return
        for _ in range(1 + happens(faults.doubled, self.chance)):
            receipt = await self.post(message, status)
        for _ in range(faults.repeats):
            if receipt.answer == 200:
                return
            await asyncio.sleep(self.settings.receipt_delay)
            receipt = await self.post(message, status)

    async def post(self, message: Message, status: str) -> Receipt:
        """
        Post one receipt now.

        Raises:
            ValueError: there is nowhere to post it to.
        """
        url = self.url_for(message.sent.sender_address)
        if url is None:
            raise ValueError("no receipt_url was set")
        body = _body(
            message, status, unnamed=happens(self.settings.receipt_faults.unnamed, self.chance)
        )
        lines = self._connected()
        async with lines.one() as line:
            receipt = await self._post(line, url, body, message, status)
        self.posted.append(receipt)
        self.on_posted(message, receipt)
        return receipt

    async def _post(
        self, line: httpx.AsyncBaseTransport, url: str, body: str, message: Message, status: str
    ) -> Receipt:
        answer, answer_body, error = None, "", None
        left, wall_time = asyncio.get_running_loop().time(), time.time()
        try:
            async with asyncio.timeout(_PATIENCE):
                answer, answer_body = await _posted(line, url, body)
        except Exception as refused:  # noqa: BLE001 -- the endpoint is the user's: it may do anything
            error = type(refused).__name__
        return Receipt(
            resource_id=message.sent.resource_id,
            address=message.sent.address,
            status=status,
            time=left,
            wall_time=wall_time,
            body=body,
            answer=answer,
            answer_body=answer_body,
            error=error,
        )

    def _connected(self) -> _Lines:
        """Lines for each event loop: a connection cannot move to another."""
        loop = asyncio.get_running_loop()
        lines = self._lines.get(loop)
        if lines is None:
            given = self.settings.receipt_transport
            ours = [given] * _LINES if given else _connections()
            lines = self._lines[loop] = _Lines(ours)
        return lines

    async def aclose(self) -> None:
        """Close this loop's connections; a transport that was given stays open."""
        lines = self._lines.pop(asyncio.get_running_loop(), None)
        if lines is not None and self.settings.receipt_transport is None:
            for line in lines.idle:
                await line.aclose()


def _connections() -> list[httpx.AsyncBaseTransport]:
    one, secure = httpx.Limits(max_connections=1), httpx.create_ssl_context(trust_env=False)
    return [
        httpx.AsyncHTTPTransport(verify=secure, limits=one, trust_env=False) for _ in range(_LINES)
    ]


async def _posted(transport: httpx.AsyncBaseTransport, url: str, body: str) -> tuple[int, str]:
    """Return the status and the beginning of the body that the endpoint answered."""
    headers = {"Content-Type": "application/json"}
    patience = dict.fromkeys(("connect", "read", "write", "pool"), _PATIENCE)
    request = httpx.Request(
        "POST", url, content=body.encode(), headers=headers, extensions={"timeout": patience}
    )
    # The transport alone: a client around it adds cookies and redirects, and half the cost.
    response = await transport.handle_async_request(request)
    try:
        beginning = b""
        async for chunk in cast("AsyncIterable[bytes]", response.stream):
            beginning += chunk
            if len(beginning) >= _ANSWER:
                break
    finally:
        await response.aclose()
    return response.status_code, beginning[:_ANSWER].decode(errors="replace")


def _body(message: Message, status: str, *, unnamed: bool) -> str:
    notification = {
        "callbackData": "" if unnamed else message.sent.resource_id,
        "deliveryInfo": {"address": message.sent.address, "deliveryStatus": status},
    }
    content = {"deliveryInfoNotification": notification}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
