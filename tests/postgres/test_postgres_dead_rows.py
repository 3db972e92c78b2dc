"""Somebody's transaction stays open for the day, and PostgreSQL keeps what was sent since."""

import itertools
import time

import asyncpg
import pytest
from disk import MONTH

from orange_sms_async import PostgresOutbox

pytestmark = pytest.mark.real_time

DEAD = 5_000
INSERT = """
INSERT INTO orange_sms.message (account, reference, state, priority, not_before, expires_at,
    on_unknown, recipient, text, on_net)
SELECT (SELECT id FROM orange_sms.account), $1 || n, 'queued', 2, to_timestamp(0), 'infinity',
    'report', '+2250701020304', 'Bonjour', false
FROM generate_series(1, $2) n
"""


async def entries_read(outbox):
    """How much of the index of what waits was walked over, in all."""
    async with outbox._db._connection() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        return await connection.fetchval(
            "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'ready'"
        )


@pytest.fixture
def slow(monkeypatch):
    """All claims count as slow, as they are with very many dead rows."""
    monkeypatch.setattr("orange_sms_async.outbox.postgres.hand._SLOW", 0.0)


@pytest.fixture
async def outbox(dsn, db):
    """One without the turn, behind many rows that were sent and may not be cleared away."""
    left_open = await asyncpg.connect(dsn)
    async with left_open.transaction(isolation="repeatable_read"):
        await left_open.fetch("SELECT count(*) FROM orange_sms.message")
        await db.execute(INSERT, "dead ", DEAD)
        await db.execute("UPDATE orange_sms.message SET state = 'sent', finished_at = now()")
        await db.execute(INSERT, "waits ", 10)
        await db.execute("ANALYZE orange_sms.message")
        outbox = PostgresOutbox(dsn)
        await outbox.open(time.time(), MONTH)
        yield outbox
        await outbox.aclose()
    await left_open.close()


async def test_no_claim_walks_over_dead_rows(outbox, slow):
    """
    Whoever takes the turn looks where the first message is, and each claim begins there.
    """
    assert await outbox.take_turn(time.time())
    read = [await entries_read(outbox)]
    for _ in range(3):
        assert await outbox.claim(time.time())
        read.append(await entries_read(outbox))

    assert 50 > max(after - before for before, after in itertools.pairwise(read))


async def test_an_urgent_message_goes_first_all_the_same(outbox, slow, db):
    """
    Its lane was empty when the turn was taken, and its number is higher than all others.
    """
    assert await outbox.take_turn(time.time())
    await outbox.claim(time.time())
    urgent = INSERT.replace("'queued', 2", "'queued', 0")
    await db.execute(urgent, "urgent ", 1)

    assert "urgent 1" == (await outbox.claim(time.time())).reference


async def test_what_was_committed_late_is_claimed_once_the_rest_is(outbox, slow, db):
    """
    It has a number from before those that were claimed.
    """
    assert await outbox.take_turn(time.time())
    assert "waits 1" == (await outbox.claim(time.time())).reference
    await db.execute("UPDATE orange_sms.message SET state = 'queued' WHERE reference = 'dead 7'")
    found = [await outbox.claim(time.time()) for _ in range(11)]

    assert [f"waits {n}" for n in range(2, 11)] == [claim.reference for claim in found[:9]]
    assert found[9] is None
    assert "dead 7" == found[10].reference
