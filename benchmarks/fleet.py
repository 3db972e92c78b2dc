"""Do the processes of a fleet together use one account's rate, and no more than that?"""

import argparse
import asyncio
import contextlib
import json
import math
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import attrs
import celery.worker.state
from _pooler import pgbouncer, pooled
from _results import keep
from _server import Evidence, Server
from _table import check, percent, table
from _virtual import most_in_a_second, sms
from celery import Celery
from celery.platforms import SecurityWarning

from orange_sms_async import (
    Client,
    ClientCredentials,
    NotSent,
    OutboundMessage,
    PostgresOutbox,
    Priority,
    SendQueue,
)
from orange_sms_async.events import Event, Left
from orange_sms_async.outbox.postgres import migrating

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from postgres_server import served_postgres

PROCESSES = 4
ENFORCED = 10.0  # a second: the fastest rate that the server enforces
SETTLE = 5.0  # seconds at the beginning that are not counted: processes start, a guard is learned


@attrs.frozen
class Case:
    """
    What each process runs.

    Attributes:
        name: for the table.
        sends: the name of the function.
        processes: how many of them.
        busy: how many of them have messages. A campaign often runs in one process.
        pooler: whether PgBouncer is in front of the database.
    """

    name: str
    sends: str
    processes: int = PROCESSES
    busy: int = PROCESSES
    pooler: bool = False


CASES = (
    Case("one process, one queue", "alone", 1, 1),
    Case("a queue in each, 1/4 of the rate", "divided"),
    Case("the same, one has messages", "divided", busy=1),
    Case("Celery, rate_limit 1/4 in each worker", "framework"),
    Case("slots taken from a table", "slots"),
    Case("PostgresOutbox", "fleet"),
    Case("PostgresOutbox, one has messages", "fleet", busy=1),
    Case("PostgresOutbox, PgBouncer", "fleet", pooler=True),
)


@attrs.frozen
class Member:
    """The settings of a process."""

    sends: str
    address: str
    dsn: str
    number: int
    messages: int
    seconds: float
    rate: float


@attrs.define
class Account:
    """
    What a process reports at its end.

    Attributes:
        queries: round trips to the database; 0 without one, or if they are not counted.
        left: when its messages left, on the machine's monotonic clock, as far as it knows.
    """

    queries: int = 0
    left: list[float] = attrs.field(factory=list)

    def hear(self, event: Event) -> None:
        if isinstance(event, Left):
            self.left.append(time.monotonic())


async def alone(member: Member) -> Account:
    return await _queue(member, member.rate)


async def divided(member: Member) -> Account:
    return await _queue(member, member.rate / PROCESSES)


async def _queue(member: Member, rate: float) -> Account:
    account = Account()
    async with _client(member, rate) as client:
        await _fill(SendQueue(client, on_event=account.hear), member)
    return account


async def fleet(member: Member) -> Account:
    outbox, account = PostgresOutbox(member.dsn), Account()
    async with _client(member, member.rate) as client:
        await _fill(SendQueue(client, outbox=outbox, on_event=account.hear), member)
    account.queries = outbox._db.queries  # noqa: SLF001 -- nobody else counts them
    return account


async def _fill(queue: SendQueue, member: Member) -> None:
    """Keep messages waiting for as long as the measuring lasts."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(member.seconds), queue:
            for message in _messages(member):
                await queue.submit(message, priority=Priority.BULK)
            await asyncio.Event().wait()


async def slots(member: Member) -> Account:
    """Send like a worker that takes its next slot from a row that all workers share."""
    db, account = await asyncpg.connect(member.dsn), Account()
    async with _client(member, member.rate) as client:
        until = time.monotonic() + member.seconds
        for message in _messages(member):
            wait = await db.fetchval(
                "UPDATE slot SET next = greatest(next, clock_timestamp()) + $1 * interval '1 s' "
                "RETURNING extract(epoch FROM next - clock_timestamp())::float8 - $1",
                1 / member.rate,
            )
            account.queries += 1
            await asyncio.sleep(wait)
            if time.monotonic() > until:
                break
            with contextlib.suppress(NotSent):  # throttled: it would be tried again later
                await client.send(message)
    return account


async def framework(member: Member) -> Account:
    """Send in the tasks of a job framework, where each worker has its own rate limit."""
    await asyncio.to_thread(_work, member)
    return Account()


def _work(member: Member) -> None:
    warnings.filterwarnings("ignore", category=SecurityWarning)  # here, to run as root is no risk
    app = _celery(member.dsn)
    app.conf.update(
        worker_redirect_stdouts=False,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=8,  # else it asks for the next ones too late
    )
    with asyncio.Runner() as runner:
        client = runner.run(_client(member, member.rate).__aenter__())

        # In Celery, each worker has its own limit. No framework has an evenly spaced limit for all
        # workers on all hosts.
        @app.task(name="send", rate_limit=f"{member.rate * 60 / PROCESSES}/m", ignore_result=True)
        def send(text: str) -> None:
            with contextlib.suppress(NotSent):
                runner.run(client.send(sms(text)))

        for message in _messages(member):
            send.delay(message.text)
        threading.Timer(member.seconds, _end_work).start()
        with contextlib.suppress(SystemExit):
            app.Worker(
                pool="solo", without_mingle=True, without_gossip=True, without_heartbeat=True,
                hostname=f"worker-{member.number}@here", loglevel="ERROR", quiet=True,
            ).start()  # fmt: skip
        runner.run(client.__aexit__(None, None, None))


def _celery(dsn: str) -> Celery:
    return Celery(broker=dsn.replace("postgresql://", "sqla+postgresql+psycopg://"))


def _make_tables(dsn: str) -> None:
    """Create the framework's tables. If two workers create them at the same time, one fails."""
    with _celery(dsn).connection_for_write() as broker:
        broker.default_channel.queue_declare("celery")


