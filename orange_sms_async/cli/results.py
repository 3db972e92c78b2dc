"""The result of each row, one line each, in a CSV file that only its owner can read."""

import asyncio
import contextlib
import csv
import enum
import itertools
import os
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from orange_sms_async import (
    AccessDenied,
    AuthenticationFailed,
    InvalidMessage,
    MessageExpired,
    OrangeSMSError,
    OutboxUnusable,
    Outcome,
    OutcomeUnknown,
    QueueClosed,
    Refused,
    ResourceId,
    State,
    Withheld,
)
from orange_sms_async.cli.csv_rows import Row
from orange_sms_async.cli.exits import ExitCode

_COLUMNS = (
    "row",
    "reference",
    "to",
    "state",
    "resource_id",
    "error",
    "field",
    "reason",
    "delivery",
)
_AT_ONCE = 500  # rows whose outcome is asked for together
_LONGEST = 100  # characters of the first line


class UnwritableFileError(Exception):
    """The file cannot be written; the message says why in one line."""


class PrivateCsv:
    """
    A CSV file that only its owner can read; each line is written at once.

    Args:
        path: the file.
        columns: its first line.
        replace: whether to replace an existing file.
        instead: what to do if a file exists and may not be replaced.
        delimiter: between columns.

    Raises:
        UnwritableFileError: it exists and may not be replaced, or it cannot be written.
    """

    def __init__(
        self,
        path: Path,
        columns: Iterable[str],
        *,
        replace: bool = False,
        instead: str,
        delimiter: str = ",",
    ) -> None:
        self._path = path
        try:
            descriptor = _open(path, replace=replace)
        except FileExistsError:
            raise UnwritableFileError(f"{path} exists already: {instead}") from None
        except OSError as error:
            raise self._unwritable(error) from None
        # With a byte order mark, or Excel takes it for another encoding.
        self._file = os.fdopen(
            # The name of a file may be in a reason, and need not be UTF-8.
            descriptor,
            "w",
            encoding="utf-8-sig",
            errors="backslashreplace",
            newline="",
        )
        self._lines = csv.writer(self._file, delimiter=delimiter, lineterminator="\n")
        self.write(columns)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):  # every line was flushed, or said that it could not be
            self._file.close()

    def write(self, cells: Iterable[object]) -> None:
        try:
            self._lines.writerow(cells)
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> UnwritableFileError:
        return UnwritableFileError(f"cannot write {self._path}: {error.strerror}")


def _open(path: Path, *, replace: bool) -> int:
    how = os.O_TRUNC if replace else os.O_EXCL
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600)
    if path.is_file():  # not a device. A replaced file would keep its old rights
        path.chmod(0o600)
    return descriptor


