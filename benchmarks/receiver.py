"""How many receipts a second does the receiver take, beside an ASGI app that does nothing?"""

import argparse
import asyncio
import itertools
import json
import resource
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import attrs
import uvicorn
from _table import check, percent, table

from orange_sms_async.receiver import ReceiptBook, ReceiptReceiver

LINES = 16  # keep-alive connections, each with one request under way
TURN = 0.5  # seconds for one app, then the other: a busy moment meets both
CASES = {"bare ASGI app": "/bare", "ReceiptReceiver": "/receipts/made-up"}
SOURCE = "127.0.0.0/8"
BODY = (
    '{"deliveryInfoNotification":{"deliveryInfo":{"address":"tel:+2250701020304",'
    '"deliveryStatus":"DeliveredToTerminal"},"callbackData":"81e4296d-1f4a-4c0b-9d3e-%012d"}}'
)


# -- the server, in a process of its own ---------------------------------------------------------


async def bare(_: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
    )
    await send({"type": "http.response.body"})


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


async def serve() -> None:
    book = ReceiptBook(capacity=1_000)
    receiver = ReceiptReceiver(book.add, secret="made-up", allowed_sources=[SOURCE])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        chosen = bare if scope["path"] == "/bare" else receiver
        await chosen(scope, receive, send)

    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, access_log=False, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    print(listener.getsockname()[1], flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        evidence = attrs.asdict(receiver.statistics())
        print(json.dumps(evidence | {"resident": resident()}), flush=True)
    server.should_exit = True
    await serving


# -- the client ---------------------------------------------------------------------------------


class Line(asyncio.Protocol):
    """Posts one receipt after the other until told to stop."""

    def __init__(self, path: str, numbers: "itertools.count[int]") -> None:
        self.head = f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n"
        self.numbers, self.answered, self.bad, self.stopping = numbers, 0, 0, False
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.post()

    def post(self) -> None:
        body = BODY % next(self.numbers)
        self.transport.write((self.head % len(body) + body).encode())

    def data_received(self, data: bytes) -> None:
        # Answers have no body: each comes in one piece.
        good = data.startswith(b"HTTP/1.1 200") and data.endswith(b"\r\n\r\n")
        self.answered, self.bad = self.answered + good, self.bad + (not good)
        if self.stopping or not good:
            self.transport.close()
        else:
            self.post()

    def connection_lost(self, _: Exception | None) -> None:
        self.ended.set_result(None)


@attrs.frozen
class Turn:
    answered: int
    bad: int
    rate: float


async def turn(port: int, path: str, numbers: "itertools.count[int]", seconds: float) -> Turn:
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    lines = [
        (await loop.create_connection(lambda: Line(path, numbers), "127.0.0.1", port))[1]
        for _ in range(LINES)
    ]
    await asyncio.sleep(seconds)
    for line in lines:
        line.stopping = True
    await asyncio.gather(*(line.ended for line in lines))
    answered = sum(line.answered for line in lines)
    took = time.perf_counter() - start
    return Turn(answered, sum(line.bad for line in lines), answered / took)


class Server:
    """The process; `evidence` is what it has counted until now."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, __file__, "--serve"]
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.port = int(self.read())

    def read(self) -> str:
        return self.process.stdout.readline() if self.process.stdout else ""

    def evidence(self) -> dict[str, int]:
        if self.process.stdin:
            print(file=self.process.stdin, flush=True)
        return dict(json.loads(self.read()))

    def end(self) -> None:
        self.process.communicate(timeout=10)


def measure(server: Server, seconds: float) -> tuple[dict[str, list[Turn]], int, int]:
    """Return the turns of each case, and the resident memory after the first and the last."""
    numbers, turns = itertools.count(), {name: list[Turn]() for name in CASES}
    warm = 0
    for _ in range(max(2, round(seconds / TURN / len(CASES)))):
        for name, path in CASES.items():
            turns[name].append(asyncio.run(turn(server.port, path, numbers, TURN)))
        # The book is full by then, or will be soon; what grows after it grows for ever.
        warm = warm or server.evidence()["resident"]
    return turns, warm, server.evidence()["resident"]


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=10.0)
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.serve:
        asyncio.run(serve())
        return
    server = Server()
    turns, warm, last = measure(server, chosen.seconds)
    evidence = server.evidence()
    server.end()
    show(turns, warm, last)
    posted = sum(turn.answered for turn in turns["ReceiptReceiver"])
    check(not any(turn.bad for each in turns.values() for turn in each), "every answer was 200")
    check(posted == evidence["receipts"], "every receipt that was answered was taken, once")
    check(not evidence["failed_callbacks"], "every receipt is in the book")


def show(turns: dict[str, list[Turn]], warm: int, last: int) -> None:
    rates = {name: statistics.median(turn.rate for turn in each) for name, each in turns.items()}
    control = rates["bare ASGI app"]
    print(f"uvicorn, {LINES} lines over loopback, median of turns of {TURN:g} s:\n")
    rows = [
        [name, f"{sum(t.answered for t in turns[name]):,}", f"{rate:,.0f}", percent(rate / control)]
        for name, rate in rates.items()
    ]
    table(["", "posted", "a second", "of bare"], rows)
    print(f"\nThe server grew by {(last - warm) / 1024**2:.1f} MiB after the first turns.")


if __name__ == "__main__":
    main()
