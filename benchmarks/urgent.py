"""How long does a one-time code wait behind a full lane of a campaign?"""

import asyncio
import itertools
import random
import statistics

import attrs
from _results import keep
from _server import Server
from _table import check, table
from _virtual import JumpingLoop, Line, most_in_a_second, sms

from orange_sms_async import Priority, ResourceId, SendQueue
from orange_sms_async.sandbox.orange.limits import Rolling

RATE, CAPACITY, WANTED = 5, 10_000, 0.45
VIRTUAL_PROBES, REAL_PROBES = 1_000, 10


@attrs.frozen
class Case:
    """
    Probes in virtual time.

    Attributes:
        ahead: whether the BULK lane is kept full.
        jitter: seconds, at random, that each way takes.
    """

    name: str
    ahead: bool
    jitter: float = 0.0


CASES = [
    Case("virtual, empty queue", ahead=False),
    Case("virtual, full BULK lane", ahead=True),
    Case("virtual, the same, 0-100 ms each way", ahead=True, jitter=0.1),
]


async def keep_full(queue: SendQueue, admitted: list[str]) -> None:
    for number in itertools.count():
        text = f"bulk {number}"
        await queue.submit(sms(text), priority=Priority.BULK)
        admitted.append(text)


async def probe(queue: SendQueue, count: int) -> dict[str, tuple[float, float]]:
    """Return by text when each probe was submitted and when it was accepted."""
    chance, times = random.Random(11), dict[str, tuple[float, float]]()
    now = asyncio.get_running_loop().time
    for number in range(count):
        await asyncio.sleep(chance.uniform(0.5, 2.0))
        asked, text = now(), f"probe {number}"
        await queue.send(sms(text), priority=Priority.URGENT)
        times[text] = asked, now()
    return times


async def virtual(case: Case, line: Line) -> list[float]:
    """Return how long after its submission each probe left."""
    admitted = list[str]()
    async with SendQueue(line.paced(RATE), capacity=CAPACITY) as queue:
        campaign = asyncio.create_task(keep_full(queue, admitted)) if case.ahead else None
        probes = await probe(queue, VIRTUAL_PROBES)
        if campaign:
            waiting = queue.statistics().waiting[Priority.BULK]
            check(waiting >= CAPACITY - 1, f"{case.name}: the lane was full")
            campaign.cancel()
    check(sorted([*admitted, *probes]) == sorted(line.accepted), f"{case.name}: each sent once")
    check(most_in_a_second(line.times) <= RATE, f"{case.name}: no sixth in a second")
    left = {text: time for time, text in reversed(line.left)}  # the first time it left
    return [left[text] - asked for text, (asked, _) in probes.items()]


async def real(server: Server, taken: list[ResourceId]) -> list[float]:
    """Return how long after its submission each probe was accepted."""
    async with (
        server.client(rate=RATE) as client,
        SendQueue(
            client,
            capacity=CAPACITY,
            on_outcome=lambda outcome: taken.append(outcome.resource_id or ResourceId("")),
        ) as queue,
    ):
        campaign = asyncio.create_task(keep_full(queue, []))
        probes = await probe(queue, REAL_PROBES)
        campaign.cancel()
        await queue.aclose(drain=False)
    return [answered - asked for asked, answered in probes.values()]


def row(name: str, latencies: list[float]) -> list[object]:
    percentiles = statistics.quantiles(latencies, n=100, method="inclusive")
    return [
        name,
        len(latencies),
        *(f"{seconds:.3f}" for seconds in (percentiles[49], percentiles[98], max(latencies))),
    ]


def main() -> None:
    rows, distributions = [], {}
    for case in CASES:
        line = Line(jitter=case.jitter, admit=Rolling(RATE).admit)
        with asyncio.Runner(loop_factory=JumpingLoop) as runner:
            latencies = runner.run(virtual(case, line))
        rows.append(row(case.name, latencies))
        distributions[case.name] = statistics.quantiles(latencies, n=100, method="inclusive")
    keep("urgent", distributions)
    taken = list[ResourceId]()
    with Server() as server:
        rows.append(
            row("loopback, full BULK lane, until accepted", asyncio.run(real(server, taken)))
        )
    check(sorted(taken) == sorted(server.evidence.accepted), "loopback: each was sent once")
    print(f"Seconds an URGENT message waits before it leaves (target: at most {WANTED}):\n")
    table(["", "probes", "median", "p99", "max"], rows)


if __name__ == "__main__":
    main()
