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
"""How many connections may be open at once. Further requests wait for one."""

KEEPALIVE = 5.0
"""
Seconds that an idle connection is kept.

If a connection is kept longer, Orange may close it just as a message leaves on it. The outcome of
that message is then unknown.
"""

LONGEST = 1024 * 1024
"""How many bytes of an answer are read, compressed or not. Orange's have a few hundred."""


class AnswerTooLong(ValueError):
    """An answer has more than `LONGEST` bytes."""


async def whole(chunks: AsyncIterable[bytes], coding: str | None) -> bytes:
    """
    Read a body and decompress it. At most `LONGEST` bytes of either form are held.

    Args:
        chunks: the body as it comes.
        coding: its Content-Encoding. Anything but gzip and deflate was not asked for, and is left
            as it is.

    Raises:
        AnswerTooLong: the body is longer.
        zlib.error: the body is not compressed as its Content-Encoding says.
    """
    read = io.BytesIO()
    async for chunk in chunks:
        read.write(chunk)
        del chunk  # or a traceback with locals would show it
        if read.tell() > LONGEST:
            raise AnswerTooLong
    return _unpacked(read, coding) if coding else read.getvalue()


def _unpacked(packed: io.BytesIO, coding: str) -> bytes:
    match coding.strip().lower():
        case "gzip" | "x-gzip":
            form = zlib.MAX_WBITS | 16
        case "deflate" if packed.getvalue()[:1] == b"\x78":
            form = zlib.MAX_WBITS
        case "deflate":  # without the zlib header, as some servers send it
            form = -zlib.MAX_WBITS
        case _:
            return packed.getvalue()
    unpacked = io.BytesIO(zlib.decompressobj(form).decompress(packed.getvalue(), LONGEST + 1))
    if len(unpacked.getbuffer()) > LONGEST:
        raise AnswerTooLong
    return unpacked.getvalue()


class Socket(Protocol):
    """The part of a socket that is used here."""

    def fileno(self) -> int: ...


def has_come(line: Socket) -> bool:
    """Tell whether a connection has unread data, or has ended."""
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
        target: path and query, exactly as sent on the wire.
        headers: those that the engine does not add by itself. Accept-Encoding is one of these.
        body: None for none.
        on_left: called just before the body begins to leave. If it raises, the body does not leave.
        left: whether the body has begun to leave. Until then the server has seen headers at most.
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
        Note that the body begins to leave. The engine calls this just before the first byte.

        Args:
            line: the connection, if the engine knows it and has used it before.

        Raises:
            ConnectionError: data came on the connection before, and would be taken for the answer.
        """
        if line is not None and has_come(line):
            raise ConnectionError("data came on the connection before the request left")
        if self.on_left:
            self.on_left()
        self.left = True


class Engine(Protocol):
    """
    Carries requests to one address.

    It follows no redirect and repeats no request with a body. If an exchange fails or is cancelled,
    its connection is closed, so that no later request reads the rest of its answer. For the same
    reason, a connection is not used again if data came on it between an answer and a request.
    """

    async def carry(self, exchange: Exchange) -> Answer:
        """
        Send a request and return the whole answer, decompressed. The caller limits the time.

        It calls `exchange.leaves()` and sets `exchange.head` on the way.

        Raises:
            AnswerTooLong: the body of the answer was not read to its end.
            Exception: of any class. What it means is in `exchange`, not in the class.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections and end their exchanges. A caller's transport stays open."""
        ...


def proxy_for(base_url: str) -> str | None:
    """Return the address of the proxy that the environment names for this address."""
    url = urlsplit(base_url)
    if proxy_bypass(url.hostname or ""):
        return None
    proxies = getproxies()
    address = proxies.get(url.scheme) or proxies.get("all")
    return address if not address or "://" in address else f"http://{address}"
