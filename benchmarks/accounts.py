"""Do many accounts in one process, and larger contracts, get what they pay for, and no more?"""

import argparse
import asyncio
import contextlib
import itertools
import os
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import attrs
from _quick import Quick
from _results import keep
from _table import check, percent, table
from _virtual import most_in_a_second, sms

from orange_sms_async import Client, ClientCredentials, Outcome, ResourceId, SendQueue


@attrs.frozen
class Case:
    """
    A number of accounts with the same rate in one process on one core.

    Attributes:
        settle: seconds at the beginning that are not counted.
        wanted: the target: the share of its rate that each should use.
    """

    accounts: int
    rate: int
    wanted: float
    settle: float

    def __str__(self) -> str:
        return f"{self.accounts} × {self.rate}/s"


@attrs.frozen
class Result:
    """A case's results: a number for each account, and processor seconds for each second."""

    shares: list[float]
    most: list[int]
    ids: list[ResourceId]
    load: float


class Kept(deque[float]):
    """When the last requests left, as a pacer is told; `all` forgets none."""

    def __init__(self, last: deque[float]) -> None:
        super().__init__(last, last.maxlen)
        self.all = list(last)

    def append(self, moment: float) -> None:
        self.all.append(moment)
        super().append(moment)


async def account(
    name: str, address: str, rate: float, seconds: float, ids: list[ResourceId]
) -> list[float]:
    """Send as much as the pace allows, for some seconds from the first; return when each left."""

    def note(outcome: Outcome) -> None:
        if outcome.resource_id:
            ids.append(outcome.resource_id)

    client = Client(ClientCredentials(name, "b"), base_url=address, rate=rate)
    client.pacer.left_at = left = Kept(client.pacer.left_at)
    messages = (sms(str(number)) for number in itertools.count())
    async with (
        client,
        SendQueue(client, on_outcome=note) as queue,
        queue.bulk(messages, window=50) as reports,
    ):
        async for _ in reports:
            if left.all[-1] - left.all[0] > seconds:
                break
    return left.all


async def accounts(case: Case, address: str, seconds: float) -> Result:
    ids, processor = list[ResourceId](), time.process_time()
    all_left = await asyncio.gather(
        *[
            account(f"account {number}", address, case.rate, seconds, ids)
            for number in range(case.accounts)
        ]
    )
    return Result(
        shares=[share(left, case, seconds) for left in all_left],
        most=[most_in_a_second(left) for left in all_left],
        ids=ids,
        load=(time.process_time() - processor) / seconds,
    )


def share(left: list[float], case: Case, seconds: float) -> float:
    counted = sum(case.settle <= moment - left[0] < seconds for moment in left)
    return counted / case.rate / (seconds - case.settle)


def measure(case: Case, core: int, address: str, seconds: float) -> Result:
    os.sched_setaffinity(0, {core})
    return asyncio.run(accounts(case, address, seconds))


@contextlib.contextmanager
def burning(wanted: bool) -> Iterator[None]:
    """Keep another process busy on the same core while the block lasts."""
    if not wanted:
        yield
        return
    burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        burner.kill()
        burner.wait()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=100.0)
    options.add_argument("--burning", action="store_true", help="beside a busy process")
    chosen = options.parse_args()
    seconds: float = chosen.seconds
    settle = 0.6 * seconds
    wanted = {(1, 5): 0.98, (50, 5): 0.98, (1, 20): 0.98, (1, 50): 0.97, (1, 500): 0.95}
    cases = [Case(*each, share, settle) for each, share in wanted.items()]
    first, *_, last = sorted(os.sched_getaffinity(0))
    cores = [last, first, last, last, last]
    with Quick() as server, ProcessPoolExecutor(len(cases)) as pool, burning(chosen.burning):
        measured = partial(measure, address=server.address, seconds=seconds)
        results = dict(zip(cases, pool.map(measured, cases, cores), strict=True))
    show(results, settle)
    ids = [id_ for result in results.values() for id_ in result.ids]
    check(len(ids) == len(set(ids)) == server.taken, "each message was sent once")
    for case, result in results.items():
        check(max(result.most) <= case.rate, f"{case}: none left beyond the limit")


def show(results: dict[Case, Result], settle: float) -> None:
    print(f"Share of its rate that each account uses after {settle:g} s, each case on one core:\n")
    rows = [
        [
            case,
            percent(min(result.shares)),
            percent(statistics.median(result.shares)),
            f"{case.wanted:.0%}",
            max(result.most),
            percent(result.load),
        ]
        for case, result in results.items()
    ]
    table(["", "least", "median", "target", "most in 1 s", "core"], rows)
    keep(
        "accounts",
        [
            {"case": str(case), "least": min(result.shares), "most_in_1s": max(result.most)}
            for case, result in results.items()
        ],
    )


if __name__ == "__main__":
    main()
