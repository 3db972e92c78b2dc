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

# Anything slower is a typing mistake: at this rate, a thousand rows take four months.
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
    """Make a parser of seconds, up to a year: clocks and JSON have neither inf nor nan."""

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
    str, typer.Argument(metavar="TEXT", help="The text of the SMS; - reads it from stdin.")
]


def read(given: str) -> str:
    """
    Return the text; if it comes from stdin, without its last line break.

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
        help="Columns to,text and, optionally, sender_name, reference, country, not_before and "
        "expires_at.",
    ),
]
Rate = Annotated[
    float,
    typer.Option(
        "--rate",
        parser=messages_a_second,
        metavar="NUMBER|off",
        help="Messages per second: 5 unless Orange granted you more. off is for sandboxes.",
    ),
]
SenderName = Annotated[
    str | None, typer.Option("--sender-name", help="For rows without one.", metavar="NAME")
]
SenderAddress = Annotated[
    str | None,
    typer.Option(
        "--sender-address",
        metavar="NUMBER",
        help="The number to send from, such as tel:+2250000, if not the one Orange recommends "
        "for the country.",
    ),
]


def country_code(given: str) -> str:
    """
    Read the code of a country that Orange sends to.

    Raises:
        typer.BadParameter: it is not one of them.
    """
    try:
        return Country.from_code(given.upper()).code
    except KeyError:
        raise typer.BadParameter(
            "one of Orange's countries by its three letters, such as CIV or SEN"
        ) from None


NumbersOf = Annotated[
    str | None,
    typer.Option(
        "--country",
        parser=country_code,
        metavar="CODE",
        help="Read numbers as they are written in this country: 07 01 02 03 04 for CIV.",
    ),
]


def _template(given: str) -> Template:
    try:
        return Template.of(given)
    except ValueError:
        rule = "only the name of a column goes between braces"
        raise typer.BadParameter(f'{rule}: "Bonjour {{prenom}}"; {{{{ is a brace') from None


TextOfRows = Annotated[
    Template | None,
    typer.Option(
        "--text",
        parser=_template,
        metavar="TEXT",
        help='The text for every row, with columns in braces: "Bonjour {prenom}".',
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
        help="For rows without one: send at this time or later. 2026-12-31 08:00 is local time.",
    ),
]
ExpiresAt = Annotated[
    dt.datetime | None,
    typer.Option(
        "--expires-at",
        parser=_date,
        metavar="DATE",
        help="For rows without one: do not send from this time on.",
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
    Check the values for all rows once; a wrong one would make every row invalid.

    Raises:
        typer.BadParameter: names the broken rule.
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
    Check a sender name and address; return the address, with its `tel:` added if missing.

    Raises:
        typer.BadParameter: names the broken rule.
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
    typer.Option("--debug", help="After an error, show its causes, without numbers or secrets."),
]


def _checked(secret: str | None) -> str | None:
    try:
        ReceiptReceiver(bool, secret=secret)
    except ValueError as error:
        raise typer.BadParameter(str(error).removeprefix("secret: ")) from None
    return secret


Secret = Annotated[
    str | None,
    typer.Option(
        callback=_checked,
        envvar="ORANGE_SMS_RECEIPTS_SECRET",
        metavar="WORD",
        show_envvar=False,
        help="The last part of the receipts' address, or ?token=. Better: set "
        "ORANGE_SMS_RECEIPTS_SECRET, because every user of this machine can see a command line.",
    ),
]


def warn_without(secret: str | None) -> None:
    """Warn if there is no secret, and say what that means."""
    if not secret:
        echo(
            "Warning: without a secret, anyone who reaches this address can post receipts.",
            err=True,
        )
