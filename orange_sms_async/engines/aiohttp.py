"""Requests carried by aiohttp."""

import os
import ssl
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

import aiohttp
import certifi
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from orange_sms_async._wire import Answer
from orange_sms_async.engines.exchange import (
    CONNECTIONS,
    KEEPALIVE,
    LONGEST,
    Exchange,
    has_come,
    proxy_for,
    whole,
)

if TYPE_CHECKING:
    from asyncio import Transport

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection


class AiohttpEngine:
    """
    aiohttp's connections, or those of a connector that the caller lends.

    Args:
        base_url: where the requests go.
        transport: an `aiohttp.BaseConnector`. The engine does not close it.
        most: how many connections may be open at once.
        keepalive: seconds that an idle connection is kept.
    """

    def __init__(
        self,
        base_url: str,
        transport: object | None = None,
        *,
        most: int = CONNECTIONS,
        keepalive: float = KEEPALIVE,
    ) -> None:
        lent = cast("aiohttp.BaseConnector | None", transport)
        self._session = aiohttp.ClientSession(
            connector=lent
            or _Connector(limit=most, keepalive_timeout=keepalive, ssl=_certificates()),
            connector_owner=lent is None,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
            auto_decompress=False,  # aiohttp would use a thread, and has no limit
        )
        # By itself, aiohttp would look for proxies and netrc for each request, on a thread.
        self._proxy = proxy_for(base_url)
        base = str(URL(base_url)).rstrip("/")
        # Encoded: aiohttp would write tel%3A as tel:.
        self._url = lru_cache(maxsize=64)(lambda target: URL(base + target, encoded=True))

    async def carry(self, exchange: Exchange) -> Answer:
        response = await self._session.request(
            exchange.method,
            self._url(exchange.target),
            headers=exchange.headers,
            data=None if exchange.body is None else _Body(exchange.body, exchange),
            allow_redirects=False,
            proxy=self._proxy,
        )
        try:
            if exchange.body is not None and not exchange.left:
                raise ConnectionError("an answer came before the request left")
            exchange.head = answer = Answer(response.status, response.headers)
            answer.body = await _read(response)
            return answer
        finally:
            response.close()  # closes its connection, unless all was read

    async def aclose(self) -> None:
        await self._session.close()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    packed = response.headers.get("content-encoding")
    length = response.content_length
    if packed or length is None or length > LONGEST:
        return await whole(response.content.iter_any(), packed)
    return await response.read()  # in one piece, if it is known to be short


class _Connector(aiohttp.TCPConnector):
    """Connections. If data came on one while it was idle, it is not used again."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._used: WeakSet[ResponseHandler] = WeakSet()

    async def connect(self, *request: Any, **settings: Any) -> "Connection":
        while True:
            connection = await super().connect(*request, **settings)
            protocol = cast("ResponseHandler", connection.protocol)
            if protocol not in self._used:
                self._used.add(protocol)  # on a new one, TLS itself may have left something unread
                return connection
            # aiohttp has what it has read; the system has what came since.
            line = cast("Transport", connection.transport).get_extra_info("socket")
            if not protocol.should_close and not has_come(line):
                return connection
            connection.close()


class _Body(aiohttp.BytesPayload):
    """A body that reports when it begins to leave."""

    def __init__(self, body: bytes, exchange: Exchange) -> None:
        super().__init__(body)
        self._exchange = exchange

    async def write(self, writer: AbstractStreamWriter) -> None:
        self._leaves(writer)
        await super().write(writer)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        self._leaves(writer)
        await super().write_with_length(writer, content_length)

    def _leaves(self, writer: AbstractStreamWriter) -> None:
        if cast("Any", writer).protocol.should_close:
            raise ConnectionError("data came on the connection before the request left")
        self._exchange.leaves()


def _certificates() -> ssl.SSLContext:
    # The same as httpx uses: those of certifi, unless the environment names others.
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file or folder:
        return ssl.create_default_context(cafile=file, capath=folder)
    return ssl.create_default_context(cafile=certifi.where())
