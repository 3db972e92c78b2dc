"""How many messages a second does the sandbox take with its page open, and does it grow?"""

import argparse
import asyncio
import json
import re
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import attrs
import httpx
import uvicorn
from _process import Process
from _results import keep
from _table import check, percent, table

from orange_sms_async.cli.serving import bind
from orange_sms_async.sandbox import Sandbox

LINES = 8  # keep-alive connections, each with one request under way
TURN = 1_000  # requests to one app, then to the other: a busy moment meets both
RECEIPTS = 3_000
SEND = "/smsmessaging/v1/outbound/tel%3A%2B2250000/requests"
BODY = json.dumps(
    {
        "outboundSMSMessageRequest": {
            "address": "tel:+2250701020304",
            "senderAddress": "tel:+2250000",
            "senderName": "MonService",
            "outboundSMSTextMessage": {"message": "Votre commande est en route. Merci !"},
        }
    }
)
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


# -- the server, in a process of its own ---------------------------------------------------------


async def bare(_: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send(
        {"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"0")]}
    )
    await send({"type": "http.response.body"})


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


async def serve(receipts: str | None) -> None:
    sandbox = Sandbox(rate=None, receipt_url=receipts, receipt_delay=0.1)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        chosen = bare if scope.get("path") == "/bare" else sandbox
        await chosen(scope, receive, send)

    listener = bind("127.0.0.1", 0)
    config = uvicorn.Config(app, access_log=False, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    print(listener.getsockname()[1], flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        evidence = attrs.asdict(sandbox.statistics())
        evidence |= {"resident": resident(), "processor": time.process_time()}
        print(json.dumps(evidence), flush=True)
    await sandbox.aclose()
    server.should_exit = True
    await serving


class Server(Process):
    """A sandbox in a process of its own; `evidence` is what it has counted until now."""

    def __init__(self, *options: str) -> None:
        super().__init__(__file__, "--serve", *options)

    @property
    def port(self) -> int:
        return int(self.address)

    def evidence(self) -> dict[str, float]:
        return dict(json.loads(self.ask()))

    def token(self) -> str:
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False) as http:
            form = {"grant_type": "client_credentials"}
            answer = http.post("/oauth/v3/token", data=form, auth=("sandbox", "sandbox"))
            return str(answer.raise_for_status().json()["access_token"])


# -- those who use it ------------------------------------------------------------------------------


class Line(asyncio.Protocol):
    """Posts one message after the other, as many as there are."""

    def __init__(self, request: bytes, left: list[int]) -> None:
        self.request, self.left, self.bad, self.buffer = request, left, 0, b""
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.post()

    def post(self) -> None:
        if self.left[0]:
            self.left[0] -= 1
            self.transport.write(self.request)
        else:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        length = LENGTH.search(head) if end else None
        if length is not None and len(body) >= int(length[1]):
            self.bad += not head.startswith(b"HTTP/1.1 201")
            self.buffer = b""
            self.post()

    def connection_lost(self, _: Exception | None) -> None:
        self.ended.set_result(None)


class Page(asyncio.Protocol):
    """The inbox page, as far as the server knows: reads what it is told, and counts messages."""

    def __init__(self) -> None:
        self.messages, self.reloads, self.rest = 0, 0, b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(b"GET /_sandbox/events HTTP/1.1\r\nHost: localhost\r\n\r\n")

    def data_received(self, data: bytes) -> None:
        seen = self.rest + data
        self.messages += seen.count(b"event: message\n")
        self.reloads += seen.count(b"event: reload\n")
        self.rest = seen[-14:] if not seen.endswith(b"\n") else b""


class Endpoint(asyncio.Protocol):
    """Takes receipts and answers 200 at once."""

    taken = 0

    def connection_made(self, transport: Any) -> None:
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        length = LENGTH.search(head) if end else None
        if length is not None and len(body) >= int(length[1]):
            self.buffer = b""
            Endpoint.taken += 1
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


def request(path: str, token: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
    )
    return (head + BODY).encode()


@attrs.frozen
class Turn:
    rate: float
    bad: int


async def turn(port: int, sent: bytes, count: int) -> Turn:
    loop, left, start = asyncio.get_running_loop(), [count], time.perf_counter()
    lines = [
        (await loop.create_connection(lambda: Line(sent, left), "127.0.0.1", port))[1]
        for _ in range(LINES)
    ]
    await asyncio.gather(*(line.ended for line in lines))
    return Turn(count / (time.perf_counter() - start), sum(line.bad for line in lines))


@attrs.define
class Measured:
    bare: list[Turn] = attrs.field(factory=list)
    sandbox: list[Turn] = attrs.field(factory=list)
    processor: float = 0.0
    memory: list[float] = attrs.field(factory=list)
    told: int = 0
    reloads: int = 0


async def measure(server: Server, messages: int) -> Measured:
    measured, page, token = Measured(), Page(), server.token()
    await asyncio.get_running_loop().create_connection(lambda: page, "127.0.0.1", server.port)
    to_bare, to_sandbox = request("/bare", token), request(SEND, token)
    for number in range(messages // TURN):
        if number % 10 == 0:
            measured.bare.append(await turn(server.port, to_bare, TURN))
        before = server.evidence()["processor"]
        measured.sandbox.append(await turn(server.port, to_sandbox, TURN))
        evidence = server.evidence()
        measured.processor += evidence["processor"] - before
        measured.memory.append(evidence["resident"])
    await asyncio.sleep(1)  # the last events are still on their way to the page
    measured.told, measured.reloads = page.messages, page.reloads
    page.transport.close()
    return measured


async def fire() -> tuple[float, dict[str, float]]:
    """Return how many receipts a second arrive while messages do, and what the server counted."""
    endpoint = await asyncio.get_running_loop().create_server(Endpoint, "127.0.0.1", 0)
    port = endpoint.sockets[0].getsockname()[1]
    with Server("--receipts", f"http://127.0.0.1:{port}/receipts") as server:
        start = time.perf_counter()
        await turn(server.port, request(SEND, server.token()), RECEIPTS)
        until = start + 60
        while Endpoint.taken < RECEIPTS and time.perf_counter() < until:  # noqa: ASYNC110 -- bounded
            await asyncio.sleep(0.01)
        rate = Endpoint.taken / (time.perf_counter() - start)
        await asyncio.sleep(0.2)
        evidence = server.evidence()
    endpoint.close()
    return rate, evidence


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--messages", type=int, default=100_000)
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--receipts", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.serve:
        asyncio.run(serve(chosen.receipts))
        return
    with Server() as server:
        measured = asyncio.run(measure(server, chosen.messages))
        evidence = server.evidence()
    rate, fired = asyncio.run(fire())
    show(measured, chosen.messages, rate)
    sent = chosen.messages // TURN * TURN
    check(not any(turn.bad for turn in measured.bare + measured.sandbox), "every answer was 201")
    check(sent == evidence["accepted"], "every message that was answered was taken, once")
    check(measured.told == sent or measured.reloads > 0, "the page heard of every message")
    check(fired["accepted"] == fired["receipts_delivered"], "every message has its receipt")


def show(measured: Measured, messages: int, receipts: float) -> None:
    control = statistics.median(turn.rate for turn in measured.bare)
    rate = statistics.median(turn.rate for turn in measured.sandbox)
    slowest = min(turn.rate for turn in measured.sandbox)
    print(f"uvicorn, {LINES} lines over loopback, median of turns of {TURN:,} requests:\n")
    rows = [
        ["bare ASGI app", f"{control:,.0f}", "", percent(1)],
        ["sandbox, its page open", f"{rate:,.0f}", f"{slowest:,.0f}", percent(rate / control)],
    ]
    table(["", "a second", "slowest turn", "of bare"], rows)
    each = measured.processor / messages
    keep("sandbox", {"processor_ms": each * 1000, "receipts": receipts})
    print(
        f"\nOf the processor: {each * 1000:.2f} ms a message; 500 a second take {each * 500:.0%}."
    )
    quarter = len(measured.memory) // 4
    first, last = measured.memory[quarter], measured.memory[-1]
    print(
        f"Memory after {(quarter + 1) * TURN:,} messages {first / 1024**2:.0f} MiB, "
        f"after {messages:,} {last / 1024**2:.0f} MiB."
    )
    print(f"Receipts posted while messages arrive: {receipts:,.0f} a second.")


if __name__ == "__main__":
    main()
