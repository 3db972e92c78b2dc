"""Where delivery receipts arrive, and where they meet who waits for them."""

import asyncio
import contextlib
import hmac
import inspect
import logging
import math
import re
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from datetime import timedelta
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs
from weakref import WeakSet

import attrs

from orange_sms_async._wire import decode_inbound, decode_receipt
from orange_sms_async.errors import InvalidReceipt
from orange_sms_async.receipts import DeliveryReceipt, DeliveryStatus, InboundMessage

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network

_PATIENCE = 10.0  # seconds a whole body may take; a receipt is 200 bytes
_MANY_DIGITS = 18  # of a declared length, beyond which nobody needs to read the number


# -- the endpoint -------------------------------------------------------------------------------


class ReceiptStore(Protocol):
    """Where receipts are kept before Orange hears that they arrived."""

    async def keep(self, receipt: DeliveryReceipt) -> None:
        """Keep a receipt, which may be one that is kept already."""


@attrs.frozen(kw_only=True)
class ReceiverStatistics:
    """
    What was posted since the receiver was made, in numbers.

    Attributes:
        receipts: answered 200, duplicates included.
        replies: answered 200, whether `on_inbound` was given or not.
        not_found: wrong secret or wrong source (404).
        wrong_method: anything but POST (405).
        too_slow: the body took longer than 10 seconds (408).
        too_large: the body was longer than `max_body`, or said so (413).
        unreadable: neither a receipt nor a reply (400).
        not_kept: the store failed (503).
        disconnected: the other side left in the middle of its body.
        failed_callbacks: `on_receipt` or `on_inbound` raised; Orange was answered 200.
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
# Answered before the body was read: the line is closed, or the rest of it would have to be taken.
_UNREAD = (404, 405, 408, 413)


class _Refusal(Exception):
    """What is answered instead of 200, counted under a name of `ReceiverStatistics`."""

    def __init__(self, counted: str) -> None:
        super().__init__(counted)
        self.counted = counted


class ReceiptReceiver:
    """
    An ASGI app that takes what Orange posts: mount it in a framework, or serve it alone.

    A good receipt is kept in the store, answered 200, and then handed to `on_receipt`, in this
    order and in the same call; duplicates too. What goes wrong in a callback is logged by the
    name of its class and changes no answer. A sync callback holds up the event loop.

    on_receipt: called, and awaited if that is needed, with each `DeliveryReceipt`.
    on_inbound: the same with each `InboundMessage` (MO); without it, replies are only counted.
    secret: must be the last segment of the path or `?token=`; several while one replaces another.
    allowed_sources: addresses and networks Orange posts from ("203.0.113.7", "2001:db8::/32").
    trusted_proxies: the same of proxies in front. Only where the peer is one of them do
        X-Forwarded-For and Forwarded count, and of them the last address that is no trusted
        proxy; where both are there, both must name an allowed source.
    max_body: bytes.
    store: where receipts are kept before they are answered. If that fails the answer is 503:
        Orange may then post the receipt again, and is not told that it is safe here.
    """

    def __init__(
        self,
        on_receipt: Callable[[DeliveryReceipt], object],
        on_inbound: Callable[[InboundMessage], object] | None = None,
        *,
        secret: str | Iterable[str] | None = None,
        allowed_sources: Iterable[str | _Address | _Network] = (),
        trusted_proxies: Iterable[str | _Address | _Network] = (),
        max_body: int = 65_536,
        store: ReceiptStore | None = None,
    ) -> None:
        if max_body < 1:
            raise ValueError("max_body: at least 1 byte")
        self._on_receipt, self._on_inbound, self._store = on_receipt, on_inbound, store
        self._secrets = None if secret is None else _secrets(secret)
        self._sources = _Sources(_networks(allowed_sources), _networks(trusted_proxies))
        self._max_body = max_body
        self._counts = Counter[str]()

    def statistics(self) -> ReceiverStatistics:
        """Count what was posted until now."""
        return ReceiverStatistics(**self._counts)

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            # "applications should raise an exception" -- asgi.readthedocs.io, Connection Scope
            raise ValueError("not a protocol of this app")

    async def _http(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
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

    def _let_in(self, scope: _Scope) -> None:
        # Both are looked at always: neither the answer nor its time tells which was wrong. The
        # method comes after them, since 405 would tell that something is here.
        secret, source = self._knows_secret(scope), self._sources.allow(scope)
        if not (secret and source):
            raise _Refusal("not_found")
        if scope["method"] != "POST":
            raise _Refusal("wrong_method")

    def _knows_secret(self, scope: _Scope) -> bool:
        if self._secrets is None:
            return True
        # Litestar hands on the path with a slash at its end.
        segment = scope["path"].rstrip("/").rpartition("/")[2]
        tokens = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])
        offered = [word.encode("utf-8", "surrogatepass") for word in (segment, tokens[0])]
        return any(hmac.compare_digest(a, b) for a in offered for b in self._secrets)

    async def _body(self, scope: _Scope, receive: _Receive) -> bytes:
        for declared in _header(scope, b"content-length"):
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
            # An empty piece counts too: nothing, without end, would never be too large.
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
            _log.error("a receipt could not be kept: %s", type(error).__name__)
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
            # Its own words may hold a number, and its traceback a secret.
            self._counts["failed_callbacks"] += 1
            _log.error("%s raised %s", name, type(error).__name__)


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


def _header(scope: _Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key.lower() == name]


async def _answer(scope: _Scope, send: _Send, status: int) -> None:
    headers = [(b"content-length", b"0")]
    if status == 405:
        headers.append((b"allow", b"POST"))
    # HTTP/2 has no such header and its libraries refuse it.
    if status in _UNREAD and scope.get("http_version", "1.1").startswith("1"):
        headers.append((b"connection", b"close"))
    # The other side may be gone; a receipt that was kept is handed over all the same.
    with contextlib.suppress(OSError):
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


async def _lifespan(receive: _Receive, send: _Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


# -- where a request comes from -----------------------------------------------------------------


@attrs.frozen
class _Sources:
    allowed: list[_Network]
    proxies: list[_Network]

    def allow(self, scope: _Scope) -> bool:
        # A stranger may send the one header that the proxy does not write, and most proxies hand
        # it on: what is said twice must be allowed twice.
        return not self.allowed or all(_within(a, self.allowed) for a in self._claims(scope))

    def _claims(self, scope: _Scope) -> list[_Address | None]:
        peer = _address(scope["client"][0]) if scope.get("client") else None
        if not _within(peer, self.proxies):
            return [peer]
        chains = [
            read(b",".join(lines).decode("latin-1"))
            for name, read in ((b"x-forwarded-for", _forwarded_for), (b"forwarded", _forwarded))
            if (lines := _header(scope, name))
        ]
        return [self._origin(chain) for chain in chains] or [peer]

    def _origin(self, chain: list[_Address | None]) -> _Address | None:
        """Find the last that is no proxy of ours: what stands before it anybody may have sent."""
        return next((a for a in reversed(chain) if not _within(a, self.proxies)), chain[0])


def _networks(given: Iterable[str | _Address | _Network]) -> list[_Network]:
    return [ip_network(one) for one in ([given] if isinstance(given, str) else given)]


def _within(address: _Address | None, networks: list[_Network]) -> bool:
    return address is not None and any(address in network for network in networks)


# An address as proxies write it: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1],
# "[2001:db8::1]:80". "unknown" and names that hide an address (_gazonk) are none.
_NODE = re.compile(r"(?:\[([\w:.%]+)\]|([\d.]+))(?::(?:\d+|_[\w.-]+))?|([\w:.%]+)")


def _address(node: str) -> _Address | None:
    if not (found := _NODE.fullmatch(node.strip(' \t"'))):
        return None
    try:
        address = ip_address(found[1] or found[2] or found[3])
    except ValueError:
        return None
    # A socket for both families shows 192.0.2.1 as ::ffff:192.0.2.1.
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def _forwarded_for(value: str) -> list[_Address | None]:
    return [_address(node) for node in value.split(",")]


_PAIR = re.compile(
    r"""[ \t]*([\w!#$%&'*+.^`|~-]+)=("(?:[^"\\]|\\.)*"|[^\s",;\\]+)[ \t]*([;,]|\Z)"""
)


def _forwarded(value: str) -> list[_Address | None]:
    """
    Read RFC 7239: `for=192.0.2.1;proto=https, for="[2001:db8::1]:80"`.

    One mistake anywhere and all of it says nothing: a quote that a stranger left open would turn
    inside out what the proxy wrote after it.
    """
    chain: list[_Address | None] = []
    nodes: list[str] = []
    position, separator = 0, ","
    while separator:
        if not (pair := _PAIR.match(value, position)):
            return [None]
        position, separator = pair.end(), pair[3]
        if pair[1].lower() == "for":
            nodes.append(pair[2])
        if separator != ";":
            chain.append(_address(nodes[0]) if len(nodes) == 1 else None)
            nodes = []
    return chain


# -- who waits for which receipt ----------------------------------------------------------------

# From less to more: a message never goes back. Impossible says more than uncertain, and a message
# can still arrive after it (Orange); DeliveredToNetwork may be the last word or not.
_RANK: dict[str, int] = {
    status: rank
    for rank, status in enumerate(
        (
            DeliveryStatus.MESSAGE_WAITING,
            DeliveryStatus.DELIVERED_TO_NETWORK,
            DeliveryStatus.DELIVERY_UNCERTAIN,
            DeliveryStatus.DELIVERY_IMPOSSIBLE,
            DeliveryStatus.DELIVERED_TO_TERMINAL,
        )
    )
}
_MOST_OF_ONE = 100  # receipts that are remembered of one message
_BACKLOG = 10_000  # receipts a reader may be behind
_DAY = 86_400.0  # "within 24 hours" -- Orange


def _rank(receipt: DeliveryReceipt) -> int:
    return _RANK.get(receipt.status, -1)


@attrs.define(eq=False)
class _Page:
    """What Orange said of one message."""

    receipts: deque[DeliveryReceipt]
    furthest: DeliveryReceipt
    written: float = -math.inf


@attrs.frozen(kw_only=True)
class BookStatistics:
    """
    A book at one moment.

    Attributes:
        messages: of which it remembers receipts; those without a resource id count as one.
        receipts: that it remembers.
        waiting: calls of `delivered` that wait.
        readers: loops over the book.
        duplicates: receipts that said nothing new.
        missed: receipts that readers were too slow for, all readers together.
    """

    messages: int
    receipts: int
    waiting: int
    readers: int
    duplicates: int
    missed: int


class ReceiptBook:
    """
    Where receipts meet messages: in any order, doubled, or before anybody waits for them.

    `book.add` is made to be the `on_receipt` of a `ReceiptReceiver`. Use a book in one event loop;
    `history` and `furthest` may be asked from threads.

    `async for receipt in book` goes over the receipts as they arrive from then on, each once,
    without end. Every loop is a reader of its own. One that is 10,000 behind misses the oldest of
    them, which `statistics` counts.

    max_age: after its last new receipt a message is remembered so long, on the loop's clock.
    capacity: receipts; beyond it, the message without a new one for longest is forgotten. What is
        forgotten is new when it comes again. Of one message 100 receipts are remembered.
    """

    def __init__(self, max_age: timedelta = timedelta(hours=24), capacity: int = 100_000) -> None:
        if max_age <= timedelta(0):
            raise ValueError("max_age: more than no time")
        if capacity < 1:
            raise ValueError("capacity: at least 1 receipt")
        self._max_age, self._capacity = max_age.total_seconds(), capacity
        self._pages = OrderedDict[str, _Page]()
        self._kept = self._duplicates = self._missed = 0
        self._waiting: dict[str, list[asyncio.Future[DeliveryReceipt]]] = {}
        # A loop that is left drops its reader, and has no other way to say so.
        self._readers = WeakSet[_Reader]()
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, receipt: DeliveryReceipt) -> None:
        """Enter a receipt and wake who waits for it; one that says nothing new changes nothing."""
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._forget(now)
        page = self._page(receipt)
        # Without a resource id, two messages to one number look like a duplicate.
        if receipt.resource_id and receipt in page.receipts:
            self._duplicates += 1
            return
        self._enter(page, receipt, now)
        self._forget(now)
        for reader in list(self._readers):
            self._missed += reader.put(receipt)
        if receipt.is_final:
            self._wake(receipt.resource_id, page.furthest)

    async def delivered(self, resource_id: str, timeout: float = _DAY) -> DeliveryReceipt:
        """
        Wait for the first final receipt of a message; its `delivered` tells whether it arrived.

        Where there are several already, it is the one that goes furthest. DeliveryImpossible is
        final here though DeliveredToTerminal may follow when the phone comes back: `furthest`
        knows then.

        timeout: seconds; Orange reports within 24 hours, or not at all.

        Raises:
            TimeoutError: none came; the message may have been delivered all the same.
        """
        if not 0 <= timeout < math.inf:
            raise ValueError("timeout: a finite number of seconds")
        if (known := self.furthest(resource_id)) and known.is_final:
            return known
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(resource_id, []).append(future)
        try:
            await asyncio.wait({future}, timeout=timeout)
        finally:
            self._leave(resource_id, future)
        if not future.done():
            raise TimeoutError("no final receipt came in time")
        receipt: DeliveryReceipt = future.result()
        return receipt

    def furthest(self, resource_id: str) -> DeliveryReceipt | None:
        """Tell how far a message is known to have come; None for "", which is no message."""
        page = self._remembered(resource_id)
        return page.furthest if page and resource_id else None

    def history(self, resource_id: str) -> list[DeliveryReceipt]:
        """List a message's receipts as they arrived, duplicates left out; of "", all."""
        page = self._remembered(resource_id)
        return list(page.receipts) if page else []

    def statistics(self) -> BookStatistics:
        """Describe the book as it is now."""
        return BookStatistics(
            messages=len(self._pages),
            receipts=self._kept,
            waiting=sum(map(len, self._waiting.values())),
            readers=len(self._readers),
            duplicates=self._duplicates,
            missed=self._missed,
        )

    def __aiter__(self) -> AsyncIterator[DeliveryReceipt]:
        reader = _Reader()
        self._readers.add(reader)
        return reader

    def _page(self, receipt: DeliveryReceipt) -> _Page:
        room = min(_MOST_OF_ONE, self._capacity)
        new = _Page(deque[DeliveryReceipt](maxlen=room), receipt)
        return self._pages.setdefault(receipt.resource_id, new)

    def _enter(self, page: _Page, receipt: DeliveryReceipt, now: float) -> None:
        self._kept += len(page.receipts) != page.receipts.maxlen
        page.receipts.append(receipt)
        page.furthest = max(page.furthest, receipt, key=_rank)
        page.written = now
        self._pages.move_to_end(receipt.resource_id)

    def _forget(self, now: float) -> None:
        # A message is forgotten as a whole: without its better half it would go back.
        while self._pages:
            oldest = next(iter(self._pages.values()))
            if self._kept <= self._capacity and now - oldest.written <= self._max_age:
                return
            self._pages.popitem(last=False)
            self._kept -= len(oldest.receipts)

    def _remembered(self, resource_id: str) -> _Page | None:
        page = self._pages.get(resource_id)
        if page is None or self._loop is None or self._loop.time() - page.written > self._max_age:
            return None
        return page

    def _wake(self, resource_id: str, furthest: DeliveryReceipt) -> None:
        if not resource_id:
            return  # "" names no message: nobody's
        for future in self._waiting.get(resource_id, ()):
            if not future.done():
                future.set_result(furthest)

    def _leave(self, resource_id: str, future: asyncio.Future[DeliveryReceipt]) -> None:
        waiting = self._waiting[resource_id]
        waiting.remove(future)
        if not waiting:
            del self._waiting[resource_id]


class _Reader:
    """One loop over a book."""

    def __init__(self) -> None:
        self._receipts = deque[DeliveryReceipt](maxlen=_BACKLOG)
        self._arrived = asyncio.Event()

    def put(self, receipt: DeliveryReceipt) -> bool:
        """Take a receipt; tell whether another was dropped for it."""
        full = len(self._receipts) == _BACKLOG
        self._receipts.append(receipt)
        self._arrived.set()
        return full

    def __aiter__(self) -> AsyncIterator[DeliveryReceipt]:
        return self

    async def __anext__(self) -> DeliveryReceipt:
        while not self._receipts:
            self._arrived.clear()
            await self._arrived.wait()
        return self._receipts.popleft()
