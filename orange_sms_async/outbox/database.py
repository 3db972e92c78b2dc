"""The file of a durable outbox: its schema, whose it is, and how it is opened."""

import contextlib
import errno
import os
import sqlite3
from pathlib import Path

from orange_sms_async.outbox import OutboxUnusable

_APPLICATION_ID = 0x4F534D53  # "OSMS": what `file` and we know the file by
_VERSION = 1
# Each index holds only the rows it is for, so that a million finished or scheduled ones cost the
# ready ones nothing.
_SCHEMA = f"""
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    reference TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    priority INTEGER NOT NULL,
    not_before REAL NOT NULL,
    expires_at REAL NOT NULL,
    on_unknown TEXT NOT NULL,
    recipient TEXT,
    text TEXT,
    sender_name TEXT,
    sender_address TEXT,
    on_net INTEGER NOT NULL,
    fingerprint BLOB,
    resource_id TEXT,
    error TEXT,
    reason TEXT,
    details TEXT,
    finished_at REAL
);
CREATE INDEX ready ON message (priority, id) WHERE state = 'queued';
CREATE INDEX scheduled ON message (not_before, priority) WHERE state = 'scheduled';
CREATE INDEX sending ON message (id) WHERE state = 'sending';
CREATE INDEX expiring ON message (expires_at)
    WHERE state IN ('queued', 'scheduled') AND expires_at < 9e999;
CREATE INDEX unknown ON message (id) WHERE state = 'unknown';
CREATE INDEX finished ON message (finished_at) WHERE finished_at IS NOT NULL;
CREATE TABLE secret (key BLOB NOT NULL);
INSERT INTO secret VALUES (randomblob(32));
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_VERSION};
"""
# From version n to n + 1, for files that older versions of this package wrote.
_MIGRATIONS: dict[int, str] = {}


def connect(path: Path) -> sqlite3.Connection:
    try:
        _create(path)
        _check_ours(path)
        db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            _prepare(path, db)
        except BaseException:
            db.close()
            raise
    except OSError as error:
        if isinstance(error, OutboxUnusable):
            raise
        raise OutboxUnusable(f"outbox {path}: {error.strerror}") from error
    except sqlite3.Error as error:
        raise unusable(path, _explained(error)) from error
    return db


def _create(path: Path) -> None:
    # Only what is not there: to open and close a file that this process has open in SQLite would
    # take its lock away.
    if path.exists():
        _check_usable(path)
        return
    # SQLite gives its own files beside this one the same mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    if os.name == "posix":
        # After a power cut a new file is there only if its folder was written, too.
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _check_usable(path: Path) -> None:
    # SQLite calls either a disk error.
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    effective = os.access in os.supports_effective_ids
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=effective):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _check_ours(path: Path) -> None:
    """Look at the file without writing a byte of it: it may be somebody else's."""
    if not path.stat().st_size:
        return
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as db:
        # A kill or a full disk in the middle of a checkpoint leaves the file shorter than its
        # first page says, and the rest in the log, which is not read here: no damage.
        db.execute("PRAGMA writable_schema = ON")
        (application,) = db.execute("PRAGMA application_id").fetchone()
    if application != _APPLICATION_ID:
        raise OutboxUnusable(f"outbox {path}: not an outbox but a file of another program")


def _prepare(path: Path, db: sqlite3.Connection) -> None:
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise OutboxUnusable(
            f"outbox {path}: written by a newer version of orange-sms-async (schema {version}, "
            f"this one knows {_VERSION})"
        )
    if version == 0:
        # Before there is a log beside it: its own first page says from now on whose it is.
        db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    for older in range(version or _VERSION, _VERSION):
        db.executescript(f"BEGIN IMMEDIATE; {_MIGRATIONS[older]} COMMIT")


def empty_log(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def unusable(path: Path, error: Exception) -> OutboxUnusable:
    return OutboxUnusable(f"outbox {path}: {error}")


def _explained(error: sqlite3.Error) -> Exception:
    code = error.sqlite_errorcode & 0xFF  # above it is a finer reason
    if code == sqlite3.SQLITE_BUSY:
        return OSError("held by another process")
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return OSError("not an outbox, or damaged")
    return error
