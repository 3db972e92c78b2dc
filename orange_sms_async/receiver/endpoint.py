"""Where delivery receipts arrive: an ASGI app to mount, or to serve alone."""

import asyncio
import contextlib
import hmac
import inspect
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs

import attrs

from orange_sms_async._wire import decode_inbound, decode_receipt
from orange_sms_async.errors import InvalidReceipt
from orange_sms_async.receipts import DeliveryReceipt, InboundMessage
from orange_sms_async.receiver.sources import Address, Network, Scope, Sources, header, networks

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PATIENCE = 10.0  # seconds a whole body may take; a receipt is 200 bytes
_MANY_DIGITS = 18  # of a declared length; a longer number need not be read


class ReceiptStore(Protocol):
    """Where receipts are stored before Orange is answered. A `SendQueue` is one."""

    async def keep(self, receipt: DeliveryReceipt) -> object:
        """
        Store a receipt. It may have been stored before.

        If this raises, Orange gets a 503, and only the class of the error is logged.
        """


@attrs.frozen(kw_only=True)
class ReceiverStatistics:
    """
    How many requests came since the receiver was created, by answer.

    Attributes:
        receipts: answered 200, duplicates included.
        replies: answered 200, whether `on_inbound` was given or not.
        not_found: wrong secret or wrong source (404).
        wrong_method: anything but POST (405).
        too_slow: the body took longer than 10 seconds (408).
        too_large: the body, or its declared length, was longer than `max_body` (413).
        unreadable: neither a receipt nor a reply (400).
        not_kept: the store failed (503).
        disconnected: the client disconnected in the middle of its body (not answered).
        failed_callbacks: `on_receipt` or `on_inbound` raised; Orange got a 200.
    """

    receipts: int = 0
    replies: int = 0
    not_found: int = 0
    wrong_method: int = 0
    too_slow: int = 0
    too_large: int = 0
    unreadable: int = 0
    not_kept: int = 0
    disconnected: int = 0
    failed_callbacks: int = 0


_STATUSES = {
    "not_found": 404,
    "wrong_method": 405,
    "too_slow": 408,
    "too_large": 413,
    "unreadable": 400,
    "not_kept": 503,
}
# Answered before the body is read: the connection is closed, or the rest would have to be read.
_UNREAD = (404, 405, 408, 413)


class _Refusal(Exception):
    """What is answered instead of 200, counted under a name of `ReceiverStatistics`."""

    def __init__(self, counted: str) -> None:
        super().__init__(counted)
        self.counted = counted


