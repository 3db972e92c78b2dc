"""The notes of rules, in a database: counts that lapse, and lists."""

from collections.abc import Callable
from functools import partial

from orange_sms_async.outbox.postgres import queries
from orange_sms_async.outbox.postgres.connecting import Connection, Connections

_PATIENCE = 5.0  # seconds that a caller waits for the database to come back
_FRESH = 0.05  # share of a count's time; a younger count is left as it is


class PostgresNotes:
    """
    The notes of an account.

    Args:
        db: connections to the database.
        account: returns the account's id, once the outbox is open.
    """

    def __init__(self, db: Connections, account: Callable[[], int]) -> None:
        self._db, self._account = db, account

    async def secret(self) -> bytes:
        return await self._db.until_done(lambda db, _: queries.key(db, self._account()), _PATIENCE)

    async def take(
        self, name: str, member: str, units: int, *, most: int, within: float, now: float
    ) -> bool:
        query = "SELECT orange_sms.take($1, $2, $3, $4, $5, $6, $7, to_timestamp($8))"
        return bool(await self._value(query, name, member, units, most, within, _FRESH, now))

    async def give_back(self, member: str) -> None:
        await self._value(
            "UPDATE orange_sms.note SET until = '-infinity' "
            "WHERE account = $1 AND member = $2 AND units > 0",
            member,
        )

    async def enter(self, name: str, members: list[str]) -> None:
        await self._value(
            "INSERT INTO orange_sms.note SELECT $1, $2, unnest($3::text[]), 0, 'infinity' "
            "ON CONFLICT DO NOTHING",
            name,
            members,
        )

    async def strike(self, name: str, member: str) -> None:
        await self._value(
            "DELETE FROM orange_sms.note "
            "WHERE account = $1 AND name = $2 AND member = $3 AND units = 0",
            name,
            member,
        )

    async def has(self, name: str, member: str) -> bool:
        query = "SELECT 1 FROM orange_sms.note WHERE account = $1 AND name = $2 AND member = $3"
        return await self._value(query, name, member) is not None

    async def members(self, name: str) -> list[str]:
        query = (
            "SELECT array_agg(member ORDER BY member) FROM orange_sms.note "
            "WHERE account = $1 AND name = $2 AND units = 0"
        )
        found = await self._value(query, name)
        return list(found) if isinstance(found, list) else []

    async def _value(self, query: str, *arguments: object) -> object:
        # Each can be done twice, for example if the first answer was lost.
        fetch = partial(_fetch, query=query, arguments=(self._account(), *arguments))
        return await self._db.until_done(lambda db, _: fetch(db), _PATIENCE)


async def _fetch(db: Connection, query: str, arguments: tuple[object, ...]) -> object:
    value: object = await db.fetchval(query, *arguments)
    return value
