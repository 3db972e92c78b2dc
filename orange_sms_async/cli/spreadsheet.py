"""A text file as a spreadsheet saves it: encoding, lines and header."""

import codecs
import re
from collections import deque
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TextIO

_LONGEST_LINE = 100_000
_BLOCK = 1 << 20
_EMPTY = ';,\t" \r\n'  # a spreadsheet writes an empty row as separators only
SURROGATE = re.compile("[\ud800-\udfff]")
"""A character that stands for a byte that is not UTF-8."""
# Zip, as in .xlsx, .ods and .numbers; the older .xls.
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
# The bytes of Windows-1252 used in French, English and Portuguese. The Mac's own encoding uses
# others: 0x8E is é there, and Ž here.
_WINDOWS = re.compile(rb"[\x00-\x7f\x80\x85\x8c\x91-\x97\x9c\xa0-\xff]*")
_UTF_8 = re.compile(rb"[\xc3-\xf4][\x80-\xbf]")


class UnreadableFileError(Exception):
    """The file cannot be read as rows; the message says why in one line and shows no row."""


def opened(path: Path) -> TextIO:
    """
    Open a file in the encoding it seems to have; a pipe is UTF-8.

    Raises:
        UnreadableFileError: no such file, or not text.
    """
    try:
        encoding = encoding_of(path) if path.is_file() else "utf-8-sig"
        # Bytes that are not UTF-8 become surrogates, so that only their own row is lost.
        return path.open(encoding=encoding, errors="surrogateescape", newline="")
    except OSError as error:
        raise UnreadableFileError(f"cannot read {path}: {error.strerror}") from None


def encoding_of(path: Path) -> str:
    """
    Tell UTF-8, UTF-16 and Windows-1252 apart: spreadsheets save CSV files in each of them.

    Raises:
        UnreadableFileError: it is not text.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(4)
        if start in _WORKBOOKS:
            raise UnreadableFileError(f"{path} is a workbook: save it as 'CSV UTF-8'")
        file.seek(0)
        if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return _checked_utf_16(path)
        return _eight_bits(iter(partial(file.readline, _BLOCK), b""))


def _checked_utf_16(path: Path) -> str:
    try:
        with path.open(encoding="utf-16") as file:
            while file.read(_BLOCK):
                pass
    except UnicodeError:
        raise UnreadableFileError(f"{path} is not UTF-16: save it as 'CSV UTF-8'") from None
    return "utf-16"


def _eight_bits(lines: Iterator[bytes]) -> str:
    # A file with some lines in UTF-8 and others not is damaged UTF-8. The damaged rows are
    # refused, because another encoding would garble the good ones.
    windows = False
    for line in lines:
        if line.isascii():
            continue
        try:
            line.decode()
        except UnicodeDecodeError:
            if _UTF_8.search(line) or not _WINDOWS.fullmatch(line):
                return "utf-8-sig"
            windows = True
        else:
            return "utf-8-sig"
    return "cp1252" if windows else "utf-8-sig"


def count_rows(path: Path) -> int | None:
    """Count the lines below the header that are not empty: the rows, if no text has several."""
    if not path.is_file():
        return None  # a pipe can be read only once
    with opened(path) as file:
        lines = iter(partial(file.readline, _LONGEST_LINE), "")
        return max(0, sum(bool(line.strip(_EMPTY)) for line in lines) - 1)


class Lines:
    """The lines of a file; those of an unreadable record can be given back."""

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
        """Keep nothing to give back, because the record was read well."""
        self._taken.clear()

    def give_back(self) -> None:
        """Give back all lines of the record but the first, which alone is to blame."""
        self._given_back.extendleft(reversed(self._taken[1:]))
        self._taken.clear()


def header(path: Path, lines: Lines) -> tuple[list[str], str]:
    """
    Return the names of the columns, in lower case, and the separator.

    A column emptied in the spreadsheet has no name.

    Raises:
        UnreadableFileError: there is nothing to read.
    """
    first = next(lines, "")
    lines.forget()
    if not first.strip():
        raise UnreadableFileError(f"{path} {'begins with an empty line' if first else 'is empty'}")
    if SURROGATE.search(first):
        raise UnreadableFileError(f"{path} is not UTF-8: save it as 'CSV UTF-8'")
    # Excel writes ; where the comma is the decimal separator, as in French, and tabs in UTF-16.
    delimiter = next((mark for mark in ";\t" if mark in first), ",")
    names = first.strip("\r\n").split(delimiter)
    return [name.strip().strip('"').strip().lower() for name in names], delimiter
