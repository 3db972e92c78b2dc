"""A wire to a PostgreSQL that loses answers: what was asked for is done, and nobody hears of it."""

import asyncio
import contextlib
import ssl
from types import TracebackType
from typing import Self

_KEY = b"K\0\0\0\x0c"  # BackendKeyData, which the number follows


class LossyWire:
    """
    Passes everything on, on a port of its own.

    lose: cut the connection instead of passing an answer on, for the next so many questions that
        hold `word`.
    tls: what makes it speak TLS, as the server behind it may not be able to.
    pooler: make up the number of the server's process, as a pooler does.
    cut: take no connection and drop those there are, until it is mended.
    """

    def __init__(
        self, port: int, *, pooler: bool = False, tls: ssl.SSLContext | None = None
    ) -> None:
        self._to, self._pooler, self._tls = port, pooler, tls
        self._lose, self._word = 0, b""
        self._writers = set[asyncio.StreamWriter]()
        self._tasks = set[asyncio.Task[None]]()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        self._drop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def lose(self, word: str, times: int = 1) -> None:
        self._word, self._lose = word.encode(), times

    def cut(self) -> None:
        self._cut = True
        self._drop()

    def mend(self) -> None:
        self._cut = False

    _cut = False

    def _drop(self) -> None:
        for writer in self._writers:
            writer.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.close()
            return
        if self._tls:
            await reader.readexactly(8)  # SSLRequest
            writer.write(b"S")
            await writer.start_tls(self._tls)
        there, to_there = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, to_there}
        lost = asyncio.Event()
        for passing in (self._ask(reader, to_there, lost), self._answer(there, writer, lost)):
            task = asyncio.create_task(passing)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        # A statement is prepared once under a name, and executed by that name.
        names = set[bytes]()
        while words := await _read(reader):
            if words.startswith(b"P") and self._word and self._word in words:
                names.add(words[5:].split(b"\0")[0])
            if words.startswith(b"B") and self._lose and words[5:].split(b"\0")[1] in names:
                self._lose -= 1
                lost.set()
            writer.write(words)
        writer.close()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        while words := await _read(reader):
            if lost.is_set():
                break
            if self._pooler and _KEY in words:
                at = words.index(_KEY) + len(_KEY)
                words = words[:at] + b"\0\0\0\1" + words[at + 4 :]
            writer.write(words)
        writer.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    with contextlib.suppress(OSError):
        return await reader.read(65536)
    return b""
