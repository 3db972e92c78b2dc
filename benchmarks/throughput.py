"""How many messages a second, and at what cost, over each transport and event loop?"""

import argparse
import asyncio
import gc
import itertools
import math
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import aiohttp
import attrs
import httpx
import uvloop
from _quick import Quick
from _results import keep
from _table import check, table
from _virtual import sms
from httpx_aiohttp import AiohttpTransport

from orange_sms_async import Client, ClientCredentials, SendQueue

AT_ONCE = 20
PATH = "/smsmessaging/v1/outbound/tel%3A%2B2250000/requests"
BODY = {
    "outboundSMSMessageRequest": {
        "address": "tel:+2250701020304",
        "senderAddress": "tel:+2250000",
        "outboundSMSTextMessage": {"message": "Bonjour"},
    }
}
HEADERS = {"Authorization": f"Bearer {'x' * 600}"}
LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=20)

Many = Callable[[int], Awaitable[list[str]]]
Opened = Callable[[str], AbstractAsyncContextManager[Many]]


async def at_once(one: Callable[[], Awaitable[str]], count: int) -> list[str]:
    """Send that many, `AT_ONCE` of them at a time, and return the resource ids."""
    numbers, ids = iter(range(count)), list[str]()

    async def some() -> None:
        for _ in numbers:
            ids.append(await one())

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(some())
    return ids


def resource_id(answer: dict[str, dict[str, str]]) -> str:
    return answer["outboundSMSMessageRequest"]["resourceURL"].rpartition("/")[2]


@asynccontextmanager
async def httpx_posts(
    address: str, transport: Callable[[], httpx.AsyncBaseTransport]
) -> AsyncIterator[Many]:
    async with httpx.AsyncClient(base_url=address, transport=transport()) as http:

        async def one() -> str:
            return resource_id((await http.post(PATH, json=BODY, headers=HEADERS)).json())

        yield partial(at_once, one)


@asynccontextmanager
async def aiohttp_posts(address: str) -> AsyncIterator[Many]:
    async with aiohttp.ClientSession(address) as session:

        async def one() -> str:
            async with session.post(PATH, json=BODY, headers=HEADERS) as answer:
                return resource_id(await answer.json())

        yield partial(at_once, one)


@asynccontextmanager
async def client_of(address: str, engine: str) -> AsyncIterator[Client]:
    credentials = ClientCredentials("a", "b")
    if engine in ("httpx", "aiohttp"):
        async with Client(credentials, base_url=address, engine=engine, rate=math.inf) as client:  # type: ignore[arg-type]
            yield client
    else:
        async with (
            AiohttpTransport() as transport,
            Client(credentials, base_url=address, transport=transport, rate=math.inf) as client,
        ):
            yield client


@asynccontextmanager
async def sends(address: str, engine: str) -> AsyncIterator[Many]:
    async with client_of(address, engine) as client:

        async def one() -> str:
            return (await client.send(sms())).resource_id

        yield partial(at_once, one)


@asynccontextmanager
async def queued(address: str, engine: str) -> AsyncIterator[Many]:
    async with (
        client_of(address, engine) as client,
        SendQueue(client, workers=AT_ONCE) as queue,
    ):

        async def many(count: int) -> list[str]:
            futures = [await queue.submit(sms()) for _ in range(count)]
            return [await future for future in futures]

        yield many


CASES: dict[str, Opened] = {
    "httpx: posts": partial(httpx_posts, transport=lambda: httpx.AsyncHTTPTransport(limits=LIMITS)),
    "httpx: Client.send": partial(sends, engine="httpx"),
    "httpx: SendQueue": partial(queued, engine="httpx"),
    "httpx-aiohttp: posts": partial(httpx_posts, transport=AiohttpTransport),
    "httpx-aiohttp: SendQueue": partial(queued, engine="httpx-aiohttp"),
    "aiohttp: posts": aiohttp_posts,
    "aiohttp: Client.send": partial(sends, engine="aiohttp"),
    "aiohttp: SendQueue": partial(queued, engine="aiohttp"),
}
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
# SendQueue, the posts it is compared with, and the share of their rate that is the target.
WANTED = [
    ("httpx: SendQueue", "httpx: posts", 0.95),
    ("httpx-aiohttp: SendQueue", "httpx-aiohttp: posts", 0.88),
    ("aiohttp: SendQueue", "aiohttp: posts", 0.65),
]


@attrs.frozen
class Round:
    rate: float  # messages a second
    cpu: float  # seconds of the processor for each


async def timed(opened: Opened, address: str, count: int) -> tuple[Round, list[str]]:
    async with opened(address) as many:
        ids = await many(AT_ONCE)  # opens the connections
        gc.collect()  # what other cases left behind would count against this one
        wall, processor = time.perf_counter(), time.process_time()
        ids += await many(count)
        processor = time.process_time() - processor
        wall = time.perf_counter() - wall
    return Round(count / wall, processor / count), ids


def median(rounds: list[Round]) -> Round:
    return Round(
        statistics.median(each.rate for each in rounds),
        statistics.median(each.cpu for each in rounds),
    )


def ratios(mine: list[Round], theirs: list[Round]) -> tuple[float, float]:
    """Compare by rate and by time of the processor, round by round."""
    pairs = list(zip(mine, theirs, strict=True))
    return (
        statistics.median(a.rate / b.rate for a, b in pairs),
        statistics.median(b.cpu / a.cpu for a, b in pairs),
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--messages", type=int, default=600)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    cases = list(itertools.product(CASES, LOOPS))
    rounds: dict[tuple[str, str], list[Round]] = {case: [] for case in cases}
    ids = list[str]()
    with Quick() as server:
        for _ in range(chosen.rounds):  # in turns: a busy moment of the machine meets all cases
            for name, loop in cases:
                with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
                    once, got = runner.run(timed(CASES[name], server.address, chosen.messages))
                rounds[name, loop].append(once)
                ids += got
    sent = (chosen.messages + AT_ONCE) * len(cases) * chosen.rounds
    check(sent == server.taken == len(set(ids)), "each message was posted once")
    show(rounds, chosen.messages, chosen.rounds)


def show(rounds: dict[tuple[str, str], list[Round]], messages: int, count: int) -> None:
    medians = {case: median(each) for case, each in rounds.items()}
    print(f"{messages:,} messages, {AT_ONCE} at once, over loopback; median of {count} rounds:\n")
    rows = [
        [name, loop, f"{each.rate:,.0f}", f"{each.cpu * 1e6:.0f}"]
        for (name, loop), each in medians.items()
    ]
    table(["", "loop", "messages/s", "CPU µs each"], rows)
    print("\nSendQueue beside bare posts, median of the rounds' ratios:\n")
    compared = [
        [mine, loop, *ratios(rounds[mine, loop], rounds[theirs, loop]), wanted]
        for loop in LOOPS
        for mine, theirs, wanted in WANTED
    ]
    table(
        ["", "loop", "messages/s", "1 / CPU", "target"],
        [[mine, loop, *map("{:.0%}".format, shares)] for mine, loop, *shares in compared],
    )
    keep(
        "throughput",
        [
            {"case": name, "loop": loop, "rate": each.rate, "cpu_us": each.cpu * 1e6}
            for (name, loop), each in medians.items()
        ],
    )


if __name__ == "__main__":
    main()
