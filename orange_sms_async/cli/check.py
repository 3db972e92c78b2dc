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
    Country,
    OutboxUnusable,
    State,
    count_segments,
)
from orange_sms_async.cli import config
from orange_sms_async.cli.contracts import days_left, paying, trouble
from orange_sms_async.cli.csv_rows import Defaults, Row, Rows, open_rows
from orange_sms_async.cli.exits import ExitCode, errors_end, stop_with, way_out_of_rules
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
from orange_sms_async.cli.place import DurableOutbox, Place
from orange_sms_async.cli.results import rule
from orange_sms_async.cli.resume import open_outbox
from orange_sms_async.cli.spreadsheet import UnreadableFileError, encoding_of
from orange_sms_async.cli.stdout import console, show
from orange_sms_async.cli.words import said

_MOST_CHARACTERS = 3
_MOST_NAMES = 5  # that are shown; a file may have as many as it has rows
_LONGEST = timedelta(days=100_000)  # that a campaign is reckoned with: years have four digits
_WAITING = (State.QUEUED, State.SCHEDULED)


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
    debug: Debug = False,
) -> None:
    """
    Check whether the campaign of a CSV file is ready. Nothing is sent.

    It checks every row and the credentials. For each country in the file, it checks that the
    contract is active, does not expire before the campaign ends, and has enough units. It shows
    what the campaign costs, how long it takes, which rows cost most, and which cost more because
    of a single character. Landlines are counted; they do not stop a campaign. Orange does not say
    in advance whether a sender name is approved.

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
    looked_at = Preflight(file=file, defaults=defaults, rate=rate)
    raise typer.Exit(looked_at.run(config.client(), debug=debug))


@attrs.define
class Rowed:
    """How many rows have something in common, and the first of them."""

    rows: int = 0
    first: int = 0

    def add(self, row: Row) -> None:
        self.rows, self.first = self.rows + 1, self.first or row.number


@attrs.define
class Survey:
    """
    The rows of a file, counted.

    Attributes:
        messages: how many go to each country, by its ISO-3 code.
        units: what they cost, at one unit per segment.
        invalid: how many rows break each rule.
        first: the first row that breaks it.
        settled: rows whose outcome an outbox already knows; they are not sent again.
        sender_names: the first few.
        landlines: how many numbers are landlines, and the first row with one.
        costs: how many rows take each number of SMS, and the first row that does.
        one_character: how many rows take more SMS because of each character alone, and the first.
        latest: the latest `not_before` of any row.
    """

    messages: Counter[str] = attrs.field(factory=Counter)
    units: Counter[str] = attrs.field(factory=Counter)
    invalid: Counter[str] = attrs.field(factory=Counter)
    first: dict[str, int] = attrs.field(factory=dict)
    settled: int = 0
    sender_names: set[str] = attrs.field(factory=set)
    landlines: Rowed = attrs.field(factory=Rowed)
    costs: dict[int, Rowed] = attrs.field(factory=dict)
    one_character: dict[str, Rowed] = attrs.field(factory=dict)
    latest: datetime | None = None

    def add(self, row: Row) -> None:
        if row.message is None:
            broken = rule(row.error)
            self.invalid[broken] += 1
            self.first.setdefault(broken, row.number)
            return
        country = self._country(row, row.message.to)
        self.messages[country] += 1
        self.units[country] += self._cost(row, row.message.text)
        if row.not_before and (self.latest is None or row.not_before > self.latest):
            self.latest = row.not_before
        if row.message.sender_name and len(self.sender_names) < _MOST_NAMES:
            self.sender_names.add(row.message.sender_name)

    def _country(self, row: Row, to: str) -> str:
        try:
            country = Country.from_number(to)
        except LookupError:
            return ""  # of an account that sends elsewhere, from an address of its own
        if country.is_landline(to[4:]):
            self.landlines.add(row)
        return country.code

    def _cost(self, row: Row, text: str) -> int:
        counted = count_segments(text)
        self.costs.setdefault(counted.segments, Rowed()).add(row)
        character = counted.costly
        if len(character) == 1:
            plain = count_segments(text.replace(character, "x"))
            if plain.segments < counted.segments:
                self.one_character.setdefault(character, Rowed()).add(row)
        return counted.segments


async def surveyed(rows: Rows, outbox: Place | None) -> Survey:
    """Count rows; those already settled in the outbox, which must exist, cost nothing more."""
    survey = Survey()
    if outbox is None:
        for row in rows:
            survey.add(row)
        return survey
    kept_in = outbox.outbox()
    async with open_outbox(kept_in):
        rows.key = await kept_in.key()
        for row in rows:
            if row.message and await _is_settled(kept_in, row.reference):
                survey.settled += 1
            else:
                survey.add(row)
    return survey


async def _is_settled(outbox: DurableOutbox, reference: str) -> bool:
    try:
        return (await outbox.find(reference)).state not in _WAITING
    except KeyError:
        return False


@attrs.frozen
class Finding:
    """One check, and whether the campaign passes it."""

    go: bool
    line: str


@attrs.frozen(kw_only=True)
class Preflight:
    """
    Checks a campaign without sending it.

    Attributes:
        defaults: values for rows that give none themselves.
        rate: messages per second.
        max_units: the most units it may spend.
        outbox: where the campaign has already begun.
    """

    file: Path
    defaults: Defaults
    rate: float
    max_units: int | None = None
    outbox: Place | None = None

    def run(self, client: Client, *, debug: bool) -> ExitCode:
        """Show each finding as soon as it is known; say whether it is go or no-go."""
        with errors_end(debug=debug):
            survey = self._survey()
            against = _show_findings(self._of_file(survey))
            contracts = asyncio.run(_contracts(client))
            against += _show_findings(self._of_account(survey, contracts))
        things = "1 problem" if against == 1 else f"{against} problems"
        verdict = f"No-go: {things} to fix." if against else "Go."
        console().print(f"{verdict} Nothing was sent.")
        return ExitCode.SOME_FAILED if against else ExitCode.ALL_ACCEPTED

    def _survey(self) -> Survey:
        try:
            with open_rows(self.file, self.defaults) as rows:
                return asyncio.run(surveyed(rows, self.outbox))
        except (UnreadableFileError, OutboxUnusable) as error:
            stop_with(str(error))

    def _of_file(self, survey: Survey) -> Iterator[Finding]:
        messages, units = survey.messages.total(), survey.units.total()
        if self.file.is_file() and encoding_of(self.file) == "cp1252":
            yield Finding(True, "read as Windows-1252 (Latin-1), because it is not UTF-8")
        if survey.settled:
            yield Finding(True, f"already settled, and not sent again: {survey.settled:,} rows")
        yield Finding(
            messages > 0 or survey.settled > 0,
            f"{messages:,} messages, {units:,} SMS, counted as 1 unit each; "
            "Orange does not document its count",
        )
        yield from _costs(survey)
        for broken, rows in survey.invalid.items():
            line = f"{rows:,} x {broken}; first in row {survey.first[broken]:,}"
            yield Finding(False, f"{line}. {way}." if (way := way_out_of_rules(broken)) else line)
        if survey.landlines.rows:
            yield Finding(
                True,
                f"{survey.landlines.rows:,} landlines, which SMS rarely reach; "
                f"first in row {survey.landlines.first:,}",
            )
        if survey.sender_names:
            names = ", ".join(sorted(survey.sender_names))
            yield Finding(True, f"sender names, if Orange has approved them: {names}")
        if self.max_units is not None and units > self.max_units:
            yield Finding(
                False, f"--max-units {self.max_units:,} stops the campaign before its end"
            )
        if not math.isinf(self.rate):
            yield Finding(True, self._ends(survey))

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
        seconds = survey.messages.total() / self.rate
        return min(timedelta(seconds=math.ceil(seconds)), _LONGEST)

    def _end(self, survey: Survey) -> datetime:
        now = datetime.now(UTC)
        return max(now, survey.latest or now) + self._duration(survey)


def _costs(survey: Survey) -> Iterator[Finding]:
    """Give the cost of the cheapest and longest rows, and rows that one character makes dearer."""
    if len(survey.costs) > 1:
        cheapest, dearest = min(survey.costs), max(survey.costs)
        first, last = survey.costs[cheapest], survey.costs[dearest]
        yield Finding(
            True,
            f"the {first.rows:,} cheapest rows take {cheapest} SMS each, the {last.rows:,} longest "
            f"take {dearest}; first in row {last.first:,}",
        )
    dear = sorted(survey.one_character.items(), key=lambda one: -one[1].rows)
    for character, found in dear[:_MOST_CHARACTERS]:
        yield Finding(
            True,
            f'{found.rows:,} rows take more SMS only because of "{character}"; '
            f"first in row {found.first:,}",
        )


def _room(contract: Contract | None, units: int) -> str:
    if contract is None:
        return ""
    has = f"contract for {contract.country}: {units:,} of {contract.available_units:,} units"
    days = days_left(contract, datetime.now(UTC))
    return has if days is None else f"{has}, {days} days left"


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