def _end_work() -> None:
    celery.worker.state.should_stop = 0


SENDS: dict[str, Callable[[Member], Awaitable[Account]]] = {
    "alone": alone,
    "divided": divided,
    "framework": framework,
    "slots": slots,
    "fleet": fleet,
}


def _client(member: Member, rate: float) -> Client:
    return Client(
        ClientCredentials("sandbox", "sandbox"),
        base_url=member.address,
        rate=rate,
        engine="aiohttp",
    )


def _messages(member: Member) -> Iterator[OutboundMessage]:
    return (sms(f"{member.number}-{n}") for n in range(member.messages))


# -- the one that measures -------------------------------------------------------------------------


@attrs.frozen
class Result:
    """
    The result of a case.

    Attributes:
        share: of the allowance.
        most: arrivals in a rolling second, as the server noted them.
        most_left: departures in a rolling second, as the senders noted them; 0 if they did not.
    """

    share: float
    most: int
    most_left: int
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


def measure(case: Case, dsn: str, rate: float, seconds: float) -> Result:
    asyncio.run(_fresh(dsn))
    each = math.ceil(rate * seconds / case.busy)  # so that some wait to the end
    way = pooled(dsn) if case.pooler else contextlib.nullcontext(dsn)
    # A busy machine notes some arrivals late, and at a fast rate a server that enforces it would
    # refuse the next ones.
    rule = ["--unlimited"] if rate > ENFORCED else ["--rate", str(rate)]
    with Server(*rule) as server, way as led:
        command = [sys.executable, __file__, "--member"]
        processes = []
        for number in range(case.processes):
            messages = each if number < case.busy else 0
            member = Member(case.sends, server.address, led, number, messages, seconds, rate)
            processes.append(
                subprocess.Popen(
                    [*command, json.dumps(attrs.asdict(member))], stdout=subprocess.PIPE, text=True
                )
            )
        accounts = [Account(**json.loads(process.communicate()[0])) for process in processes]
    return _result(server.evidence, accounts, rate, seconds)


def _result(evidence: Evidence, accounts: list[Account], rate: float, seconds: float) -> Result:
    accepted = [time for time, status in evidence.arrivals if status == 201]
    begin = min(time for time, _ in evidence.arrivals) + SETTLE
    end = begin + seconds - 2 * SETTLE
    check(len(evidence.accepted) == len(set(evidence.accepted)), "each message was sent once")
    return Result(
        share=sum(begin <= time < end for time in accepted) / (end - begin) / rate,
        most=most_in_a_second([time for time, _ in evidence.arrivals]),
        most_left=most_in_a_second(sorted(time for it in accounts for time in it.left)),
        throttled=len(evidence.arrivals) - len(accepted),
        tokens=evidence.token_requests,
        queries=sum(it.queries for it in accounts) / len(accepted),
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=30.0, help="for each case")
    options.add_argument("--rate", type=float, default=5.0, help="of the account")
    options.add_argument("--only", default="", help="the cases whose names contain this")
    options.add_argument("--member", type=json.loads, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.member:
        member = Member(**chosen.member)
        print(json.dumps(attrs.asdict(asyncio.run(SENDS[member.sends](member)))))
        return
    cases = [it for it in CASES if chosen.only in it.name and (pgbouncer() or not it.pooler)]
    with served_postgres(fsync="on") as postgres:
        asyncio.run(migrating.migrate(postgres.dsn(), rate=chosen.rate))
        _make_tables(postgres.dsn())
        results = {
            case: measure(case, postgres.dsn(), chosen.rate, chosen.seconds) for case in cases
        }
    show(results, chosen.rate)


def show(results: dict[Case, Result], rate: float) -> None:
    print(f"{PROCESSES} processes, one account of {rate:g} a second, a strict rolling second:\n")
    rows = [
        [
            case.name,
            percent(result.share),
            result.most,
            result.most_left or "–",
            result.throttled,
            result.tokens,
            f"{result.queries:.1f}" if result.queries else "–",
        ]
        for case, result in results.items()
    ]
    columns = [
        "", "of the allowance", "most in 1 s", "most left in 1 s", "throttled", "tokens",
        "queries per SMS",
    ]  # fmt: skip
    table(columns, rows)
    keep(
        f"fleet at {rate:g}",
        [{"case": case.name, **attrs.asdict(result)} for case, result in results.items()],
    )


if __name__ == "__main__":
    main()
