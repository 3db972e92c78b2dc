"""`orange-sms check`: whether a campaign can begin."""

import typer

from orange_sms_async.cli import config
from orange_sms_async.cli.errors import Debug
from orange_sms_async.cli.options import Rate, RowsFile, SenderName, check_sender_name
from orange_sms_async.cli.preflight import Preflight


def check(
    file: RowsFile, *, rate: Rate = 5.0, sender_name: SenderName = None, debug: Debug = False
) -> None:
    """
    Look whether the campaign of a CSV file can begin. Nothing is sent.

    It checks every row, the credentials, and for each country in the file that the contract is
    active, does not end before the campaign does, and has the units. It says what the campaign
    costs and how long it takes. Whether Orange approved a sender name it does not tell beforehand.

    The exit code is the first of these that applies:

    2: wrong usage, or a file that cannot be read.

    130: interrupted.

    3: wrong credentials or no access.

    4: Orange cannot be reached.

    1: no-go, each thing against it on a line of its own.

    0: go.
    """
    check_sender_name(sender_name)
    looked_at = Preflight(file=file, sender_name=sender_name, rate=rate)
    raise typer.Exit(looked_at.run(config.client(), debug=debug))
