"""Orange's API as documented: one method an operation."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from functools import lru_cache, partial
from types import TracebackType
from typing import Literal, Self, cast
from urllib.parse import quote, urlencode

import httpx

from orange_sms_async import _wire
from orange_sms_async.account import Contract, PurchaseOrder, UsageStatistics
from orange_sms_async.auth import AccessToken, ClientCredentials, SharedToken
from orange_sms_async.engines.httpx import Connections
from orange_sms_async.errors import (
    ConnectionFailed,
    OrangeSMSError,
    OutcomeUnknown,
    TokenExpired,
)
from orange_sms_async.messages import OutboundMessage, SentMessage
from orange_sms_async.pacing import Departure, departure, of_account

_BASE_URL = "https://api.orange.com"
_ENVIRONMENT = "ORANGE_SMS_"
_CONNECTIONS = 200
# httpx's own 5 seconds of keep-alive: a connection kept longer may be closed by Orange just as a
# message leaves on it, and that message's outcome is unknown.
_KEEPALIVE = 5.0
_MARGIN = 60.0  # seconds before its end in which a token is renewed
_NEVER_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
# httpx lets ssl's own error out where a line in use breaks.
_LOST = (httpx.RequestError, ssl.SSLError)


class Client:
    """
    Orange's operations, one HTTP request each. Use it in `async with`, as often as you like.

    credentials: of the application; every request shares its one token.
    base_url: where Orange is; a sandbox's address to develop against.
    timeout: seconds for a whole request, or an `httpx.Timeout` for its parts.
    engine: who carries the requests. "aiohttp" takes a third of the processor's time, and needs
        the extra of that name: `pip install 'orange-sms-async[aiohttp]'`.
    transport: any `httpx.AsyncBaseTransport`, for tests and what no engine does. It stays yours:
        the client never closes it.
    rate: messages a second that the account may send; `math.inf` for no pacing. Orange: "limited
        to 5 SMS per second".

    Attributes:
        pacer: paces every queue on this client, and on others of the same account (base URL and
            client id) in this process.

    Raises:
        ImportError: the engine is not installed.
        ValueError: base_url is no http or https address, there is no such engine, or another
            client of this account has another rate.
    """

    def __init__(
        self,
        credentials: ClientCredentials,
        *,
        base_url: str = _BASE_URL,
        timeout: float | httpx.Timeout = 30.0,
        engine: Literal["httpx", "aiohttp"] = "httpx",
        transport: httpx.AsyncBaseTransport | None = None,
        rate: float = 5.0,
    ) -> None:
        self._credentials = credentials
        self._base_url = _checked(base_url)
        self.pacer = of_account((self._base_url, credentials.id), rate)
        self._timeout = timeout
        self._connect = partial(_Borrowed, transport) if transport else _connect(engine, base_url)
        self._token = SharedToken(self._fetch_token)
        self._transport: httpx.AsyncBaseTransport | None = None

    @classmethod
    def from_env(cls, *, rate: float = 5.0) -> Self:
        """
        Make a client from the environment.

        ORANGE_SMS_AUTHORIZATION ("Basic …"), or ORANGE_SMS_CLIENT_ID and ORANGE_SMS_CLIENT_SECRET;
        ORANGE_SMS_BASE_URL where it is not Orange's own.

        rate: messages a second that the account may send.

        Raises:
            ValueError: names the variable that is missing or wrong.
        """
        env = {
            name.removeprefix(_ENVIRONMENT): value
            for name, value in os.environ.items()
            if name.startswith(_ENVIRONMENT) and value
        }
        credentials = _credentials(env)
        try:
            return cls(credentials, base_url=env.get("BASE_URL", _BASE_URL), rate=rate)
        except ValueError as error:
            raise ValueError(f"{_ENVIRONMENT}BASE_URL: {error}") from None

    def __repr__(self) -> str:
        return f"<Client {self._base_url}>"

    @property
    def timeout(self) -> float:
        """Seconds that a request takes at most; infinite where a part has no limit."""
        if not isinstance(self._timeout, httpx.Timeout):
            return self._timeout
        parts = self._timeout.as_dict().values()
        return sum(float("inf") if part is None else part for part in parts)

    async def __aenter__(self) -> Self:
        if self._transport is not None:
            raise RuntimeError("this Client is inside an `async with` already")
        self._transport = self._connect()
        http = httpx.AsyncClient(
            base_url=self._base_url,
            headers={"Accept": "application/json"},
            timeout=self._timeout if isinstance(self._timeout, httpx.Timeout) else None,
            transport=self._transport,
        )
        # An address and what is the same in all requests to it take httpx longer to put together
        # than a request to send; those to remember are the senders of some countries.
        self._blank = lru_cache(maxsize=64)(partial(http.build_request, "GET"))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    # -- messages -------------------------------------------------------------------------------

    async def ready(self) -> None:
        """
        Hold a token that does not end within a minute.

        The request for it leaves its connection open to the next one, for five seconds.

        Raises:
            NotSent: no token could be had now.
            Refused: Orange refuses the credentials or the application.
        """
        await self._token.get(_MARGIN)

    async def attempt(self, message: OutboundMessage) -> SentMessage:
        """
        Post a message once, whatever comes of it. `SendQueue` is made of these.

        Raises:
            NotSent: Orange certainly did not take it: attempt it again.
            Refused: it will be refused again.
            OutcomeUnknown: it may have been sent; another attempt may double it.
        """
        if leaving := departure.get():
            leaving.expect()
        token = await self._token.get()
        body = _Body(_wire.send_request(message), leaving)
        answer = await self._request(
            "POST",
            f"/smsmessaging/v1/outbound/{quote(message.sender_address, safe='')}/requests"
            # Orange, Getting started, 3.3
            + ("?resource_type_parameter_management=SMS_OCB2" if message.on_net else ""),
            headers={"Authorization": f"Bearer {token.value}", "Content-Type": "application/json"},
            body=body,
            lost=OutcomeUnknown,
        )
        if answer.status == 201:
            token.proven = True
            return _wire.sent_message(answer)
        private = (message.text, message.to.removeprefix("+"), token.value)
        raise self._refusal(answer, token, private=private, repeatable=False)

    async def send(self, message: OutboundMessage) -> SentMessage:
        """
        Send one message now, not paced: more than 5 a second are `Throttled`, so use `SendQueue`.

        It is posted a second time only when Orange refused the token, never otherwise.

        Raises:
            NotSent: Orange certainly did not take it: send it again, later.
            Refused: it will be refused again.
            OutcomeUnknown: it may have been sent; sending again may double it.
        """
        await self.ready()
        try:
            return await self.attempt(message)
        except TokenExpired:
            return await self.attempt(message)

    # -- account --------------------------------------------------------------------------------

    async def contracts(self, *, country: str | None = None) -> list[Contract]:
        """
        Tell the balance of each country and offer (Getting started, 5.1).

        country: ISO-3166 alpha-3, such as "CIV".

        Raises:
            NotSent: no answer could be had: ask again.
            Refused: Orange refuses the credentials or the application.
        """
        return _wire.contracts(await self._read("contracts", {"country": country}))

    async def statistics(
        self, *, country: str | None = None, app_id: str | None = None
    ) -> list[UsageStatistics]:
        """
        Tell the SMS used, one row per service, country and application (Getting started, 5.3).

        Raises: as `contracts`.
        """
        filters = {"country": country, "appid": app_id}
        return _wire.usage_statistics(await self._read("statistics", filters))

    async def purchase_orders(self, *, country: str | None = None) -> list[PurchaseOrder]:
        """
        Tell the bundles bought, in the order Orange gives them (Getting started, 5.2).

        Raises: as `contracts`.
        """
        return _wire.purchase_orders(await self._read("purchaseorders", {"country": country}))

    # -- under them -----------------------------------------------------------------------------

    async def _read(self, name: str, filters: Mapping[str, str | None]) -> _wire.Answer:
        await self.ready()
        try:
            return await self._read_once(name, filters)
        except TokenExpired:
            return await self._read_once(name, filters)

    async def _read_once(self, name: str, filters: Mapping[str, str | None]) -> _wire.Answer:
        token = await self._token.get()
        query = urlencode({key: value for key, value in filters.items() if value is not None})
        answer = await self._request(
            "GET",
            f"/sms/admin/v1/{name}{f'?{query}' if query else ''}",
            headers={"Authorization": f"Bearer {token.value}"},
        )
        if answer.status == 200:
            token.proven = True
            return answer
        raise self._refusal(answer, token, private=(token.value,), repeatable=True)

    def _refusal(
        self,
        answer: _wire.Answer,
        token: AccessToken,
        *,
        private: tuple[str, ...],
        repeatable: bool,
    ) -> OrangeSMSError:
        error = _wire.refusal(
            answer, repeatable=repeatable, fresh_token=not token.proven, private=private
        )
        if answer.status == 401 or isinstance(error, TokenExpired):
            self._token.refused(token)
        elif answer.status < 500:
            token.proven = True  # the gateway looks at the token first and had nothing against it
        return error

    async def _fetch_token(self) -> AccessToken:
        answer = await self._request(
            "POST",
            "/oauth/v3/token",
            headers={
                "Authorization": self._credentials.header,
                "Content-Type": "application/x-www-form-urlencoded",
            },
            body=_Body(b"grant_type=client_credentials"),
        )
        if answer.status == 200:
            return AccessToken(*_wire.access_token(answer))
        _, _, basic = self._credentials.header.partition(" ")
        private = (self._credentials.id, self._credentials.secret, basic)
        raise _wire.token_refusal(answer, private=private)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str],
        body: "_Body | None" = None,
        lost: type[OrangeSMSError] = ConnectionFailed,
    ) -> _wire.Answer:
        """Raise `lost` when the request left and no answer came."""
        if self._transport is None:
            raise RuntimeError("use a Client inside `async with Client(…) as client:`")
        if body:
            headers["Content-Length"] = str(len(body.content))
        blank = self._blank(path)
        own = [(name.encode(), value.encode()) for name, value in headers.items()]
        request = httpx.Request(
            method,
            blank.url,
            headers=[*blank.headers.raw, *own],
            stream=body,
            extensions=blank.extensions,
        )
        try:
            return await self._exchange(self._transport, request)
        except _NEVER_LEFT as error:
            # httpx-aiohttp, if lent, says ConnectTimeout also of a line that breaks in use.
            if not (isinstance(error, httpx.ConnectTimeout) and body and body.left):
                raise ConnectionFailed(f"no connection to {self._base_url}") from error
            raise lost("the connection was lost") from None
        except TimeoutError:
            raise (lost if body and body.left else ConnectionFailed)("no answer in time") from None
        except _LOST as error:
            # Not its own words: they may hold what the server sent, and so what we sent.
            raise lost(f"the connection was lost ({type(error).__name__})") from None

    async def _exchange(
        self, transport: httpx.AsyncBaseTransport, request: httpx.Request
    ) -> _wire.Answer:
        response = None
        # A number limits the whole; an httpx.Timeout limits each part by itself.
        whole = None if isinstance(self._timeout, httpx.Timeout) else self._timeout
        try:
            async with asyncio.timeout(whole):
                response = await transport.handle_async_request(request)
                body = await _read(response)
                return _wire.Answer(response.status_code, response.headers, body)
        except (TimeoutError, *_LOST):
            # What came before the line broke still counts where no body is needed to read it.
            if response is None or response.status_code not in (201, 401, 429):
                raise
            return _wire.Answer(response.status_code, response.headers, b"")
        finally:
            if response is not None:
                await response.aclose()


class _Body(httpx.AsyncByteStream):
    """A request's body that knows whether the transport has begun to send it, and tells so."""

    def __init__(self, content: bytes, leaving: Departure | None = None) -> None:
        self.content = content
        self.left = False
        self._leaving = leaving

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.left = True
        if self._leaving:
            self._leaving.tell()
        yield self.content


