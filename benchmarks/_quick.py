"""A server that accepts every message at once, so that only the sender is measured."""

import asyncio
import contextlib
import json
import socket
import sys

from _process import Process

_TOKEN = json.dumps({"token_type": "Bearer", "access_token": "x" * 600, "expires_in": "3600"})
_SENT = """{"outboundSMSMessageRequest":{"address":["tel:+2250701020304"],\
"senderAddress":"tel:+2250000","outboundSMSTextMessage":{"message":"Bonjour"},"resourceURL":\
"https://api.orange.com/smsmessaging/v1/outbound/tel:+2250000/requests/%08d"}}"""


class Quick(Process):
    """A process that counts the messages it took; `taken` is there once it has ended."""

    def __init__(self) -> None:
        super().__init__(__file__)

    @property
    def taken(self) -> int:
        return int(self.output)


class _Connection(asyncio.Protocol):
    """Reads no more of HTTP/1.1 than where a request ends; each message gets the next number."""

    taken = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._unread = transport, b""

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while (end := self._unread.find(b"\r\n\r\n")) >= 0:
            head = self._unread[:end]
            _, _, after = head.lower().partition(b"content-length:")
            end += 4 + int(after.partition(b"\r\n")[0])
            if len(self._unread) < end:
                break
            self._unread = self._unread[end:]
            self._transport.write(self._answer(head))  # type: ignore[attr-defined]

    def _answer(self, head: bytes) -> bytes:
        if head.startswith(b"POST /oauth"):
            return _http("200 OK", _TOKEN)
        _Connection.taken += 1
        return _http("201 Created", _SENT % self.taken)


def _http(status: str, body: str) -> bytes:
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
        f"X-OAPI-Request-Id: request\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def _serve() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    server = await asyncio.get_running_loop().create_server(_Connection, sock=listener)
    async with server:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve())
    print(_Connection.taken)
