"""The rule for people who ask to be left alone: a list of hashes, which shows no number."""

import csv
import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TextIO

from orange_sms_async.errors import Withheld
from orange_sms_async.gates.gate import Answer, Asked, Notes
from orange_sms_async.outcomes import Priority

_LIST = "suppression"
_LEAST = 16  # bytes of a key
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_HASH = re.compile(r"[0-9a-f]{32}")
_COLUMNS = ("hash", "to", "number")


class Suppression:
    """
    Numbers that get no messages. The list is in the outbox, as hashes keyed with your secret.

    Args:
        key: at least 16 bytes. Keep it away from the outbox: with both, all numbers can be tried.
        exempt: lanes that pass; by default none.

    Raises:
        ValueError: the key is too short.
    """

    def __init__(self, key: str | bytes, *, exempt: Collection[Priority] = ()) -> None:
        secret = key.encode() if isinstance(key, str) else key
        if len(secret) < _LEAST:
            raise ValueError(f"key: at least {_LEAST} bytes; secrets.token_urlsafe(32) makes one")
        self._key, self._exempt = hashlib.blake2b(secret, digest_size=32).digest(), {*exempt}
        self._here = set[str]()

    async def ask(self, asked: Asked) -> Answer:
        if asked.lane in self._exempt:
            return None
        hashed = self._hashed(asked.message.to)
        if hashed in self._here or await asked.notes.has(_LIST, hashed):
            return Withheld("the recipient asked to be left alone", rule=_LIST)
        return None

    async def add(self, notes: Notes, number: str) -> None:
        """
        Put a number on the list: "+225…" or "tel:+225…"; `notes` is a queue's `notes`.

        Raises:
            ValueError: it is not a number in international form.
        """
        await notes.enter(_LIST, [self._hashed(number)])

    async def remove(self, notes: Notes, number: str) -> None:
        """Remove a number from the list, when its owner asks for it."""
        await notes.strike(_LIST, self._hashed(number))

    async def import_csv(self, notes: Notes, file: TextIO) -> int:
        """
        Put the entries of a CSV file on the list, from its column `to`, `number` or `hash`.

        Args:
            notes: a queue's `notes`.
            file: open for reading. Hashes must have been made with the same key.

        Returns:
            How many entries the file had.

        Raises:
            ValueError: names the line that is wrong. Nothing from the file is put on the list.
        """
        members = list(_members(file, self._hashed))
        await notes.enter(_LIST, members)
        return len(members)

    async def export_csv(self, notes: Notes, file: TextIO) -> None:
        """Write the list as a CSV file with the column `hash`."""
        file.write("\n".join(["hash", *await notes.members(_LIST), ""]))

    def load(self, file: TextIO) -> int:
        """Withhold what a CSV file lists, in this process only; return how many were new."""
        before = len(self._here)
        self._here.update(_members(file, self._hashed))
        return len(self._here) - before

    def _hashed(self, number: str) -> str:
        number = number.removeprefix("tel:")
        if not _NUMBER.fullmatch(number):
            raise ValueError("write a number as +2250701020304: a + first, no spaces")
        return hashlib.blake2b(number.encode(), key=self._key, digest_size=16).hexdigest()


def _members(file: TextIO, hashed: Callable[[str], str]) -> Iterator[str]:
    """Read a list; `hashed` turns a number into its hash."""
    column, place, lines = _column(file)
    for line, cells in enumerate(lines, start=2):
        if not any(cells):
            continue
        cell = cells[place].strip() if len(cells) > place else ""
        try:
            yield _hash(cell) if column == "hash" else hashed(cell)
        except ValueError as error:
            raise ValueError(f"line {line}: {error}") from None


def _hash(cell: str) -> str:
    if not _HASH.fullmatch(cell):
        raise ValueError("a hash has 32 hexadecimal digits")
    return cell


def _column(file: TextIO) -> tuple[str, int, Iterable[list[str]]]:
    """Find the column with the list; a spreadsheet may write ; between columns."""
    first = file.readline().removeprefix("\ufeff").strip()
    separator = ";" if ";" in first else ","
    names = [name.strip().lower() for name in next(csv.reader([first], delimiter=separator), [])]
    for name in _COLUMNS:
        if name in names:
            return name, names.index(name), csv.reader(file, delimiter=separator)
    raise ValueError("line 1: names no column to, number or hash")
