"""`orange-sms outbox move`: from a file to PostgreSQL."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from orange_sms_async import OutboxUnusable
from orange_sms_async.cli.exits import stop_with
from orange_sms_async.cli.migrate import Dsn, refuse
from orange_sms_async.cli.place import Account
from orange_sms_async.cli.stdout import console
from orange_sms_async.outbox.postgres import moving


def move(
    path: Annotated[
        Path,
        typer.Argument(metavar="SMS.db", exists=True, dir_okay=False, help="The file to move."),
    ],
    dsn: Dsn,
    *,
    account: Account = "default",
) -> None:
    """
    Move all messages and receipts of a file to PostgreSQL, and rename the file.

    Close its queues first: the move is refused while one has the turn. If the move is interrupted,
    nothing is lost: the same command resumes it. Waiting messages are then sent from PostgreSQL.

    Exit codes: 0, or 2 if it cannot be done.
    """
    try:
        many, renamed = asyncio.run(moving.move(path, dsn, account=account))
    except OutboxUnusable as error:
        stop_with(str(error))
    except ValueError as error:
        refuse(error)
    console().print(f"Messages moved: {many}. The file is now {renamed}.")
