"""The files of a durable outbox: what they hold, whose they are, and how they are opened."""

import contextlib
import errno
import os
import sqlite3
import time
from pathlib import Path

import attrs

from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.outbox.sqlite import turn
from orange_sms_async.outbox.sqlite.turn import Turn

_TURN = 5.0  # seconds to wait for another process's turn to write

# Each index holds only the rows it is for, so that a million finished or scheduled ones cost the
# ready ones nothing.
_MESSAGES = """
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
"""
_RECEIPTS = """
CREATE TABLE receipt (
    id INTEGER PRIMARY KEY,
    resource_id TEXT NOT NULL,
    status TEXT NOT NULL,
    address TEXT,
    arrived_at REAL NOT NULL
);
CREATE INDEX received ON receipt (resource_id, status);
CREATE INDEX received_of ON receipt (address);
"""
_DELIVERY = """
ALTER TABLE message ADD COLUMN attempted_at REAL;
ALTER TABLE message ADD COLUMN delivery TEXT;
ALTER TABLE message ADD COLUMN settled_by TEXT;
CREATE INDEX accepted ON message (resource_id) WHERE resource_id IS NOT NULL;
CREATE INDEX doubtful ON message (recipient) WHERE state = 'unknown';
CREATE INDEX sent_again ON message (recipient) WHERE on_unknown = 'resent';
CREATE INDEX delivery ON message (delivery) WHERE delivery IS NOT NULL;
"""
_CLAIMS = """
ALTER TABLE message ADD COLUMN claimed_by TEXT;
ALTER TABLE message ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0;
"""
# How an earlier version left its file is not known, unless it never held a message.
_OPENING = """
CREATE TABLE opening (owner TEXT, left_at REAL, ended INTEGER NOT NULL);
INSERT INTO opening SELECT NULL, NULL, NOT EXISTS (SELECT 1 FROM message);
"""

_OURS = {
    sqlite3.SQLITE_BUSY: "held by another process",
    sqlite3.SQLITE_CANTOPEN: "unable to open the file, or to write beside it",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "disk I/O error",
    sqlite3.SQLITE_NOMEM: "out of memory",
    sqlite3.SQLITE_PERM: "permission denied",
    sqlite3.SQLITE_READONLY: "the file is readonly",
}
# Our statements fit our tables: where they do not, the tables are not ours, or no longer.
_DAMAGE = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_SCHEMA,
}
# When a message left that a person called not sent, so that a receipt may be of it all the same.
# And what may be forgotten: the unknown ones stay, and need not be walked over with each outcome.
_DENIED = """
ALTER TABLE message ADD COLUMN denied_at REAL;
CREATE INDEX denied ON message (recipient) WHERE denied_at IS NOT NULL;
CREATE INDEX forgettable ON message (finished_at)
    WHERE finished_at IS NOT NULL AND state <> 'unknown';
"""


@attrs.frozen
class Format:
    """
    A kind of file.

    Attributes:
        name: what a person calls it, with its article.
        application_id: what `file` and we know it by.
        versions: the SQL that makes of each version of its schema the next, beginning with none.
        shared: whether several processes may have it open at once; else it is held for one.
    """

    name: str
    application_id: int
    versions: tuple[str, ...]
    shared: bool = False

    def unusable(self, path: Path, cause: str) -> OutboxUnusable:
        return OutboxUnusable(f"{self.name.partition(' ')[2]} {path}: {cause}")


OUTBOX = Format(  # "OSMS"
    "an outbox", 0x4F534D53, (_MESSAGES, _RECEIPTS + _DELIVERY, _CLAIMS, _OPENING, _DENIED)
)
RECEIPTS = Format("a store of receipts", 0x4F534D52, (_RECEIPTS,), shared=True)  # "OSMR"


