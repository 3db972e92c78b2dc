"""The database goes away and comes back, and answers of it are lost on the way."""

import asyncio
import contextlib
import logging
import sys
import time
from functools import partial

import asyncpg
import pytest
from disk import MONTH
from line import named
from lossy import LossyWire
from postgres_server import served_postgres

from orange_sms_async import (
    MessageWithdrawn,
    OutboxUnusable,
    Outcome,
    PostgresOutbox,
    Priority,
    ResourceId,
    State,
)
from orange_sms_async.outbox import Entry
from orange_sms_async.outbox.postgres import migrating
from orange_sms_async.outcomes import withdrawn

pytestmark = pytest.mark.real_time


@pytest.fixture
async def wire(postgres):
    async with LossyWire(postgres.port) as wire:
        yield wire


@pytest.fixture
async def outbox(postgres, dsn, wire):
    """One whose answers may be lost."""
    outbox = PostgresOutbox(dsn.replace(str(postgres.port), str(wire.port)))
    await outbox.open(time.time(), MONTH)
    assert await outbox.take_turn(time.time())
    yield outbox
    await outbox.aclose()


def entry(reference, **terms):
    return Entry(named(reference), Priority.NORMAL, **terms)


async def claimed(outbox):
    """Claim until a message is there: what fails while the database is away is asked again."""
    while not (claim := await outbox.claim(time.time())):  # noqa: ASYNC110 -- real time
        await asyncio.sleep(0.02)
    return claim


def sent(claim):
    return Outcome(claim.reference, State.SENT, ResourceId(f"id-{claim.reference}"))


class TestALostAnswer:
    async def test_of_an_admission(self, outbox, wire, db):
        """
        The message is admitted once, and who submits it is told nothing of a second one.
        """
        wire.lose("INSERT INTO orange_sms.message")

        assert await outbox.add(entry("a")) is None
        assert 1 == await db.fetchval("SELECT count(*) FROM orange_sms.message")
        assert 0 == wire._lose

    async def test_of_a_claim(self, outbox, wire, db):
        """
        What nobody heard of goes back, and is claimed again: it was never attempted.
        """
        await outbox.add(entry("a"))
        wire.lose("orange_sms.claim")
        claim = await claimed(outbox)

        assert 0 == wire._lose
        assert ("a", 2, False) == (claim.reference, claim.attempt, claim.again)
        assert await outbox.settle(claim, sent(claim), time.time())

    @pytest.mark.parametrize("state", [State.SENT, State.UNKNOWN])
    async def test_of_an_outcome(self, outbox, wire, db, state):
        """
        It is told again, with the same result.
        """
        from orange_sms_async import OutcomeUnknown

        await outbox.add(entry("a"))
        claim = await claimed(outbox)
        outcome = (
            sent(claim) if state is State.SENT else Outcome("a", state, error=OutcomeUnknown())
        )
        wire.lose("orange_sms.settle")

        assert [outcome] == await outbox.settle(claim, outcome, time.time())
        assert 0 == wire._lose
        assert state is (await outbox.find("a")).state

    async def test_of_a_putting_back(self, outbox, wire, db):
        """
        A repetition does not take back what is on the wire again by then.
        """
        await outbox.add(entry("a", on_unknown="resend"))
        claim = await claimed(outbox)
        wire.lose("state = CASE WHEN $7 > 0")
        await outbox.put_back(claim, again=True)
        again = await claimed(outbox)
        await outbox.put_back(claim, again=False)

        assert 0 == wire._lose
        assert (2, True) == (again.attempt, again.again)
        assert State.SENDING is (await outbox.find("a")).state

    async def test_of_what_a_rule_counts(self, outbox, wire, db):
        """
        It is counted once, and the last place is had by the one who asked for it.
        """
        wire.lose("orange_sms.take(")
        take = partial(outbox.notes.take, "codes", units=1, most=1, within=60, now=time.time())

        assert await take(member="a")
        assert 0 == wire._lose
        assert not await take(member="b")

    async def test_of_a_withdrawal(self, outbox, wire, db):
        await outbox.add(entry("a"))
        wire.lose("UPDATE orange_sms.message SET state = $3")

        assert await outbox.withdraw(withdrawn("a"), time.time())
        assert 0 == wire._lose
        assert isinstance((await outbox.find("a")).error, MessageWithdrawn)


