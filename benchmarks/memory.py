"""How much memory does a waiting message take, and does a bulk of a million rows grow?"""

import asyncio
import gc
import multiprocessing
import resource
import tracemalloc
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from _clients import AtOnce, Silent
from _results import keep
from _table import check, table

from orange_sms_async import OutboundMessage, SendQueue

WAITING, ROWS, EVERY = 100_000, 1_000_000, 10_000
KIB, MIB = 1024, 1024**2
Measured = Callable[[], float]
Case = Callable[[Measured], Coroutine[Any, Any, Any]]


def messages(count: int) -> Iterator[OutboundMessage]:
    for number in range(count):
        text = f"Bonjour, votre commande {number:08} est prête. Merci et à bientôt !"
        yield OutboundMessage(f"+22507{number:08}", text)


def resident() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def traced() -> float:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def in_a_list(measured: Measured) -> float:
    before = measured()
    kept = list(messages(WAITING))
    return (measured() - before) / len(kept)


async def in_a_queue(measured: Measured) -> float:
    async with SendQueue(Silent(), capacity=WAITING) as queue:
        await asyncio.sleep(0)
        before = measured()
        for message in messages(WAITING):
            queue.submit_nowait(message)
        growth = measured() - before
        check(sum(queue.statistics().waiting.values()) == WAITING, "all of them wait")
        await queue.aclose(drain=False)
    return growth / WAITING


async def grown(measured: Measured) -> list[tuple[int, float]]:
    """Return by how much a queue grew with each tenth of the messages."""
    growth = []
    async with SendQueue(Silent(), capacity=WAITING) as queue:
        await asyncio.sleep(0)
        before = measured()
        for number, message in enumerate(messages(WAITING), 1):
            queue.submit_nowait(message)
            if number % (WAITING // 10) == 0:
                growth.append((number, measured() - before))
        await queue.aclose(drain=False)
    return growth


async def bare_rows(measured: Measured) -> float:
    """Return the most that memory grew by. `bulk_rows` returns the same."""
    client, before, most = AtOnce(), measured(), 0.0
    for number, message in enumerate(messages(ROWS)):
        await client.attempt(message)
        if number % EVERY == 0:
            most = max(most, measured() - before)
    return most


async def bulk_rows(measured: Measured) -> float:
    client, before, most, sent = AtOnce(), measured(), 0.0, 0
    async with SendQueue(client) as queue, queue.bulk(messages(ROWS)) as reports:
        async for report in reports:
            sent += report.resource_id is not None
            if sent % EVERY == 0:
                most = max(most, measured() - before)
    check(sent == client.taken == ROWS, "every row was sent once")
    return most


def run(case: Case, trace: bool = False) -> Any:
    if trace:
        tracemalloc.start()
    return asyncio.run(case(traced if trace else resident))


def main() -> None:
    fresh = multiprocessing.get_context("spawn")
    # A process each, so that none finds memory another has left; two at once.
    with ProcessPoolExecutor(2, fresh, max_tasks_per_child=1) as pool:
        each = [
            pool.submit(run, case, t) for case in (in_a_list, in_a_queue) for t in (False, True)
        ]
        growth = pool.submit(run, grown)
        rows = [pool.submit(run, case) for case in (bare_rows, bulk_rows)]
    a_list, a_list_traced, a_queue, a_queue_traced = (f"{one.result() / KIB:.2f}" for one in each)
    print(f"KiB for each of {WAITING:,} waiting messages (target: less than 1.50):\n")
    head = ["", "resident", "traced"]
    table(head, [["a list of them", a_list, a_list_traced], ["SendQueue", a_queue, a_queue_traced]])
    print(f"\nMiB by which {ROWS:,} rows make the process grow (target: less than 20):\n")
    bare, bulk = (f"{one.result() / MIB:.1f}" for one in rows)
    table(["", "resident"], [["bare loop", bare], ["SendQueue.bulk", bulk]])
    keep("memory", {"growth": growth.result(), "each_kib": float(a_queue), "bulk_mib": float(bulk)})


if __name__ == "__main__":
    main()
