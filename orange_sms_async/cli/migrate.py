"""`orange-sms outbox migrate`: the tables of an outbox in PostgreSQL, made or brought forward."""

import asyncio
from typing import Annotated

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
        help="postgresql://user@host/database; in ORANGE_SMS_OUTBOX no list of processes shows it.",
    ),
]


def migrate(
    dsn: Dsn,
    *,
    account: Account = "default",
    rate: Annotated[
        float | None,
        typer.Option(help="The account's messages a second; 5 for a new one, else as it is."),
    ] = None,
    sql: Annotated[
        bool, typer.Option("--sql", help="Print what it would do, and change nothing.")
    ] = False,
) -> None:
    """
    Make the tables of an outbox in PostgreSQL, or bring them to the newest version.

    Forward only, in one transaction, and one at a time. It also makes the account. Its rate is
    changed only while nobody sends for it.

    Ends with 0, or with 2 if it cannot be done.
    """
    try:
        if sql:
            typer.echo(asyncio.run(migrating.printed(dsn, account=account, rate=rate)), nl=False)
            return
        version = asyncio.run(migrating.migrate(dsn, account=account, rate=rate))
    except (OutboxUnusable, ValueError) as error:
        stop_with(str(error))
    newest = len(migrating.VERSIONS)
    done = f"is at version {newest}" if version == newest else f"goes from {version} to {newest}"
    console().print(f"The outbox {done}; its account {account} is there.")
