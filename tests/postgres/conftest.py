"""What the tests of the outbox in PostgreSQL ask for: a server, and a database of their own."""

import contextlib

import asyncpg
import pytest
from fleet_store import apart, command

_EMPTY = """
TRUNCATE orange_sms.message, orange_sms.receipt, orange_sms.note, orange_sms.tally;
DELETE FROM orange_sms.account WHERE name <> 'default';
UPDATE orange_sms.account
    SET rate = 5, guard = NULL, sender = NULL, sender_until = '-infinity', claimed_at = '-infinity';
"""


@pytest.fixture
def dsn(postgres):
    """A database with the newest tables, all empty, and the account "default"."""
    dsn = postgres.dsn("migrated")
    apart(command(dsn, _EMPTY))
    return dsn


@pytest.fixture
async def db(dsn):
    """A connection to that database, as an application of somebody's has one."""
    db = await asyncpg.connect(dsn)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(db.close)
        yield db
