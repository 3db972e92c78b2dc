"""Requests carried by httpx, or by httpx2, which has the same interface."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from functools import lru_cache, partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import anyio
import attrs
from anyio.streams.tls import TLSStream

from orange_sms_async._wire import Answer
from orange_sms_async.engines.exchange import (
    CONNECTIONS,
    KEEPALIVE,
    LONGEST,
    AnswerTooLong,
    Exchange,
    Socket,
    proxy_for,
    whole,
)

if TYPE_CHECKING:
    import httpx


class HttpxEngine:
    """
    httpx's connections, or those of a transport that the caller lends.

    Args:
        library: the module httpx or httpx2.
        base_url: where the requests go.
        transport: an `AsyncBaseTransport` of the library. The engine does not close it.
        most: how many connections may be open at once.
        keepalive: seconds that an idle connection is kept.

    Raises:
        ValueError: the environment names a proxy of a kind that the library does not know.
    """

    def __init__(
        self,
        library: ModuleType,
        base_url: str,
        transport: object | None = None,
        *,
        most: int = CONNECTIONS,
        keepalive: float = KEEPALIVE,
    ) -> None:
        self._request = library.Request
        lent = cast("httpx.AsyncBaseTransport | None", transport)
        proxy = proxy_for(base_url)
        self._connections = (
            _Lent(lent) if lent else _Connections(library, proxy, most=most, keepalive=keepalive)
        )
        # This client only builds addresses and the headers common to all requests. Building them
        # takes httpx longer than sending, so they are kept: one for the sender of each country.
        client = library.AsyncClient(
            base_url=base_url, timeout=None, transport=library.AsyncBaseTransport()
        )
        for name in ("Accept", "Accept-Encoding"):  # an exchange brings its own
            del client.headers[name]
        self._blank = lru_cache(maxsize=64)(partial(client.build_request, "GET"))

    async def carry(self, exchange: Exchange) -> Answer:
        line = await self._connections.take()
        try:
            return await _answer(line, self._written(exchange, line), exchange)
        finally:
            await self._connections.give_back(line)

    def _written(self, exchange: Exchange, line: "_Line") -> "httpx.Request":
        blank = self._blank(exchange.target)
        headers = [(name.encode(), value.encode()) for name, value in exchange.headers.items()]
        body = None
        if exchange.body is not None:
            headers.append((b"Content-Length", str(len(exchange.body)).encode()))
            body = _leaving(exchange, line.socket)
        request: httpx.Request = self._request(
            exchange.method,
            blank.url,
            headers=[*blank.headers.raw, *headers],
            content=body,
            extensions=blank.extensions,
        )
        return request

    async def aclose(self) -> None:
        await self._connections.aclose()


@attrs.define(eq=False)
class _Line:
    """
    A transport, and what is known about its one connection.

    Attributes:
        stream: httpcore's stream that brought the last answer.
        socket: the socket under the stream.
    """

    transport: "httpx.AsyncBaseTransport"
    stream: Any = None
    socket: Socket | None = None

    async def answered(self, response: "httpx.Response") -> None:
        """Check the connection after an answer; close it if more than the answer came."""
        stream = response.extensions.get("network_stream")
        if stream is not self.stream:
            self.stream, self.socket = stream, stream and stream.get_extra_info("socket")
        if stream and _more_was_read(response):
            await stream.aclose()


async def _leaving(exchange: Exchange, line: Socket | None) -> AsyncIterator[bytes]:
    exchange.leaves(line)
    yield cast("bytes", exchange.body)


async def _answer(line: _Line, request: "httpx.Request", exchange: Exchange) -> Answer:
    response = await line.transport.handle_async_request(request)
    try:
        exchange.head = answer = Answer(response.status_code, response.headers)
        answer.body = await _body(response)
        await line.answered(response)
        return answer
    finally:
        await response.aclose()


def _more_was_read(response: Any) -> bool:
    # httpcore checks the socket for waiting data before it uses a connection again. It does not
    # check what it has read beyond the end of an answer, which would be taken for the answer to
    # the next request. No public name shows that data.
    if response.extensions.get("http_version") == b"HTTP/2":
        return False  # there, each frame says which request it answers
    try:
        connection = response.stream._httpcore_stream._stream._connection  # noqa: SLF001
        read = len(connection._h11_state.trailing_data[0])  # noqa: SLF001
        stream = connection._network_stream._stream  # noqa: SLF001
        while isinstance(stream, TLSStream):
            read += stream._ssl_object.pending() + stream._read_bio.pending  # noqa: SLF001
            stream = cast("Any", stream.transport_stream)
        return bool(read or stream._protocol.read_queue)  # noqa: SLF001
    except AttributeError:
        return True  # a later version may differ: assume the worse


async def _body(response: "httpx.Response") -> bytes:
    if response.is_stream_consumed:  # by the caller's transport
        if len(response.content) > LONGEST:
            raise AnswerTooLong
        return response.content
    # httpx decompresses without a limit, and takes longer for it than for reading.
    stream = cast("httpx.AsyncByteStream", response.stream)
    return await whole(stream, response.headers.get("content-encoding"))


class _Connections:
    """
    Connections, each in a pool of its own. The last one used is the first to be used again.

    httpx's pool checks all its connections several times per request: a request costs four times
    as much in a pool of twenty as in twenty pools of one.
    """

    def __init__(
        self, library: ModuleType, proxy: str | None, *, most: int, keepalive: float
    ) -> None:
        self._keepalive = keepalive
        self._new = partial(
            library.AsyncHTTPTransport,
            # Loading the certificates takes longer than the rest of a client.
            verify=library.create_ssl_context(),
            limits=library.Limits(max_connections=1, keepalive_expiry=keepalive),
            proxy=proxy,
        )
        self._places = anyio.Semaphore(most, fast_acquire=True)
        self._open: set[_Line] = set()
        # Make one now, so that an unusable proxy in the environment is found at once.
        self._idle = deque([(0.0, self._another())])

    async def take(self) -> _Line:
        await self._places.acquire()
        return self._idle.pop()[1] if self._idle else self._another()

    def _another(self) -> _Line:
        line = _Line(self._new())
        self._open.add(line)
        return line

    async def give_back(self, line: _Line) -> None:
        now = asyncio.get_running_loop().time()
        self._idle.append((now, line))
        self._places.release()
        while self._idle and self._idle[0][0] < now - self._keepalive:
            _, old = self._idle.popleft()
            self._open.discard(old)
            await old.transport.aclose()

    async def aclose(self) -> None:
        while self._open:  # a request that this ends closes others on its way out
            await self._open.pop().transport.aclose()


class _Lent:
    """The caller's transport: used, not closed."""

    def __init__(self, transport: "httpx.AsyncBaseTransport") -> None:
        self._transport = transport

    async def take(self) -> _Line:
        return _Line(self._transport)

    async def give_back(self, line: _Line) -> None:
        pass

    async def aclose(self) -> None:
        pass
