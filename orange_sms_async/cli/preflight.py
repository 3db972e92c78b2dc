"""Whether a campaign can begin: what speaks for it and what against it, line by line."""

import asyncio
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
from rich.table import Table
from rich.text import Text

from orange_sms_async import Client, Contract
from orange_sms_async.cli.contracts import days_left, paying, trouble
from orange_sms_async.cli.csv_rows import UnreadableFileError, open_rows
from orange_sms_async.cli.errors import errors_end
from orange_sms_async.cli.exits import ExitCode, stop_with
from orange_sms_async.cli.progress import console
from orange_sms_async.cli.survey import Survey, surveyed
from orange_sms_async.cli.tables import show
from orange_sms_async.errors import OutboxUnusable


@attrs.frozen
class Finding:
    """One thing that was looked at, and whether the campaign can go as far as it is concerned."""

    go: bool
    line: str


@attrs.frozen(kw_only=True)
class Preflight:
    """
    A campaign that is looked at, not sent.

    Attributes:
        sender_name: for rows that have none.
        rate: messages a second.
        max_units: the most it may spend.
        outbox: where it has begun already.
    """

    file: Path
    sender_name: str | None
    rate: float
    max_units: int | None = None
    outbox: Path | None = None

    def run(self, client: Client, *, debug: bool) -> ExitCode:
        """Show every finding as soon as there is one; say whether it is go or no-go."""
        with errors_end(debug=debug):
            survey = self._survey()
            against = _shown(self._of_file(survey))
            contracts = asyncio.run(_contracts(client))
            against += _shown(self._of_account(survey, contracts))
        things = "1 thing" if against == 1 else f"{against} things"
        verdict = f"No-go: {things} to put right." if against else "Go."
        console().print(f"{verdict} Nothing was sent.")
        return ExitCode.SOME_FAILED if against else ExitCode.ALL_ACCEPTED

    def _survey(self) -> Survey:
        try:
            with open_rows(self.file, self.sender_name) as rows:
                return asyncio.run(surveyed(rows, self.outbox))
        except (UnreadableFileError, OutboxUnusable) as error:
            stop_with(str(error))

    def _of_file(self, survey: Survey) -> Iterator[Finding]:
        messages, units = survey.messages.total(), survey.units.total()
        if survey.settled:
            yield Finding(True, f"settled already, and not sent again: {survey.settled:,} rows")
        yield Finding(
            messages > 0 or survey.settled > 0,
            f"{messages:,} messages, {units:,} SMS at 1 unit each (Orange does not say its own)",
        )
        for rule, rows in survey.invalid.items():
            yield Finding(False, f"{rows:,} x {rule}; first in row {survey.first[rule]:,}")
        if survey.sender_names:
            names = ", ".join(sorted(survey.sender_names))
            yield Finding(True, f"sender names, if Orange approved them: {names}")
        if self.max_units is not None and units > self.max_units:
            yield Finding(False, f"--max-units {self.max_units:,} stops it before its end")
        if not math.isinf(self.rate):
            ends = f"{self._end(survey).astimezone():%Y-%m-%d %H:%M}"
            yield Finding(True, f"about {self._duration(survey)} at {self.rate:g}/s: until {ends}")

    def _of_account(self, survey: Survey, contracts: list[Contract]) -> Iterator[Finding]:
        yield Finding(True, "the credentials work")
        until = self._end(survey)
        for country, units in sorted(survey.units.items()):
            contract = paying(contracts, country)
            against = trouble(contract, country, units=units, until=until)
            yield Finding(not against, against or _room(contract, units))

    def _duration(self, survey: Survey) -> timedelta:
        seconds = 0.0 if math.isinf(self.rate) else survey.messages.total() / self.rate
        return timedelta(seconds=math.ceil(seconds))

    def _end(self, survey: Survey) -> datetime:
        return datetime.now(UTC) + self._duration(survey)


def _room(contract: Contract | None, units: int) -> str:
    if contract is None:
        return ""
    has = f"contract for {contract.country}: {units:,} of {contract.available_units:,} units"
    days = days_left(contract, datetime.now(UTC))
    return has if days is None else f"{has}, {days} days left"


async def _contracts(client: Client) -> list[Contract]:
    async with client:
        return await client.contracts()


def _shown(findings: Iterator[Finding]) -> int:
    """Show findings; count those against it."""
    against = 0
    for finding in findings:
        against += not finding.go
        line = Table.grid(padding=(0, 2, 0, 0))
        line.add_column(no_wrap=True, width=5)
        line.add_column()
        verdict = Text("go", "green") if finding.go else Text("no-go", "bold red")
        line.add_row(verdict, finding.line)
        show(line)
    return against
