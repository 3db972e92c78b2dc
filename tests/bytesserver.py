"""A server that answers messages with the bytes the test says, and counts what came."""

import asyncio
import json

TOKEN = json.dumps({"access_token": "token", "expires_in": 3600})
URL = "https://api.orange.com/smsmessaging/v1/outbound/tel:+2250000/requests/81e4296d-aa"
HANG = b"(says nothing and holds the line)"


def answer(status, body="", **headers):
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines])
    return f"{head}\r\n\r\n{body}".encode()


TAKEN = answer("201 Created", Location=URL)


async def until(seen):
    """Wait for what a server is to see, for some seconds at most."""
    async with asyncio.timeout(5):
        while not seen():  # noqa: ASYNC110 -- the kernel sets no event
            await asyncio.sleep(0.002)


class BytesServer:
    """
    On a free port of this machine, for as long as the block lasts.

    host: an address of this machine; tls: what makes it speak https.
    answers: one for each message; after one in `dropping` the line is dropped. Then all are taken.
    heads: the first line of each message.
    most: connections open at once.
    """

    def __init__(self, host="127.0.0.1", tls=None):
        self.host, self.tls = host, tls
        self.answers, self.dropping = [], []
        self.heads = []
        self.open, self.most = {}, 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, self.host, ssl=self.tls)
        port = self._server.sockets[0].getsockname()[1]
        host = f"[{self.host}]" if ":" in self.host else self.host
        self.base_url = f"{'https' if self.tls else 'http'}://{host}:{port}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for writer in self.open:
            writer.close()
        if self.open:
            await asyncio.wait(self.open.values())

    async def _serve(self, reader, writer):
        self.open[writer] = asyncio.current_task()
        self.most = max(self.most, len(self.open))
        try:
            while await self._answered(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            del self.open[writer]
            writer.close()

    async def _answered(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        _, _, length = head.partition("content-length: ")
        await reader.readexactly(int(length.partition("\r\n")[0] or 0))
        if "/oauth/" in head:
            writer.write(answer("200 OK", TOKEN))
            return True
        self.heads.append(head.partition("\r\n")[0])
        said = self.answers.pop(0) if self.answers else TAKEN
        if said is HANG:
            await reader.read()
        else:
            writer.write(said)
        return said not in self.dropping and said is not HANG
