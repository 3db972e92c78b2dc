"""How long does a claim take in PostgreSQL, with a million rows waiting and with many dead ones?"""

import asyncio
import statistics
import sys
import time
from datetime import timedelta
from pathlib import Path

import asyncpg
from _results import keep
from _table import check, table

from orange_sms_async import Outcome, PostgresOutbox, ResourceId, State
from orange_sms_async.outbox.postgres import migrating

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from postgres_server import served_postgres

RETENTION = timedelta(days=30)
WAITING, LATER, DEAD, CLAIMS = 1_000_000, 100_000, 420_000, 1_000
INSERT = """
INSERT INTO orange_sms.message (account, reference, state, priority, not_before, expires_at,
    on_unknown, recipient, text, on_net)
SELECT (SELECT id FROM orange_sms.account), $4 || n, $1, 2, to_timestamp($2),
    CASE WHEN n % 10 = 0 THEN now() + interval '1 day' ELSE 'infinity' END, 'report',
    '+2250701020304', 'Votre code est ' || n || '. Ne le partagez pas.', false
FROM generate_series(1, $3) n
"""


async def with_a_million(dsn: str) -> list[float]:
    """Claim while a million messages wait, some scheduled and some with an expiry."""
    db = await asyncpg.connect(dsn)
    await db.execute(INSERT, "queued", 0.0, WAITING, "now ")
    await db.execute(INSERT, "scheduled", time.time() + 86_400, LATER, "later ")
    await db.execute("VACUUM ANALYZE orange_sms.message")  # they have waited for some time
    await db.execute("CHECKPOINT")
    await db.close()
    return await claims(dsn)


async def with_dead_rows(dsn: str) -> list[float]:
    """Claim behind rows that were sent while another transaction stays open."""
    db, left_open = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    await db.execute("TRUNCATE orange_sms.message")
    async with left_open.transaction(isolation="repeatable_read"):
        await left_open.fetch("SELECT count(*) FROM orange_sms.message")
        await db.execute(INSERT, "queued", 0.0, DEAD, "dead ")
        await db.execute("UPDATE orange_sms.message SET state = 'sent', finished_at = now()")
        await db.execute(INSERT, "queued", 0.0, 10 * CLAIMS, "now ")
        await db.execute("VACUUM ANALYZE orange_sms.message")  # removes none of them
        await db.execute("CHECKPOINT")
        took = await claims(dsn)
    await left_open.close()
    await db.close()
    return took


async def claims(dsn: str) -> list[float]:
    outbox = PostgresOutbox(dsn)
    await outbox.open(time.time(), RETENTION)
    check(await outbox.take_turn(time.time()), "nobody else has the turn")
    await outbox.tidy(time.time())
    took = [await timed_claim(outbox, number) for number in range(CLAIMS)]
    await outbox.aclose()
    await asyncio.sleep(1)  # until another may have the turn
    return took


async def timed_claim(outbox: PostgresOutbox, number: int) -> float:
    if number % 50 == 0:  # what a queue does every second
        await outbox.tidy(time.time())
    start = time.perf_counter()
    claim = await outbox.claim(time.time())
    seconds = time.perf_counter() - start
    if claim is None:
        raise RuntimeError("no message was claimed")
    outcome = Outcome(claim.reference, State.SENT, ResourceId(f"id {number} {claim.reference}"))
    check(bool(await outbox.settle(claim, outcome, time.time())), "it was settled")
    return seconds


def main() -> None:
    with served_postgres(fsync="on") as postgres:
        asyncio.run(migrating.migrate(postgres.dsn()))
        measured = {
            f"{WAITING:,} waiting, {LATER:,} for later": asyncio.run(
                with_a_million(postgres.dsn())
            ),
            f"{DEAD:,} dead rows of an open transaction": asyncio.run(
                with_dead_rows(postgres.dsn())
            ),
        }
    print(f"{CLAIMS:,} claims, in ms (target: p99 of 5 with a million, 10 with dead rows):\n")
    rows = [[name, *figures(took)] for name, took in measured.items()]
    table(["", "first", "median", "p99", "slowest"], rows)
    keep("fleet rows", rows)


def figures(took: list[float]) -> list[str]:
    p99 = statistics.quantiles(took, n=100)[98]
    return [f"{it * 1000:.2f}" for it in (took[0], statistics.median(took), p99, max(took))]


if __name__ == "__main__":
    main()