class _Borrowed(httpx.AsyncBaseTransport):
    """Somebody else's transport: used, not closed."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._transport.handle_async_request(request)


def _connect(engine: str, base_url: str) -> Callable[[], httpx.AsyncBaseTransport]:
    if engine == "httpx":
        return partial(Connections, most=_CONNECTIONS, keepalive=_KEEPALIVE)
    if engine != "aiohttp":
        raise ValueError('engine: "httpx" or "aiohttp"')
    try:
        from orange_sms_async.engines.aiohttp import AiohttpConnections  # noqa: PLC0415 -- an extra
    except ImportError as error:
        raise ImportError("engine: pip install 'orange-sms-async[aiohttp]'") from error
    return partial(AiohttpConnections, base_url, most=_CONNECTIONS, keepalive=_KEEPALIVE)


async def _read(response: httpx.Response) -> bytes:
    # What httpx does to unpack an answer takes longer than to read it.
    if response.is_stream_consumed or "content-encoding" in response.headers:
        return await response.aread()
    stream = cast("httpx.AsyncByteStream", response.stream)
    return b"".join([chunk async for chunk in stream])


def _checked(base_url: str) -> str:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        url = httpx.URL()
    # A name or password in it would stand in reprs and errors. No system knows of a higher port.
    no_port = (url.port or 0) > 65_535
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or no_port:
        raise ValueError("base_url: an http:// or https:// address without name and password")
    return base_url


def _credentials(env: Mapping[str, str]) -> ClientCredentials:
    if header := env.get("AUTHORIZATION"):
        try:
            return ClientCredentials.from_header(header)
        except ValueError as error:
            raise ValueError(f"{_ENVIRONMENT}AUTHORIZATION: {error}") from None
    for name in ("CLIENT_ID", "CLIENT_SECRET"):
        if name not in env:
            raise ValueError(f"{_ENVIRONMENT}{name} is not set, nor {_ENVIRONMENT}AUTHORIZATION")
    return ClientCredentials(env["CLIENT_ID"], env["CLIENT_SECRET"])
