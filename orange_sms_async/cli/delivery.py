"""`orange-sms outbox delivery`: what was delivered, by country and start of the number."""

import asyncio
import datetime as dt
import re
import time
from typing import Annotated

import typer

from orange_sms_async import OutboxUnusable
from orange_sms_async.cli.csv_rows import date_and_time
from orange_sms_async.cli.exits import stop_with
from orange_sms_async.cli.listing import check_one, listed
from orange_sms_async.cli.place import Account, OutboxPlace, Place
from orange_sms_async.cli.resume import look_into_outbox
from orange_sms_async.cli.stdout import console, show, table
from orange_sms_async.outbox.summary import DeliveryCount

_NUMBERS = ("accepted", "delivered", "impossible", "uncertain", "silent", "median")
_AGO = re.compile(r"([1-9][0-9]{0,3})([dh])")


def _since(given: str) -> dt.datetime:
    """
    Read `--since`: so many days or hours ago, a day, or a date and time.

    Raises:
        typer.BadParameter: it is none of them.
    """
    if ago := _AGO.fullmatch(given):
        hours = int(ago[1]) * (24 if ago[2] == "d" else 1)
        return dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)
    try:
        return date_and_time(given if ":" in given else f"{given} 00:00")
    except ValueError:
        raise typer.BadParameter("write it as 7d, 24h, 2026-12-31 or 2026-12-31 08:00") from None


def delivery(
    place: OutboxPlace,
    *,
    account: Account = "default",
    since: Annotated[
        dt.datetime | None,
        typer.Option(
            "--since",
            parser=_since,
            metavar="DATE|7d|24h",
            help="Only messages that Orange accepted since then. Default: all that are kept.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The same, as JSON.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="The same, as CSV.")] = False,
) -> None:
    """
    Show what was delivered, by country and by the two digits after the calling code.

    "silent" counts messages that Orange accepted over an hour ago and has not reported on. The
    median is in seconds, from sending to delivery.
    """
    check_one(as_json=json, as_csv=csv)
    of_account = place.of(account)
    of_account.check_exists()
    try:
        counts = asyncio.run(_counted(of_account, since))
    except OutboxUnusable as error:
        stop_with(str(error))
    listed(counts, DeliveryCount, _show, as_json=json, as_csv=csv)


async def _counted(place: Place, since: dt.datetime | None) -> list[DeliveryCount]:
    outbox = place.outbox()
    async with look_into_outbox(outbox):
        return await outbox.delivery(since.timestamp() if since else 0.0, time.time())


def _show(counts: list[DeliveryCount]) -> None:
    made = table("country", "prefix", *_NUMBERS, numbers=_NUMBERS, whole=("country", "prefix"))
    for count in counts:
        median = "" if count.median_seconds is None else f"{count.median_seconds:,} s"
        numbers = (getattr(count, name) for name in _NUMBERS[:-1])
        made.add_row(count.country, count.prefix or "", *(f"{n:,}" for n in numbers), median)
    show(made)
    console().print("Where numbers can be ported, a prefix does not identify an operator.")
