"""aiohttp's connections behind httpx's interface."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from yarl import URL


class AiohttpConnections(httpx.AsyncBaseTransport):
    """
    A transport for one host.

    base_url: of the host; it decides on the environment's proxies.
    most: connections at once; who comes then waits for one.
    keepalive: seconds that an idle connection is kept.
    """

    # httpx-aiohttp would do, but for three things: it says ConnectTimeout of a line that breaks in
    # use, lets aiohttp's own error out where an answer is no HTTP, and writes tel%3A as tel:.

    def __init__(self, base_url: str, *, most: int, keepalive: float) -> None:
        connector = aiohttp.TCPConnector(
            limit=most, keepalive_timeout=keepalive, ssl=httpx.create_ssl_context()
        )
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        )
        self._proxy = _proxy(httpx.URL(base_url))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        seconds = request.extensions["timeout"]
        with _as_httpx_says():
            answer = await self._session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=[(name.decode(), value.decode()) for name, value in request.headers.raw],
                data=request.stream if request.method == "POST" else None,
                allow_redirects=False,
                proxy=self._proxy,
                timeout=aiohttp.ClientTimeout(
                    connect=seconds["pool"],
                    sock_connect=seconds["connect"],
                    sock_read=seconds["read"],
                ),
            )
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Answer(answer))

    async def aclose(self) -> None:
        await self._session.close()


class _Answer(httpx.AsyncByteStream):
    """The body of an answer; the connection is closed unless all of it was read."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx_says():
            yield await self._answer.read()

    async def aclose(self) -> None:
        self._answer.close()


@contextlib.contextmanager
def _as_httpx_says() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise  # aiohttp's say both; how far the request came is known to its body
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(type(error).__name__) from error
    except aiohttp.ClientHttpProxyError as error:
        raise httpx.ProxyError(type(error).__name__) from None
    except aiohttp.ClientError as error:
        # Not chained, as above: its words may hold what was sent, here and by the server.
        raise httpx.ReadError(type(error).__name__) from None


def _proxy(url: httpx.URL) -> str | None:
    # By itself aiohttp looks for proxies and for netrc on a thread, for each request anew.
    if proxy_bypass(url.host):
        return None
    proxies = getproxies()
    address = proxies.get(url.scheme) or proxies.get("all")
    return address if not address or "://" in address else f"http://{address}"
