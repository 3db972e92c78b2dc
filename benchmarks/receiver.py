"""How many receipts a second are taken, compared with an ASGI app that does nothing?"""

import argparse
import asyncio
import contextlib
import itertools
import json
import resource
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import uvicorn
from _clients import Silent
from _process import Process
from _results import keep
from _table import check, percent, table

from orange_sms_async import SendQueue
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outbox.sqlite.database import connect
from orange_sms_async.outbox.sqlite.schema import OUTBOX
from orange_sms_async.receiver import ReceiptBook, ReceiptReceiver

LINES = 128  # keep-alive connections, each with one request under way
TURN = 0.5  # seconds for one app, then the other: a busy moment meets both
CASES = {
    "bare ASGI app": "/bare",
    "ReceiptReceiver, a book": "/book/made-up",
    "ReceiptReceiver, an outbox": "/outbox/made-up",
}
MESSAGES = 400_000  # in the outbox, waiting for their receipts
SOURCE = "127.0.0.0/8"
ID = "81e4296d-1f4a-4c0b-9d3e-%012d"
BODY = (
    '{"deliveryInfoNotification":{"deliveryInfo":{"address":"tel:+2250701020304",'
    f'"deliveryStatus":"DeliveredToTerminal"}},"callbackData":"{ID}"}}}}'
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


def fill(path: Path) -> None:
    """Put messages into an outbox that were sent and wait for their receipts."""
    with contextlib.closing(connect(path, OUTBOX)) as opened:
        opened.db.execute("BEGIN")
        opened.db.executemany(
            "INSERT INTO message (reference, state, priority, not_before, expires_at, on_unknown, "
            "recipient, text, sender_address, on_net, resource_id, attempted_at, finished_at) "
            "VALUES (:reference, 'sent', 2, 0, 9e999, 'report', '+2250701020304', 'Bonjour', "
            "'tel:+2250000', 0, :id, :now, :now)",
            ({"reference": str(n), "id": ID % n, "now": time.time()} for n in range(MESSAGES)),
        )
        opened.db.execute("COMMIT")


@contextlib.asynccontextmanager
async def answering(app: Any) -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, access_log=False, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    yield listener.getsockname()[1]
    server.should_exit = True
    await serving


async def serve(path: Path) -> None:
    book, outbox = ReceiptBook(capacity=1_000), SqliteOutbox(path)
    async with SendQueue(Silent(), outbox=outbox) as queue:
        settings: dict[str, Any] = {"secret": "made-up", "allowed_sources": [SOURCE]}
        apps = {
            "bare": bare,
            "book": ReceiptReceiver(book.add, **settings),
            "outbox": ReceiptReceiver(lambda _: None, store=queue, **settings),
        }

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await apps[scope["path"].split("/")[1]](scope, receive, send)

        async with answering(app) as port:
            print(port, flush=True)
            while await asyncio.to_thread(sys.stdin.readline):
                evidence = {
                    "book": attrs.asdict(apps["book"].statistics()),
                    "outbox": attrs.asdict(apps["outbox"].statistics()),
                    "delivered": (await outbox.deliveries()).total(),
                    "resident": resident(),
                }
                print(json.dumps(evidence), flush=True)


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


def measure(server: Process, seconds: float) -> tuple[dict[str, list[Turn]], int, int]:
    """Return the turns of each case, and the resident memory after the first and the last."""
    numbers = {name: itertools.count() for name in CASES}
    turns = {name: list[Turn]() for name in CASES}
    warm = 0
    for _ in range(max(2, round(seconds / TURN / len(CASES)))):
        for name, path in CASES.items():
            turns[name].append(asyncio.run(turn(int(server.address), path, numbers[name], TURN)))
        # The book is full by then, or will be soon; what grows after it grows for ever.
        warm = warm or json.loads(server.ask())["resident"]
    return turns, warm, json.loads(server.ask())["resident"]


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=10.0)
    options.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.serve:
        asyncio.run(serve(chosen.serve))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outbox.db"
        fill(path)
        with Process(__file__, "--serve", str(path)) as server:
            turns, warm, last = measure(server, chosen.seconds)
            evidence = json.loads(server.ask())
    show(turns, warm, last)
    posted = {name: sum(turn.answered for turn in each) for name, each in turns.items()}
    check(not any(turn.bad for each in turns.values() for turn in each), "every answer was 200")
    for name, key in (
        ("ReceiptReceiver, a book", "book"),
        ("ReceiptReceiver, an outbox", "outbox"),
    ):
        counted = evidence[key]
        check(posted[name] == counted["receipts"], "every receipt answered was taken, once")
        check(not counted["failed_callbacks"], "every receipt was handed over")
    kept = min(posted["ReceiptReceiver, an outbox"], MESSAGES)
    check(kept == evidence["delivered"], "every receipt answered is in the outbox")


def show(turns: dict[str, list[Turn]], warm: int, last: int) -> None:
    rates = {name: statistics.median(turn.rate for turn in each) for name, each in turns.items()}
    control = rates["bare ASGI app"]
    print(f"uvicorn, {LINES} lines over loopback, median of turns of {TURN:g} s:\n")
    rows = [
        [name, f"{sum(t.answered for t in turns[name]):,}", f"{rate:,.0f}", percent(rate / control)]
        for name, rate in rates.items()
    ]
    table(["", "posted", "a second", "of bare"], rows)
    keep("receiver", {name: rate / control for name, rate in rates.items()})
    print(f"\nThe server grew by {(last - warm) / 1024**2:.1f} MiB after the first turns.")


if __name__ == "__main__":
    main()
