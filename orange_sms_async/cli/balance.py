"""`orange-sms balance`: the units of each contract, and when it expires."""

from datetime import UTC, datetime

from rich.text import Text

from orange_sms_async import Contract
from orange_sms_async.cli.contracts import days_left, is_active
from orange_sms_async.cli.listing import AsCsv, AsJson, InCountry, answer
from orange_sms_async.cli.options import Debug
from orange_sms_async.cli.stdout import console, show, table
from orange_sms_async.cli.words import said

_SOON = 7  # days


def balance(
    *, country: InCountry = None, json: AsJson = False, csv: AsCsv = False, debug: Debug = False
) -> None:
    """
    Show the units of each contract, and when it expires.

    The total is what you can use now. An expired contract keeps its units; the next bundle bought
    for it makes them usable again. A contract expires at midnight UTC.

    Exit codes: 0, or 3 for wrong credentials, 4 if Orange is unreachable.
    """
    answer(
        lambda client: client.contracts(country=country),
        Contract,
        _show,
        as_json=json,
        as_csv=csv,
        debug=debug,
    )


def _show(contracts: list[Contract]) -> None:
    now = datetime.now(UTC)
    columns = ("country", "offer", "units", "status", "expires", "days")
    made = table(*columns, numbers=("units", "days"), whole=("country", "expires"))
    for contract in sorted(contracts, key=lambda one: (one.country, one.offer_name)):
        made.add_row(
            contract.country,
            contract.offer_name,
            f"{contract.available_units:,}",
            contract.status,
            f"{contract.expiration_date:%Y-%m-%d}" if contract.expiration_date else "",
            _days(contract, now),
        )
    usable = sum(one.available_units for one in contracts if is_active(one, now))
    made.add_row("total", "", f"{usable:,}")
    show(made)
    if kept := sum(one.available_units for one in contracts) - usable:
        console().print(f"Units in expired contracts: {kept:,}. Buy a bundle to use them.")


def _days(contract: Contract, now: datetime) -> Text:
    days = days_left(contract, now)
    if not is_active(contract, now):
        ended = contract.status in ("ACTIVE", "EXPIRED")
        return Text(said("expired") if ended else "", style="red")
    return Text("" if days is None else f"{days}", style="yellow" if (days or 99) <= _SOON else "")
