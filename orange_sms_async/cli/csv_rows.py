"""The rows of a CSV file: each is a message, or an error that names the field and the rule."""

import contextlib
import csv
import datetime as dt
import hashlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import attrs

from orange_sms_async import Country, InvalidMessage, OutboundMessage
from orange_sms_async.cli.numbers import check_not_rounded, international
from orange_sms_async.cli.spreadsheet import (
    SURROGATE,
    Lines,
    UnreadableFileError,
    header,
    opened,
)
from orange_sms_async.cli.template import Template
from orange_sms_async.cli.words import many
from orange_sms_async.messages import mask

_REQUIRED = ("to", "text")
_OPTIONAL = ("sender_name", "reference", "country", "not_before", "expires_at")
_COLUMNS = _REQUIRED + _OPTIONAL
_LONGEST_FIELD = 10_000  # characters that an unclosed quote may swallow before it is noticed


@attrs.frozen(kw_only=True)
class Defaults:
    """
    Values for rows that give none themselves.

    Attributes:
        country: of numbers without a calling code; without one, they are refused.
        text: replaces the column `text`; its braces are filled from other columns.
    """

    sender_name: str | None = None
    sender_address: str | None = None
    country: Country | None = None
    text: Template | None = None
    not_before: dt.datetime | None = None
    expires_at: dt.datetime | None = None


@attrs.frozen
class Row:
    """
    One row, with either its message or its error.

    Attributes:
        number: as a spreadsheet counts; the header is row 1.
        to: as written in the file, even if it is not a number.
        reference: as written in the file, or made up with a key; "" without one.
        not_before: the message leaves no earlier than this, nor after `expires_at`.
    """

    number: int
    to: str = attrs.field(repr=mask)
    reference: str = ""
    message: OutboundMessage | None = None
    error: InvalidMessage | None = None
    not_before: dt.datetime | None = None
    expires_at: dt.datetime | None = None


@contextlib.contextmanager
def open_rows(path: Path, defaults: Defaults) -> Iterator["Rows"]:
    """
    Read a file row by row; the header is checked at once.

    Args:
        path: a CSV file, as spreadsheets save it; a pipe can be read only once.
        defaults: values for rows that give none themselves.

    Raises:
        UnreadableFileError: no such file, or not a CSV file with the required columns.
    """
    # csv has this limit for the whole process, which here is one command.
    csv.field_size_limit(_LONGEST_FIELD)
    with opened(path) as file, contextlib.closing(References()) as references:
        lines = Lines(file)
        columns, delimiter = header(path, lines)
        text = defaults.text and defaults.text.of_file(columns)
        _check_columns(path, columns, text)
        defaults = attrs.evolve(defaults, text=text)
        yield Rows(delimiter, columns, defaults, references, _records(lines, delimiter))


def _check_columns(path: Path, columns: list[str], text: Template | None) -> None:
    required = _REQUIRED if text is None else ("to", *text.columns)
    if not set(columns) & {*_REQUIRED, *required}:
        # Not shown: without a header the first row is somebody's number and text.
        raise UnreadableFileError(
            f"{path}: the first row must name the columns, such as {','.join(required)}"
        )
    named = [name for name in columns if name]
    unknown = [name for name in named if name not in _COLUMNS]
    if unknown and text is None:
        raise UnreadableFileError(
            f'{path}: unknown column "{unknown[0]}"; the columns are {", ".join(_COLUMNS)}. '
            f'--text "... {{{unknown[0]}}} ..." puts it into the text'
        )
    missing = [name for name in required if name not in named]
    if "to" in missing:
        raise UnreadableFileError(
            f'{path}: the column "to" is missing: give this name to the column with the numbers'
        )
    if missing:
        raise UnreadableFileError(f'{path}: the column "{missing[0]}" is missing')
    if len(set(named)) < len(named):
        raise UnreadableFileError(f"{path}: two columns have the same name")


