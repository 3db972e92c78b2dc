"""A CSV file for its owner's eyes only: it holds numbers."""

import contextlib
import csv
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self


class UnwritableFileError(Exception):
    """The file cannot be written; one line says why."""


class PrivateCsv:
    """
    A file whose every line is on disk at once.

    instead: what to do about a file that exists and is not to be replaced.

    Raises:
        UnwritableFileError: it exists and is not to be replaced, or it cannot be written.
    """

    def __init__(
        self, path: Path, columns: Iterable[str], *, replace: bool = False, instead: str
    ) -> None:
        self._path = path
        try:
            descriptor = _open(path, replace=replace)
        except FileExistsError:
            raise UnwritableFileError(f"{path} exists already: {instead}") from None
        except OSError as error:
            raise self._unwritable(error) from None
        # With a byte order mark, or Excel takes it for another encoding.
        self._file = os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="")
        self._lines = csv.writer(self._file, lineterminator="\n")
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
    if path.is_file():  # not a device; a file that is replaced would keep the rights it had
        path.chmod(0o600)
    return descriptor
