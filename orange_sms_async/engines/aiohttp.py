"""Requests carried by aiohttp."""

import os
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import cast

import aiohttp
import certifi
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from orange_sms_async._wire import Answer
from orange_sms_async.engines.exchange import CONNECTIONS, KEEPALIVE, Exchange, proxy_for


class AiohttpEngine:
    """
    aiohttp's connections, or those of a connector that was lent.

    Args:
        base_url: where the requests go.
        transport: an `aiohttp.BaseConnector`, lent.
        most: connections open at once.
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
            or aiohttp.TCPConnector(limit=most, keepalive_timeout=keepalive, ssl=_certificates()),
            connector_owner=lent is None,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
        )
        # By itself aiohttp looks for proxies and for netrc on a thread, for each request anew.
        self._proxy = proxy_for(base_url)
        base = str(URL(base_url)).rstrip("/")
        # Encoded: aiohttp would write tel%3A as tel:.
        self._url = lru_cache(maxsize=64)(lambda target: URL(base + target, encoded=True))

    async def carry(self, exchange: Exchange) -> Answer:
        response = await self._session.request(
            exchange.method,
            self._url(exchange.target),
            headers=exchange.headers,
            data=None if exchange.body is None else _Body(exchange.body, exchange.leaves),
            allow_redirects=False,
            proxy=self._proxy,
        )
        try:
            exchange.head = Answer(response.status, response.headers)
            return Answer(response.status, response.headers, await response.read())
        finally:
            response.close()  # its connection, unless all was read

    async def aclose(self) -> None:
        await self._session.close()


class _Body(aiohttp.BytesPayload):
    """A body that tells when it begins to leave."""

    def __init__(self, body: bytes, leaves: Callable[[], None]) -> None:
        super().__init__(body)
        self._leaves = leaves

    async def write(self, writer: AbstractStreamWriter) -> None:
        self._leaves()
        await super().write(writer)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        self._leaves()
        await super().write_with_length(writer, content_length)


def _certificates() -> ssl.SSLContext:
    # As httpx has them: those of certifi, unless the environment names others.
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file or folder:
        return ssl.create_default_context(cafile=file, capath=folder)
    return ssl.create_default_context(cafile=certifi.where())
