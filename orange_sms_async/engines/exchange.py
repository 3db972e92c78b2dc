"""One exchange over HTTP: whether the body began to leave, and what came back."""

import io
import select
import zlib
from collections.abc import AsyncIterable, Callable
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import attrs

from orange_sms_async._wire import Answer

CONNECTIONS = 200
"""Connections open at once, at most; a request beyond them waits for one."""

KEEPALIVE = 5.0
"""
Seconds that an idle connection is kept.

A connection kept longer may be closed by Orange just as a message leaves on it, and that message's
outcome is unknown.
"""

LONGEST = 1024 * 1024
"""Bytes of an answer, packed or not, beyond which it is not read; Orange's have some hundreds."""


class AnswerTooLong(ValueError):
    """An answer has more than `LONGEST` bytes."""


async def whole(chunks: AsyncIterable[bytes], coding: str | None) -> bytes:
    """
    Read a body and unpack it; no more than `LONGEST` bytes are held of either.

    Args:
        chunks: the body as it comes.
        coding: its Content-Encoding. What is neither gzip nor deflate was not asked for, and is
            left as it is.

    Raises:
        AnswerTooLong: it has more.
        zlib.error: it is not packed as it says.
    """
    read = io.BytesIO()
    async for chunk in chunks:
        read.write(chunk)
        del chunk  # what reports an error would show it
        if read.tell() > LONGEST:
            raise AnswerTooLong
    return _unpacked(read, coding) if coding else read.getvalue()


def _unpacked(packed: io.BytesIO, coding: str) -> bytes:
    match coding.strip().lower():
        case "gzip" | "x-gzip":
            form = zlib.MAX_WBITS | 16
        case "deflate" if packed.getvalue()[:1] == b"\x78":
            form = zlib.MAX_WBITS
        case "deflate":  # as some servers understand it
            form = -zlib.MAX_WBITS
        case _:
            return packed.getvalue()
    unpacked = io.BytesIO(zlib.decompressobj(form).decompress(packed.getvalue(), LONGEST + 1))
    if len(unpacked.getbuffer()) > LONGEST:
        raise AnswerTooLong
    return unpacked.getvalue()


class Socket(Protocol):
    """A socket, as far as it is looked at here."""

    def fileno(self) -> int: ...


def has_come(line: Socket) -> bool:
    """Tell whether something came over a line, or its end, and nobody has read it yet."""
    if (number := line.fileno()) < 0:
        return False  # closed, and not used again
    if not hasattr(select, "poll"):  # on Windows
        return bool(select.select([number], [], [], 0)[0])
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))


@attrs.define(eq=False)
class Exchange:
    """
    One request, and how far it has come.

    Attributes:
        method: "GET" or "POST".
        target: path and query, exactly as they are to stand on the wire.
        headers: those that the engine does not make by itself; which packing is understood is
            among them.
        body: None for none.
        on_left: called just before the body begins to leave; what it raises keeps it from leaving.
        left: whether the body has begun to leave. Before that the server has seen headers at most.
        head: the answer without its body, as soon as the engine has that much.
    """

    method: str
    target: str
    headers: dict[str, str] = attrs.field(repr=False)
    body: bytes | None = attrs.field(default=None, repr=False)
    on_left: Callable[[], object] | None = None
    left: bool = attrs.field(default=False, init=False)
    head: Answer | None = attrs.field(default=None, init=False)

    def leaves(self, line: Socket | None = None) -> None:
        """
        Note that the body begins to leave now; the engine says so just before the first byte.

        Args:
            line: over which it is to leave, where the engine knows it and has used it before.

        Raises:
            ConnectionError: something came over the line before: it would be taken as the answer.
        """
        if line is not None and has_come(line):
            raise ConnectionError("something came over the line before the request left")
        if self.on_left:
            self.on_left()
        self.left = True


class Engine(Protocol):
    """
    Who carries requests to one address.

    It follows no redirect and repeats no request with a body. An exchange that fails, or that is
    cancelled, closes its connection: no later request meets the rest of its answer. Nor is a
    connection used again over which anything came after an answer and before the next request.
    """

    async def carry(self, exchange: Exchange) -> Answer:
        """
        Send a request and return the whole answer, unpacked; the caller limits the time.

        Calls `exchange.leaves()` and sets `exchange.head` on the way.

        Raises:
            AnswerTooLong: the body of the answer was not read to its end.
            Exception: of whatever class. What it means is told by `exchange`, not by the class.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections, which ends the exchanges on them; a lent transport stays open."""
        ...


def proxy_for(base_url: str) -> str | None:
    """Return the address of the proxy that the environment names for this address."""
    url = urlsplit(base_url)
    if proxy_bypass(url.hostname or ""):
        return None
    proxies = getproxies()
    address = proxies.get(url.scheme) or proxies.get("all")
    return address if not address or "://" in address else f"http://{address}"
