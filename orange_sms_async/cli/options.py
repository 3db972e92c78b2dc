"""The arguments and options that several commands share."""

import datetime as dt
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from orange_sms_async import Country, InvalidMessage, OutboundMessage, ReceiptReceiver
from orange_sms_async.cli.csv_rows import Defaults, date_and_time
from orange_sms_async.cli.template import Template
from orange_sms_async.cli.words import echo

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
        metavar="FILE.csv",
        help="Columns to,text and, if wanted, sender_name, reference, country, not_before and "
        "expires_at.",
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
SenderAddress = Annotated[
    str | None,
    typer.Option(
        "--sender-address",
        metavar="NUMBER",
        help="Where it is sent from, if not from the number that Orange recommends for the "
        "country: tel:+2250000.",
    ),
]


def country_code(given: str) -> str:
    """
    Read a country of Orange's.

    Raises:
        typer.BadParameter: Orange's API does not send there.
    """
    try:
        return Country.from_code(given.upper()).code
    except KeyError:
        raise typer.BadParameter(
            "a country of Orange's by its three letters, such as CIV or SEN"
        ) from None


NumbersOf = Annotated[
    str | None,
    typer.Option(
        "--country",
        parser=country_code,
        metavar="CODE",
        help="Read numbers as people there write them: 07 01 02 03 04 with CIV.",
    ),
]


def _template(given: str) -> Template:
    try:
        return Template.of(given)
    except ValueError as error:
        raise typer.BadParameter(f'{error}: "Bonjour {{prenom}}"; {{{{ is a brace') from None


TextOfRows = Annotated[
    Template | None,
    typer.Option(
        "--text",
        parser=_template,
        metavar="TEXT",
        help='The text of every row, with its columns: "Bonjour {prenom}".',
    ),
]


def _date(given: str) -> dt.datetime:
    try:
        return date_and_time(given)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


NotBefore = Annotated[
    dt.datetime | None,
    typer.Option(
        "--not-before",
        parser=_date,
        metavar="DATE",
        help="For rows that have none: send it then or later. 2026-12-31 08:00 is local time.",
    ),
]
ExpiresAt = Annotated[
    dt.datetime | None,
    typer.Option(
        "--expires-at",
        parser=_date,
        metavar="DATE",
        help="For rows that have none: do not send it any more then.",
    ),
]


def defaults_of_rows(
    *,
    sender_name: str | None,
    sender_address: str | None,
    country: str | None,
    text: Template | None,
    not_before: dt.datetime | None,
    expires_at: dt.datetime | None,
) -> Defaults:
    """
    Check what holds for all rows once, or every row that relies on it would be invalid.

    Raises:
        typer.BadParameter: says the rule that is broken.
    """
    address = check_sender(sender_name, sender_address)
    if not_before and expires_at and not_before >= expires_at:
        raise typer.BadParameter("must be later than --not-before", param_hint="--expires-at")
    return Defaults(
        sender_name=sender_name,
        sender_address=address,
        country=Country.from_code(country) if country else None,
        text=text,
        not_before=not_before,
        expires_at=expires_at,
    )


def check_sender(name: str | None, address: str | None) -> str | None:
    """
    Check a sender name and return the address, which may be given without its `tel:`.

    Raises:
        typer.BadParameter: says the rule it breaks.
    """
    if address is not None and not address.startswith("tel:"):
        address = f"tel:{address}"
    try:
        OutboundMessage("+2250000000000", "-", sender_name=name, sender_address=address)
    except InvalidMessage as error:
        field, _, rule = str(error).partition(": ")
        raise typer.BadParameter(rule, param_hint=f"--{field.replace('_', '-')}") from None
    return address


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
        echo(
            "Warning: without a secret, everyone who reaches this address can post receipts.",
            err=True,
        )