@attrs.frozen
class Opened:
    """
    A file that is open.

    Attributes:
        db: its one connection here.
    """

    db: sqlite3.Connection
    _path: Path
    _kind: Format
    _turn: Turn | None
    _there: Path
    _identity: tuple[int, int]

    def check(self) -> None:
        """
        Look whether the file is still the one that was opened.

        Raises:
            OutboxUnusable: its name leads to another file, or to none.
        """
        try:
            same = turn.identity(self._there) == self._identity
        except OSError:
            same = False
        if not same:
            raise self._kind.unusable(self._path, "removed or replaced while it was open")

    def close(self) -> None:
        self.db.close()
        if self._turn:
            self._turn.release()


def connect(path: Path, kind: Format) -> Opened:
    # Of a relative one, SQLite may take "file:…" for an address.
    there = path.absolute()
    try:
        _create(path)
        _check_kind(path, kind)
        held = None if kind.shared or not turn.LOCKS else turn.take(path)
        try:
            return Opened(_open(there, kind), path, kind, held, there, turn.identity(there))
        except BaseException:
            if held:
                held.release()
            raise
    except OSError as error:
        if isinstance(error, OutboxUnusable):
            raise
        raise kind.unusable(path, str(error.strerror)) from error
    except sqlite3.Error as error:
        raise kind.unusable(path, explained(error, kind)) from None


def _open(path: Path, kind: Format) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_TURN, isolation_level=None, check_same_thread=False)
    try:
        _prepare(path, db, kind)
    except BaseException:
        db.close()
        raise
    return db


def _create(path: Path) -> None:
    # Only what is not there: to open and close a file that this process has open in SQLite would
    # take its lock away.
    if path.exists():
        _check_usable(path)
        return
    # SQLite gives its own files beside this one the same mode.
    with contextlib.suppress(FileExistsError):  # another process began at the same time
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


def _check_kind(path: Path, kind: Format) -> None:
    """Look at the file without writing a byte of it: it may be somebody else's."""
    if not path.stat().st_size:
        return
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as db:
        # A kill or a full disk in the middle of a checkpoint leaves the file shorter than its
        # first page says, and the rest in the log, which is not read here: no damage.
        db.execute("PRAGMA writable_schema = ON")
        (application,) = db.execute("PRAGMA application_id").fetchone()
    if application != kind.application_id:
        raise kind.unusable(path, f"not {kind.name} but a file of another program or kind")


def _prepare(path: Path, db: sqlite3.Connection, kind: Format) -> None:
    if not (kind.shared or turn.LOCKS):
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
        # Before there is a log beside it: its own first page says from now on whose it is.
        _migrate(db, kind)
    _begin_log(db)
    db.execute("PRAGMA synchronous = FULL")
    if 0 < version < newest:
        _migrate(db, kind)


def _migrate(db: sqlite3.Connection, kind: Format) -> None:
    db.execute("BEGIN IMMEDIATE")
    # Looked up again: until its turn came, another process may have done it.
    (version,) = db.execute("PRAGMA user_version").fetchone()
    for step in "".join(kind.versions[version:]).split(";"):
        db.execute(step)
    db.execute(f"PRAGMA application_id = {kind.application_id}")
    db.execute(f"PRAGMA user_version = {len(kind.versions)}")
    db.execute("COMMIT")


def _begin_log(db: sqlite3.Connection) -> None:
    # Done once in the life of a file, and the one thing for which SQLite does not wait its turn.
    until = time.monotonic() + _TURN
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not _busy(error) or time.monotonic() >= until:
                raise
            time.sleep(0.01)
        else:
            return


def empty_log(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def explained(error: sqlite3.Error, kind: Format) -> str:
    """
    Say what SQLite found, in our words: its own can quote a row, and so a number or a text.

    For the same reason it is raised `from None`.
    """
    code = _code(error)
    if code in _OURS:
        return _OURS[code]
    if code is None or code in _DAMAGE:
        return f"not {kind.name}, or damaged"
    return f"SQLite failed with {error.sqlite_errorname}"


def _code(error: sqlite3.Error) -> int | None:
    # What Python's module finds by itself has none. Above the lowest byte is a finer reason.
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code if code is None else code & 0xFF


def _busy(error: sqlite3.Error) -> bool:
    return _code(error) == sqlite3.SQLITE_BUSY
