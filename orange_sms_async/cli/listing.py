"""What Orange says about the account: a table for people, full JSON or CSV for programs."""

import asyncio
import csv
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, TypeVar

import attrs
import typer

from orange_sms_async import Client
from orange_sms_async.cli import config
from orange_sms_async.cli.exits import errors_end
from orange_sms_async.cli.options import country_code

_T = TypeVar("_T", bound=attrs.AttrsInstance)


InCountry = Annotated[
    str | None,
    typer.Option(
        "--country", parser=country_code, metavar="CODE", help="Only this country, such as CIV."
    ),
]


AsJson = Annotated[bool, typer.Option("--json", help="All fields from Orange, as JSON.")]


AsCsv = Annotated[bool, typer.Option("--csv", help="All fields from Orange, as CSV.")]


def answer(
    question: Callable[[Client], Awaitable[list[_T]]],
    class_: type[_T],
    table: Callable[[list[_T]], None],
    *,
    as_json: bool,
    as_csv: bool,
    debug: bool,
) -> None:
    """Ask Orange and show the answer: as a table, or as JSON or CSV for a program."""
    check_one(as_json=as_json, as_csv=as_csv)
    with errors_end(debug=debug):
        values = asyncio.run(_asked(config.client(), question))
    listed(values, class_, table, as_json=as_json, as_csv=as_csv)


def check_one(*, as_json: bool, as_csv: bool) -> None:
    """Refuse two output formats at once."""
    if as_json and as_csv:
        raise typer.BadParameter("give only one of them", param_hint="--json, --csv")


def listed(
    values: list[_T],
    class_: type[_T],
    table: Callable[[list[_T]], None],
    *,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show values as a table, or as JSON or CSV for a program."""
    if as_json:
        typer.echo(json.dumps([_plain(value) for value in values], indent=2))
    elif as_csv:
        _write_csv([field.name for field in attrs.fields(class_)], values)
    else:
        table(values)


async def _asked(client: Client, question: Callable[[Client], Awaitable[list[_T]]]) -> list[_T]:
    async with client:
        return await question(client)


def _plain(value: attrs.AttrsInstance) -> dict[str, str | int | None]:
    return {name: _cell(cell) for name, cell in attrs.asdict(value).items()}


def _cell(value: object) -> str | int | None:
    if value is None or isinstance(value, int):
        return value
    # A price stays a text: as a number, a program would round 320.00 to a binary fraction.
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _write_csv(columns: Sequence[str], values: Sequence[attrs.AttrsInstance]) -> None:
    lines = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    lines.writeheader()
    lines.writerows(_plain(value) for value in values)
