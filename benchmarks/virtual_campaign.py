"""How long does it take to test half an hour of sending?"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _results import keep
from _table import check, table
from _virtual import JumpingLoop, lived, orange, reminders, violations

from orange_sms_async import Client, ClientCredentials, SendQueue
from orange_sms_async.receiver import ReceiptBook
from orange_sms_async.sandbox import Sandbox

MESSAGES, RATE = 9_000, 5.0
IN_MEMORY = Path("/dev/shm")  # a file system without a disk, where Linux has one


def open_client(sandbox: Sandbox) -> Client:
    credentials = ClientCredentials.from_header(sandbox.authorization)
    return Client(credentials, transport=sandbox.transport)


async def bare() -> float:
    sandbox = Sandbox(rate=None)
    async with open_client(sandbox) as client:
        for message in reminders(MESSAGES):
            await client.send(message)
    check(len(sandbox.sent) == MESSAGES, "bare: each was sent once")
    return 0.0


async def queue() -> float:
    book = ReceiptBook()
    sandbox = orange(book, MESSAGES)
    async with open_client(sandbox) as client, SendQueue(client) as queue:
        async with queue.bulk(reminders(MESSAGES)) as reports:
            ids = [report.resource_id async for report in reports if report.resource_id]
        arrived = [await book.delivered(resource_id) for resource_id in ids]
    once = len(sandbox.sent) == len(arrived) == MESSAGES
    check(once, "in memory: each was sent once, and said to have arrived")
    check(sandbox.most_in_a_second <= RATE, "in memory: at most 5 in any second")
    return asyncio.get_running_loop().time()


def killed(beside: Path) -> float:
    with tempfile.TemporaryDirectory(dir=beside) as folder:
        first = lived(Path(folder), MESSAGES, killed_after=MESSAGES / RATE / 2)
        second = lived(Path(folder), MESSAGES, killed_after=MESSAGES)
    wrong = violations(MESSAGES, first, second)
    check(not wrong, f"killed: each was sent once or called unknown {wrong}")
    return first.seconds + second.seconds


def measure(name: str, case: Callable[[], float]) -> list[str]:
    began = time.perf_counter()
    virtual = case()
    return [name, f"{virtual:,.0f}", f"{time.perf_counter() - began:.1f}"]


def on_the_clock(main: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        with asyncio.Runner(loop_factory=JumpingLoop) as runner:
            return runner.run(main())

    return run


def main() -> None:
    cases = {
        "no queue, no receipts": on_the_clock(bare),
        "queue and receipts": on_the_clock(queue),
        "SqliteOutbox, killed halfway": lambda: killed(Path(tempfile.gettempdir())),
    }
    if IN_MEMORY.is_dir():
        cases["the same without a disk"] = lambda: killed(IN_MEMORY)
    print(f"{MESSAGES:,} messages to a sandbox in this process, in virtual time:\n")
    rows = [measure(name, case) for name, case in cases.items()]
    table(["", "virtual s", "s"], rows)
    keep("virtual_campaign", {name: float(seconds) for name, _, seconds in rows})


if __name__ == "__main__":
    main()
