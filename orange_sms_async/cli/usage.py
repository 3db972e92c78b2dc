"""`orange-sms usage`: how many SMS each application sent to each country."""

from typing import Annotated

import typer

from orange_sms_async import UsageStatistics
from orange_sms_async.cli.listing import AsCsv, AsJson, InCountry, answer
from orange_sms_async.cli.options import Debug
from orange_sms_async.cli.stdout import show, table


def usage(
    *,
    country: InCountry = None,
    app_id: Annotated[str | None, typer.Option(metavar="ID", help="Only this application.")] = None,
    json: AsJson = False,
    csv: AsCsv = False,
    debug: Debug = False,
) -> None:
    """
    Show how many SMS each application sent to each country.

    It shows the requests that Orange counted and the units that it debited since the account was
    opened.

    Exit codes: 0, or 3 for wrong credentials, 4 if Orange is unreachable.
    """
    answer(
        lambda client: client.statistics(country=country, app_id=app_id),
        UsageStatistics,
        _show,
        as_json=json,
        as_csv=csv,
        debug=debug,
    )


def _show(statistics: list[UsageStatistics]) -> None:
    columns = ("country", "service", "application", "requests", "units")
    made = table(*columns, numbers=("requests", "units"), whole=("country",))
    for row in sorted(statistics, key=lambda one: (one.country, one.service, one.appid or "")):
        counted = f"{row.usage:,}", f"{row.nb_enforcements:,}"
        made.add_row(row.country, row.service, row.appid or "none", *counted)
    requests, units = (
        sum(row.usage for row in statistics),
        sum(row.nb_enforcements for row in statistics),
    )
    made.add_row("total", "", "", f"{requests:,}", f"{units:,}")
    show(made)
