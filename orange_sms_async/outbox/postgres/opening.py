"""What is checked when an outbox is opened, and who may send."""

import math
import os
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import attrs

from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.outbox.postgres import migrating
from orange_sms_async.outbox.postgres.connecting import NONE, READ_ONLY, Connection, Connections
from orange_sms_async.outbox.postgres.queries import Turn

if TYPE_CHECKING:
    from datetime import datetime

_T = TypeVar("_T")
_SERVER = """
SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS read_only,
    current_setting('server_encoding') AS encoding,
    current_setting('transaction_isolation') AS isolation
"""


@attrs.frozen
class Found:
    """An account's row."""

    account: int
    rate: float
    guard: float | None


async def look(connections: Connections, account: str) -> Found:
    """
    Check that this is an outbox that can be used.

    Raises:
        OutboxUnusable: it is not. The error says what is wrong and what to do.
    """
    name = connections.name
    (server,) = await connections.once(lambda db: db.fetch(_SERVER))
    if server["read_only"]:
        raise OutboxUnusable(f"{name}: {READ_ONLY}")
    if server["encoding"] != "UTF8":
        raise OutboxUnusable(f"{name}: its encoding is {server['encoding']}, and must be UTF8")
    if server["isolation"] != "read committed":
        await connections.pin()
    version = await connections.once(migrating.found)
    migrating.check(version, connections)
    if version < len(migrating.VERSIONS):
        raise OutboxUnusable(f"{name}: {migrating.TOO_OLD if version else NONE}")
    row = await connections.once(
        lambda db: db.fetchrow(
            "SELECT id, rate, guard FROM orange_sms.account WHERE name = $1", account
        )
    )
    if row is None:
        raise OutboxUnusable(
            f"{name}: there is no such account: create it with "
            "`orange-sms outbox migrate DSN --account NAME --rate RATE`"
        )
    return Found(row["id"], row["rate"], row["guard"])


@attrs.frozen
class Answer:
    """
    The answer to a process that asks for the turn.

    Attributes:
        had: whether the process has it now.
        wait: seconds until it may have it, if another process sends.
        guard: the guard that the previous sender had learned.
        silent: the process that has it and sends nothing, although it could.
    """

    had: bool
    wait: float
    guard: float | None
    silent: str | None


async def take_turn(db: Connection, turn: Turn, now: float) -> Answer:
    (row,) = await db.fetch(
        "SELECT * FROM orange_sms.take_turn($1, $2, $3, to_timestamp($4), $5)",
        turn.account,
        turn.me,
        f"process {os.getpid()} of {socket.gethostname()}",
        now,
        turn.fence,
    )
    wait = math.inf if row["wait"] is None else row["wait"]
    silent = None
    if row["silent"] is not None:
        since: datetime = row["silent_since"].astimezone()
        silent = f"{row['silent']}, since {since:%H:%M:%S}"
    return Answer(row["had"], wait, row["guard"], silent)


async def at_work(db: Connection, account: int) -> tuple[str, float] | None:
    """Return who has the turn and since when; None if nobody has it or messages wait too long."""
    row = await db.fetchrow(
        "SELECT holder, extract(epoch FROM since)::float8 AS since FROM orange_sms.account "
        "WHERE id = $1 AND sender IS NOT NULL AND (sender_until > clock_timestamp() "
        "OR NOT orange_sms.neglected(id, clock_timestamp(), clock_timestamp()))",
        account,
    )
    return None if row is None else (row["holder"], row["since"])


async def end_turn(db: Connection, turn: Turn, left: float) -> None:
    query = "SELECT orange_sms.end_turn($1, $2, $3, $4)"
    await db.execute(query, turn.account, turn.me, left, turn.guard)


async def ready_at(db: Connection, account: int) -> float | None:
    at = await db.fetchval("SELECT extract(epoch FROM orange_sms.ready_at($1))::float8", account)
    return None if at is None else max(at, 0.0)


def in_transaction(
    operation: Callable[[Connection], Awaitable[_T]],
) -> Callable[[Connection], Awaitable[_T]]:
    """Do all of the operation, or nothing."""

    async def do(db: Connection) -> _T:
        async with db.transaction(isolation="read_committed"):
            return await operation(db)

    return do
