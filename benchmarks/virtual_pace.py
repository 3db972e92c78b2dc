"""How much of 5 messages a second gets through four readings of that rule, in virtual time?"""

import asyncio
import functools
import itertools
import random
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor

import attrs
from _results import keep
from _table import check, percent, table
from _virtual import JumpingLoop, Line, most_in_a_second, sms
from aiolimiter import AsyncLimiter

from orange_sms_async import OutboundMessage, SendQueue, Throttled
from orange_sms_async.sandbox.orange.limits import Bucket, CalendarSecond, Limit, Rolling, Spike

RATE, MESSAGES, AT_ONCE = 5, 10_000, 20
GUARDS = (0.02, 0.12)  # fixed, as shares of the bare spacing
# The server's clock gains on ours, so that in one run its second begins at every phase of ours:
# 10,000 slots at exactly 0.2 s would otherwise all fall as luckily as the first.
CLOCK = 1.0001
RULES: list[Callable[[float], Limit]] = [Rolling, CalendarSecond, Bucket, Spike]
Send = Callable[[Line, list[OutboundMessage]], Awaitable[None]]


def drifting(chance: random.Random) -> float:
    return chance.uniform(0, 0.1)


def kept_alive(chance: random.Random) -> float:
    return chance.uniform(0, 0.02)


def heavy_tail(chance: random.Random) -> float:
    return 0.05 + chance.uniform(0.5, 3) * (chance.random() < 0.01)


Way = Callable[[random.Random], float]
NETWORKS: dict[str, tuple[Way, Way]] = {  # there and back, in seconds
    "constant": (lambda _: 0.05, lambda _: 0.05),
    "0-100 ms": (drifting, drifting),
    "0-100 ms, slow server": (drifting, lambda chance: chance.uniform(0, 0.4)),
    "kept alive": (kept_alive, kept_alive),
    "1 % heavy tail": (heavy_tail, lambda _: 0.05),
}


class Network(Line):
    def __init__(self, name: str, admit: Callable[[float], bool]) -> None:
        super().__init__(admit=admit)
        self._there, self._back = NETWORKS[name]

    async def there(self) -> None:
        await asyncio.sleep(self._there(self.chance))

    async def back(self) -> None:
        await asyncio.sleep(self._back(self.chance))


@attrs.frozen
class Result:
    goodput: float  # share of the allowance that was accepted
    throttled: float  # share of the requests that was not
    most_left: int  # in any rolling second
    exactly_once: bool


async def limited(max_rate: float, period: float, line: Line, todo: list[OutboundMessage]) -> None:
    """Do what you would do without this package: a limiter, and throttled messages sent again."""
    limiter, waiting = AsyncLimiter(max_rate, period), iter(todo)
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(send_each(limiter, line, waiting))


async def send_each(limiter: AsyncLimiter, line: Line, waiting: Iterator[OutboundMessage]) -> None:
    for message in waiting:
        while True:
            await limiter.acquire()
            try:
                await line.attempt(message)
                break
            except Throttled:
                continue


async def queued(line: Line, todo: list[OutboundMessage]) -> None:
    async with SendQueue(line.paced(RATE), capacity=len(todo)) as queue:
        for message in todo:
            await queue.submit(message)


SENDERS: dict[str, Send] = {
    "AsyncLimiter(5, 1)": functools.partial(limited, 5, 1),
    "AsyncLimiter(1, 0.2)": functools.partial(limited, 1, 0.2),
    **{f"guard +{g:.0%}, fixed": functools.partial(limited, 1, 0.2 * (1 + g)) for g in GUARDS},
    "SendQueue": queued,
}


async def timed(line: Line, send: Send) -> float:
    loop = asyncio.get_running_loop()
    todo = [sms(str(number)) for number in range(MESSAGES)]
    start = loop.time()
    await send(line, todo)
    return loop.time() - start


def measure(case: tuple[str, Callable[[float], Limit], str]) -> Result:
    network, rule, sender = case
    limit = rule(RATE)
    line = Network(network, admit=lambda now: limit.admit(now * CLOCK))
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        seconds = runner.run(timed(line, SENDERS[sender]))
    return Result(
        goodput=MESSAGES / RATE / seconds,
        throttled=line.throttled / len(line.left),
        most_left=most_in_a_second(line.times),
        exactly_once=sorted(line.accepted) == sorted(map(str, range(MESSAGES))),
    )


def main() -> None:
    cases = list(itertools.product(NETWORKS, RULES, SENDERS))
    with ProcessPoolExecutor(2) as pool:
        results = dict(zip(cases, pool.map(measure, cases), strict=True))
    print(f"{MESSAGES:,} messages at 5 a second: goodput as a share of the allowance, throttled as")
    print("a share of the requests, most requests that left in any rolling second:\n")
    rows = [
        [network, rule.__name__, sender, percent(r.goodput), percent(r.throttled), r.most_left]
        for (network, rule, sender), r in results.items()
    ]
    table(["network", "server", "", "goodput", "throttled", "most in 1 s"], rows)
    keep(
        "virtual_pace",
        [
            {"network": network, "server": rule.__name__, "sender": sender}
            | attrs.asdict(result, filter=lambda field, _: field.name != "exactly_once")
            for (network, rule, sender), result in results.items()
        ],
    )
    for (network, rule, sender), result in results.items():
        case = f"{sender} to {rule.__name__} over {network}"
        check(result.exactly_once, f"{case}: every message was accepted once")
        check(sender != "SendQueue" or result.most_left <= RATE, f"{case}: no sixth in a second")


if __name__ == "__main__":
    main()
