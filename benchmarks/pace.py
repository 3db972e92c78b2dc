"""How much of 5 messages a second reaches a strict server on loopback, and does a sixth?"""

import argparse
import asyncio
import functools
import math
import tempfile
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import attrs
from _bare import limited
from _results import keep
from _server import Evidence, Server
from _table import check, percent, table
from _virtual import most_in_a_second, sms

from orange_sms_async import Pacer, SendQueue
from orange_sms_async.outbox.sqlite import SqliteOutbox

RATE, MINUTE = 5, 60.0


@attrs.frozen
class Handlers:
    """Handlers of a web application, which block the same event loop."""

    busy: float  # seconds
    every: float  # seconds

    async def block(self) -> None:
        while True:
            await asyncio.sleep(self.every - self.busy)
            time.sleep(self.busy)  # noqa: ASYNC251 -- that is the point

    def __str__(self) -> str:
        return f"{self.busy * 1e3:.0f} ms of {self.every * 1e3:.0f} blocked"


@attrs.frozen
class Case:
    """A way to send for some seconds; it returns the resource ids it got."""

    name: str
    send: Callable[[Server, float], Coroutine[Any, Any, list[str]]]
    token_dies_at: float | None = None  # as a share of the run
    throttle: str = "rolling"
    handlers: Handlers | None = None  # in the same event loop

    def options(self, seconds: float) -> list[str]:
        options = [f"--throttle={self.throttle}"]
        if self.token_dies_at is not None:
            options += [f"--token-dies={self.token_dies_at * seconds}", "--token-latency=0.4"]
        return options

    async def run(self, server: Server, seconds: float) -> list[str]:
        busy = asyncio.create_task(self.handlers.block() if self.handlers else asyncio.sleep(0))
        try:
            return await self.send(server, seconds)
        finally:
            busy.cancel()


class Forgetting(Pacer):
    """The earlier rule: the next slot follows the last one, however late that was."""

    def __init__(self, rate: float) -> None:
        super().__init__(rate)
        self._evenly = math.inf  # type: ignore[assignment]


async def queued(
    server: Server,
    seconds: float,
    outbox: SqliteOutbox | None = None,
    pacer: Callable[[float], Pacer] | None = None,
) -> list[str]:
    messages = [sms(str(number)) for number in range(int(RATE * seconds) + 1)]
    client = server.client()
    if pacer:
        client.pacer = pacer(RATE)
    async with (
        client,
        SendQueue(client, outbox=outbox) as queue,
        queue.bulk(messages) as reports,
    ):
        ids = [report.resource_id or "" async for report in reports]
    check(len(ids) == len(messages), "every message has a report")
    return ids


async def durable(server: Server, seconds: float) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        return await queued(server, seconds, SqliteOutbox(Path(folder) / "outbox.db"))


BESIDE_HANDLERS = {
    "AsyncLimiter(1, 0.2)": functools.partial(limited, 1, 0.2),
    "SendQueue, as before": functools.partial(queued, pacer=Forgetting),
    "SendQueue": queued,
}
HANDLERS = [Handlers(0.02, 0.073), Handlers(0.05, 0.33), Handlers(0.1, 0.5), Handlers(0.15, 0.71)]
QUEUES = list(BESIDE_HANDLERS.items())[1:]
CASES = [
    Case("AsyncLimiter(5, 1)", functools.partial(limited, 5, 1)),
    Case("AsyncLimiter(1, 0.2)", functools.partial(limited, 1, 0.2)),
    Case("SendQueue", queued),
    Case("SendQueue, outbox on disk", durable),
    Case("SendQueue, token dies", queued, token_dies_at=0.7),
    *(
        Case(f"{name}, {handlers}", send, handlers=handlers)
        for handlers in HANDLERS
        for name, send in BESIDE_HANDLERS.items()
    ),
    *(
        Case(f"{name}, {handlers or 'not blocked'}, one per 200 ms", send, None, "spike", handlers)
        for handlers in (None, HANDLERS[0])
        for name, send in QUEUES
    ),
]


def measure(case: Case, seconds: float) -> tuple[Evidence, list[str]]:
    server = Server(*case.options(seconds))
    with server:
        ids = asyncio.run(case.run(server, seconds))
    return server.evidence, ids


def row(case: Case, evidence: Evidence, seconds: float) -> list[object]:
    times = [time for time, _ in evidence.arrivals]
    taken = [time - times[0] for time, status in evidence.arrivals if status == 201]
    minute = min(MINUTE, seconds)
    first = sum(time < minute for time in taken)
    later = sum(MINUTE <= time < seconds for time in taken)
    return [
        case.name,
        len(times),
        most_in_a_second(times),
        sum(status in (403, 429) for _, status in evidence.arrivals),
        evidence.token_requests,
        percent(first / RATE / minute),
        percent(later / RATE / (seconds - MINUTE)) if seconds > MINUTE else "-",
        f"{tightest(times):.0f}",
    ]


def tightest(times: list[float]) -> float:
    """Return the fewest milliseconds in which six requests arrived."""
    return min((b - a) * 1e3 for a, b in zip(times, times[RATE:], strict=False))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=110.0)
    seconds = options.parse_args().seconds
    with ProcessPoolExecutor(len(CASES)) as pool:
        results = list(pool.map(functools.partial(measure, seconds=seconds), CASES))
    rows = [row(case, seen, seconds) for case, (seen, _) in zip(CASES, results, strict=True)]
    head = [
        "",
        "arrived",
        "most in 1 s",
        "throttled",
        "tokens",
        "first minute",
        "after it",
        "ms for six",
    ]
    print(f"Share of 5 a second in {seconds:g} s on loopback, in real time, all cases at once:\n")
    table(head, rows)
    keep(
        "pace",
        {
            case.name: [round(time - seen.arrivals[0][0], 3) for time, _ in seen.arrivals]
            for case, (seen, _) in zip(CASES, results, strict=True)
            if case.handlers is None and case.throttle == "rolling"
        },
    )
    for case, (seen, ids) in zip(CASES, results, strict=True):
        check(sorted(ids) == sorted(seen.accepted), f"{case.name}: none was lost or duplicated")


if __name__ == "__main__":
    main()
