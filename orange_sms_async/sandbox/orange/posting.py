"""Posts receipts and replies to the sender's endpoint."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterable, AsyncIterator
from typing import cast
from weakref import WeakKeyDictionary

import attrs
import httpx

# A choice: how long Orange waits for an endpoint is not documented.
_PATIENCE = 10.0

# Each line is a pool of one connection. While none is free, posts wait outside the pools: at every
# request, a pool looks through all its connections and all that wait for one (measured: 24 ms of
# processor time for each of a thousand together; half a millisecond this way).
_LINES = 16

_ANSWER = 4_096  # bytes of the endpoint's answer that are kept


@attrs.frozen(kw_only=True)
class Posted:
    """
    The endpoint's answer to one post.

    Attributes:
        time: when it left, by the clock of the event loop.
        wall_time: when it left, in seconds since 1970.
        answer: the status the endpoint answered with; None when it did not answer.
        answer_body: the beginning of what it answered.
        error: the name of the error, if it did not answer.
    """

    time: float
    wall_time: float
    answer: int | None = None
    answer_body: str = ""
    error: str | None = None


@attrs.define(eq=False)
class _Lines:
    """The connections to the endpoint; the one used last is used next, still connected."""

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


@attrs.define(eq=False)
class Endpoint:
    """
    Posts to any URL.

    Attributes:
        transport: reaches an endpoint in this process; None for the network.
    """

    transport: httpx.AsyncBaseTransport | None
    _lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Lines] = attrs.field(
        factory=WeakKeyDictionary, init=False
    )

    async def post(self, url: str, body: str) -> Posted:
        """Post some JSON as soon as a connection is free; a failure is not an error here."""
        async with self.connected().one() as line:
            left, wall_time = asyncio.get_running_loop().time(), time.time()
            try:
                async with asyncio.timeout(_PATIENCE):
                    answer, answer_body = await _answered(line, url, body)
            except Exception as refused:  # noqa: BLE001 -- the endpoint is the user's: it may do anything
                return Posted(time=left, wall_time=wall_time, error=type(refused).__name__)
        return Posted(time=left, wall_time=wall_time, answer=answer, answer_body=answer_body)

    def connected(self) -> _Lines:
        """Return the connections of this event loop: they cannot move to another."""
        loop = asyncio.get_running_loop()
        lines = self._lines.get(loop)
        if lines is None:
            ours = [self.transport] * _LINES if self.transport else _connections()
            lines = self._lines[loop] = _Lines(ours)
        return lines

    async def aclose(self) -> None:
        """Close this loop's connections, but not a transport that was passed in."""
        lines = self._lines.pop(asyncio.get_running_loop(), None)
        if lines is not None and self.transport is None:
            for line in lines.idle:
                await line.aclose()


def _connections() -> list[httpx.AsyncBaseTransport]:
    one, secure = httpx.Limits(max_connections=1), httpx.create_ssl_context(trust_env=False)
    return [
        httpx.AsyncHTTPTransport(verify=secure, limits=one, trust_env=False) for _ in range(_LINES)
    ]


async def _answered(line: httpx.AsyncBaseTransport, url: str, body: str) -> tuple[int, str]:
    """Return the status and the beginning of the body that the endpoint answered."""
    headers = {"Content-Type": "application/json"}
    patience = dict.fromkeys(("connect", "read", "write", "pool"), _PATIENCE)
    request = httpx.Request(
        "POST", url, content=body.encode(), headers=headers, extensions={"timeout": patience}
    )
    # The transport alone: a client around it adds cookies and redirects, and half the cost.
    response = await line.handle_async_request(request)
    try:
        beginning = b""
        async for chunk in cast("AsyncIterable[bytes]", response.stream):
            beginning += chunk
            if len(beginning) >= _ANSWER:
                break
    finally:
        await response.aclose()
    return response.status_code, beginning[:_ANSWER].decode(errors="replace")
