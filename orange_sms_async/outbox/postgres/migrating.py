"""Creates the tables and upgrades them, on request and never at an opening."""

import math
from importlib.resources import files

from orange_sms_async.countries import COUNTRIES, Country
from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.messages import how_many
from orange_sms_async.outbox.postgres.address import Address
from orange_sms_async.outbox.postgres.connecting import Connection, Connections

# The SQL that upgrades each version to the next, starting from nothing. Forward only.
VERSIONS = (
    ("tables.sql", "functions.sql", "settling.sql", "submitting.sql"),
    ("notes.sql",),
)
TOO_OLD = "made by an earlier version: run `orange-sms outbox migrate`, once for the whole fleet"
_RATE = 5.0  # "5 SMS per second" -- Orange
_LOCK = 0x4F534D53  # "OSMS": one process at a time migrates a database

# Two of the server's random uuids, so that no secret is printed.
_KEY = "decode(replace(gen_random_uuid()::text || gen_random_uuid(), '-', ''), 'hex')"
_ACCOUNT = """
INSERT INTO orange_sms.account (name, rate, key) VALUES ({name}, {rate}, {key})
ON CONFLICT (name) DO {otherwise};
"""


def sql(version: int, account: str, rate: float | None) -> str:
    """
    Return the SQL that upgrades tables to the newest version, and creates an account.

    Args:
        version: the current version; 0 if there are no tables.
        account: its name.
        rate: its messages a second. None keeps the rate it has, or sets 5 if it is new.

    Raises:
        ValueError: the rate is not a finite number above 0, or the account has no name.
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
    Upgrade a database's tables to the newest version, and create an account or change its rate.

    Before you change the rate, close every queue that sends for the account.

    Returns:
        The version that was found; 0 if there was no outbox.

    Raises:
        OutboxUnusable: names the database and the cause.
        ValueError: the address, the rate or the account's name is wrong.
    """
    sql(0, account, rate)  # raises if one of them is wrong
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
    Return the SQL that `migrate` would execute now, and execute nothing.

    Raises:
        OutboxUnusable: names the database and the cause.
        ValueError: the address, the rate or the account's name is wrong.
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
    """Return the version of the tables; 0 if there are none."""
    if await db.fetchval("SELECT to_regclass('orange_sms.version')") is None:
        return 0
    return await db.fetchval("SELECT number FROM orange_sms.version")  # type: ignore[no-any-return]


def check(version: int, connections: Connections) -> None:
    """
    Refuse tables made by a newer release.

    Raises:
        OutboxUnusable: a newer release made them. The error names the outbox.
    """
    if version > len(VERSIONS):
        raise OutboxUnusable(
            f"{connections.name}: made by a newer version of orange-sms-async: upgrade it here"
        )
