"""httpx's own connections, each in a pool to itself."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import cast

import anyio
import httpx


class Connections(httpx.AsyncBaseTransport):
    """
    A transport that opens a connection where none is idle, and uses the warmest one first.

    httpx's pool looks at all its connections several times a request: a request costs four times
    as much in a pool of twenty as in twenty pools of one.

    most: connections at once; who comes then waits for one.
    keepalive: seconds that an idle connection is kept.
    """

    def __init__(self, *, most: int, keepalive: float) -> None:
        self._keepalive = keepalive
        # Loading the certificates takes longer than all the rest of a client.
        self._context = httpx.create_ssl_context()
        self._places = anyio.Semaphore(most, fast_acquire=True)
        self._open = set[httpx.AsyncClient]()
        # One to begin with: a proxy in the environment that cannot be used is found at once.
        self._idle = deque([(0.0, self._another())])

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        with anyio.fail_after(request.extensions["timeout"]["pool"]):
            await self._places.acquire()
        http = self._idle.pop()[1] if self._idle else self._another()
        try:
            response = await http.send(request, stream=True)
        except BaseException:
            await self._give_back(http)
            raise
        body = cast("httpx.AsyncByteStream", response.stream)
        response.stream = _Answer(body, partial(self._give_back, http))
        return response

    def _another(self) -> httpx.AsyncClient:
        # A client, not a bare transport: it knows the proxies that the environment names.
        limits = httpx.Limits(max_connections=1, keepalive_expiry=self._keepalive)
        http = httpx.AsyncClient(verify=self._context, limits=limits)
        self._open.add(http)
        return http

    async def _give_back(self, http: httpx.AsyncClient) -> None:
        now = asyncio.get_running_loop().time()
        self._idle.append((now, http))
        self._places.release()
        while self._idle and self._idle[0][0] < now - self._keepalive:
            _, old = self._idle.popleft()
            self._open.discard(old)
            await old.aclose()

    async def aclose(self) -> None:
        while self._open:  # a request that this ends closes others on its way out
            await self._open.pop().aclose()


class _Answer(httpx.AsyncByteStream):
    """The body of an answer, whose connection is free for another request once it is closed."""

    def __init__(self, body: httpx.AsyncByteStream, over: Callable[[], Awaitable[None]]) -> None:
        self._body = body
        self._over = over

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            yield chunk

    async def aclose(self) -> None:
        try:
            await self._body.aclose()
        finally:
            await self._over()
