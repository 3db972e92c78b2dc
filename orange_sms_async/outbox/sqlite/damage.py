"""What SQLite finds wrong with a file: said in our words, and repaired if possible."""

import logging
import math
import sqlite3
import time
from pathlib import Path

from orange_sms_async.outbox.sqlite.schema import Format

_OURS: dict[int | None, str] = {
    sqlite3.SQLITE_BUSY: "held by another process",
    sqlite3.SQLITE_CANTOPEN: "unable to open the file, or to write beside it",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "disk I/O error",
    sqlite3.SQLITE_NOMEM: "out of memory",
    sqlite3.SQLITE_PERM: "permission denied",
    sqlite3.SQLITE_READONLY: "the file is read-only",
}
# Our statements fit our tables. If one fails, the tables are not ours, or are damaged.
_DAMAGE = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_SCHEMA,
}

_LOOK = 1.0  # seconds to look for damage: a person waits, and so do the messages
_log = logging.getLogger(__name__)


class DamagedError(Exception):
    """The file contradicts itself. The error says what to do, and shows nothing of a row."""


MISFIT = "damaged: an index and its messages contradict each other; opening it again repairs it"


def looks_sound(db: sqlite3.Connection) -> bool:
    """Look for damage, for a second at most."""
    return _sound(db, _LOOK)


def repair(db: sqlite3.Connection, path: Path) -> None:
    """
    Rebuild indexes that do not match their rows.

    Raises:
        DamagedError: the damage is not in the indexes alone.
    """
    db.execute("REINDEX")
    if not _sound(db, math.inf):
        raise DamagedError("damaged, and not only its indexes: put a backup in its place")
    _log.warning(
        "outbox %s: its indexes were damaged and have been rebuilt; check the disk",
        path,
        extra={"event": "indexes_rebuilt"},
    )


def _sound(db: sqlite3.Connection, seconds: float) -> bool:
    until = time.monotonic() + seconds
    db.set_progress_handler(lambda: time.monotonic() > until, 10_000)
    try:
        return db.execute("PRAGMA integrity_check(1)").fetchall() == [("ok",)]
    except sqlite3.OperationalError as error:
        if _code(error) == sqlite3.SQLITE_INTERRUPT:
            return True  # as far as there was time to look
        raise
    finally:
        db.set_progress_handler(None, 0)


def is_damage(error: Exception) -> bool:
    return isinstance(error, DamagedError) or (
        isinstance(error, sqlite3.Error) and (_code(error) is None or _code(error) in _DAMAGE)
    )


def is_busy(error: sqlite3.Error) -> bool:
    return _code(error) == sqlite3.SQLITE_BUSY


def explained(error: Exception, kind: Format) -> str:
    """
    Say what SQLite found, in our words. Its own words can quote a row, and so a number or a text.

    For the same reason, errors with this text are raised `from None`.
    """
    if isinstance(error, DamagedError):
        return str(error)
    if is_damage(error):
        return f"not {kind.name}, or damaged"
    name: str = getattr(error, "sqlite_errorname", "")
    return _OURS.get(_code(error), f"SQLite failed with {name}")


def _code(error: Exception) -> int | None:
    # Errors from Python's own module have no code. The higher bytes give a finer reason.
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code if code is None else code & 0xFF
