"""`orange-sms check`: whether a campaign is ready, judged by its file and the account."""

import asyncio
import math
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import typer
from rich.table import Table
from rich.text import Text

from orange_sms_async import (
    Client,
    Contract,
    OutboxUnusable,
)
from orange_sms_async.cli import config
from orange_sms_async.cli.contracts import days_left, paying, trouble
from orange_sms_async.cli.csv_rows import Defaults, open_rows
from orange_sms_async.cli.exits import ExitCode, errors_end, stop_with, way_out_of_rules
from orange_sms_async.cli.gating import (
    HoursOption,
    MaxUnits,
    Rules,
    SuppressOption,
    rules_of,
)
from orange_sms_async.cli.options import (
    Debug,
    ExpiresAt,
    NotBefore,
    NumbersOf,
    Rate,
    RowsFile,
    SenderAddress,
    SenderName,
    TextOfRows,
    defaults_of_rows,
)
from orange_sms_async.cli.place import Place
from orange_sms_async.cli.spreadsheet import UnreadableFileError, encoding_of
from orange_sms_async.cli.stdout import console, show
from orange_sms_async.cli.survey import Survey, surveyed
from orange_sms_async.cli.words import many, said
from orange_sms_async.sendqueue.foresight import end

_MOST_CHARACTERS = 3
_LONGEST = timedelta(days=100_000)  # of a campaign, as far as estimated: years have four digits


def check(
    file: RowsFile,
    *,
    text: TextOfRows = None,
    country: NumbersOf = None,
    rate: Rate = 5.0,
    sender_name: SenderName = None,
    sender_address: SenderAddress = None,
    not_before: NotBefore = None,
    expires_at: ExpiresAt = None,
    hours: HoursOption = None,
    suppress: SuppressOption = None,
    max_units: MaxUnits = None,
    debug: Debug = False,
) -> None:
    """
    Check whether the campaign of a CSV file is ready. Nothing is sent.

    It checks every row and the credentials. For each country in the file, it checks that the
    contract is active, does not expire before the campaign ends, and has enough units. It shows
    what the campaign costs, how long it takes, which rows cost most, and which cost more because
    of a single character. It shows how many rows --hours, --suppress and --max-units would hold
    back. Landlines are counted; they do not stop a campaign. Orange does not say in advance
    whether a sender name is approved.

    Exit codes:

    0: go.

    1: no-go; each problem is on its own line.

    2: wrong usage, or a file that cannot be read.

    3: wrong credentials or no access.

    4: Orange is unreachable.

    130: interrupted.
    """
    defaults = defaults_of_rows(
        sender_name=sender_name,
        sender_address=sender_address,
        country=country,
        text=text,
        not_before=not_before,
        expires_at=expires_at,
    )
    rules = rules_of(hours, suppress, max_units)
    looked_at = Preflight(file=file, defaults=defaults, rate=rate, rules=rules)
    raise typer.Exit(looked_at.run(config.client(), debug=debug))


@attrs.frozen
class Finding:
    """One check, and whether the campaign passes it."""

    go: bool
    line: str


@attrs.frozen
class Forecast:
    """
    How a campaign would go, times in seconds since 1970.

    Attributes:
        held: how many rows the hours hold back until each date.
    """

    begins: float
    ends: float
    held: Counter[float]


