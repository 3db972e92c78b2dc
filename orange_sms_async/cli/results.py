"""What became of each row, one line a row in a CSV file of its own."""

import contextlib
import csv
import enum
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from orange_sms_async import (
    AccessDenied,
    AuthenticationFailed,
    InvalidMessage,
    OrangeSMSError,
    OutcomeUnknown,
    QueueClosed,
    Refused,
    ResourceId,
)
from orange_sms_async.cli.ending import ExitCode
from orange_sms_async.cli.rows import Row


class UnwritableFileError(Exception):
    """The results cannot be written; one line says why."""


class RowState(enum.StrEnum):
    """What became of a row."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    INVALID = "invalid"
    UNKNOWN = "unknown"
    NOT_SENT = "not sent"


@attrs.frozen
class Result:
    """
    A row and what became of it.

    Attributes:
        stopped: why the campaign ended before this row, where nothing else says it.
    """

    row: Row
    resource_id: ResourceId | None = None
    error: OrangeSMSError | None = None
    stopped: str = ""

    @property
    def state(self) -> RowState:
        match self.error:
            case None:
                return RowState.ACCEPTED
            case InvalidMessage():
                return RowState.INVALID
            case Refused():
                return RowState.REFUSED
            case OutcomeUnknown():
                return RowState.UNKNOWN
            case _:
                return RowState.NOT_SENT

    @property
    def cause(self) -> BaseException | None:
        """The error to look into: behind `QueueClosed`, what closed the queue."""
        closed = isinstance(self.error, QueueClosed)
        return (self.error.__cause__ or self.error) if closed and self.error else self.error

    @property
    def field(self) -> str:
        """Of an invalid row, the field that breaks a rule."""
        return str(self.error).partition(": ")[0] if self.state is RowState.INVALID else ""

    @property
    def reason(self) -> str:
        if self.state is RowState.INVALID:
            return str(self.error).partition(": ")[2]
        if isinstance(self.cause, QueueClosed):
            return self.stopped or str(self.cause)
        return str(self.cause or "")


@attrs.define
class Tally:
    """
    How many rows came to what.

    Attributes:
        reasons: how often each error, in its words, was given for a row that was refused.
        no_access: the error that concerns the whole account, if there was one.
    """

    states: Counter[RowState] = attrs.field(factory=Counter)
    reasons: Counter[str] = attrs.field(factory=Counter)
    no_access: BaseException | None = None

    def add(self, result: Result) -> None:
        self.states[result.state] += 1
        if result.state in (RowState.REFUSED, RowState.UNKNOWN):
            self.reasons[f"{type(result.error).__name__}: {result.reason}"] += 1
        if isinstance(result.cause, AuthenticationFailed | AccessDenied):
            self.no_access = result.cause

    @property
    def rows(self) -> int:
        return self.states.total()

    @property
    def done(self) -> int:
        """Rows that there is nothing more to do about."""
        return self.rows - self.states[RowState.NOT_SENT]

    @property
    def asked(self) -> int:
        """Rows that Orange was asked to take."""
        return self.done - self.states[RowState.INVALID]

    @property
    def failed(self) -> int:
        return self.done - self.states[RowState.ACCEPTED]

    def exit_code(self) -> ExitCode:
        """Say how it ended, for a campaign that was not interrupted or given up."""
        if self.no_access:
            return ExitCode.NO_ACCESS
        if self.states[RowState.UNKNOWN]:
            return ExitCode.SOME_UNKNOWN
        all_accepted = self.rows == self.states[RowState.ACCEPTED]
        return ExitCode.ALL_ACCEPTED if all_accepted else ExitCode.SOME_FAILED


class ResultsFile:
    """
    A results file, for its owner's eyes only: it holds numbers. Each line is on disk at once.

    Raises:
        UnwritableFileError: it exists and is not to be replaced, or it cannot be written.
    """

    COLUMNS = ("row", "reference", "to", "state", "resource_id", "error", "field", "reason")

    def __init__(self, path: Path, *, replace: bool) -> None:
        self._path = path
        try:
            descriptor = _open(path, replace=replace)
        except FileExistsError:
            raise UnwritableFileError(
                f"{path} exists already: --force replaces it, --results names another"
            ) from None
        except OSError as error:
            raise self._unwritable(error) from None
        # With a byte order mark, or Excel takes it for another encoding.
        self._file = os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="")
        self._lines = csv.writer(self._file, lineterminator="\n")
        self._write(self.COLUMNS)

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

    def write(self, result: Result) -> None:
        row, error = result.row, type(result.cause).__name__ if result.cause else ""
        what = (result.state, result.resource_id or "", error, result.field, result.reason)
        self._write((row.number, row.reference, row.to, *what))

    def _write(self, cells: Iterable[object]) -> None:
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
    if path.is_file():  # not a device; a file that is replaced would keep the rights it had
        path.chmod(0o600)
    return descriptor
