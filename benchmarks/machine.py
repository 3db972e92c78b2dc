"""Do the processes of one machine share one pace, and what does an idle one cost?"""

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import attrs
from _results import keep
from _server import Evidence, Server
from _table import check, percent, table

from orange_sms_async import OutboundMessage, Priority, SendQueue, SqliteOutbox

QUEUES, WRITERS = 4, 8
_SECOND = 0.995  # the server is a process among others, and notes an arrival late at times
SPAWN = multiprocessing.get_context("spawn")
FORK = multiprocessing.get_context("fork")


@attrs.frozen
class Run:
    """
    The result of one rate.

    Attributes:
        over: how often one more message than the rate arrived within 995 ms.
        tightest: the fewest seconds in which that many arrived.
    """

    rate: float
    messages: int
    share: float
    most_in_a_second: int
    over: int
    tightest: float
    tokens: int
    resolved: int
    slowest_put: float


def sms(number: int, writer: str) -> OutboundMessage:
    return OutboundMessage("+2250701020304", "Bonjour", reference=f"{writer}-{number}")


# -- processes ------------------------------------------------------------------------------------


def submit(  # noqa: PLR0917 -- as a process takes them
    path: str, address: str, rate: float, name: str, count: int, resolved: object
) -> None:
    asyncio.run(_submit(path, address, rate, name, count, resolved))


async def _submit(  # noqa: PLR0917 -- as above
    path: str, address: str, rate: float, name: str, count: int, resolved: object
) -> None:
    server = Server()
    server.address = address
    outbox = SqliteOutbox(path)
    async with server.client(rate) as client, SendQueue(client, outbox=outbox) as queue:
        futures = [await queue.submit(sms(n, name)) for n in range(count)]
        ids = await asyncio.gather(*futures)
        resolved.put(len(set(ids)))  # type: ignore[attr-defined]
        # The others' messages too: whoever has the turn sends them.
        await queue.aclose()


def stand_by(path: str, address: str, seconds: float, spent: object) -> None:
    asyncio.run(_stand_by(path, address, seconds, spent))


async def _stand_by(path: str, address: str, seconds: float, spent: object) -> None:
    server = Server()
    server.address = address
    async with server.client() as client, SendQueue(client, outbox=SqliteOutbox(path)):
        await asyncio.sleep(1)
        before = time.process_time()
        await asyncio.sleep(seconds)
        spent.put((time.process_time() - before) / seconds)  # type: ignore[attr-defined]


def put(path: str, name: str, count: int, slowest: object) -> None:
    outbox, longest = SqliteOutbox(path), 0.0
    for n in range(count):
        start = time.perf_counter()
        outbox.put(sms(n, name), priority=Priority.BULK)
        longest = max(longest, time.perf_counter() - start)
    slowest.put(longest)  # type: ignore[attr-defined]


# -- measuring ------------------------------------------------------------------------------------


def measured(rate: float, submitted: int, written: int) -> Run:
    with tempfile.TemporaryDirectory() as folder, Server("--unlimited") as server:
        path = str(Path(folder) / "sms.db")
        resolved, slowest = SPAWN.Queue(), FORK.Queue()
        queues = [
            SPAWN.Process(
                target=submit, args=(path, server.address, rate, f"q{n}", submitted, resolved)
            )
            for n in range(QUEUES)
        ]
        writers = [
            FORK.Process(target=put, args=(path, f"w{n}", written, slowest)) for n in range(WRITERS)
        ]
        for process in (*queues, *writers):
            process.start()
        heard = sum(resolved.get() for _ in queues)
        longest = max(slowest.get() for _ in writers)
        for process in (*queues, *writers):
            process.join()
            check(process.exitcode == 0, "every process came to its end")
    return judged(rate, server.evidence, heard, longest)


def idle(seconds: float) -> float:
    """Return the share of a core that the most expensive idle process takes."""
    with tempfile.TemporaryDirectory() as folder, Server("--unlimited") as server:
        spent = SPAWN.Queue()
        arguments = (str(Path(folder) / "sms.db"), server.address, seconds, spent)
        processes = [SPAWN.Process(target=stand_by, args=arguments) for _ in range(QUEUES)]
        for process in processes:
            process.start()
        dearest: float = max(spent.get() for _ in processes)
        for process in processes:
            process.join()
    return dearest


def judged(rate: float, seen: Evidence, heard: int, longest: float) -> Run:
    at = sorted(arrived for arrived, status in seen.arrivals if status == 201)
    spans = [later - sooner for sooner, later in zip(at, at[int(rate) :], strict=False)]
    return Run(
        rate=rate,
        messages=len(at),
        share=(len(at) - 1) / (at[-1] - at[0]) / rate,
        most_in_a_second=most_within(at, _SECOND),
        over=sum(span < _SECOND for span in spans),
        tightest=min(spans),
        tokens=seen.token_requests,
        resolved=heard,
        slowest_put=longest,
    )


def most_within(at: Sequence[float], seconds: float) -> int:
    most, first = 0, 0
    for last, arrived in enumerate(at):
        while arrived - at[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="a fifth of it")
    part = 5 if options.parse_args().quick else 1
    runs = [
        measured(5.0, 50 // part, 200 // 8 // part),
        measured(100.0, 0, 1_000 // part),
    ]
    table(
        (
            *("rate", "messages", "share", "most in 995 ms", "one more", "tightest", "tokens"),
            "slowest put",
        ),
        [
            (
                f"{run.rate:g}/s",
                run.messages,
                percent(run.share),
                run.most_in_a_second,
                run.over,
                f"{run.tightest * 1000:.1f} ms",
                run.tokens,
                f"{run.slowest_put * 1000:.0f} ms",
            )
            for run in runs
        ],
    )
    for run, wanted in zip(runs, (50 // part * QUEUES, 0), strict=True):
        check(run.resolved == wanted, "each process learned the outcome of all its messages")
    keep("machine", [attrs.asdict(run) for run in runs])
    spent = idle(20.0 / part)
    print(f"\nAn idle process takes {spent:.2%} of a core. Target: less than 0.5 %.")
    keep("idle", spent)


if __name__ == "__main__":
    main()
