"""Do the processes of a fleet use one account's rate together, and no more of it?"""

import argparse
import asyncio
import json
import math
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import attrs
from _results import keep
from _server import Evidence, Server
from _table import check, percent, table
from _virtual import most_in_a_second, sms

from orange_sms_async import (
    Client,
    ClientCredentials,
    NotSent,
    OutboundMessage,
    PostgresOutbox,
    Priority,
    SendQueue,
)
from orange_sms_async.outbox.postgres import migrating

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from postgres_server import served_postgres

RATE, PROCESSES = 5.0, 4
SETTLE = 5.0  # seconds at the beginning that are not counted: processes start, a guard is learned


@attrs.frozen
class Case:
    """
    What each process runs.

    Attributes:
        name: for the table.
        sends: the name of the function.
        processes: how many of them.
        busy: how many of them have messages, as a campaign is often one process'.
    """

    name: str
    sends: str
    processes: int = PROCESSES
    busy: int = PROCESSES


CASES = (
    Case("one process, one queue", "alone", 1, 1),
    Case("a queue in each, 5/4 a second", "divided"),
    Case("the same, one has messages", "divided", busy=1),
    Case("slots taken from a table", "slots"),
    Case("PostgresOutbox", "fleet"),
    Case("PostgresOutbox, one has messages", "fleet", busy=1),
)


@attrs.frozen
class Member:
    """What a process is told."""

    sends: str
    address: str
    dsn: str
    number: int
    messages: int
    seconds: float


async def alone(member: Member) -> int:
    return await _queue(member, RATE)


async def divided(member: Member) -> int:
    return await _queue(member, RATE / PROCESSES)


async def _queue(member: Member, rate: float) -> int:
    async with _client(member, rate) as client:
        await _fill(SendQueue(client), member)
    return 0


async def fleet(member: Member) -> int:
    outbox = PostgresOutbox(member.dsn)
    async with _client(member, RATE) as client:
        await _fill(SendQueue(client, outbox=outbox), member)
    return outbox._db.queries  # noqa: SLF001 -- nobody else counts them


async def _fill(queue: SendQueue, member: Member) -> None:
    """Have messages wait for as long as the measuring lasts."""
    try:
        async with asyncio.timeout(member.seconds), queue:
            for message in _messages(member):
                await queue.submit(message, priority=Priority.BULK)
            await asyncio.Event().wait()
    except TimeoutError:
        return


async def slots(member: Member) -> int:
    """Send as a worker does that takes its next slot from a row which all workers share."""
    db, queries = await asyncpg.connect(member.dsn), 0
    async with _client(member, RATE) as client:
        until = time.monotonic() + member.seconds
        for message in _messages(member):
            wait = await db.fetchval(
                "UPDATE slot SET next = greatest(next, clock_timestamp()) + interval '0.2 s' "
                "RETURNING extract(epoch FROM next - clock_timestamp())::float8 - 0.2"
            )
            queries += 1
            await asyncio.sleep(wait)
            if time.monotonic() > until:
                break
            try:
                await client.send(message)
            except NotSent:
                continue  # throttled: a framework would try it again later
    return queries


SENDS: dict[str, Callable[[Member], Awaitable[int]]] = {
    "alone": alone,
    "divided": divided,
    "slots": slots,
    "fleet": fleet,
}


def _client(member: Member, rate: float) -> Client:
    return Client(ClientCredentials("sandbox", "sandbox"), base_url=member.address, rate=rate)


def _messages(member: Member) -> Iterator[OutboundMessage]:
    return (sms(f"{member.number}-{n}") for n in range(member.messages))


# -- the one that measures -------------------------------------------------------------------------


@attrs.frozen
class Result:
    share: float
    most: int
    throttled: int
    tokens: int
    queries: float


async def _fresh(dsn: str) -> None:
    db = await asyncpg.connect(dsn)
    await db.execute(
        "TRUNCATE orange_sms.message; DROP TABLE IF EXISTS slot; "
        "UPDATE orange_sms.account SET sender = NULL, sender_until = '-infinity';"
        "CREATE TABLE slot AS SELECT clock_timestamp() AS next"
    )
    await db.close()


def measure(case: Case, dsn: str, seconds: float) -> Result:
    asyncio.run(_fresh(dsn))
    each = math.ceil(RATE * seconds / case.busy)  # so that some wait to the end
    with Server() as server:
        members = [
            Member(
                case.sends, server.address, dsn, number, each if number < case.busy else 0, seconds
            )
            for number in range(case.processes)
        ]
        command = [sys.executable, __file__, "--member"]
        processes = [
            subprocess.Popen(
                [*command, json.dumps(attrs.asdict(member))], stdout=subprocess.PIPE, text=True
            )
            for member in members
        ]
        queries = sum(int(process.communicate()[0] or 0) for process in processes)
    return _result(server.evidence, queries, seconds)


def _result(evidence: Evidence, queries: int, seconds: float) -> Result:
    accepted = [time for time, status in evidence.arrivals if status == 201]
    begin = min(time for time, _ in evidence.arrivals) + SETTLE
    end = begin + seconds - 2 * SETTLE
    check(len(evidence.accepted) == len(set(evidence.accepted)), "each message was sent once")
    return Result(
        share=sum(begin <= time < end for time in accepted) / (end - begin) / RATE,
        most=most_in_a_second([time for time, _ in evidence.arrivals]),
        throttled=len(evidence.arrivals) - len(accepted),
        tokens=evidence.token_requests,
        queries=queries / len(accepted),
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=30.0, help="for each case")
    options.add_argument("--member", type=json.loads, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.member:
        member = Member(**chosen.member)
        print(asyncio.run(SENDS[member.sends](member)))
        return
    with served_postgres(fsync="on") as postgres:
        asyncio.run(migrating.migrate(postgres.dsn(), rate=RATE))
        results = {case: measure(case, postgres.dsn(), chosen.seconds) for case in CASES}
    show(results)


def show(results: dict[Case, Result]) -> None:
    print(f"{PROCESSES} processes, one account of {RATE:g} a second, a strict rolling second:\n")
    rows = [
        [
            case.name,
            percent(result.share),
            result.most,
            result.throttled,
            result.tokens,
            f"{result.queries:.1f}",
        ]
        for case, result in results.items()
    ]
    columns = ["", "of the allowance", "most in 1 s", "throttled", "tokens", "queries an SMS"]
    table(columns, rows)
    keep(
        "fleet",
        [{"case": case.name, **attrs.asdict(result)} for case, result in results.items()],
    )


if __name__ == "__main__":
    main()
