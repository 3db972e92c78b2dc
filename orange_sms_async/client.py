"""Orange's API as documented: one method for each operation."""

import os
from collections.abc import Mapping
from functools import lru_cache
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote, urlencode, urlsplit

from orange_sms_async import _wire, engines
from orange_sms_async.account import Contract, PurchaseOrder, UsageStatistics
from orange_sms_async.auth import AccessToken, ClientCredentials, SharedToken
from orange_sms_async.deadlines import Deadlines, Limit
from orange_sms_async.engines.exchange import AnswerTooLong, Engine, Exchange
from orange_sms_async.errors import (
    ConnectionFailed,
    OrangeSMSError,
    OutcomeUnknown,
    TokenExpired,
)
from orange_sms_async.messages import OutboundMessage, SentMessage
from orange_sms_async.pacing import departure, of_account

_BASE_URL = "https://api.orange.com"
_ENVIRONMENT = "ORANGE_SMS_"
_MARGIN = 60.0  # seconds before its expiry at which a token is renewed


class Client:
    """
    Orange's operations, one HTTP request each.

    Use it in `async with`. You can open it again after closing it.

    Args:
        credentials: of the application. All requests share one token.
        base_url: Orange's address, or the address of a sandbox.
        timeout: seconds that a whole request may take, from waiting for a connection to the end of
            the answer.
        engine: which HTTP library is used. "aiohttp" needs a third of the processor time of
            "httpx". "httpx2" and "aiohttp" need the extra of that name:
            `pip install 'orange-sms-async[aiohttp]'`.
        transport: a transport of that library, for tests or for anything the engine cannot do: an
            `AsyncBaseTransport` of httpx or httpx2, a `BaseConnector` of aiohttp. The client never
            closes it.
        rate: messages a second that the account may send; `math.inf` for no pacing. Orange:
            "limited to 5 SMS per second".

    Attributes:
        pacer: paces all queues on this client, and on other clients of the same account (base URL
            and client id) in this process.
        timeout: seconds that a whole request may take.

    Raises:
        ImportError: the engine is not installed.
        ValueError: `base_url` is not an http or https address, there is no such engine, or another
            client of this account has a different rate.
    """

    def __init__(
        self,
        credentials: ClientCredentials,
        *,
        base_url: str = _BASE_URL,
        timeout: float = 30.0,
        engine: Literal["httpx", "httpx2", "aiohttp"] = "httpx",
        transport: object | None = None,
        rate: float = 5.0,
    ) -> None:
        self._credentials = credentials
        self._base_url = _checked(base_url)
        self._open = engines.opener(engine, base_url, transport)
        self.pacer = of_account((base_url, credentials.id), rate)
        self.timeout = timeout
        self._token = SharedToken(self._fetch_token, self.pacer.account)
        self._engine: Engine | None = None

    @classmethod
    def from_env(cls, *, rate: float = 5.0) -> Self:
        """
        Make a client from environment variables.

        It reads ORANGE_SMS_AUTHORIZATION ("Basic …"), or ORANGE_SMS_CLIENT_ID and
        ORANGE_SMS_CLIENT_SECRET. ORANGE_SMS_BASE_URL replaces Orange's address.

        Args:
            rate: messages a second that the account may send.

        Raises:
            ValueError: a variable is missing or wrong; the error names it.
        """
        credentials = _credentials()
        try:
            return cls(credentials, base_url=_variable("BASE_URL") or _BASE_URL, rate=rate)
        except ValueError as error:
            raise ValueError(f"{_ENVIRONMENT}BASE_URL: {error}") from None

    def __repr__(self) -> str:
        return f"<Client {self._base_url}>"

    async def __aenter__(self) -> Self:
        if self._engine is not None:
            raise RuntimeError("this Client is already inside an `async with`")
        self._engine, self._deadlines = self._open(), Deadlines()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.aclose()

    # -- messages -------------------------------------------------------------------------------

    async def ready(self) -> None:
        """
        Make sure there is a token that is valid for at least a minute.

        If a token is requested, its connection stays open for five seconds, for the next request.

        Raises:
            NotSent: no token can be had now.
            Refused: Orange refuses the credentials or the application.
        """
        await self._token.get(_MARGIN)

    async def attempt(self, message: OutboundMessage) -> SentMessage:
        """
        Post a message exactly once. `SendQueue` calls this for each attempt.

        Raises:
            NotSent: Orange certainly did not take it: attempt it again.
            Refused: it will be refused again.
            OutcomeUnknown: it may have been sent. After another attempt, it may arrive twice.
        """
        if leaving := departure.get():
            leaving.expect()
        else:
            self.pacer.account.sends(message.to, None)  # a queue notes its own messages
        token = await self._token.get()
        exchange = Exchange(
            "POST",
            _outbound(message.sender_address, on_net=message.on_net),
            _headers(f"Bearer {token.value}", "application/json"),
            _wire.send_request(message),
            leaving.tell if leaving else None,
        )
        answer = await self._request(exchange, lost=OutcomeUnknown)
        if answer.status == 201:
            token.proven = True
            return _wire.sent_message(answer)
        private = _wire.Private(message.text, message.to.removeprefix("+"), token.value)
        raise self._refusal(answer, token, private=private, repeatable=False)

    async def send(self, message: OutboundMessage) -> SentMessage:
        """
        Send one message now, without pacing. Above 5 a second Orange throttles: use `SendQueue`.

        The message is posted a second time only if Orange refused the token.

        Raises:
            NotSent: Orange certainly did not take it. Send it again later.
            Refused: Orange would refuse it again.
            OutcomeUnknown: it may have been sent. If you send it again, it may arrive twice.
        """
        await self.ready()
        try:
            return await self.attempt(message)
        except TokenExpired:
            return await self.attempt(message)

    # -- account --------------------------------------------------------------------------------

    async def contracts(self, *, country: str | None = None) -> list[Contract]:
        """
        Return the balance of each country and offer (Getting started, 5.1).

        Args:
            country: ISO-3166 alpha-3, such as "CIV".

        Raises:
            NotSent: there was no answer. Ask again.
            Refused: Orange refuses the credentials or the application.
        """
        return _wire.contracts(await self._read("contracts", {"country": country}))

    async def statistics(
        self, *, country: str | None = None, app_id: str | None = None
    ) -> list[UsageStatistics]:
        """
        Return the SMS used, one row per service, country and application (Getting started, 5.3).

        Args:
            country: ISO-3166 alpha-3, such as "CIV".
            app_id: id of one application, as Orange's portal shows it.

        Raises:
            NotSent: there was no answer. Ask again.
            Refused: Orange refuses the credentials or the application.
        """
        filters = {"country": country, "appid": app_id}
        return _wire.usage_statistics(await self._read("statistics", filters))

    async def purchase_orders(self, *, country: str | None = None) -> list[PurchaseOrder]:
        """
        Return the bundles bought, in Orange's order (Getting started, 5.2).

        Args:
            country: ISO-3166 alpha-3, such as "CIV".

        Raises:
            NotSent: there was no answer. Ask again.
            Refused: Orange refuses the credentials or the application.
        """
        return _wire.purchase_orders(await self._read("purchaseorders", {"country": country}))

    # -- requests -------------------------------------------------------------------------------

    async def _read(self, name: str, filters: Mapping[str, str | None]) -> _wire.Answer:
        await self.ready()
        try:
            return await self._read_once(name, filters)
        except TokenExpired:
            return await self._read_once(name, filters)

    async def _read_once(self, name: str, filters: Mapping[str, str | None]) -> _wire.Answer:
        token = await self._token.get()
        query = urlencode({key: value for key, value in filters.items() if value is not None})
        target = f"/sms/admin/v1/{name}{f'?{query}' if query else ''}"
        answer = await self._request(Exchange("GET", target, _headers(f"Bearer {token.value}")))
        if answer.status == 200:
            token.proven = True
            return answer
        raise self._refusal(answer, token, private=_wire.Private(token.value), repeatable=True)

    def _refusal(
        self,
        answer: _wire.Answer,
        token: AccessToken,
        *,
        private: _wire.Private,
        repeatable: bool,
    ) -> OrangeSMSError:
        error = _wire.refusal(
            answer, repeatable=repeatable, fresh_token=not token.proven, private=private
        )
        if answer.status == 401 or isinstance(error, TokenExpired):
            self._token.refused(token)
        elif answer.status < 500:
            token.proven = True  # the gateway checks the token first, so it has accepted it
        return error

    async def _fetch_token(self) -> AccessToken:
        exchange = Exchange(
            "POST",
            "/oauth/v3/token",
            _headers(self._credentials.header, "application/x-www-form-urlencoded"),
            b"grant_type=client_credentials",
        )
        answer = await self._request(exchange)
        if answer.status == 200:
            return AccessToken(*_wire.access_token(answer))
        private = _wire.Private(
            self._credentials.id,
            self._credentials.secret,
            self._credentials.header.removeprefix("Basic "),
        )
        raise _wire.token_refusal(answer, private=private)

    async def _request(
        self, exchange: Exchange, *, lost: type[OrangeSMSError] = ConnectionFailed
    ) -> _wire.Answer:
        """Return the answer; raise `lost` if the body began to leave and no answer came."""
        if self._engine is None:
            raise RuntimeError("use a Client inside `async with Client(…) as client:`")
        try:
            with Limit(self._deadlines, self.timeout):
                return await self._engine.carry(exchange)
        except Exception as error:  # the class matters less than how far the exchange got
            # The head may have come before the connection broke: these statuses need no body.
            if exchange.head and exchange.head.status in (201, 401, 429):
                return exchange.head
            failed = lost if exchange.left else ConnectionFailed
            if isinstance(error, TimeoutError):
                raise failed("no answer in time") from None
            if exchange.body and not exchange.left:
                raise ConnectionFailed(f"no connection to {self._base_url}") from error
            if isinstance(error, AnswerTooLong):
                raise failed("the answer is longer than 1 MiB") from None
            # The error's own words are left out: they may repeat what the server or we sent.
            words = (
                "the connection was lost" if exchange.left else f"no answer from {self._base_url}"
            )
            raise failed(f"{words} ({type(error).__name__})") from None


