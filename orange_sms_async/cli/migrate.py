"""`orange-sms outbox migrate`: create or upgrade the tables of an outbox in PostgreSQL."""

import asyncio
from typing import Annotated, NoReturn

import typer

from orange_sms_async import OutboxUnusable
from orange_sms_async.cli.exits import stop_with
from orange_sms_async.cli.place import VARIABLE, Account
from orange_sms_async.cli.stdout import console
from orange_sms_async.outbox.postgres import migrating

Dsn = Annotated[
    str,
    typer.Argument(
        metavar="DSN",
        envvar=VARIABLE,
        show_default=False,
        help="postgresql://user@host/database. In ORANGE_SMS_OUTBOX, process lists do not show it.",
    ),
]


def refuse(error: ValueError) -> NoReturn:
    """Name the argument or option of a wrong value as the command line does."""
    field, _, rule = str(error).partition(": ")
    raise typer.BadParameter(rule, param_hint="DSN" if field == "dsn" else f"--{field}") from None


def migrate(
    dsn: Dsn,
    *,
    account: Account = "default",
    rate: Annotated[
        float | None,
        typer.Option(
            help="Messages per second for the account. Default: 5 if new, else unchanged."
        ),
    ] = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL, and change nothing.")] = False,
) -> None:
    """
    Create the tables of an outbox in PostgreSQL, or upgrade them to the newest version.

    An upgrade is one transaction, cannot be undone, and only one runs at a time. The command also
    creates the account. An account's rate changes only while nobody sends for it.

    Exit codes: 0, or 2 if it cannot be done.
    """
    try:
        if sql:
            typer.echo(asyncio.run(migrating.printed(dsn, account=account, rate=rate)), nl=False)
            return
        version = asyncio.run(migrating.migrate(dsn, account=account, rate=rate))
    except OutboxUnusable as error:
        stop_with(str(error))
    except ValueError as error:
        refuse(error)
    newest = len(migrating.VERSIONS)
    there = f"The outbox is at version {newest}"
    upgraded = f"The outbox was migrated from version {version} to {newest}"
    done = there if version == newest else upgraded
    console().print(f"{done}; its account {account} exists.")
