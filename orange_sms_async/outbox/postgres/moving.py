"""Moves all that a `SqliteOutbox` holds into a database, once no queue sends from it."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.outbox.postgres import opening
from orange_sms_async.outbox.postgres.address import Address
from orange_sms_async.outbox.postgres.connecting import Connection, Connections
from orange_sms_async.outbox.postgres.rows import storable
from orange_sms_async.outbox.sqlite import SqliteOutbox

_AT_ONCE = 500
# A process that waits to write while the file is renamed may still write into it for this long.
_LAST_WORDS = 0.5  # seconds
_MESSAGE = {
    "reference": "text", "state": "text", "priority": "smallint", "not_before": "float8",
    "expires_at": "float8", "on_unknown": "text", "recipient": "text", "text": "text",
    "sender_name": "text", "sender_address": "text", "on_net": "boolean", "context": "text",
    "attempt": "integer", "attempted_at": "float8", "denied_at": "float8", "finished_at": "float8",
    "resource_id": "text", "error": "text", "reason": "text", "details": "text",
    "settled_by": "text", "delivery": "text", "delivered_at": "float8", "fingerprint": "bytea",
}  # fmt: skip
_DATES = {"not_before", "expires_at", "attempted_at", "denied_at", "delivered_at", "finished_at"}
_COLUMNS = ", ".join(_MESSAGE)
_VALUES = ", ".join(f"to_timestamp({it})" if it in _DATES else it for it in _MESSAGE)
_ARRAYS = ", ".join(f"${n}::{type_}[]" for n, type_ in enumerate(_MESSAGE.values(), start=2))
_INSERT = f"""
INSERT INTO orange_sms.message (account, {_COLUMNS})
SELECT $1, {_VALUES} FROM unnest({_ARRAYS}) WITH ORDINALITY AS moved ({_COLUMNS}, ordinal)
ORDER BY ordinal ON CONFLICT DO NOTHING
"""
# A move cut off after its commit is done again: what is there already must be the same message.
_DIFFERENT = """
SELECT count(*) FROM unnest($2::text[], $3::text[], $4::text[]) AS moved (asked_for, number, words)
JOIN orange_sms.message m ON m.account = $1 AND m.reference = asked_for
WHERE number IS NOT NULL AND NOT orange_sms.is_same(m, number, words)
"""
_RECEIPTS = """
INSERT INTO orange_sms.receipt (account, resource_id, status, number, address, arrived_at)
SELECT $1, resource_id, status, number, address, to_timestamp(arrived_at)
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::float8[]) WITH ORDINALITY
    AS moved (resource_id, status, number, address, arrived_at, ordinal)
WHERE NOT EXISTS (SELECT 1 FROM orange_sms.receipt r
    WHERE r.account = $1 AND r.resource_id = moved.resource_id AND r.status = moved.status
    AND r.arrived_at = to_timestamp(moved.arrived_at))
