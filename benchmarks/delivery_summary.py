"""How long does it take to sum up which of a million messages arrived?"""

import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import asyncpg
from _results import keep
from _table import check, table

from orange_sms_async import PostgresOutbox, SqliteOutbox
from orange_sms_async.outbox.postgres import migrating
from orange_sms_async.outbox.sqlite.database import connect
from orange_sms_async.outbox.sqlite.schema import OUTBOX

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from postgres_server import served_postgres

ROWS, NOW, TIMES, SUMMARY = 1_000_000, 1.8e9, 5, 2.0  # the last in seconds
TEXT = "Bonjour Awa, votre rendez-vous est demain a 10h30 au centre de sante de Cocody. Merci."
STARTS = ["+22507", "+22505", "+22177", "+23769", "+22670", "+22376", "+26134"]
STATUSES = ["DeliveredToTerminal"] * 85 + ["DeliveryImpossible"] * 10 + [None] * 5
COLUMNS = ("reference", "recipient", "resource_id", "attempted_at", "finished_at", "delivery",
           "delivered_at")  # fmt: skip
SAME = {"text": TEXT, "state": "sent", "priority": 2, "on_unknown": "report"}


def rows(date: Callable[[float], object]) -> Iterator[tuple[object, ...]]:
    """Make messages, one a second, of which most arrived some seconds later."""
    chance = random.Random(7)
    for n in range(ROWS):
        status, at = chance.choice(STATUSES), NOW - n
        arrived = date(at + chance.lognormvariate(2.5, 1.2)) if status else None
        to = f"{chance.choice(STARTS)}{n:07}"
        yield f"{n:032x}", to, f"{n:036x}", date(at), date(at), status, arrived


async def in_sqlite(folder: Path) -> list[float]:
    path = folder / "sms.db"
    with contextlib.closing(connect(path, OUTBOX)) as opened:
        opened.db.execute("BEGIN")
        opened.db.executemany(
            f"INSERT INTO message ({', '.join([*COLUMNS, *SAME])}, not_before, expires_at, on_net) "
            f"VALUES ({', '.join('?' * len(COLUMNS))}, '{TEXT}', 'sent', 2, 'report', 0, 9e999, 0)",
            rows(float),
        )
        opened.db.execute("COMMIT")
    return await summed_up(SqliteOutbox(path))


async def in_postgres(dsn: str) -> list[float]:
    await migrating.migrate(dsn)
    db = await asyncpg.connect(dsn)
    account = await db.fetchval("SELECT id FROM orange_sms.account")
    others = {"account": account, **SAME, "not_before": date(0), "expires_at": date(9e9)}
    await db.copy_records_to_table(
        "message",
        schema_name="orange_sms",
        columns=[*COLUMNS, *others, "on_net"],
        records=((*row, *others.values(), False) for row in rows(date)),
    )
    await db.execute("VACUUM ANALYZE orange_sms.message")
    await db.close()
    return await summed_up(PostgresOutbox(dsn))


def date(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


async def summed_up(outbox: SqliteOutbox | PostgresOutbox) -> list[float]:
    await outbox.open(NOW, timedelta.max)
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        counts = await outbox.delivery(0.0, NOW)
        took.append(time.perf_counter() - began)
    await outbox.aclose()
    check(sum(each.accepted for each in counts if not each.prefix) == ROWS, "each is counted once")
    return took


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, served_postgres() as postgres:
        took = {
            "SQLite": asyncio.run(in_sqlite(Path(folder))),
            "PostgreSQL": asyncio.run(in_postgres(postgres.dsn())),
        }
    print(f"{ROWS:,} messages: seconds to sum them up (target: at most {SUMMARY:g}):\n")
    measured = [(name, *(f"{of(took[name]):.2f}" for of in (min, median, max))) for name in took]
    table(["", "least", "median", "most"], measured)
    keep("delivery summary", took)


if __name__ == "__main__":
    main()
