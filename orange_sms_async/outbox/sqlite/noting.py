"""The notes of rules, in a file: counts that lapse, and lists."""

import sqlite3
from functools import partial
from typing import TYPE_CHECKING

from orange_sms_async.outbox.sqlite import statements

if TYPE_CHECKING:  # slow to import, and `put` needs no loop
    from collections.abc import Callable

    from orange_sms_async.outbox.sqlite.commits import Commits

_FRESH = 0.05  # share of a count's time; a younger count is left as it is
_SOME = 5  # names tidied with each count: more than a count adds


class SqliteNotes:
    """
    The notes of an outbox.

    Args:
        file: returns the file, or raises if it is not open.
    """

    def __init__(self, file: "Callable[[], Commits]") -> None:
        self._file = file

    async def secret(self) -> bytes:
        return await self._file().read(statements.key)

    async def take(
        self, name: str, member: str, units: int, *, most: int, within: float, now: float
    ) -> bool:
        # A look costs no fsync, and what was counted a moment ago need not be counted again.
        since = now + within * (1 - _FRESH)
        counted = partial(_is_counted, name=name, member=member, since=since)
        if await self._file().read(counted):
            return True
        take = partial(_take, name=name, member=member, units=units, most=most, until=now + within)
        return await self._file().write(partial(take, now=now))

    async def give_back(self, member: str) -> None:
        # Most often there is nothing, and a look costs no fsync.
        if await self._file().read(partial(_counts, member=member)):
            await self._file().write(partial(_give_back, member=member))

    async def enter(self, name: str, members: list[str]) -> None:
        await self._file().write(partial(_enter, name=name, members=members))

    async def strike(self, name: str, member: str) -> None:
        await self._file().write(partial(_strike, name=name, member=member))

    async def has(self, name: str, member: str) -> bool:
        return await self._file().read(partial(_is_counted, name=name, member=member, since=0.0))

    async def members(self, name: str) -> list[str]:
        return await self._file().read(partial(_members, name=name))


def _is_counted(db: sqlite3.Connection, name: str, member: str, since: float) -> bool:
    query = "SELECT 1 FROM note WHERE name = ? AND member = ? AND until > ?"
    return db.execute(query, (name, member, since)).fetchone() is not None


def _take(
    db: sqlite3.Connection,
    *,
    name: str,
    member: str,
    units: int,
    most: int,
    until: float,
    now: float,
) -> bool:
    others = "SELECT DISTINCT name FROM note WHERE units > 0 AND until <= ? LIMIT ?"
    for lapsed in {name, *(found for (found,) in db.execute(others, (now, _SOME)).fetchall())}:
        _lapse(db, lapsed, now)
    again = "UPDATE note SET until = ? WHERE name = ? AND member = ?"
    if db.execute(again, (until, name, member)).rowcount:
        return True
    counted = db.execute(
        "INSERT INTO tally SELECT ?1, ?2 WHERE ?2 <= ?3 ON CONFLICT (name) DO UPDATE "
        "SET units = units + ?2 WHERE units + ?2 <= ?3",
        (name, units, most),
    )
    if counted.rowcount:
        db.execute("INSERT INTO note VALUES (?, ?, ?, ?)", (name, member, units, until))
    return counted.rowcount > 0


def _lapse(db: sqlite3.Connection, name: str, now: float) -> None:
    lapsed = db.execute(
        "DELETE FROM note WHERE name = ? AND units > 0 AND until <= ? RETURNING units", (name, now)
    ).fetchall()
    if lapsed:
        units = sum(units for (units,) in lapsed)
        db.execute("UPDATE tally SET units = units - ? WHERE name = ?", (units, name))
        db.execute("DELETE FROM tally WHERE name = ? AND units <= 0", (name,))


def _counts(db: sqlite3.Connection, member: str) -> bool:
    query = "SELECT 1 FROM note WHERE member = ? AND units > 0 AND until > 0"
    return db.execute(query, (member,)).fetchone() is not None


def _give_back(db: sqlite3.Connection, member: str) -> None:
    db.execute("UPDATE note SET until = 0 WHERE member = ? AND units > 0", (member,))


def _enter(db: sqlite3.Connection, name: str, members: list[str]) -> None:
    db.executemany(
        "INSERT OR IGNORE INTO note VALUES (?, ?, 0, 9e999)", [(name, each) for each in members]
    )


def _strike(db: sqlite3.Connection, name: str, member: str) -> None:
    db.execute("DELETE FROM note WHERE name = ? AND member = ? AND units = 0", (name, member))


def _members(db: sqlite3.Connection, name: str) -> list[str]:
    query = "SELECT member FROM note WHERE name = ? AND units = 0 ORDER BY member"
    return [member for (member,) in db.execute(query, (name,))]
