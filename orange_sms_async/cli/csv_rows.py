"""The rows of a CSV file: each is a message, or names the field and the rule it breaks."""

import contextlib
import csv
import hashlib
import re
import sqlite3
from collections import deque
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TextIO

import attrs

from orange_sms_async import InvalidMessage, OutboundMessage
from orange_sms_async.messages import mask

_REQUIRED, _OPTIONAL = ("to", "text"), ("sender_name", "reference")
_COLUMNS = _REQUIRED + _OPTIONAL
_LONGEST_FIELD = 10_000  # characters; what a quote left open swallows before it is noticed
_LONGEST_LINE = 100_000
_SURROGATE = re.compile("[\ud800-\udfff]")


class UnreadableFileError(Exception):
    """The file cannot be read as rows at all; one line says why and shows no row of it."""


@attrs.frozen
class Row:
    """
    One row, with either its message or what is wrong with it.

    Attributes:
        number: as a spreadsheet counts: the header is row 1.
        to: as the file has it, also when it is no number.
        reference: as the file has it, or as made up by a key; "" without one.
    """

    number: int
    to: str = attrs.field(repr=mask)
    reference: str = ""
    message: OutboundMessage | None = None
    error: InvalidMessage | None = None


@contextlib.contextmanager
def open_rows(path: Path, sender_name: str | None = None) -> Iterator["Rows"]:
    """
    Read a file row by row; the header is checked at once.

    Args:
        path: of a CSV file in UTF-8; a pipe can be read once only.
        sender_name: for rows that have none.

    Raises:
        UnreadableFileError: no such file, or not a CSV file with the columns that are needed.
    """
    try:
        # Bytes that are no UTF-8 become surrogates, so that they cost their own row only.
        file = path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise UnreadableFileError(f"cannot read {path}: {error.strerror}") from None
    # csv has this limit for the whole process, which here is one command.
    csv.field_size_limit(_LONGEST_FIELD)
    with file, contextlib.closing(References()) as references:
        lines = _Lines(file)
        columns, delimiter = _header(path, lines)
        yield Rows(columns, sender_name, references, _records(lines, delimiter))


def count_rows(path: Path) -> int | None:
    """Count the lines below the header: the rows, if no text has several lines."""
    if not path.is_file():
        return None  # a pipe can be read once only
    with path.open("rb") as file:
        blocks = iter(partial(file.read, 1 << 20), b"")
        newlines, last = 0, b"\n"
        for block in blocks:
            newlines, last = newlines + block.count(b"\n"), block[-1:]
    return max(0, newlines + (last != b"\n") - 1)


class _Lines:
    """The lines of a file; those of a record that cannot be read are given back."""

    def __init__(self, file: TextIO) -> None:
        self._unread = iter(partial(file.readline, _LONGEST_LINE), "")
        self._given_back = deque[str]()
        self._taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._given_back.popleft() if self._given_back else next(self._unread)
        self._taken.append(line)
        return line

    def forget(self) -> None:
        """Keep nothing to give back: what was taken was read well."""
        self._taken.clear()

    def give_back(self) -> None:
        """Of what was taken only the first line is to blame."""
        self._given_back.extendleft(reversed(self._taken[1:]))
        self._taken.clear()


def _header(path: Path, lines: _Lines) -> tuple[list[str], str]:
    first = next(lines, "")
    lines.forget()
    if _SURROGATE.search(first):
        raise UnreadableFileError(f"{path} is not UTF-8: save it as 'CSV UTF-8'")
    # Excel writes ; where the comma is the decimal separator, as in French.
    delimiter = ";" if ";" in first else ","
    columns = [name.strip().strip('"').lower() for name in first.strip().split(delimiter)]
    if not set(columns) & set(_REQUIRED):
        # Not shown: without a header the first row is somebody's number and text.
        raise UnreadableFileError(f"{path}: the first row must name the columns, such as to,text")
    _check_columns(path, columns)
    return columns, delimiter


