"""The versions of the tables: made, brought forward, and never looked for at every opening."""

import math
from importlib.resources import files

from orange_sms_async.countries import COUNTRIES, Country
from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.messages import how_many
from orange_sms_async.outbox.postgres.address import Address
from orange_sms_async.outbox.postgres.connecting import Connection, Connections

# The SQL that makes of each version the next, beginning with none. Forward only.
VERSIONS = (
    ("tables.sql", "functions.sql", "settling.sql", "submitting.sql"),
    ("notes.sql",),
)
TOO_OLD = "made by an earlier version: run `orange-sms outbox migrate`, once for the whole fleet"
_RATE = 5.0  # "5 SMS per second" -- Orange
_LOCK = 0x4F534D53  # "OSMS": one at a time migrates a database

# Two of its random uuids, so that no secret is printed.
_KEY = "decode(replace(gen_random_uuid()::text || gen_random_uuid(), '-', ''), 'hex')"
_ACCOUNT = """
INSERT INTO orange_sms.account (name, rate, key) VALUES ({name}, {rate}, {key})
ON CONFLICT (name) DO {otherwise};
"""


def sql(version: int, account: str, rate: float | None) -> str:
    """
    Give the SQL that brings the tables of a version to the newest, and makes an account.

    Args:
        version: what there is; 0 for nothing.
        account: its name.
        rate: its messages a second; None for what it has, or 5 if it is new.

    Raises:
        ValueError: the rate is no finite number above 0, or the account has no name.
    """
    if rate is not None and not 0 < rate < math.inf:
        raise ValueError("rate: messages a second, above 0")
    if not account or "\0" in account:
        raise ValueError("account: a name")
    folder = files("orange_sms_async.outbox.postgres")
    names = [name for step in VERSIONS[version:] for name in step]
    made = _ACCOUNT.format(
        name="'" + account.replace("'", "''") + "'",
        rate=repr(float(rate or _RATE)),
        key=_KEY,
        otherwise="UPDATE SET rate = excluded.rate" if rate else "NOTHING",
    )
    rules = "DELETE FROM orange_sms.country;\n" + "".join(map(_country, COUNTRIES))
    newest = f"UPDATE orange_sms.version SET number = {len(VERSIONS)};\n"
    return "\n".join(
        [*(folder.joinpath(name).read_text("utf-8") for name in names), newest, rules, made]
    )


def _country(country: Country) -> str:
    name, landlines, rule = (
        text.replace("'", "''") for text in (country.name, country.landlines, how_many(country))
    )
    digits = ",".join(map(str, country.digits))
    return (
        "INSERT INTO orange_sms.country VALUES "
        f"('{country.calling_code}', '{name}', '{{{digits}}}', '{landlines}', '{rule}');\n"
    )


async def migrate(dsn: str, *, account: str = "default", rate: float | None = None) -> int:
    """
    Bring a database's tables to the newest version, and make an account or change its rate.

    Whoever sends for the account has to be closed before its rate is changed.

    Returns:
        The version that was found; 0 where there was no outbox.

    Raises:
        OutboxUnusable: names the database and the cause.
        ValueError: of the address, the rate or the account's name.
    """
    sql(0, account, rate)  # or what is wrong with them
    connections = Connections(Address(dsn, account))
    await connections.open()

    async def all_of_it(db: Connection) -> int:
        async with db.transaction(isolation="read_committed"):
            await db.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            version = await found(db)
            check(version, connections)
            await db.execute(sql(version, account, rate), timeout=600)
            return version

    try:
        return await connections.once(all_of_it)
    finally:
        await connections.aclose()


async def printed(dsn: str, *, account: str = "default", rate: float | None = None) -> str:
    """
    Give the SQL that `migrate` would execute now, and execute nothing.

    Raises:
        OutboxUnusable: names the database and the cause.
        ValueError: of the address, the rate or the account's name.
    """
    sql(0, account, rate)
    connections = Connections(Address(dsn, account))
    await connections.open()
    try:
        version = await connections.once(found)
        check(version, connections)
    finally:
        await connections.aclose()
    return f"BEGIN;\nSELECT pg_advisory_xact_lock({_LOCK});\n{sql(version, account, rate)}COMMIT;\n"


async def found(db: Connection) -> int:
    """Return the version of the tables that are there; 0 for none."""
    if await db.fetchval("SELECT to_regclass('orange_sms.version')") is None:
        return 0
    return await db.fetchval("SELECT number FROM orange_sms.version")  # type: ignore[no-any-return]


def check(version: int, connections: Connections) -> None:
    """
    Refuse what a newer release made.

    Raises:
        OutboxUnusable: says which.
    """
    if version > len(VERSIONS):
        raise OutboxUnusable(
            f"{connections.name}: made by a newer version of orange-sms-async: upgrade it here"
        )