@attrs.frozen(kw_only=True)
class Preflight:
    """
    Checks a campaign without sending it.

    Attributes:
        defaults: values for rows that give none themselves.
        rate: messages per second.
        rules: checked for each row.
        outbox: the outbox of a campaign that has already begun; None without one.
    """

    file: Path
    defaults: Defaults
    rate: float
    rules: Rules = attrs.field(factory=Rules)
    outbox: Place | None = None

    def run(self, client: Client, *, debug: bool) -> ExitCode:
        """Show each finding as soon as it is known; say whether it is go or no-go."""
        with errors_end(debug=debug):
            survey = self._survey()
            against = _show_findings(self._of_file(survey))
            contracts = asyncio.run(_contracts(client))
            against += _show_findings(self._of_account(survey, contracts))
        verdict = f"No-go: {many(against, 'problems')} to fix." if against else "Go."
        console().print(f"{verdict} Nothing was sent.")
        return ExitCode.SOME_FAILED if against else ExitCode.ALL_ACCEPTED

    def _survey(self) -> Survey:
        try:
            with open_rows(self.file, self.defaults) as rows:
                return asyncio.run(surveyed(rows, self.outbox, self.rules))
        except (UnreadableFileError, OutboxUnusable) as error:
            stop_with(str(error))

    def _of_file(self, survey: Survey) -> Iterator[Finding]:
        messages, units = survey.messages.total(), survey.units.total()
        if self.file.is_file() and encoding_of(self.file) == "cp1252":
            yield Finding(True, "read as Windows-1252 (Latin-1), because it is not UTF-8")
        if survey.settled:
            yield Finding(
                True, f"already settled, and not sent again: {many(survey.settled, 'rows')}"
            )
        yield Finding(
            messages > 0 or survey.settled > 0,
            f"{many(messages, 'messages')}, {units:,} SMS, counted as 1 unit each; "
            "Orange does not document its count",
        )
        yield from _costs(survey)
        for broken, rows in survey.invalid.items():
            line = f"{rows:,} x {broken}; first in row {survey.first[broken]:,}"
            yield Finding(False, f"{line}. {way}." if (way := way_out_of_rules(broken)) else line)
        if survey.repeated.rows:
            yield Finding(
                True,
                f"{many(survey.repeated.rows, 'rows')} with the number of an earlier row; "
                f"first in row {survey.repeated.first:,}",
            )
        if survey.landlines.rows:
            yield Finding(
                True,
                f"{many(survey.landlines.rows, 'landlines')}, which SMS rarely reach; "
                f"first in row {survey.landlines.first:,}",
            )
        if survey.sender_names:
            names = ", ".join(sorted(survey.sender_names))
            yield Finding(True, f"sender names, if Orange has approved them: {names}")
        yield from self._kept_back(survey)
        if not math.isinf(self.rate):
            yield Finding(True, self._ends(survey))

    def _kept_back(self, survey: Survey) -> Iterator[Finding]:
        if survey.suppressed:
            withheld = many(survey.suppressed, "rows")
            yield Finding(True, f"not sent, because the number is suppressed: {withheld}")
        if survey.beyond:
            rest = f"{many(survey.beyond, 'rows')} left"
            yield Finding(
                False, f"--max-units {survey.max_units:,} ends the campaign early: {rest}"
            )
        for until, rows in sorted(self._forecast(survey).held.items()):
            date = datetime.fromtimestamp(until).astimezone()
            yield Finding(
                True, f"--hours holds back {many(rows, 'rows')} until {date:%Y-%m-%d %H:%M}"
            )

    def _of_account(self, survey: Survey, contracts: list[Contract]) -> Iterator[Finding]:
        yield Finding(True, "the credentials work")
        until = self._end(survey)
        for country, units in sorted(survey.units.items()):
            if not country:
                yield Finding(True, f"{units:,} SMS to countries whose contract is not checked")
                continue
            contract = paying(contracts, country)
            against = trouble(contract, country, units=units, until=until)
            yield Finding(not against, against or _room(contract, units))

    def _ends(self, survey: Survey) -> str:
        duration, rate = self._duration(survey), f"at {self.rate:g}/s"
        if duration == _LONGEST:
            return f"more than {duration.days:,} days {rate}"
        return f"about {duration} {rate}: until {self._end(survey).astimezone():%Y-%m-%d %H:%M}"

    def _duration(self, survey: Survey) -> timedelta:
        forecast = self._forecast(survey)
        return min(timedelta(seconds=math.ceil(forecast.ends - forecast.begins)), _LONGEST)

    def _end(self, survey: Survey) -> datetime:
        now = datetime.now(UTC)
        return max(now, survey.latest or now) + self._duration(survey)

    def _forecast(self, survey: Survey) -> Forecast:
        now = datetime.now(UTC)
        begins = max(now, survey.latest or now).timestamp()
        held = Counter[float]()
        seen = set[str]()

        def told(country: str, until: float, seconds: float) -> None:
            if country not in seen:
                seen.add(country)
                rows = survey.messages[country] if math.isinf(self.rate) else seconds * self.rate
                held[until] += round(rows)

        ends = end(survey.messages, self.rate, begins, self.rules.held, told)
        return Forecast(begins, ends, held)


def _costs(survey: Survey) -> Iterator[Finding]:
    """Show what the cheapest and longest rows cost, and which characters make rows cost more."""
    if len(survey.costs) > 1:
        cheapest, dearest = min(survey.costs), max(survey.costs)
        first, last = survey.costs[cheapest], survey.costs[dearest]
        yield Finding(
            True,
            f"cheapest: {many(first.rows, 'rows')} at {cheapest} SMS; "
            f"longest: {many(last.rows, 'rows')} at {dearest} SMS; first in row {last.first:,}",
        )
    dear = sorted(survey.one_character.items(), key=lambda one: -one[1].rows)
    for character, found in dear[:_MOST_CHARACTERS]:
        yield Finding(
            True,
            f'more SMS only because of "{character}": {many(found.rows, "rows")}; '
            f"first in row {found.first:,}",
        )


def _room(contract: Contract | None, units: int) -> str:
    if contract is None:
        return ""
    has = f"contract for {contract.country}: {units:,} of {many(contract.available_units, 'units')}"
    days = days_left(contract, datetime.now(UTC))
    return has if days is None else f"{has}, {many(days, 'days')} left"


async def _contracts(client: Client) -> list[Contract]:
    async with client:
        return await client.contracts()


def _show_findings(findings: Iterator[Finding]) -> int:
    """Show findings; count those against it."""
    against = 0
    for finding in findings:
        against += not finding.go
        line = Table.grid(padding=(0, 2, 0, 0))
        line.add_column(no_wrap=True, width=max(map(len, (said("go"), said("no-go")))))
        line.add_column()
        verdict = Text(said("go"), "green") if finding.go else Text(said("no-go"), "bold red")
        line.add_row(verdict, said(finding.line))
        show(line)
    return against
