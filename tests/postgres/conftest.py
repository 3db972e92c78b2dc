"""What the tests of the outbox in PostgreSQL ask for: a server, and a database of their own."""

import contextlib
import itertools

import asyncpg
import pytest
from fleet_store import apart, command

_numbers = itertools.count()


_EMPTY = """
TRUNCATE orange_sms.message, orange_sms.receipt;
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
def empty(postgres):
    """A database without an outbox."""
    name = f"of_a_test_{next(_numbers)}"
    apart(command(postgres.dsn(), f"CREATE DATABASE {name}"))
    return postgres.dsn(name)


@pytest.fixture
async def db(dsn):
    """A connection to that database, as an application of somebody's has one."""
    db = await asyncpg.connect(dsn)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(db.close)
        yield db