def _records(lines: Lines, delimiter: str) -> Iterator[tuple[int, list[str] | None]]:
    """Yield each row's number and cells; None for cells whose quotes cannot be parsed."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    number = 1
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            # A quote that is never closed would make one text of this row and the next ones.
            lines.give_back()
            yield number, None
            continue
        lines.forget()
        if any(map(str.strip, cells)):  # a spreadsheet writes an empty row as separators only
            yield number, cells


class References:
    """
    The references that one pass over a file has seen.

    They are in a temporary SQLite database, which needs a few megabytes of memory; a set of a
    million references would need a hundred.
    """

    def __init__(self) -> None:
        self._seen = sqlite3.connect("", isolation_level=None)
        self._seen.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
        self._seen.execute("CREATE TABLE seen (reference TEXT PRIMARY KEY, row INT) WITHOUT ROWID")
        self._seen.execute("CREATE TABLE alike (content TEXT PRIMARY KEY, times INT) WITHOUT ROWID")

    def first_seen(self, reference: str, row: int) -> int:
        added = self._seen.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (reference, row))
        if added.rowcount:
            return row
        found = self._seen.execute("SELECT row FROM seen WHERE reference = ?", (reference,))
        return int(found.fetchone()[0])

    def made_up(self, key: bytes, to: str, text: str) -> str:
        """
        Return a reference for a row that has none: a hash of its number and text.

        The second of two identical rows gets the suffix -2. The hash ignores the row's position
        and sender name. So no row is sent again because rows were added, removed or sorted, or
        because --sender-name changed.
        """
        # Keyed: whoever knows the text could find the number of a plain hash by trying them all.
        content = hashlib.blake2b(f"{to}\n{text}".encode(), key=key, digest_size=8).hexdigest()
        times = self.count(content)
        return content if times == 1 else f"{content}-{times}"

    def count(self, content: str) -> int:
        """Count this one, and return how often it has been counted."""
        counted = self._seen.execute(
            "INSERT INTO alike VALUES (?, 1) "
            "ON CONFLICT (content) DO UPDATE SET times = times + 1 RETURNING times",
            (content,),
        )
        return int(counted.fetchall()[0][0])

    def close(self) -> None:
        self._seen.close()


@attrs.define
class Rows:
    """
    The rows of a file, each read on demand.

    Attributes:
        delimiter: the separator of the file's columns.
        key: makes a reference for a row without one, the same each time.
    """

    delimiter: str
    _columns: list[str]
    _defaults: Defaults
    _references: References
    _records: Iterator[tuple[int, list[str] | None]]
    key: bytes | None = attrs.field(default=None, init=False, repr=False)

    def __iter__(self) -> Iterator[Row]:
        return (self._row(number, cells) for number, cells in self._records)

    def note(self, to: str) -> bool:
        """Note a row's number; tell whether an earlier row had it."""
        return self._references.count(to) > 1

    def _row(self, number: int, cells: list[str] | None) -> Row:
        named = dict(zip(self._columns, cells or [], strict=False))
        to, reference = (named.get(name, "").strip() for name in ("to", "reference"))
        try:
            self._check_cells(cells)
            return self._read(number, to, reference, named)
        except InvalidMessage as error:
            return Row(number, _legible(to), _legible(reference), error=error)

    def _read(self, number: int, to: str, reference: str, named: dict[str, str]) -> Row:
        called, text = self._number(to, named.get("country", "")), self._text(named)
        known_as = reference or self._made_up(called, text)
        self._check_reference(known_as, number)
        not_before, expires_at = (self._date(name, named) for name in ("not_before", "expires_at"))
        message = self._message(called, text, known_as, named)
        return Row(number, to, known_as, message, None, not_before, expires_at)

    def _check_cells(self, cells: list[str] | None) -> None:
        if cells is None:
            raise InvalidMessage(
                f"row: a quote is not closed, or a text has over {_LONGEST_FIELD} characters"
            )
        if len(cells) > len(self._columns):
            raise InvalidMessage(
                f"row: {many(len(cells), 'columns')}, but the header has {len(self._columns)}; "
                'put quotes around a text that contains the separator: "..."'
            )
        if len(cells) < len(self._columns):
            raise InvalidMessage(
                f"row: {many(len(cells), 'columns')}, but the header has {len(self._columns)}"
            )
        for name, cell in zip(self._columns, cells, strict=True):
            if SURROGATE.search(cell):
                raise InvalidMessage(f"{name}: not UTF-8; save the file as 'CSV UTF-8'")
            if not name and cell.strip():
                raise InvalidMessage("row: a cell is in a column without a name")

    def _number(self, written: str, code: str) -> str:
        check_not_rounded(written)
        country = self._defaults.country
        if code.strip():
            try:
                country = Country.from_code(code.strip().upper())
            except LookupError:
                raise InvalidMessage(
                    "country: one of Orange's countries by its three letters, such as CIV or SEN"
                ) from None
        return international(written, country) if country else written

    def _text(self, named: dict[str, str]) -> str:
        text = self._defaults.text.fill(named) if self._defaults.text else named["text"]
        if not text.strip():
            raise InvalidMessage("text: may not be empty")
        return text

    def _date(self, name: str, named: dict[str, str]) -> dt.datetime | None:
        written = named.get(name, "").strip()
        default: dt.datetime | None = getattr(self._defaults, name)
        try:
            return date_and_time(written) if written else default
        except ValueError as error:
            raise InvalidMessage(f"{name}: {error}") from None

    def _made_up(self, to: str, text: str) -> str:
        return "" if self.key is None else self._references.made_up(self.key, to, text)

    def _check_reference(self, reference: str, number: int) -> None:
        if reference and (first := self._references.first_seen(reference, number)) != number:
            raise InvalidMessage(f"reference: the same as in row {first}")

    def _message(
        self, to: str, text: str, reference: str, named: dict[str, str]
    ) -> OutboundMessage:
        address = self._defaults.sender_address
        name = named.get("sender_name", "").strip() or self._defaults.sender_name
        if reference:
            return OutboundMessage(
                to, text, sender_name=name, sender_address=address, reference=reference
            )
        return OutboundMessage(to, text, sender_name=name, sender_address=address)


def date_and_time(written: str) -> dt.datetime:
    """
    Read a date and time, in this machine's time zone unless it names another.

    Raises:
        ValueError: it is not one, or a date alone. The order of day and month in a spreadsheet's
            own format is not guessed.
    """
    try:
        date = dt.datetime.fromisoformat(written)
        zoned = date if date.tzinfo else date.astimezone()
    except (ValueError, OverflowError, OSError):
        zoned = None
    if zoned is None or not re.search(r"[ T][0-9]", written):
        raise ValueError("write it as 2026-12-31 08:00")
    return zoned


def _legible(cell: str) -> str:
    return SURROGATE.sub("\ufffd", cell)