def _headers(authorization: str, content_type: str | None = None) -> dict[str, str]:
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
        "Authorization": authorization,
    }
    return headers | {"Content-Type": content_type} if content_type else headers


@lru_cache(maxsize=64)  # more than all countries' senders
def _outbound(sender_address: str, *, on_net: bool) -> str:
    path = f"/smsmessaging/v1/outbound/{quote(sender_address, safe='')}/requests"
    # Orange, Getting started, 3.3
    return path + ("?resource_type_parameter_management=SMS_OCB2" if on_net else "")


def _checked(base_url: str) -> str:
    try:
        url = urlsplit(base_url)
        _ = url.port  # raises ValueError if it is not a port
    except ValueError:
        url = urlsplit("")
    # A name or password in it would show in reprs and errors.
    usable = url.scheme in ("http", "https") and url.hostname and "@" not in url.netloc
    if not usable or not base_url.isprintable():
        raise ValueError(
            "base_url: must start with http:// or https://, without user name or password"
        )
    return base_url


def _variable(name: str) -> str | None:
    return os.environ.get(_ENVIRONMENT + name)


def _credentials() -> ClientCredentials:
    if _variable("AUTHORIZATION"):
        try:
            return ClientCredentials.from_header(_variable("AUTHORIZATION") or "")
        except ValueError as error:
            raise ValueError(f"{_ENVIRONMENT}AUTHORIZATION: {error}") from None
    for name in ("CLIENT_ID", "CLIENT_SECRET"):
        if not _variable(name):
            raise ValueError(f"{_ENVIRONMENT}{name} is not set, nor {_ENVIRONMENT}AUTHORIZATION")
    return ClientCredentials(_variable("CLIENT_ID") or "", _variable("CLIENT_SECRET") or "")
