"""How many messages a second does a queue in memory admit?"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from _clients import Silent
from _results import keep
from _table import check, table
from _virtual import sms

from orange_sms_async import OutboundMessage, SendQueue

MESSAGES, ROUNDS = 20_000, 7
Admit = Callable[[SendQueue, list[OutboundMessage]], Awaitable[object]]


async def into_a_list(_: SendQueue, messages: list[OutboundMessage]) -> object:
    return [(message, asyncio.get_running_loop().create_future()) for message in messages]


async def nowait(queue: SendQueue, messages: list[OutboundMessage]) -> object:
    return [queue.submit_nowait(message) for message in messages]


async def awaited(queue: SendQueue, messages: list[OutboundMessage]) -> object:
    return [await queue.submit(message) for message in messages]


CASES: dict[str, Admit] = {
    "a list and a future": into_a_list,
    "submit_nowait": nowait,
    "submit": awaited,
}


async def measure(name: str, admit: Admit, messages: list[OutboundMessage]) -> float:
    """Return seconds of the processor for each message."""
    async with SendQueue(Silent(), capacity=len(messages)) as queue:
        await asyncio.sleep(0)
        start = time.process_time()
        await admit(queue, messages)
        spent = time.process_time() - start
        waiting = sum(queue.statistics().waiting.values())
        check(waiting == len(messages) or admit is into_a_list, f"{name}: all of them wait")
        await queue.aclose(drain=False)
    return spent / len(messages)


def main() -> None:
    messages = [sms(str(number)) for number in range(MESSAGES)]
    spent: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(ROUNDS):  # in turns: a busy moment of the machine meets all cases
        for name, admit in CASES.items():
            spent[name].append(asyncio.run(measure(name, admit, messages)))
    medians = {name: statistics.median(each) for name, each in spent.items()}
    print(f"{MESSAGES:,} messages admitted while nothing is sent, median of {ROUNDS} rounds:\n")
    rows = [[name, f"{1 / each:,.0f}", f"{each * 1e6:.1f}"] for name, each in medians.items()]
    table(["", "a second of the processor", "CPU µs each"], rows)
    keep("admission", {name: each * 1e6 for name, each in medians.items()})


if __name__ == "__main__":
    main()
