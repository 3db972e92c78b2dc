"""Outboxes in PostgreSQL as tests make them, and as the conformance suite crashes them."""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import asyncpg
from postgres_server import PostgresServer, served_postgres

from orange_sms_async.outbox.postgres import PostgresOutbox, migrating

_numbers = itertools.count()


def apart(awaitable: Any) -> None:
    """Do it in a loop of its own, also where one runs."""
    thread = threading.Thread(target=lambda: asyncio.run(awaitable))
    thread.start()
    thread.join()


@contextlib.contextmanager
def served_fleet() -> Iterator[PostgresServer]:
    """Serve a PostgreSQL with a database "migrated"."""
    with served_postgres() as server:
        apart(command(server.dsn(), "CREATE DATABASE migrated"))
        apart(migrating.migrate(server.dsn("migrated")))
        yield server


async def command(dsn: str, statement: str) -> None:
    db = await asyncpg.connect(dsn)
    try:
        await db.execute(statement)
    finally:
        await db.close()


class Fleet:
    """Comes back after a crash, as the process left it: each time with an account of its own."""

    def __init__(self, server: PostgresServer) -> None:
        self._dsn = server.dsn("migrated")
        self.account = f"account-{next(_numbers)}"
        apart(migrating.migrate(self._dsn, account=self.account))

    def open(self) -> PostgresOutbox:
        return PostgresOutbox(self._dsn, account=self.account)

    def crash(self) -> None:
        """Kill the process; its leases and its turn are over."""
        apart(self._end_leases())

    async def _end_leases(self) -> None:
        db = await asyncpg.connect(self._dsn)
        await db.execute(
            "UPDATE orange_sms.message SET lease_until = '-infinity' WHERE state = 'sending' AND "
            "account = (SELECT id FROM orange_sms.account WHERE name = $1)",
            self.account,
        )
        await db.execute(
            "UPDATE orange_sms.account SET sender = NULL, sender_until = '-infinity' "
            "WHERE name = $1",
            self.account,
        )
        await db.close()