class RowState(enum.StrEnum):
    """The result of a row."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    WITHHELD = "withheld"
    INVALID = "invalid"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    NOT_SENT = "not sent"
    WAITING = "waiting"
    """Not sent yet: with the same outbox, the same command sends it."""


_STATES: dict[type[OrangeSMSError], RowState] = {
    InvalidMessage: RowState.INVALID,
    Refused: RowState.REFUSED,
    Withheld: RowState.WITHHELD,
    OutcomeUnknown: RowState.UNKNOWN,
    MessageExpired: RowState.EXPIRED,
}
_ASKED = {RowState.ACCEPTED, RowState.REFUSED, RowState.UNKNOWN}


@attrs.frozen
class Result:
    """
    A row and its result.

    Attributes:
        stopped: why the campaign stopped before this row, if no error says it.
        goes_on: whether the campaign has an outbox, and so resumes when run again.
    """

    row: Row
    resource_id: ResourceId | None = None
    error: OrangeSMSError | None = None
    stopped: str = ""
    goes_on: bool = False

    @property
    def state(self) -> RowState:
        if self.error is None:
            return RowState.ACCEPTED
        if self.goes_on and isinstance(self.error, QueueClosed | OutboxUnusable):
            return RowState.WAITING
        found = (state for class_, state in _STATES.items() if isinstance(self.error, class_))
        return next(found, RowState.NOT_SENT)

    @property
    def cause(self) -> BaseException | None:
        """The error to look into: behind `QueueClosed`, what closed the queue."""
        closed = isinstance(self.error, QueueClosed)
        return (self.error.__cause__ or self.error) if closed and self.error else self.error

    @property
    def field(self) -> str:
        """The field that breaks a rule, if the row is invalid."""
        return str(self.error).partition(": ")[0] if self.state is RowState.INVALID else ""

    @property
    def reason(self) -> str:
        if self.state is RowState.INVALID:
            return str(self.error).partition(": ")[2]
        if isinstance(self.cause, QueueClosed):
            return self.stopped or str(self.cause)
        return str(self.cause or "")


def rule(error: OrangeSMSError | None) -> str:
    """Name the rule that a row breaks, without the number of an earlier row."""
    return re.sub(r"row \d+$", "an earlier row", str(error))


@attrs.define
class Tally:
    """
    The results of all rows, counted.

    Attributes:
        reasons: how many rows were refused, withheld or unknown, by error message.
        rules: how many rows broke each rule.
        no_access: the error that concerns the whole account, if any.
    """

    states: Counter[RowState] = attrs.field(factory=Counter)
    reasons: Counter[str] = attrs.field(factory=Counter)
    rules: Counter[str] = attrs.field(factory=Counter)
    no_access: OrangeSMSError | None = None

    def add(self, result: Result) -> None:
        self.states[result.state] += 1
        if result.state in (RowState.REFUSED, RowState.WITHHELD, RowState.UNKNOWN):
            self.reasons[f"{type(result.error).__name__}: {result.reason}"] += 1
        if result.state is RowState.INVALID:
            self.rules[rule(result.error)] += 1
        if isinstance(result.cause, AuthenticationFailed | AccessDenied):
            self.no_access = result.cause

    def settled_by_receipts(self, reasons: Counter[str]) -> None:
        """Count as accepted the rows that were unknown for these reasons until receipts came."""
        self.states[RowState.UNKNOWN] -= reasons.total()
        self.states[RowState.ACCEPTED] += reasons.total()
        self.reasons -= reasons

    @property
    def rows(self) -> int:
        return self.states.total()

    @property
    def done(self) -> int:
        """Rows that need nothing more."""
        return self.rows - self.states[RowState.NOT_SENT] - self.states[RowState.WAITING]

    def counts(self) -> Iterator[tuple[RowState, int]]:
        """Yield how many rows were accepted, and the count of each other state that occurred."""
        for state in RowState:
            if self.states[state] or state is RowState.ACCEPTED:
                yield state, self.states[state]

    def exit_code(self) -> ExitCode:
        """Return the exit code of a campaign that was not interrupted or given up."""
        if self.no_access:
            return ExitCode.NO_ACCESS
        if self.states[RowState.UNKNOWN]:
            return ExitCode.SOME_UNKNOWN
        all_accepted = self.rows == self.states[RowState.ACCEPTED]
        return ExitCode.ALL_ACCEPTED if all_accepted else ExitCode.SOME_FAILED


class ResultsFile(PrivateCsv):
    """
    The results of a campaign, in order of arrival.

    Args:
        path: the file.
        replace: whether to replace an existing file.
        rows_delimiter: of the campaign's own file; the same spreadsheet is to read both.

    Raises:
        UnwritableFileError: it exists and may not be replaced, or it cannot be written.
    """

    def __init__(self, path: Path, *, replace: bool, rows_delimiter: str) -> None:
        instead = "--force replaces it, --results chooses another"
        # Tabs are what Excel puts into UTF-16, and does not expect in UTF-8.
        delimiter = ";" if rows_delimiter == ";" else ","
        super().__init__(path, _COLUMNS, replace=replace, instead=instead, delimiter=delimiter)

    def write_result(self, result: Result) -> None:
        row, error = result.row, type(result.cause).__name__ if result.cause else ""
        what = (result.state, result.resource_id or "", error, result.field, result.reason, "")
        self.write((row.number, row.reference, row.to, *what))


async def fill_in(path: Path, find: Callable[[str], Awaitable[Outcome]]) -> Counter[str]:
    """
    Rewrite a results file with the receipts that have come since.

    Args:
        path: the results file.
        find: returns the outcome of a reference.

    Returns:
        The reasons of the unknown rows that receipts settled, counted.

    Raises:
        UnwritableFileError: it cannot be written; the file is unchanged.
    """
    beside = path.with_name(f"{path.name}.new")
    try:
        settled = await _filled_in(path, beside, find)
        beside.replace(path)
    except OutboxUnusable:
        raise
    except OSError as error:
        raise UnwritableFileError(f"cannot write {path}: {error.strerror}") from None
    except (LookupError, UnicodeError, csv.Error):
        raise UnwritableFileError(f"{path} was changed in the meantime") from None
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()  # it holds numbers
    return settled


async def _filled_in(
    path: Path, beside: Path, find: Callable[[str], Awaitable[Outcome]]
) -> Counter[str]:
    settled, delimiter = Counter[str](), _delimiter(path)
    with (
        path.open(encoding="utf-8-sig", newline="") as file,
        ResultsFile(beside, replace=True, rows_delimiter=delimiter) as new,
    ):
        lines = csv.DictReader(file, delimiter=delimiter)
        while batch := list(itertools.islice(lines, _AT_ONCE)):
            told = await asyncio.gather(*(_told(line, find) for line in batch))
            settled.update(reason for reason in told if reason)
            for line in batch:
                new.write(line.values())
    return settled


def _delimiter(results: Path) -> str:
    with results.open(encoding="utf-8-sig") as file:
        return ";" if ";" in file.readline(_LONGEST) else ","


async def _told(line: dict[str, str], find: Callable[[str], Awaitable[Outcome]]) -> str:
    """Enter what is now known of a row; return why it was unknown, if a receipt settled it."""
    if line["state"] not in (RowState.ACCEPTED, RowState.UNKNOWN):
        return ""
    outcome = await find(line["reference"])
    line["delivery"] = str(outcome.delivery.status) if outcome.delivery else ""
    if line["state"] == RowState.ACCEPTED or outcome.state is not State.SENT:
        return ""
    reason = f"{line['error']}: {line['reason']}"
    line |= {"state": RowState.ACCEPTED, "resource_id": outcome.resource_id or ""}
    line |= {"error": "", "reason": ""}
    return reason


def first_outcome(path: Path) -> tuple[str, str] | None:
    """
    Return reference and resource id of the first row in a results file that was sent to Orange.

    Raises:
        LookupError: it is not a results file.
    """
    if not path.is_file():
        raise LookupError(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file, delimiter=_delimiter(path))
            if tuple(lines.fieldnames or ()) != _COLUMNS:
                raise LookupError(path)
            asked = (line for line in lines if line["state"] in _ASKED)
            return next(((line["reference"], line["resource_id"]) for line in asked), None)
    except (OSError, UnicodeError, csv.Error):
        raise LookupError(path) from None
