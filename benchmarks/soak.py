"""Does a queue that sends for a long time, through faults and token expiries, grow?"""

import argparse
import asyncio
import gc
import itertools
import os
import resource
import statistics
import tempfile
from collections import Counter
from pathlib import Path
from typing import IO

import attrs
from _results import keep
from _server import Server
from _table import check, table
from _virtual import sms

from orange_sms_async import Client, ClientCredentials, Outcome, SendQueue

RATE, WAITING, SAMPLES, WARM = 20, 200, 60, 15
MIB = 1024**2
TIMEOUT = 5.0  # of a request: one of a hundred is never answered


@attrs.frozen
class Sample:
    """A process at one moment; memory is what is resident, in bytes."""

    memory: float
    descriptors: int
    tasks: int


def sample() -> Sample:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return Sample(
        pages * resource.getpagesize(),
        len(list(Path("/proc/self/fd").iterdir())),
        len(asyncio.all_tasks()),
    )


async def feed(queue: SendQueue) -> None:
    for number in itertools.count():
        await queue.submit(sms(str(number)))


async def soak(
    address: str, engine: str, seconds: float, ids: IO[str]
) -> tuple[Counter[str], list[Sample]]:
    settled, samples = Counter[str](), [sample()]

    def note(outcome: Outcome) -> None:
        settled[outcome.state] += 1
        if outcome.resource_id:
            ids.write(f"{outcome.resource_id}\n")  # not into memory, which is measured

    credentials = ClientCredentials("sandbox", "sandbox")
    async with (
        Client(credentials, base_url=address, timeout=TIMEOUT, engine=engine, rate=RATE) as client,  # type: ignore[arg-type]
        SendQueue(client, capacity=WAITING, on_outcome=note) as queue,
    ):
        feeder = asyncio.create_task(feed(queue))
        for _ in range(SAMPLES):
            await asyncio.sleep(seconds / SAMPLES)
            samples.append(sample())
        feeder.cancel()
    await asyncio.sleep(0.1)  # what was closed takes a turn of the loop
    return settled, [*samples, sample()]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=10.0)
    options.add_argument("--engine", choices=("httpx", "aiohttp"), default="httpx")
    chosen = options.parse_args()
    os.environ["no_proxy"] = "127.0.0.1"
    with tempfile.TemporaryFile("w+") as ids:
        with Server("--unlimited", "--trouble") as server:
            settled, samples = asyncio.run(
                soak(server.address, chosen.engine, chosen.minutes * 60, ids)
            )
        ids.seek(0)
        sent = ids.read().split()
    show(chosen.minutes, settled, server.evidence.token_requests, samples)
    taken = server.evidence.accepted
    check(len(sent) == len(set(sent)) and set(sent) <= set(taken), "what was sent was taken, once")
    check(len(taken) - len(sent) <= settled["unknown"], "the rest of what was taken is unknown")
    before, after = samples[0], samples[-1]
    check(before.tasks == after.tasks, "no task is left")
    check(before.descriptors == after.descriptors, "no file descriptor is left")


def show(minutes: float, settled: Counter[str], tokens: int, samples: list[Sample]) -> None:
    print(f"{minutes:g} minutes at {RATE} a second, {tokens} tokens, outcomes: {dict(settled)}\n")
    warm = samples[WARM:-1]  # by then all connections and caches are there
    third = len(warm) // 3
    rows = [
        [name, *map(show_it, (samples[0], warm[:third], warm[-third:], samples[-1]))]
        for name, show_it in {
            "memory, MiB": lambda of: f"{middle(of, 'memory') / MIB:.1f}",
            "file descriptors": lambda of: f"{middle(of, 'descriptors'):g}",
            "tasks": lambda of: f"{middle(of, 'tasks'):g}",
        }.items()
    ]
    table(["", "before", "early", "late", "after"], rows)
    growth = middle(warm[-third:], "memory") - middle(warm[:third], "memory")
    messages = settled.total() * 2 * third / SAMPLES
    print(f"\nFrom early to late {growth / messages:.0f} bytes a message")
    keep("soak", {"minutes": minutes, "growth": growth, "messages": messages})


def middle(samples: Sample | list[Sample], name: str) -> float:
    if isinstance(samples, Sample):
        samples = [samples]
    return statistics.median(getattr(each, name) for each in samples)


if __name__ == "__main__":
    main()
