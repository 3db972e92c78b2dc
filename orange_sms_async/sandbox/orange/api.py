"""The sandbox as an ASGI app: Orange's API, and beside it its own page and API."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import attrs
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from orange_sms_async.sandbox.orange.answers import Answer
from orange_sms_async.sandbox.orange.faults import Silence
from orange_sms_async.sandbox.orange.incoming import Incoming, read
from orange_sms_async.sandbox.orange.notifier import Receipts
from orange_sms_async.sandbox.orange.traffic import Traffic
from orange_sms_async.sandbox.orange.transport import is_being_cancelled, keep_silent


@attrs.define(eq=False, kw_only=True)
class App:
    """
    Takes every request to whom it is for.

    Attributes:
        desk: the page and the API under `/_sandbox/`, which are no part of Orange.
        start: begins what ends with the sandbox, such as an answer that never comes.
    """

    traffic: Traffic
    receipts: Receipts
    desk: ASGIApp
    make_up_id: Callable[[], str]
    start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    close: Callable[[], Awaitable[None]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await (self.desk if _for_desk(scope) else self._orange)(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.receipts.prepare()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _orange(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            incoming = await read(scope, receive)
        except ClientDisconnect:
            return
        answered = self.start(self._answered(incoming, receive, send))
        try:
            await answered
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
            await keep_silent(Silence.DROP, receive, send)  # the sandbox was closed

    async def _answered(self, incoming: Incoming, receive: Receive, send: Send) -> None:
        request_id = self.make_up_id()
        outcome, message = await self.traffic.arrive(incoming, request_id)
        if message is not None:
            await self.receipts.begin(message)
        await self.traffic.leave(incoming)
        if isinstance(outcome, Silence):
            await keep_silent(outcome, receive, send)
        else:
            await _answer(outcome, request_id, send)


def _for_desk(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.startswith("/_sandbox/") or (path == "/" and scope["method"] in {"GET", "HEAD"})


async def _answer(answer: Answer, request_id: str, send: Send) -> None:
    headers = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in answer.all_headers(request_id)
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
