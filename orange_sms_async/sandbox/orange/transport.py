"""The way to the sandbox in one process, and what "no answer" means there and at a socket."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import attrs
import httpx
from starlette.types import Receive, Send

from orange_sms_async.sandbox.orange.faults import Silence


@attrs.define(eq=False)
class InProcess(httpx.AsyncBaseTransport):
    """
    The sandbox for an `httpx.AsyncClient` in the same process.

    As with a server, a request that has left arrives, whether or not its client still waits. The
    client's read timeout applies, unlike with `httpx.ASGITransport` alone.
    """

    _inside: httpx.ASGITransport
    _start: Callable[[Coroutine[Any, Any, httpx.Response]], asyncio.Task[httpx.Response]]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        answered = self._start(self._inside.handle_async_request(request))
        try:
            async with asyncio.timeout(request.extensions.get("timeout", {}).get("read")):
                return await asyncio.shield(answered)
        except TimeoutError:
            raise httpx.ReadTimeout("The sandbox did not answer in time.") from None
        except asyncio.CancelledError:
            if is_being_cancelled() or not answered.cancelled():
                raise
            # The sandbox ended it. Its client did not ask for a cancellation.
            raise httpx.ReadError("The sandbox was closed.") from None


def is_being_cancelled() -> bool:
    """Say whether the current task itself is cancelled, and not what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def keep_silent(how: Silence, receive: Receive, send: Send) -> None:
    """
    Leave a request without an answer.

    ASGI has no message for this. With a server, the connection behind `send` is used. Without one,
    the request came in process, and gets the error that httpx would have raised.

    Raises:
        httpx.ReadError: the request came in process, and must be dropped.
    """
    if how is Silence.DROP:
        connection = getattr(getattr(send, "__self__", None), "transport", None)
        if connection is None:
            raise httpx.ReadError("The sandbox dropped the connection.")
        connection.abort()
    await receive()  # its body was read: next comes the client's disconnection
