"""A sandbox on loopback in a process of its own, and what arrived there."""

import argparse
import asyncio
import itertools
import json
import random
import socket
import sys

import attrs
import httpx
import uvicorn
from _process import Process

from orange_sms_async import Client, ClientCredentials
from orange_sms_async.sandbox import Sandbox


@attrs.frozen
class Evidence:
    """
    What the server saw.

    Attributes:
        arrivals: time and status of each message that arrived, on the machine's monotonic clock.
        accepted: resource ids.
    """

    arrivals: list[tuple[float, int]]
    accepted: list[str]
    token_requests: int


class Server(Process):
    """A sandbox in a process of its own; `evidence` is there once it has ended."""

    def __init__(self, *options: str) -> None:
        super().__init__(__file__, *options)

    @property
    def evidence(self) -> Evidence:
        return Evidence(**json.loads(self.output))

    def client(self, rate: float = 5.0) -> Client:
        # Our own transport ignores any proxy that the environment names.
        transport = httpx.AsyncHTTPTransport()
        return Client(
            ClientCredentials("sandbox", "sandbox"),
            base_url=self.address,
            transport=transport,
            rate=rate,
        )


async def _serve(orange: Sandbox, token_dies: float | None, trouble: bool) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(orange, access_log=False, log_level="error")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    if token_dies is not None:
        asyncio.get_running_loop().call_later(token_dies, orange.expire_tokens)
    troubling = asyncio.create_task(_trouble(orange)) if trouble else None
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    if troubling:
        troubling.cancel()
    server.should_exit = True
    await serving


async def _trouble(orange: Sandbox) -> None:
    """Go wrong in another way every few seconds, and end all tokens every tenth time."""
    chance = random.Random(5)
    ways = [
        orange.drop_next,
        lambda: orange.drop_next(taken=False),
        lambda: orange.fail_next(500, code=1, taken=True),
        lambda: orange.fail_next(502, code=1),
        lambda: orange.fail_next(503, code=6),
        lambda: orange.fail_next(429, code=53, times=3),
        lambda: orange.fail_next(400, code=22),
        lambda: orange.fail_next(503, on="token"),
        orange.hang_next,
    ]
    for time in itertools.count(1):
        await asyncio.sleep(4)  # longer than most of the pauses a fault is answered with
        chance.choice(ways)()
        if time % 10 == 0:
            orange.expire_tokens()


def _evidence(orange: Sandbox) -> Evidence:
    arrivals = [r for r in orange.requests if r.path.startswith("/smsmessaging/")]
    return Evidence(
        arrivals=[(request.time, request.status or 0) for request in arrivals],
        accepted=[sent.resource_id for sent in orange.sent],
        token_requests=orange.statistics().token_requests,
    )


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--token-latency", type=float, default=0.0)
    options.add_argument("--token-dies", type=float)
    options.add_argument("--unlimited", action="store_true")
    options.add_argument("--rate", type=float, default=5.0)
    options.add_argument("--trouble", action="store_true")
    options.add_argument("--throttle", default="rolling")
    chosen = options.parse_args()
    orange = Sandbox(
        token_latency=chosen.token_latency,
        rate=None if chosen.unlimited else chosen.rate,
        throttle=chosen.throttle,
    )
    asyncio.run(_serve(orange, chosen.token_dies, chosen.trouble))
    print(json.dumps(attrs.asdict(_evidence(orange))))


if __name__ == "__main__":
    main()
