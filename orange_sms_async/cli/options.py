"""The arguments and options that several commands share."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from orange_sms_async import InvalidMessage, OutboundMessage, ReceiptReceiver

# Slower is a slip: at this rate a thousand rows take four months. Faster is `off`.
_SLOWEST, _FASTEST = 0.0001, 1_000_000
_YEAR = 365 * 24 * 3600  # seconds


def messages_a_second(given: str | float) -> float:
    """
    Read `--rate`; `off` is infinity.

    Raises:
        typer.BadParameter: neither `off` nor a number that makes sense.
    """
    rate = math.inf if given == "off" else _number(given)
    if not (_SLOWEST <= rate <= _FASTEST or rate == math.inf):
        raise typer.BadParameter(
            f"a number from {_SLOWEST} to {_FASTEST:,} (messages a second), or off"
        )
    return rate


def seconds(*, least: float = 0) -> Callable[[str | float], float]:
    """Make a reader of seconds, up to a year: clocks and JSON have neither inf nor nan."""

    def read_seconds(given: str | float) -> float:
        if not least <= (number := _number(given)) <= _YEAR:
            raise typer.BadParameter(f"a number from {least} to {_YEAR:,} (seconds)")
        return number

    return read_seconds


def _number(given: str | float) -> float:
    try:
        return float(given)
    except ValueError:
        return math.nan


Text = Annotated[
    str, typer.Argument(metavar="TEXT", help="What the recipient reads; - reads it from stdin.")
]


def read(given: str) -> str:
    """
    Return the text; of stdin without the line break that ends it.

    Raises:
        typer.BadParameter: it is empty or not UTF-8.
    """
    try:
        text = sys.stdin.buffer.read().decode() if given == "-" else given
        text.encode()
    except UnicodeError:
        raise typer.BadParameter("not UTF-8", param_hint="TEXT") from None
    if given == "-":
        text = text.removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise typer.BadParameter("may not be empty", param_hint="TEXT")
    return text


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


Debug = Annotated[
    bool,
    typer.Option("--debug", help="After an error, show what is behind it: no number, no secret."),
]


def _checked(secret: str | None) -> str | None:
    try:
        ReceiptReceiver(bool, secret=secret)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return secret


Secret = Annotated[
    str | None,
    typer.Option(
        callback=_checked,
        envvar="ORANGE_SMS_RECEIPTS_SECRET",
        metavar="WORD",
        show_envvar=False,
        help="The last part of the address, or ?token=. Better in ORANGE_SMS_RECEIPTS_SECRET: "
        "a command line is seen by everyone on this machine.",
    ),
]


def warn_without(secret: str | None) -> None:
    """Say what it means that there is no secret, if there is none."""
    if not secret:
        typer.echo(
            "Warning: without a secret, everyone who reaches this address can post receipts.",
            err=True,
        )
