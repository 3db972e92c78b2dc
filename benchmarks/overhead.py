"""What does a message cost in time of the processor on its way through an unpaced queue?"""

import asyncio
import math
import statistics
import time
from collections.abc import Callable, Coroutine
from typing import Any

import attrs
from _clients import AtOnce
from _table import check, table
from _virtual import sms

from orange_sms_async import OutboundMessage, SendQueue

MESSAGES, ROUNDS = 20_000, 7


@attrs.frozen
class Cost:
    wall: float  # seconds
    processor: float  # seconds


Send = Callable[[AtOnce, list[OutboundMessage]], Coroutine[Any, Any, list[str]]]


async def bare_loop(client: AtOnce, messages: list[OutboundMessage]) -> list[str]:
    return [(await client.attempt(message)).resource_id for message in messages]


async def task_each(client: AtOnce, messages: list[OutboundMessage]) -> list[str]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(client.attempt(message)) for message in messages]
    return [task.result().resource_id for task in tasks]


async def submitted(client: AtOnce, messages: list[OutboundMessage]) -> list[str]:
    async with SendQueue(client, rate=math.inf, capacity=len(messages)) as queue:
        futures = [await queue.submit(message) for message in messages]
        await queue.join()
    return [future.result() for future in futures]


async def bulk(client: AtOnce, messages: list[OutboundMessage]) -> list[str]:
    async with SendQueue(client, rate=math.inf) as queue, queue.bulk(messages) as reports:
        return [report.resource_id or "" async for report in reports]


CASES: dict[str, Send] = {
    "bare loop": bare_loop,
    "a task each": task_each,
    "SendQueue.submit": submitted,
    "SendQueue.bulk": bulk,
}


def measure(name: str, send: Send, messages: list[OutboundMessage]) -> Cost:
    client, expected = AtOnce(), sorted(message.reference for message in messages)
    wall, processor = time.perf_counter(), time.process_time()
    ids = asyncio.run(send(client, messages))
    cost = Cost(time.perf_counter() - wall, time.process_time() - processor)
    once = sorted(ids) == expected and client.taken == len(expected)
    check(once, f"{name}: each was sent once")
    return cost


def main() -> None:
    messages = [sms(str(number)) for number in range(MESSAGES)]
    costs = dict[str, list[Cost]]()
    for _ in range(ROUNDS):  # in turns: a busy moment of the machine meets all cases
        for name, send in CASES.items():
            costs.setdefault(name, []).append(measure(name, send, messages))
    medians = {
        name: (
            statistics.median(cost.wall for cost in each) / MESSAGES,
            statistics.median(cost.processor for cost in each) / MESSAGES,
        )
        for name, each in costs.items()
    }
    print(f"{MESSAGES:,} messages to a client that answers at once, median of {ROUNDS} rounds:\n")
    rows = [
        [name, f"{1 / wall:,.0f}", f"{cpu * 1e6:.1f}", f"{cpu / medians['bare loop'][1]:.0f}"]
        for name, (wall, cpu) in medians.items()
    ]
    table(["", "messages/s", "CPU µs each", "× bare loop"], rows)


if __name__ == "__main__":
    main()
