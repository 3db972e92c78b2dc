"""What does a durable outbox cost: admitting, opening and claiming?"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from _clients import Silent
from _results import keep
from _table import check, table
from _virtual import sms

from orange_sms_async import SendQueue
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outcomes import State

PRODUCERS, ADMISSIONS, ALONE, BARE = 50, 20_000, 200, 500
WAITING, SCHEDULED, TAKEN = 1_000_000, 100_000, 1_000
MONTH = timedelta(days=30)

SLOW_DISK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
int fsync(int fd) {
    usleep(4000);
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}
int fdatasync(int fd) {
    usleep(4000);
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
"""


# -- admitting ------------------------------------------------------------------------------------


def bare(path: Path) -> float:
    """Return rows a second, each in a transaction of its own, as a durable outbox writes them."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE message (text TEXT)")
        start = time.perf_counter()
        for number in range(BARE):
            db.execute("INSERT INTO message VALUES (?)", (str(number),))
        return BARE / (time.perf_counter() - start)


async def admit(path: Path) -> dict[str, float]:
    numbers = iter(range(ADMISSIONS))
    async with SendQueue(Silent(), capacity=10 * ADMISSIONS, outbox=SqliteOutbox(path)) as queue:
        alone = [await timed_submit(queue, f"alone {n}") for n in range(ALONE)]
        start = time.perf_counter()
        await asyncio.gather(*(produce(queue, numbers) for _ in range(PRODUCERS)))
        seconds = time.perf_counter() - start
        await queue.aclose(drain=False)
    return {
        "admissions": ADMISSIONS / seconds,
        "median": statistics.median(alone),
        "least": min(alone),
    }


async def timed_submit(queue: SendQueue, text: str) -> float:
    start = time.perf_counter()
    await queue.submit(sms(text))
    return time.perf_counter() - start


async def produce(queue: SendQueue, numbers: Iterator[int]) -> None:
    for number in numbers:
        await queue.submit(sms(str(number)))


def admissions(folder: Path, name: str, **environment: str) -> dict[str, float]:
    """Measure in a process of its own, which gets the slow disk; count what is in the file."""
    path = folder / f"{name}.db"
    output = subprocess.check_output(
        [sys.executable, __file__, "--admit", path], env=os.environ | environment
    )
    measured: dict[str, float] = json.loads(output)
    with contextlib.closing(sqlite3.connect(path)) as db:
        (kept,) = db.execute("SELECT count(*) FROM message WHERE state = 'queued'").fetchone()
    check(kept == ADMISSIONS + ALONE, f"{name}: what was admitted is in the file")
    if environment:
        check(measured["least"] >= 0.004, f"{name}: a submit returns after its fsync")
    return measured


def slow_disk(folder: Path) -> str | None:
    """Compile a library that adds 4 ms to each fsync; return None if that is impossible here."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        return None
    source, library = folder / "slow.c", folder / "slow.so"
    source.write_text(SLOW_DISK)
    subprocess.check_call([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"])
    return str(library)


def compare_admissions(folder: Path) -> None:
    disks = {"this disk": {}}
    if library := slow_disk(folder):
        disks["4 ms added to each fsync"] = {"LD_PRELOAD": library}
    else:
        print("4 ms added to each fsync: skipped, no C compiler here")
    measured = {name: admissions(folder, name, **disk) for name, disk in disks.items()}
    rows = [
        [
            name,
            *(f"{each[rate]:,.0f}" for rate in ("bare", "admissions")),
            *(f"{each[time] * 1000:.2f}" for time in ("least", "median")),
        ]
        for name, each in measured.items()
    ]
    print(f"Submits returned to {PRODUCERS} producers (target with 4 ms: 3,000/s, 4 ms):\n")
    table(["", "bare rows/s", "admissions/s", "least ms alone", "median ms alone"], rows)
    keep("outbox", measured)


# -- a million that wait --------------------------------------------------------------------------

INSERT = (
    "INSERT INTO message (reference, state, priority, not_before, expires_at, on_unknown, "
    "recipient, text, on_net) VALUES (?, ?, ?, ?, 9e999, 'report', '+2250701020304', ?, 0)"
)


def waiting_rows() -> Iterator[tuple[object, ...]]:
    for number in range(WAITING):
        later = number % (WAITING // SCHEDULED) == 0
        state = State.SCHEDULED if later else State.QUEUED
        text = f"Votre code est {number:06}. Ne le partagez pas."
        yield f"reference {number}", state, 2, 1e10 + number if later else 0, text


async def a_million(path: Path) -> list[list[object]]:
    outbox = SqliteOutbox(path)
    await outbox.open(0.0, MONTH)
    await outbox.aclose()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executemany(INSERT, waiting_rows())
        db.commit()
    start = time.perf_counter()
    await outbox.open(time.time(), MONTH)
    check(await outbox.take_turn(time.time()), "nobody else has the turn")
    await outbox.tidy(time.time())
    opened = time.perf_counter() - start
    check(outbox.unfinished == WAITING, "all of them wait")
    takes = [await timed_take(outbox) for _ in range(TAKEN)]
    await outbox.aclose()
    return [
        ["opening", f"{opened * 1000:.1f}", "1000"],
        ["taking, median", f"{statistics.median(takes) * 1000:.2f}", "1"],
        ["taking, p99", f"{statistics.quantiles(takes, n=100)[98] * 1000:.2f}", "-"],
    ]


async def timed_take(outbox: SqliteOutbox) -> float:
    start = time.perf_counter()
    await outbox.ready_at()
    claim = await outbox.claim(time.time())
    seconds = time.perf_counter() - start
    check(claim is not None, "one was taken")
    return seconds


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--admit", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.admit:
        control = bare(chosen.admit.with_suffix(".bare"))
        print(json.dumps({"bare": control} | asyncio.run(admit(chosen.admit))))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compare_admissions(folder)
        print(f"\nWith {WAITING:,} waiting, {SCHEDULED:,} of them for later, in ms:\n")
        table(["", "ms", "target"], asyncio.run(a_million(folder / "million.db")))


if __name__ == "__main__":
    main()