class ReceiptReceiver:
    """
    An ASGI app that receives what Orange posts. Mount it in a framework, or serve it alone.

    A valid receipt is stored, answered with 200, and then passed to `on_receipt`, in this order
    and in the same call. So is a duplicate. If a callback raises, the class of the error is logged
    and the answer stays 200. A sync callback blocks the event loop. A body may take 10 seconds.

    Args:
        on_receipt: called with each `DeliveryReceipt`; may be a coroutine function.
        on_inbound: the same with each `InboundMessage` (MO). Without it, replies are only counted.
        secret: must be the last segment of the path, or `?token=`. Give several while you change
            it. None admits anyone who finds the address.
        allowed_sources: addresses and networks that Orange posts from ("203.0.113.7",
            "2001:db8::/32"); if none are given, all are allowed.
        trusted_proxies: addresses and networks of the proxies in front. X-Forwarded-For and
            Forwarded count only if the peer is one of them. The last address in them that is not a
            trusted proxy is the source. If a request has both headers, both must name an allowed
            source.
        max_body: bytes, at least 1; a receipt has about 200.
        store: where receipts are kept before they are answered. If that fails, the answer is 503:
            Orange may post the receipt again.

    Raises:
        ValueError: a secret is empty or contains a slash, an address cannot be read, or `max_body`
            is less than 1.
    """

    def __init__(
        self,
        on_receipt: Callable[[DeliveryReceipt], object],
        on_inbound: Callable[[InboundMessage], object] | None = None,
        *,
        secret: str | Iterable[str] | None = None,
        allowed_sources: Iterable[str | Address | Network] = (),
        trusted_proxies: Iterable[str | Address | Network] = (),
        max_body: int = 65_536,
        store: ReceiptStore | None = None,
    ) -> None:
        if max_body < 1:
            raise ValueError("max_body: at least 1 byte")
        self._on_receipt, self._on_inbound, self._store = on_receipt, on_inbound, store
        self._secrets = None if secret is None else _secrets(secret)
        self._sources = Sources(networks(allowed_sources), networks(trusted_proxies))
        self._max_body = max_body
        self._counts = Counter[str]()

    def statistics(self) -> ReceiverStatistics:
        """Count the requests until now."""
        return ReceiverStatistics(**self._counts)

    async def __call__(self, scope: Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            # "applications should raise an exception" -- asgi.readthedocs.io, Connection Scope
            raise ValueError("not a protocol of this app")

    async def _http(self, scope: Scope, receive: _Receive, send: _Send) -> None:
        try:
            self._let_in(scope)
            posted = _read(await self._body(scope, receive))
            await self._keep(posted)
        except _Refusal as refusal:
            self._counts[refusal.counted] += 1
            if refusal.counted in _STATUSES:
                await _answer(scope, send, _STATUSES[refusal.counted])
            return
        self._counts["receipts" if isinstance(posted, DeliveryReceipt) else "replies"] += 1
        await _answer(scope, send, 200)
        await self._hand_over(posted)

    def _let_in(self, scope: Scope) -> None:
        # Both are always checked, so that neither the answer nor its timing shows which was wrong.
        # The method comes after them, because a 405 would show that something is here.
        secret, source = self._knows_secret(scope), self._sources.allow(scope)
        if not (secret and source):
            raise _Refusal("not_found")
        if scope["method"] != "POST":
            raise _Refusal("wrong_method")

    def _knows_secret(self, scope: Scope) -> bool:
        if self._secrets is None:
            return True
        # Litestar hands on the path with a slash at its end.
        segment = scope["path"].rstrip("/").rpartition("/")[2]
        tokens = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])
        offered = [word.encode("utf-8", "surrogatepass") for word in (segment, tokens[0])]
        return any(hmac.compare_digest(a, b) for a in offered for b in self._secrets)

    async def _body(self, scope: Scope, receive: _Receive) -> bytes:
        for declared in header(scope, b"content-length"):
            long = len(declared) > _MANY_DIGITS
            if declared.isdigit() and (long or int(declared) > self._max_body):
                raise _Refusal("too_large")
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._pieces(receive)
        except TimeoutError:
            raise _Refusal("too_slow") from None

    async def _pieces(self, receive: _Receive) -> bytes:
        body, size, more = bytearray(), 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Refusal("disconnected")
            piece, more = message.get("body", b""), message.get("more_body", False)
            # An empty piece counts too: endless empty pieces would never be too large.
            size += max(len(piece), more)
            if size > self._max_body:
                raise _Refusal("too_large")
            body += piece
        return bytes(body)

    async def _keep(self, posted: DeliveryReceipt | InboundMessage) -> None:
        if self._store is None or isinstance(posted, InboundMessage):
            return
        try:
            await self._store.keep(posted)
        except Exception as error:  # noqa: BLE001 -- their store may raise anything
            told = {"event": "receipt_not_kept", "error": type(error).__name__}
            _log.error("a receipt could not be kept: %s", type(error).__name__, extra=told)
            raise _Refusal("not_kept") from None

    async def _hand_over(self, posted: DeliveryReceipt | InboundMessage) -> None:
        if isinstance(posted, DeliveryReceipt):
            await self._call("on_receipt", self._on_receipt, posted)
        elif self._on_inbound is not None:
            await self._call("on_inbound", self._on_inbound, posted)

    async def _call(self, name: str, callback: Callable[[_T], object], posted: _T) -> None:
        try:
            result = callback(posted)
            if inspect.isawaitable(result):
                await result
        except Exception as error:  # noqa: BLE001 -- their callback must not become Orange's 500
            # Its own words may contain a number, and its traceback a secret.
            self._counts["failed_callbacks"] += 1
            told = {"event": "callback_failed", "error": type(error).__name__}
            _log.error("%s raised %s", name, type(error).__name__, extra=told)


def _secrets(given: str | Iterable[str]) -> list[bytes]:
    secrets = [given] if isinstance(given, str) else list(given)
    if not secrets or not all(secrets) or any("/" in secret for secret in secrets):
        raise ValueError("secret: not empty and without a slash; secrets.token_urlsafe() makes one")
    return [secret.encode() for secret in secrets]


def _read(body: bytes) -> DeliveryReceipt | InboundMessage:
    with contextlib.suppress(InvalidReceipt, UnicodeEncodeError):
        receipt = decode_receipt(body)
        # Half a character (a surrogate) fits into no database and no file.
        f"{receipt.resource_id}{receipt.status}{receipt.address}".encode()
        return receipt
    with contextlib.suppress(InvalidReceipt):
        return decode_inbound(body)
    raise _Refusal("unreadable")


async def _answer(scope: Scope, send: _Send, status: int) -> None:
    headers = [(b"content-length", b"0")]
    if status == 405:
        headers.append((b"allow", b"POST"))
    # HTTP/2 has no such header and its libraries refuse it.
    if status in _UNREAD and scope.get("http_version", "1.1").startswith("1"):
        headers.append((b"connection", b"close"))
    # The other side may be gone. A stored receipt is passed on all the same.
    with contextlib.suppress(OSError):
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


async def _lifespan(receive: _Receive, send: _Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
