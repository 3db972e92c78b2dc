"""The arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from orange_sms_async import InvalidMessage, OutboundMessage
from orange_sms_async.cli.rates import messages_a_second

RowsFile = Annotated[
    Path,
    typer.Argument(
        metavar="FILE.csv", help="Columns to,text and, if wanted, sender_name,reference."
    ),
]
Rate = Annotated[
    float,
    typer.Option(
        "--rate",
        parser=messages_a_second,
        metavar="NUMBER|off",
        help="Messages a second: 5 unless Orange gave you more. Off is for sandboxes.",
    ),
]
SenderName = Annotated[
    str | None, typer.Option("--sender-name", help="For rows that have none.", metavar="NAME")
]


def check_sender_name(name: str | None) -> None:
    """
    Check a sender name for all rows once, or every row without one of its own would be invalid.

    Raises:
        typer.BadParameter: says the rule it breaks.
    """
    try:
        OutboundMessage("+2250000000000", "-", sender_name=name)
    except InvalidMessage as error:
        rule = str(error).removeprefix("sender_name: ")
        raise typer.BadParameter(rule, param_hint="--sender-name") from None