ORDER BY ordinal
"""

# Counts stay behind, because their names are hashes keyed with the file's secret.
_LISTS = """
INSERT INTO orange_sms.note
SELECT $1, name, member, 0, 'infinity' FROM unnest($2::text[], $3::text[]) AS moved (name, member)
ON CONFLICT DO NOTHING
"""


async def move(path: Path, dsn: str, *, account: str = "default") -> tuple[int, Path]:
    """
    Move all messages and receipts of a file into a database, and rename the file.

    The list of a `Suppression` moves with them. The counts of other rules start again at zero.

    Once the file has its new name, processes that still have it open can write nothing more.
    If the move is interrupted, run it again: it continues.

    Args:
        path: of the file.
        dsn: of the database, which must have an outbox.
        account: the account that gets the messages.

    Returns:
        How many messages the file contains, and its new name.

    Raises:
        OutboxUnusable: a queue sends from the file, the database has a reference for another
            message, or one of the two cannot be opened, read or written.
    """
    moved = path.with_name(f"{path.name}.moved")
    if moved.exists():
        raise OutboxUnusable(f"outbox {path}: {moved} exists already: rename it first")
    connections = Connections(Address(dsn, account))
    await connections.open()
    try:
        found = await opening.look(connections, account)
        async with _held(path):
            return await _move(path, moved, connections, found.account), moved
    except sqlite3.Error as error:
        raise OutboxUnusable(f"outbox {path}: {type(error).__name__}") from None
    finally:
        await connections.aclose()


@contextlib.asynccontextmanager
async def _held(path: Path) -> AsyncIterator[None]:
    outbox, now = SqliteOutbox(path), time.time()
    await outbox.open(now, timedelta(days=36500))
    try:
        if not await outbox.take_turn(now):
            raise OutboxUnusable(f"outbox {path}: a queue has its turn: close all of its queues")
        await outbox.tidy(now)  # what a killed process left on the wire is unknown there, too
        yield
    finally:
        await outbox.aclose()


async def _move(path: Path, moved: Path, connections: Connections, account: int) -> int:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as file:
        copy = partial(_copied, file=file, account=account, name=connections.name)
        with _written_by_nobody(file):
            await connections.once(opening.in_transaction(copy))
            for beside in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    path.with_name(f"{path.name}{beside}").rename(f"{moved}{beside}")
        await asyncio.sleep(_LAST_WORDS)
        with _written_by_nobody(file):
            return await connections.once(opening.in_transaction(copy))


@contextlib.contextmanager
def _written_by_nobody(file: sqlite3.Connection) -> Iterator[None]:
    file.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        file.execute("ROLLBACK")


async def _copied(db: Connection, file: sqlite3.Connection, account: int, name: str) -> int:
    many = 0
    for rows in _pages(file, f"SELECT {_COLUMNS} FROM message ORDER BY id"):
        columns = dict(
            zip(_MESSAGE, map(list, zip(*map(_message, rows), strict=True)), strict=True)
        )
        contents = columns["reference"], columns["recipient"], columns["text"]
        if await db.fetchval(_DIFFERENT, account, *contents):
            raise OutboxUnusable(
                f"{name}: a reference of the file is used there, with another number or text"
            )
        await db.execute(_INSERT, account, *columns.values())
        many += len(rows)
    received = "SELECT resource_id, status, address, arrived_at FROM receipt ORDER BY id"
    for rows in _pages(file, received):
        await db.execute(_RECEIPTS, account, *map(list, zip(*map(_receipt, rows), strict=True)))
    for rows in _pages(file, "SELECT name, member FROM note WHERE units = 0"):
        await db.execute(_LISTS, account, *map(list, zip(*rows, strict=True)))
    return many


def _pages(file: sqlite3.Connection, query: str) -> Iterator[list[tuple[Any, ...]]]:
    found = file.execute(query)
    while rows := found.fetchmany(_AT_ONCE):
        yield rows


def _message(row: tuple[Any, ...]) -> tuple[Any, ...]:
    it = dict(zip(_MESSAGE, row, strict=True))
    it = {name: storable(value) if isinstance(value, str) else value for name, value in it.items()}
    if not it["finished_at"] and it["text"] != row[list(_MESSAGE).index("text")]:
        raise OutboxUnusable("the text of a message contains NUL, which PostgreSQL cannot store")
    # The key of the file's hashes stays behind; an empty hash counts as the same message.
    it["fingerprint"] = None if it["fingerprint"] is None else b""
    it["not_before"], it["on_net"] = it["not_before"] or float("-inf"), bool(it["on_net"])
    return tuple(it.values())


def _receipt(row: tuple[Any, ...]) -> tuple[Any, ...]:
    resource_id, status, address, arrived_at = row
    address = address and storable(address)
    number = address and address.removeprefix("tel:")
    return storable(resource_id), storable(status), number, address, arrived_at
