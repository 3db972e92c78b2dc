"""Queues over an outbox in PostgreSQL: several on one account, as several processes have them."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime, timedelta

import pytest
from line import Line, most_in_a_second, named
from lossy import LossyWire
from receipt import ARRIVED, receipt

from orange_sms_async import (
    Client,
    ClientCredentials,
    ConnectionFailed,
    MessageExpired,
    OutboundMessage,
    OutboxUnusable,
    PostgresOutbox,
    Priority,
    SendQueue,
    State,
    events,
)
from orange_sms_async._served import Served
from orange_sms_async.outbox.postgres import submission
from orange_sms_async.pacing import departure
from orange_sms_async.sandbox import Sandbox

pytestmark = pytest.mark.real_time


@pytest.fixture
async def fleet(dsn):
    """Queues on one account, each with a line of its own, which all note into one list."""
    async with contextlib.AsyncExitStack() as stack:

        async def queue(line: Line | None, **settings):
            outbox = PostgresOutbox(dsn)
            outbox._fence, outbox._lease = 0.3, 1.0
            opened = SendQueue(line, outbox=outbox, **settings)
            return await stack.enter_async_context(opened)

        yield queue


async def test_what_one_submits_another_sends(fleet):
    """
    And whoever awaits it is told, as is who asks for its receipt anywhere.
    """
    line = Line()
    sender = await fleet(line)
    submitter, receiver = await fleet(None), await fleet(None)
    future = await submitter.submit(named("a"))

    assert "id-a" == await asyncio.wait_for(future, 5)
    arriving = asyncio.create_task(submitter.delivered("a", 10))
    await asyncio.sleep(0.1)
    await receiver.keep(receipt("id-a"))
    assert ARRIVED == (await arriving).status
    assert sender.statistics().has_turn
    assert not submitter.statistics().has_turn


class Telling(Line):
    """Says when a message leaves, as `Client` does: a claim takes its time."""

    async def attempt(self, message):
        leaving = departure.get()
        leaving.expect()
        leaving.tell()
        return await super().attempt(message)


async def test_many_senders_keep_one_pace(fleet):
    """
    Lines that know nothing of each other: five a second leave, whoever sends.
    """
    lines = [Telling() for _ in range(4)]
    queues = [await fleet(line) for line in lines]
    for n in range(30):
        await queues[n % 4].submit(named(str(n)))
    await asyncio.gather(*(queue.join() for queue in queues))

    times = [time for line in lines for time in line.times]
    assert 30 == len(times)
    assert 5 == most_in_a_second(times)
    assert 1 == sum(bool(line.times) for line in lines)


async def test_an_urgent_one_from_elsewhere_passes_a_full_lane(fleet):
    """
    A code that somebody waits for leaves within the second.
    """
    line = Line()
    await fleet(line)
    other = await fleet(None)
    for n in range(30):
        await other.submit(named(str(n)), priority=Priority.BULK)
    await asyncio.sleep(1)
    began = asyncio.get_running_loop().time()
    await other.submit(named("code"), priority=Priority.URGENT)
    while "code" not in line.texts:  # noqa: ASYNC110 -- real time
        await asyncio.sleep(0.01)

    assert dict(zip(line.texts, line.times, strict=True))["code"] - began < 0.6


async def test_a_message_submitted_in_sql_is_sent(fleet, db):
    """
    As soon as its transaction is committed.
    """
    line = Line()
    queue = await fleet(line)
    it = submission(named("order"), style="numeric")
    async with db.transaction():
        await db.execute(it.statement, *it.parameters)
    async with asyncio.timeout(5):
        while (await queue.outcome("order")).state is not State.SENT:  # noqa: ASYNC110 -- real time
            await asyncio.sleep(0.01)

    assert ["order"] == line.texts


@pytest.fixture
def served():
    sandbox = Sandbox(rate=None)
    with Served(sandbox) as server:
        yield sandbox, server.base_url


async def test_twelve_cold_starts_ask_for_at_most_two_tokens(dsn, served):
    """
    Who has not got the turn needs none.
    """
    sandbox, url = served
    credentials = ClientCredentials.from_header(sandbox.authorization)

    async def start(n: int) -> None:
        async with Client(credentials, base_url=url) as client:
            async with SendQueue(client, outbox=PostgresOutbox(dsn)) as queue:
                await queue.submit(OutboundMessage("+2250701020304", str(n), reference=str(n)))
                while len(sandbox.sent) < 12:  # noqa: ASYNC110 -- real time
                    await asyncio.sleep(0.05)

    await asyncio.wait_for(asyncio.gather(*map(start, range(12))), 20)

    assert 2 >= sum("/oauth/" in request.path for request in sandbox.requests)


@pytest.mark.parametrize("engine", ["httpx", "httpx2", "aiohttp"])
async def test_what_was_stopped_between_claim_and_leaving_does_not_leave(dsn, served, engine):
    """
    It goes back, and leaves in a turn of its own.
    """
    sandbox, url = served
    stops, told = [0.8], []

    def stop(event) -> None:
        told.append(type(event).__name__)
        if isinstance(event, events.Claimed) and stops:
            time.sleep(stops.pop())

    credentials = ClientCredentials.from_header(sandbox.authorization)
    async with Client(credentials, base_url=url, engine=engine) as client:
        outbox = PostgresOutbox(dsn)
        outbox._fence = 0.3
        async with SendQueue(client, outbox=outbox, on_event=stop) as queue:
            await queue.send(OutboundMessage("+2250701020304", "a", reference="a"))

    kinds = {"Claimed", "Left", "PutBack"}
    assert ["Claimed", "PutBack", "Claimed", "Left"] == [it for it in told if it in kinds]
    assert 1 == len(sandbox.sent)


async def test_a_message_expires_wherever_it_was_submitted(fleet, db):
    """
    Also when who submitted it is gone.
    """
    queue = await fleet(Line())
    await db.execute(
        "SELECT orange_sms.submit('default', 'late', '+2250701020304', 'x', "
        "not_before => now() + interval '1 h', expires_at => now() + interval '0.2 s')"
    )
    await asyncio.sleep(2)

    assert isinstance((await queue.outcome("late")).error, MessageExpired)


async def test_the_database_goes_away_and_comes_back(fleet, dsn, db):
    """
    Its connections are cut in the midst of it: all of it is sent, once.
    """
    line = Line()
    await db.execute("UPDATE orange_sms.account SET rate = 50")
    queue = await fleet(line.paced(50))
    futures = [await queue.submit(named(str(n))) for n in range(60)]
    for _ in range(5):
        await asyncio.sleep(0.15)
        await db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    await asyncio.wait_for(asyncio.gather(*futures), 20)

    assert sorted(map(str, range(60))) == sorted(line.texts)


async def test_a_process_that_starts_meanwhile_says_so(postgres):
    queue = SendQueue(Line(), outbox=PostgresOutbox("postgresql://u:secret@127.0.0.1:1/x"))
    with pytest.raises(OutboxUnusable, match=r"^outbox postgresql://127.0.0.1:1/x, account"):
        await queue.__aenter__()


async def test_a_rate_other_than_the_accounts_is_refused(fleet):
    with pytest.raises(ValueError, match="the client has 50 a second, the account in the outbox 5"):
        await fleet(Line().paced(50))


async def test_who_only_submits_needs_no_rate(fleet, db):
    await db.execute("UPDATE orange_sms.account SET rate = 50")

    assert (await fleet(None)).statistics().waiting[Priority.NORMAL] == 0


async def test_what_leaves_from_elsewhere_is_waited_for_no_longer(fleet, db):
    """
    By who could not send it, and has the turn no more: something else waits in that lane.
    """
    first, asking = Line(), await fleet(None)
    first.answers.extend([ConnectionFailed()] * 1000)
    trying = await fleet(first)
    sent = await asking.submit(named("a"))
    async with asyncio.timeout(20):
        while trying.statistics().oldest[Priority.NORMAL] < 0.2:  # noqa: ASYNC110 -- wakes nobody
            await asyncio.sleep(0.05)
        await db.execute(
            "UPDATE orange_sms.account "
            "SET sender = gen_random_uuid(), sender_until = now() + interval '0.5 s'"
        )
        await fleet(Line())
        await sent
        await asking.submit(named("b"), not_before=datetime.now(UTC) + timedelta(hours=1))
        while trying.statistics().waiting[Priority.NORMAL] != 1:  # noqa: ASYNC110 -- likewise
            await asyncio.sleep(0.05)
        while trying.statistics().oldest[Priority.NORMAL]:  # noqa: ASYNC110 -- likewise
            await asyncio.sleep(0.05)


async def test_the_guard_goes_on_with_the_turn(fleet, db):
    """
    What one process had learned of the account, the next one begins with.
    """
    first, second = Line(), Line()
    first.pacer.guard = 0.05
    async with contextlib.aclosing(await fleet(first)) as queue:
        await queue.send(named("a"))
        learned = first.pacer.guard
    queue = await fleet(second)
    await queue.send(named("b"))

    assert 0.05 > learned > 0.04
    assert second.pacer.guard == pytest.approx(learned, abs=0.001)


async def test_it_says_that_it_waits_for_the_database(postgres, dsn):
    """
    Whatever it asked for meanwhile comes to its end.
    """
    line = Line()
    async with LossyWire(postgres.port) as wire:
        outbox = PostgresOutbox(dsn.replace(str(postgres.port), str(wire.port)))
        told = asyncio.Queue()
        async with SendQueue(line, outbox=outbox, on_event=told.put_nowait) as queue:
            wire.cut()
            sending = asyncio.create_task(queue.send(named("a")))
            waits = await first(events.Waiting, told)
            shown = queue.statistics().waiting_for, queue.statistics().waiting_words
            wire.mend()
            await sending
            goes_on = await first(events.GoingOn, told)

    assert (
        events.WaitingFor.DATABASE,
        "the outbox cannot be reached, or another program holds it",
    ) == shown
    assert events.WaitingFor.DATABASE is waits.reason is goes_on.reason


async def first(kind, told):
    async with asyncio.timeout(5):
        while not isinstance(event := await told.get(), kind):
            pass
        return event
