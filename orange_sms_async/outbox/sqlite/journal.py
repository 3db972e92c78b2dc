"""
The log (SQLite's WAL) beside a file: started, and written back into it from time to time.

SQLite 3.7.0 to 3.51.2 (but 3.50.7 and 3.44.6) can corrupt a file when one connection writes its log
back at the instant at which another commits. SQLite does so by itself after a commit, when others
may be committing. Here it never does: the log is written back while this process holds the right
to write, so that nobody else can commit meanwhile.
"""

import contextlib
import sqlite3
import time
from pathlib import Path

from orange_sms_async.outbox.sqlite import damage, turn
from orange_sms_async.outbox.sqlite.watermark import Watermark

_LONG = 4 * 2**20  # bytes


def begin(db: sqlite3.Connection, patience: float) -> None:
    """Make a file keep a log. By itself, SQLite then writes it back only at the end."""
    # Done once in the life of a file. It is the one thing for which SQLite does not wait its turn.
    until = time.monotonic() + patience
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not damage.is_busy(error) or time.monotonic() >= until:
                raise
            time.sleep(0.01)
        else:
            break
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute("PRAGMA journal_size_limit = 0")  # once restarted, its size shows what is in it
    db.execute("PRAGMA synchronous = FULL")


class Log:
    """The log of one connection's file, and the mark that notes how far it was written back."""

    def __init__(self, path: Path, mark: Watermark | None) -> None:
        self._path, self._beside = path, path.with_name(f"{path.name}-wal")
        self._mark = mark
        self._next = _LONG

    def keep_short(self, db: sqlite3.Connection) -> None:
        """Write a long log back. If that fails, the next writer meets the cause again."""
        try:
            size = self._beside.stat().st_size
        except FileNotFoundError:
            return
        if size < _LONG:
            self._next = _LONG
        elif size >= self._next:
            self._next = size + _LONG  # a reader keeps it from starting again
            with contextlib.suppress(sqlite3.Error):
                self.write_back(db)

    def write_back(self, db: sqlite3.Connection) -> None:
        """Write the log back while nobody can commit."""
        if not turn.LOCKS:  # the file is this connection's alone: it would lock out another
            self._write_back(db, by=db)
            return
        db.execute("BEGIN IMMEDIATE")
        try:
            with contextlib.closing(sqlite3.connect(self._path)) as other:
                self._write_back(db, by=other)
        finally:
            db.execute("ROLLBACK")

    def _write_back(self, db: sqlite3.Connection, *, by: sqlite3.Connection) -> None:
        [(_, there, done)] = by.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        if self._mark and there == done:  # else somebody still reads an older state
            (number,) = db.execute("SELECT commits FROM opening").fetchone()
            self._mark.note_written_back(number)

    def empty(self, db: sqlite3.Connection) -> None:
        """Write the log back and overwrite what it held."""
        # This kind of checkpoint takes the right to write by itself, before anything else.
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
