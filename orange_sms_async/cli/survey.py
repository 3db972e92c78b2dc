"""The rows of a campaign, counted before anything is sent."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import attrs

from orange_sms_async import Country, State, count_segments, gates
from orange_sms_async.cli.csv_rows import Row, Rows
from orange_sms_async.cli.gating import Rules
from orange_sms_async.cli.place import DurableOutbox, Place
from orange_sms_async.cli.results import rule
from orange_sms_async.cli.resume import open_outbox
from orange_sms_async.outbox.notebook import Notebook

_MOST_NAMES = 5  # that are shown; each row of a file may have another
_WAITING = (State.QUEUED, State.SCHEDULED)


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
        suppressed: rows to suppressed numbers.
        max_units: the most units the campaign may spend; None without a limit.
        beyond: rows beyond that limit.
        sender_names: the first few.
        landlines: how many numbers are landlines, and the first row with one.
        repeated: how many rows have the number of an earlier row, and the first that does.
        costs: how many rows take each number of SMS, and the first row that does.
        one_character: how many rows take more SMS because of each character alone, and the first.
        latest: the latest `not_before` of any row.
    """

    messages: Counter[str] = attrs.field(factory=Counter)
    units: Counter[str] = attrs.field(factory=Counter)
    invalid: Counter[str] = attrs.field(factory=Counter)
    first: dict[str, int] = attrs.field(factory=dict)
    settled: int = 0
    suppressed: int = 0
    max_units: int | None = None
    beyond: int = 0
    sender_names: set[str] = attrs.field(factory=set)
    landlines: Rowed = attrs.field(factory=Rowed)
    repeated: Rowed = attrs.field(factory=Rowed)
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
        self.beyond += self.max_units is not None and self.units.total() > self.max_units
        if row.not_before and (self.latest is None or row.not_before > self.latest):
            self.latest = row.not_before
        if row.message.sender_name and len(self.sender_names) < _MOST_NAMES:
            self.sender_names.add(row.message.sender_name)

    def _country(self, row: Row, to: str) -> str:
        try:
            country = Country.from_number(to)
        except LookupError:
            return ""  # the account sends to other countries, from its own address
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


async def surveyed(rows: Rows, outbox: Place | None, rules: Rules) -> Survey:
    """Count rows; those that were settled in an outbox, which must exist, cost nothing more."""
    survey = Survey(max_units=rules.max_units)
    if outbox is None:
        for row in _noticed(survey, rows):
            await _add(survey, row, rules, Notebook())
        return survey
    kept_in = outbox.outbox()
    async with open_outbox(kept_in):
        rows.key = await kept_in.key()
        for row in _noticed(survey, rows):
            if row.message and await _is_settled(kept_in, row.reference):
                survey.settled += 1
            else:
                await _add(survey, row, rules, kept_in.notes)
    return survey


def _noticed(survey: Survey, rows: Rows) -> Iterator[Row]:
    for row in rows:
        if row.message and rows.note(row.message.to):
            survey.repeated.add(row)
        yield row


async def _add(survey: Survey, row: Row, rules: Rules, notes: gates.Notes) -> None:
    if row.message and await rules.suppresses(row.message, notes):
        survey.suppressed += 1
    else:
        survey.add(row)


async def _is_settled(outbox: DurableOutbox, reference: str) -> bool:
    try:
        return (await outbox.find(reference)).state not in _WAITING
    except KeyError:
        return False
