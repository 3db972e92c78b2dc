"""`orange-sms outbox migrate` and `move`: into PostgreSQL, and nothing lost on the way."""

import asyncio
import contextlib
import sqlite3
import time

import asyncpg
import pytest
from disk import MONTH, begin
from fleet_store import command
from line import named
from receipt import receipt
from typer.testing import CliRunner

from orange_sms_async import Outcome, PostgresOutbox, Priority, ResourceId, SqliteOutbox, State
from orange_sms_async.cli.commands import app
from orange_sms_async.errors import OutboxUnusable, RequestRejected
from orange_sms_async.outbox import Entry
from orange_sms_async.outbox.postgres import migrating, moving
from orange_sms_async.outcomes import unknown, withdrawn

pytestmark = pytest.mark.real_time
GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA orange_sms TO sender;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA orange_sms TO sender;
"""


def run(*words, **environment):
    return CliRunner().invoke(app, ["outbox", *words], env=environment)


@pytest.fixture
async def typed(monkeypatch):
    """Type a command, which has a loop of its own."""

    async def type_(*words, **environment):
        return await asyncio.to_thread(run, *words, **environment)

    return type_


class TestMigrate:
    async def test_it_makes_an_outbox(self, empty, typed):
        """
        And says which version and account are there.
        """
        done = await typed("migrate", empty)

        expected = "The outbox was migrated from version 0 to 2; its account default exists.\n"
        assert expected == done.stdout
        assert 0 == done.exit_code
        outbox = PostgresOutbox(empty)
        await outbox.open(time.time(), MONTH)
        assert 5 == outbox.rate
        await outbox.aclose()

    async def test_again_it_changes_nothing(self, empty, typed):
        """
        Not even a rate, unless one is given.
        """
        await typed("migrate", empty, "--rate", "20")
        again = await typed("migrate", empty)
        rate = await rate_of(empty)
        changed = await typed("migrate", empty, "--rate", "8", "--account", "o'brien")

        assert "is at version 2" in again.stdout
        assert (20, 8) == (rate, await rate_of(empty, "o'brien"))
        assert 0 == changed.exit_code

    async def test_it_is_printed_first(self, empty, typed):
        """
        What is printed does the same, and holds no secret.
        """
        printed = await typed("migrate", empty, "--sql", ORANGE_SMS_OUTBOX="postgresql://x@y/z")
        assert 0 == await migrating.migrate(empty)

        other = empty.rpartition("/")[0] + "/printed"
        await command(empty, "CREATE DATABASE printed")
        await command(other, printed.stdout)
        assert 2 == await migrating.migrate(other)
        assert await columns(empty) == await columns(other)

    async def test_the_dsn_may_be_in_the_environment(self, empty, typed):
        """
        Where no list of processes shows its password.
        """
        assert 0 == (await typed("migrate", ORANGE_SMS_OUTBOX=empty)).exit_code
        assert empty not in (await typed("migrate", "--help", ORANGE_SMS_OUTBOX=empty)).stdout

    async def test_many_at_once(self, empty):
        """
        As all hosts of a deployment may run it: one does it, the others wait.
        """
        found = await asyncio.gather(*(migrating.migrate(empty) for _ in range(6)))

        assert [0, 2, 2, 2, 2, 2] == sorted(found)

    async def test_from_the_first_version(self, empty, typed, monkeypatch):
        """
        What waits is sent, and who was allowed to send still is.
        """
        with monkeypatch.context() as patch:
            patch.setattr(migrating, "VERSIONS", migrating.VERSIONS[:1])
            await migrating.migrate(empty)
        await command(empty, "CREATE ROLE sender")
        await command(empty, f"GRANT USAGE ON SCHEMA orange_sms TO sender; {GRANTS}")
        await command(empty, "SELECT orange_sms.submit('default', 'a', '+2250700000001', 'x')")
        with pytest.raises(OutboxUnusable, match="orange-sms outbox migrate"):
            await rate_of(empty)
        said = await typed("migrate", empty)

        assert "The outbox was migrated from version 1 to 2;" in said.stdout
        outbox = PostgresOutbox(empty)
        await begin(outbox, time.time(), MONTH)
        assert "a" == (await outbox.claim(time.time())).reference
        await outbox.aclose()
        take = "SELECT orange_sms.take(1, 'codes', 'a', 1, 3, 60, 0, now())"
        await command(empty, f"SET ROLE sender; {take}; SELECT orange_sms.forget_notes(1, now())")

    async def test_what_fails_leaves_nothing_half_made(self, empty):
        await command(empty, "CREATE SCHEMA orange_sms")
        with pytest.raises(OutboxUnusable):
            await migrating.migrate(empty)

        assert [] == await columns(empty)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["postgresql://user:secret@127.0.0.1:1/x"], "no connection"),
            (["sms.db"], "postgresql://"),
            (["postgresql://127.0.0.1:1/x", "--rate", "0"], "rate: messages a second"),
        ],
    )
    async def test_what_is_wrong_is_said_in_one_line(self, typed, words, said):
        done = await typed("migrate", *words)

        assert 2 == done.exit_code
        assert said in done.stderr
        assert "secret" not in done.output
        assert 1 == len(done.stderr.splitlines())


async def rate_of(dsn, account="default"):
    outbox = PostgresOutbox(dsn, account=account)
    await outbox.open(time.time(), MONTH)
    await outbox.aclose()
    return outbox.rate


async def columns(dsn):
    db = await asyncpg.connect(dsn)
    found = await db.fetch(
        "SELECT table_name, column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = 'orange_sms' ORDER BY 1, 2"
    )
    await db.close()
    return [tuple(row) for row in found]


async def filled(path):
    """A file with a message in every state, and receipts."""
    outbox = SqliteOutbox(path)
    await begin(outbox, 0.0, MONTH)
    now = time.time()
    for state in ("sent", "failed", "unknown", "withdrawn"):
        await outbox.add(Entry(named(state), Priority.NORMAL))
    for outcome in (
        Outcome("sent", State.SENT, ResourceId("id-sent")),
        Outcome("failed", State.FAILED, error=RequestRejected("no", status_code=400, code="X")),
        unknown("unknown", "no answer"),
    ):
        claim = await outbox.claim(now)
        assert claim
        await outbox.settle(claim, outcome, now)
    await outbox.withdraw(withdrawn("withdrawn"), now)
    await outbox.keep(receipt("id-sent"), now)
    await outbox.keep(receipt("of-nobody", number="+2250700000000"), now)
    await outbox.add(Entry(named("queued"), Priority.URGENT, on_unknown="resend"))
    await outbox.add(Entry(named("scheduled"), Priority.BULK, now + 3600, now + 7200))
    return outbox


@pytest.fixture
async def target(dsn):
    outbox = PostgresOutbox(dsn)
    await begin(outbox, time.time(), MONTH)
    yield outbox
    await outbox.aclose()


def said(outcome):
    """All of an outcome; errors are equal to nobody."""
    error = outcome.error and (type(outcome.error), str(outcome.error), vars(outcome.error))
    return outcome.reference, outcome.state, outcome.resource_id, error, outcome.delivery


class TestMove:
    async def test_all_of_it(self, path, dsn, target):
        """
        Every message in its state and order, and every receipt.
        """
        outbox = await filled(path)
        before = [said(each) async for each in outbox.outcomes(None)]
        await outbox.aclose()

        assert (6, path.with_name("outbox.db.moved")) == await moving.move(path, dsn)
        assert before == [said(each) async for each in target.outcomes(None)]
        claim = await target.claim(time.time())
        assert ("queued", "resend", Priority.URGENT) == (
            claim.reference,
            claim.entry.on_unknown,
            claim.entry.priority,
        )
        assert await target.ready_at() == pytest.approx(time.time() + 3600, abs=30)
        assert not path.exists()

    async def test_who_is_left_alone_still_is(self, path, dsn, target):
        outbox = await filled(path)
        await outbox.notes.enter("suppression", ["a hash"])
        await outbox.notes.take("codes", "queued", 1, most=3, within=60, now=time.time())
        await outbox.aclose()
        await moving.move(path, dsn)

        assert ["a hash"] == await target.notes.members("suppression")
        assert [] == await target.notes.members("codes")

    async def test_what_was_on_the_wire_is_unknown(self, path, dsn, target):
        outbox = await filled(path)
        assert await outbox.claim(time.time())
        claim = await outbox.claim(time.time())
        assert claim is None
        await outbox.aclose()
        await moving.move(path, dsn)

        states = {each.reference: each.state async for each in target.outcomes(None)}
        assert State.QUEUED is states["queued"]  # it is to be sent once more

    async def test_it_is_refused_while_a_queue_sends(self, path, dsn, target):
        """
        And changes nothing.
        """
        outbox = await filled(path)
        with pytest.raises(OutboxUnusable, match="close all of its queues"):
            await moving.move(path, dsn)

        assert [] == [each async for each in target.outcomes(None)]
        assert path.exists()
        await outbox.aclose()

    async def test_who_only_submits_is_refused_after_it(self, path, dsn, target):
        """
        Or its messages would wait in a file from which nobody sends.
        """
        await (await filled(path)).aclose()
        submitter = SqliteOutbox(path)
        await submitter.open(time.time(), MONTH)
        await submitter.add(Entry(named("one more"), Priority.NORMAL))
        await moving.move(path, dsn)

        assert State.QUEUED is (await target.find("one more")).state
        with pytest.raises(OutboxUnusable, match="removed or replaced"):
            await submitter.add(Entry(named("too late"), Priority.NORMAL))
        await submitter.aclose()

    async def test_cut_in_the_middle_it_goes_on(self, path, dsn, target, monkeypatch):
        """
        What is there already is the same message.
        """
        await (await filled(path)).aclose()

        def cut(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("pathlib.Path.rename", cut)
            with pytest.raises(KeyboardInterrupt):
                await moving.move(path, dsn)
        claim = await target.claim(time.time())
        assert claim.reference == "queued"
        await target.settle(claim, Outcome("queued", State.SENT, ResourceId("x")), time.time())
        await moving.move(path, dsn)

        assert State.SENT is (await target.find("queued")).state
        assert 6 == sum((await target.counts()).values())

    async def test_a_reference_of_another_message_is_refused(self, path, dsn, target):
        await (await filled(path)).aclose()
        other = Entry(named("queued", "+2250709090909"), Priority.NORMAL)
        await target.add(other)

        with pytest.raises(OutboxUnusable, match="another number or text"):
            await moving.move(path, dsn)
        assert path.exists()
        assert 1 == sum((await target.counts()).values())

    async def test_a_forgotten_message_is_still_recognised(self, path, dsn, target):
        """
        Its hash is keyed with the file's secret: its reference alone tells.
        """
        outbox = await filled(path)
        await outbox.forget()
        await outbox.aclose()
        await moving.move(path, dsn)

        known = await target.add(Entry(named("sent"), Priority.NORMAL))
        assert State.SENT is known.state

    async def test_the_command(self, path, dsn, typed, target):
        await (await filled(path)).aclose()
        done = await typed("move", str(path), dsn)

        assert "Messages moved: 6." in done.stdout
        again = await typed("move", str(path), dsn)
        assert 2 == again.exit_code

    async def test_more_than_a_page(self, path, dsn, target):
        outbox = SqliteOutbox(path)
        await begin(outbox, 0.0, MONTH)
        await asyncio.gather(
            *(outbox.add(Entry(named(f"{n}"), Priority.BULK)) for n in range(1201))
        )
        await outbox.aclose()

        assert 1201 == (await moving.move(path, dsn))[0]
        assert 1201 == (await target.counts())[State.QUEUED]
        with contextlib.closing(sqlite3.connect(path.with_name("outbox.db.moved"))) as file:
            assert 1201 == file.execute("SELECT count(*) FROM message").fetchone()[0]