class TestTheDatabaseIsAway:
    async def test_a_message_is_admitted_when_it_comes_back(self, outbox, wire):
        """
        Within some seconds; what is refused later may be submitted again.
        """
        wire.cut()
        adding = outbox.add(entry("a"))
        await asyncio.sleep(0.3)
        assert not adding.done()
        assert outbox.away
        wire.mend()

        assert await adding is None
        assert not outbox.away

    async def test_a_message_is_refused_when_it_stays_away(self, outbox, wire, monkeypatch):
        monkeypatch.setattr("orange_sms_async.outbox.postgres._PATIENCE", 0.2)
        wire.cut()

        with pytest.raises(OutboxUnusable, match="cannot be reached"):
            await outbox.add(entry("a"))
        wire.mend()
        assert await outbox.add(entry("a")) is None

    async def test_an_outcome_is_kept_when_it_comes_back(self, outbox, wire):
        await outbox.add(entry("a"))
        claim = await claimed(outbox)
        wire.cut()
        settling = asyncio.create_task(outbox.settle(claim, sent(claim), time.time()))
        await asyncio.sleep(0.3)
        assert not settling.done()
        wire.mend()

        assert [sent(claim)] == await settling

    async def test_nothing_else_fails_meanwhile(self, outbox, wire):
        """
        Whoever sends finds nothing to do, and waits.
        """
        await outbox.add(entry("a"))
        wire.cut()

        assert await outbox.claim(time.time()) is None
        assert [] == await outbox.tidy(time.time())
        assert [] == await outbox.news(["a"])
        waiting = asyncio.create_task(outbox.ready_at())
        await outbox.ready_at()
        wire.mend()
        assert "a" == (await claimed(outbox)).reference
        waiting.cancel()

    async def test_it_is_said_once(self, outbox, wire, caplog):
        """
        When it begins, and when it ends.
        """
        wire.cut()
        adding = outbox.add(entry("a"))
        await asyncio.sleep(0.5)
        wire.mend()
        await adding

        assert ["trying again", "reached again"] == [
            record.message.rpartition(": ")[2]
            for record in caplog.records
            if record.levelno == logging.WARNING
        ]

    async def test_no_lease_ends_while_it_was_away(self, outbox, wire, db):
        """
        Nobody could renew one.
        """
        await outbox.add(entry("a"))
        claim = await claimed(outbox)
        wire.cut()
        assert [] == await outbox.tidy(time.time())
        await db.execute("UPDATE orange_sms.message SET claimed_by = gen_random_uuid()")
        await db.execute("UPDATE orange_sms.message SET lease_until = now()")
        wire.mend()
        await outbox.find("a")

        assert [] == await outbox.tidy(time.time())
        assert claim.reference == "a"


async def test_a_database_that_is_restarted(postgres):
    """
    As in a crash, in the midst of it: nothing is lost, and what was on the wire is settled.
    """
    with served_postgres(fsync="on") as server:
        await migrating.migrate(server.dsn())
        outbox = PostgresOutbox(server.dsn())
        await outbox.open(time.time(), MONTH)
        assert await outbox.take_turn(time.time())
        await outbox.add(entry("a"))
        await outbox.add(entry("b"))
        claim = await claimed(outbox)
        server.stop(immediate=True)
        settling = asyncio.create_task(outbox.settle(claim, sent(claim), time.time()))
        adding = outbox.add(entry("c"))
        await asyncio.sleep(0.1)
        server.start()

        assert [sent(claim)] == await settling
        assert await adding is None
        assert ["b", "c"] == [(await claimed(outbox)).reference for _ in range(2)]
        await outbox.aclose()


