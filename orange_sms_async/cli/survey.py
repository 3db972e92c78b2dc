"""What the messages of a file would cost, and which of its rows are none."""

import re
from collections import Counter
from pathlib import Path

import attrs

from orange_sms_async import Country, count_segments
from orange_sms_async.cli.csv_rows import Row, Rows
from orange_sms_async.cli.resume import opened
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outcomes import State

_MOST_NAMES = 5  # that are shown; a file may have as many as it has rows
_WAITING = (State.QUEUED, State.SCHEDULED)


@attrs.define
class Survey:
    """
    The rows of a file, counted.

    Attributes:
        messages: how many go to each country, by its ISO-3 code.
        units: what they cost, at one unit a segment.
        invalid: how many rows break each rule.
        first: the first row that breaks it.
        settled: rows that an outbox knows the outcome of, and that are not sent again.
        sender_names: the first few.
    """

    messages: Counter[str] = attrs.field(factory=Counter)
    units: Counter[str] = attrs.field(factory=Counter)
    invalid: Counter[str] = attrs.field(factory=Counter)
    first: dict[str, int] = attrs.field(factory=dict)
    settled: int = 0
    sender_names: set[str] = attrs.field(factory=set)

    def add(self, row: Row) -> None:
        if row.message is None:
            # One rule, whichever row it is that has the reference already.
            rule = re.sub(r"row \d+$", "an earlier row", str(row.error))
            self.invalid[rule] += 1
            self.first.setdefault(rule, row.number)
            return
        country = Country.from_number(row.message.to).code
        self.messages[country] += 1
        self.units[country] += count_segments(row.message.text).segments
        if row.message.sender_name and len(self.sender_names) < _MOST_NAMES:
            self.sender_names.add(row.message.sender_name)


async def surveyed(rows: Rows, outbox: Path | None) -> Survey:
    """Count rows; those that were settled in an outbox, which must exist, cost nothing more."""
    survey = Survey()
    if outbox is None:
        for row in rows:
            survey.add(row)
        return survey
    async with opened(outbox) as (kept_in, _):
        rows.key = await kept_in.key()
        for row in rows:
            if row.message and await _is_settled(kept_in, row.reference):
                survey.settled += 1
            else:
                survey.add(row)
    return survey


async def _is_settled(outbox: SqliteOutbox, reference: str) -> bool:
    try:
        return (await outbox.find(reference)).state not in _WAITING
    except KeyError:
        return False