def _check_columns(path: Path, columns: list[str]) -> None:
    if unknown := [name for name in columns if name not in _COLUMNS]:
        named = ", ".join(f'"{name}"' for name in unknown)
        raise UnreadableFileError(
            f"{path}: unknown column {named}; known are {', '.join(_COLUMNS)}"
        )
    if missing := [name for name in _REQUIRED if name not in columns]:
        raise UnreadableFileError(f'{path}: the column "{missing[0]}" is missing')
    if len(set(columns)) < len(columns):
        raise UnreadableFileError(f"{path}: a column is named twice")


def _records(lines: _Lines, delimiter: str) -> Iterator[tuple[int, list[str] | None]]:
    """Yield each row's number and cells; None for cells that no quote rule lets read."""
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
        if cells:  # not an empty line
            yield number, cells


class References:
    """
    What one pass over a file has seen.

    In a temporary database of SQLite's, which keeps itself to a few megabytes of memory: a set of
    a million references takes a hundred.
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
        Return the reference of a row that has none: a hash of its number and text.

        The second of two identical rows gets a -2. The place of a row in its file does not count,
        nor does its sender name, so that no row is sent again because others were put in, taken
        out or sorted, or because of another --sender-name.
        """
        # Keyed: a plain hash gives away its number to whoever knows the text and tries them all.
        content = hashlib.blake2b(f"{to}\n{text}".encode(), key=key, digest_size=8).hexdigest()
        times = self._times(content)
        return content if times == 1 else f"{content}-{times}"

    def _times(self, content: str) -> int:
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
    The rows of a file, each read when it is asked for.

    Attributes:
        key: with one, a row without reference gets one of its own, the same each time.
    """

    _columns: list[str]
    _sender_name: str | None
    _references: References
    _records: Iterator[tuple[int, list[str] | None]]
    key: bytes | None = attrs.field(default=None, init=False, repr=False)

    def __iter__(self) -> Iterator[Row]:
        return (self._row(number, cells) for number, cells in self._records)

    def _row(self, number: int, cells: list[str] | None) -> Row:
        named = dict(zip(self._columns, cells or [], strict=False))
        to, reference = (named.get(name, "").strip() for name in ("to", "reference"))
        try:
            self._check_cells(cells)
            known_as = reference or self._made_up(to, named["text"])
            self._check_reference(known_as, number)
            return Row(number, to, known_as, self._message(to, known_as, named))
        except InvalidMessage as error:
            return Row(number, _legible(to), _legible(reference), error=error)

    def _check_cells(self, cells: list[str] | None) -> None:
        if cells is None:
            raise InvalidMessage(f"row: a quote is not closed, or {_LONGEST_FIELD} characters long")
        if len(cells) > len(self._columns):
            raise InvalidMessage(
                f"row: {len(cells)} columns where the header has {len(self._columns)}; "
                'a text that holds the separator goes between quotes: "..."'
            )
        if len(cells) < len(self._columns):
            raise InvalidMessage(
                f"row: {len(cells)} columns where the header has {len(self._columns)}"
            )
        for name, cell in zip(self._columns, cells, strict=True):
            if _SURROGATE.search(cell):
                raise InvalidMessage(f"{name}: not UTF-8; save the file as 'CSV UTF-8'")

    def _made_up(self, to: str, text: str) -> str:
        return "" if self.key is None else self._references.made_up(self.key, to, text)

    def _check_reference(self, reference: str, number: int) -> None:
        if reference and (first := self._references.first_seen(reference, number)) != number:
            raise InvalidMessage(f"reference: the same as in row {first}")

    def _message(self, to: str, reference: str, named: dict[str, str]) -> OutboundMessage:
        text, name = named["text"], named.get("sender_name", "").strip() or self._sender_name
        if not text.strip():
            raise InvalidMessage("text: may not be empty")
        if reference:
            return OutboundMessage(to, text, sender_name=name, reference=reference)
        return OutboundMessage(to, text, sender_name=name)


def _legible(cell: str) -> str:
    return _SURROGATE.sub("\ufffd", cell)