class TestOpening:
    async def refused(self, dsn, account="default"):
        with pytest.raises(OutboxUnusable) as refused:
            await PostgresOutbox(dsn, account=account).open(time.time(), MONTH)
        assert "\n" not in str(refused.value)
        assert refused.value.__suppress_context__ or refused.value.__context__ is None
        return str(refused.value)

    async def test_no_server(self, dsn):
        away = await self.refused("postgresql://user:secret@127.0.0.1:1/orders")

        assert away == (
            "outbox postgresql://127.0.0.1:1/orders, account default: "
            "no connection (ConnectionRefusedError)"
        )

    @pytest.mark.parametrize("word", ["pg_is_in_recovery", "SELECT id, rate, guard", "count(*)"])
    async def test_a_server_that_goes_away_meanwhile(self, postgres, dsn, wire, word):
        wire.lose(word)
        away = await self.refused(dsn.replace(str(postgres.port), str(wire.port)))

        assert away.endswith("account default: it cannot be reached")
        assert 0 == wire._lose

    async def test_no_database(self, postgres):
        assert (await self.refused(postgres.dsn("nothing"))).endswith("there is no such database")

    async def test_no_outbox(self, empty):
        assert "`orange-sms outbox migrate`" in await self.refused(empty)

    async def test_no_account(self, dsn):
        assert "--account NAME" in await self.refused(dsn, "nobody")

    async def test_no_role(self, dsn):
        assert "user or the password" in await self.refused(dsn.replace("postgres@", "nobody@"))

    async def test_no_rights(self, dsn, db):
        await db.execute("CREATE ROLE stranger LOGIN")
        stranger = dsn.replace("postgres@", "stranger@")

        assert "see the grants" in await self.refused(stranger)
        await db.execute("DROP ROLE stranger")

    async def test_a_newer_version(self, dsn, db):
        await db.execute("UPDATE orange_sms.version SET number = 99")

        assert "newer version" in await self.refused(dsn)
        await db.execute(f"UPDATE orange_sms.version SET number = {len(migrating.VERSIONS)}")

    async def test_a_replica(self, postgres):
        """
        It takes connections, and nothing can be written there.
        """
        with served_postgres(standby=True) as replica:
            assert "read-only replica" in await self.refused(replica.dsn())

    async def test_another_encoding(self, postgres, db):
        await db.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")

        assert "must be UTF8" in await self.refused(postgres.dsn("latin"))

    @pytest.mark.parametrize(
        "dsn",
        [
            "postgresql://user:sec/ret@127.0.0.1:1/orders",
            "postgresql://user:sec@ret@127.0.0.1:1/orders",
            "postgresql://user:sec?ret@127.0.0.1:1/orders",
            "postgresql://user:sec#ret@127.0.0.1:1/orders",
            "postgresql://user@127.0.0.1:1/orders?password=secret",
            "postgresql://user:secret@[127.0.0.1:1/orders",
            "postgresql://user:secret@127.0.0.1:port/orders",
            "postgresql://user:secret@127.0.0.1:1/orders?sslmode=secret",
        ],
    )
    async def test_a_password_is_nowhere(self, dsn, caplog):
        """
        However the DSN is written.
        """
        refused = await self.refused(dsn)

        for shown in (refused, repr(PostgresOutbox(dsn)), caplog.text):
            assert "sec" not in shown
            assert "ret@" not in shown

    def test_a_path_is_no_dsn(self):
        with pytest.raises(ValueError, match="postgresql://"):
            PostgresOutbox("sms.db")


@pytest.mark.parametrize("pooler", [True, False])
async def test_behind_a_pooler_nothing_is_prepared(postgres, dsn, pooler):
    """
    There a statement and its parameters may reach two connections, or another's statement.
    """
    async with LossyWire(postgres.port, pooler=pooler) as wire:
        outbox = PostgresOutbox(dsn.replace(str(postgres.port), str(wire.port)))
        await outbox.open(time.time(), MONTH)
        assert await outbox.take_turn(time.time())
        await outbox.add(entry("a"))
        claim = await claimed(outbox)

        assert await outbox.settle(claim, sent(claim), time.time())
        async with outbox._db._connection() as connection:
            await connection.fetchval("SELECT 4711 + $1::integer", 0)
            # Prepared, it would stay on the server under a name.
            kept = await connection.fetchval(
                "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%4711%'"
                " AND name <> ''"
            )
        assert pooler is outbox._db._pinned
        assert pooler is (kept < 2)
        await outbox.aclose()


async def test_a_database_that_is_serializable_by_default(dsn, db):
    """
    A claim that fails because others write would be no claim.
    """
    await db.execute("ALTER ROLE postgres SET default_transaction_isolation = 'serializable'")
    outbox = PostgresOutbox(dsn)
    try:
        await outbox.open(time.time(), MONTH)
        await outbox.add(entry("a"))
        assert await outbox.take_turn(time.time())
        claim = await claimed(outbox)

        assert await outbox.settle(claim, sent(claim), time.time())
        async with outbox._db._connection() as connection:
            assert "read committed" == await connection.fetchval("SHOW transaction_isolation")
        await outbox.aclose()
    finally:
        plain = await asyncpg.connect(dsn)
        await plain.execute("ALTER ROLE postgres RESET default_transaction_isolation")
        await plain.close()


def test_a_loop_that_ends_still_tells_its_outcomes(dsn):
    """
    It cancels all its tasks, that which tells them too.
    """

    async def settle() -> None:
        outbox = PostgresOutbox(dsn)
        await outbox.open(time.time(), MONTH)
        assert await outbox.take_turn(time.time())
        await outbox.add(entry("a"))
        claim = await claimed(outbox)
        settling = asyncio.create_task(shielded(outbox, claim))
        await asyncio.sleep(0.001)
        kept.append(settling)

    async def shielded(outbox, claim) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(outbox.settle(claim, sent(claim), time.time()))
        await outbox.aclose()

    async def state() -> State:
        outbox = PostgresOutbox(dsn)
        await outbox.open(time.time(), MONTH)
        outcome = await outbox.find("a")
        await outbox.aclose()
        return outcome.state

    kept = []
    asyncio.run(settle())
    assert State.SENT is asyncio.run(state())


async def test_the_driver_is_not_installed(monkeypatch, dsn):
    monkeypatch.setitem(sys.modules, "asyncpg", None)

    with pytest.raises(OutboxUnusable, match=r"pip install 'orange-sms-async\[postgres\]'"):
        await PostgresOutbox(dsn).open(time.time(), MONTH)
