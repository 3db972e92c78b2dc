"""How the files of a durable outbox are opened, and changed in transactions."""

import contextlib
import errno
import math
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs

from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.outbox.sqlite import damage, ground, journal, turn
from orange_sms_async.outbox.sqlite.journal import Log
from orange_sms_async.outbox.sqlite.schema import OUTBOX, Format
from orange_sms_async.outbox.sqlite.watermark import Watermark, sync_folder

_T = TypeVar("_T")
Operation = Callable[[sqlite3.Connection], _T]

_PATIENCE = 5.0  # seconds to wait for another process's turn to write
# Seconds between two attempts. SQLite's own waits grow up to 0.1 seconds, so that whoever has
# waited longest is served last.
_AGAIN = 0.001
_OLDER = (
    "lacks some of what was sent from it: it is a copy, or the log beside it is gone or damaged. "
    "Messages waiting in it may have been sent since. `orange-sms outbox restore` and "
    "SqliteOutbox(path, restore=True) open it anyway, and mark those messages as unknown"
)
_WITHOUT_LOG = "mode=ro&immutable=1"
_OF_TWO_TIMES = (
    "not from the same time as the log beside it (-wal), so the two do not fit together: "
    "put back the file that the log belongs to, or move the log away and restore this file"
)


@attrs.define
class Opened:
    """
    An open file.

    Attributes:
        db: the connection that writes.
    """

    db: sqlite3.Connection
    _path: Path
    _kind: Format
    _there: Path
    _identity: tuple[int, int]
    _log: Log
    _mark: Watermark | None
    _looking: sqlite3.Connection | None
    _others: int = 0
    _took: float = 0.0  # seconds

    def check(self) -> None:
        """
        Check that the file is still the one that was opened.

        Raises:
            OutboxUnusable: its name now leads to another file, or to none.
        """
        try:
            same = turn.identity(self._there) == self._identity
        except OSError:
            same = False
        if not same:
            raise self._kind.unusable(self._path, "removed or replaced while it was open")

    def write(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        """Run operations in one transaction, which is on disk when this returns."""
        self.check()
        self.read(lambda db: db.execute("BEGIN IMMEDIATE"))
        began = time.monotonic()
        try:
            before = self.db.total_changes
            results = [operation(self.db) for operation in operations]
            number = self._number() if self.db.total_changes != before else None
            self.db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # SQLite may have done it itself
                self.db.execute("ROLLBACK")
            raise
        if number is not None and self._mark:
            self._mark.note(number)
        self._log.keep_short(self.db)
        self._took = time.monotonic() - began
        return results

    def give_way(self) -> None:
        """
        If others write too, wait as long as the last transaction took.

        Without pauses, this process would keep them out: they try only now and then.
        """
        others = self.db.execute("PRAGMA data_version").fetchone()[0]
        if others != self._others:
            time.sleep(self._took)
        self._others = others

    def read(self, operation: Operation[_T]) -> _T:
        """Run an operation that changes nothing; try it again while others are in its way."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return operation(self.db)
            except sqlite3.OperationalError as error:
                if not damage.is_busy(error) or time.monotonic() >= until:
                    raise
            time.sleep(_AGAIN)

    def _number(self) -> int | None:
        if self._mark is None:
            return None
        counted = self.db.execute("UPDATE opening SET commits = commits + 1 RETURNING commits")
        return counted.fetchall()[0][0]  # type: ignore[no-any-return]

    def version(self) -> int:
        """
        Return a number that changes whenever anyone writes. This reads no disk.

        Raises:
            sqlite3.Error: the number cannot be read.
        """
        if self._looking is None:
            return 0
        return self._looking.execute("PRAGMA data_version").fetchone()[0]  # type: ignore[no-any-return]

    def write_back(self) -> None:
        self._log.write_back(self.db)

    def empty_log(self) -> None:
        self._log.empty(self.db)

    def close(self) -> None:
        if self._looking:
            self._looking.close()
        self.db.close()
        if self._mark:
            self._mark.close()


def connect(path: Path, kind: Format, *, restore: bool = False) -> Opened:
    """
    Open a file, which is created if there is none.

    Args:
        path: of the file.
        kind: the kind of file.
        restore: open it even if it is older than what was written to it.

    Raises:
        OutboxUnusable: names the file and the cause.
    """
    # SQLite may take a relative "file:…" for a URI.
    there = path.absolute()
    try:
        if network := ground.network(there):
            raise kind.unusable(path, f"on a network ({network}), where locks cannot be relied on")
        _create(path)
        _check_kind(path, kind)
        if kind is OUTBOX:
            _check_log(path, kind)
        with contextlib.ExitStack() as opening:
            opened = _open(there, path, kind, opening, restore=restore)
            opening.pop_all()
            return opened
    except OSError as error:
        if isinstance(error, OutboxUnusable):
            raise
        raise kind.unusable(path, str(error.strerror)) from error
    except sqlite3.Error as error:
        raise kind.unusable(path, damage.explained(error, kind)) from None


def _open(
    there: Path, path: Path, kind: Format, opening: contextlib.ExitStack, *, restore: bool
) -> Opened:
    def opened() -> sqlite3.Connection:
        db = sqlite3.connect(
            there, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
        )
        opening.callback(db.close)
        return db

    db = opened()
    _prepare(path, db, kind)
    mark = Watermark(there.resolve()) if kind is OUTBOX else None
    if mark:
        opening.callback(mark.close)
        if not _agree(db, mark, there, restore=restore):
            raise kind.unusable(path, _OLDER)
    db.execute("PRAGMA busy_timeout = 0")
    looking = opened() if turn.LOCKS else None
    return Opened(
        db, path, kind, there, turn.identity(there), Log(there.resolve(), mark), mark, looking
    )


def _agree(db: sqlite3.Connection, mark: Watermark, path: Path, *, restore: bool) -> bool:
    """Compare a file with the mark beside it, which is created if it never had one."""
    db.execute("BEGIN IMMEDIATE")  # nobody writes meanwhile, and nobody else makes the mark
    try:
        commits, ended = db.execute("SELECT commits, ended FROM opening").fetchone()
        seen = mark.read()
        lost = seen[0] > commits if seen else commits and not ended
        if restore or not lost:
            mark.open(path, commits, fresh=seen is None)
        if restore and lost:
            mark.note_written_back(0)
    finally:
        db.execute("ROLLBACK")
    return restore or not lost


def _create(path: Path) -> None:
    # Only missing files: opening and closing one that this process has open in SQLite would
    # release its lock.
    if path.exists():
        _check_usable(path)
        return
    # SQLite gives its own files beside this one the same mode.
    with contextlib.suppress(FileExistsError):  # another process began at the same time
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    if os.name == "posix":
        sync_folder(path)


def _check_usable(path: Path) -> None:
    # SQLite would report both errors below as a disk error.
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    effective = os.access in os.supports_effective_ids
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=effective):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _check_kind(path: Path, kind: Format) -> None:
    """Check the file without writing a byte to it: it may be another program's."""
    if not path.stat().st_size:
        return
    with contextlib.closing(_look(path, _WITHOUT_LOG)) as db:
        (application,) = db.execute("PRAGMA application_id").fetchone()
    if application != kind.application_id:
        raise kind.unusable(path, f"not {kind.name} but a file of another program or kind")


def _check_log(path: Path, kind: Format) -> None:
    """Check that a file and its log are from the same time: opening to write would merge them."""
    seen = Watermark(path.resolve()).read()
    if seen is None or seen[1] <= _commits(path, _WITHOUT_LOG):
        return
    if seen[0] <= _commits(path, "mode=ro") < math.inf:
        raise kind.unusable(path, _OF_TWO_TIMES)


def _commits(path: Path, how: str) -> float:
    """Return how far a file has come; infinite if that cannot be told."""
    # A power cut in the middle of a checkpoint leaves a file that only its log makes whole.
    with contextlib.closing(_look(path, how)) as db, contextlib.suppress(sqlite3.DatabaseError):
        return db.execute("SELECT commits FROM opening").fetchone()[0]  # type: ignore[no-any-return]
    return math.inf


def _look(path: Path, how: str) -> sqlite3.Connection:
    db = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True)
    # A kill or a full disk in the middle of a checkpoint leaves the file shorter than its first
    # page says, and the rest in the log, which may not be read here. That is no damage.
    db.execute("PRAGMA writable_schema = ON")
    return db


def _prepare(path: Path, db: sqlite3.Connection, kind: Format) -> None:
    if not turn.LOCKS:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten
    (version,) = db.execute("PRAGMA user_version").fetchone()
    newest = len(kind.versions)
    if version > newest:
        raise kind.unusable(
            path,
            f"written by a newer version of orange-sms-async (schema {version}, "
            f"this one knows {newest})",
        )
    if version == 0:
        # Before there is a log: from now on, the file's own first page says whose it is.
        _migrate(db, kind)
    journal.begin(db, _PATIENCE)
    if 0 < version < newest:
        _migrate(db, kind)


def _migrate(db: sqlite3.Connection, kind: Format) -> None:
    db.execute("BEGIN IMMEDIATE")
    # Checked again: another process may have done it in the meantime.
    (version,) = db.execute("PRAGMA user_version").fetchone()
    for statements in kind.versions[version:]:
        for statement in statements:
            db.execute(statement)
    db.execute(f"PRAGMA application_id = {kind.application_id}")
    db.execute(f"PRAGMA user_version = {len(kind.versions)}")
    db.execute("COMMIT")
