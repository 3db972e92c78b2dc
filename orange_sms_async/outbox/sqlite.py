"""An outbox in a file: what was admitted is on disk, and survives any end of the process."""

import asyncio
import contextlib
import errno
import hashlib
import json
import os
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs

from orange_sms_async import errors
from orange_sms_async.errors import (
    InvalidMessage,
    MessageExpired,
    OrangeSMSError,
    OutcomeUnknown,
)
from orange_sms_async.messages import OutboundMessage, ResourceId
from orange_sms_async.outbox import Entry, OutboxUnusable, Outcome, Priority, State

_T = TypeVar("_T")
Operation = Callable[[sqlite3.Connection], _T]

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

_OUTCOME = "id, reference, state, resource_id, error, reason, details"
_CUT = OutcomeUnknown("the process ended while this was on the wire")
_EXPIRED = MessageExpired("its time ran out before it could be sent")


@attrs.frozen
class KeptMessage:
    """
    A message as its file holds it.

    Attributes:
        to: the recipient; None once forgotten.
        finished_at: seconds since 1970; None while it waits.
    """

    outcome: Outcome
    to: str | None = attrs.field(repr=False)
    finished_at: float | None


class SqliteOutbox:
    """
    One file, one thread, one connection, one process: whoever comes second is told so.

    What waits for the disk is committed together, so that many producers share one fsync. The file
    holds numbers and texts and is created for its owner alone; `forget` takes them out.

    path: of the file, which is created where there is none.
    """

    durable = True

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._waiting = Counter[Priority]()
        self._sending = 0
        self._pending: list[tuple[Operation[Any], asyncio.Future[Any]]] = []
        self._committing: asyncio.Future[list[Any]] | None = None
        self._thread: ThreadPoolExecutor | None = None

    # -- opening and closing --------------------------------------------------------------------

    async def open(self, now: float, retention: timedelta) -> list[Outcome]:
        self._retention = retention.total_seconds()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="orange-sms outbox")
        try:
            loop = asyncio.get_running_loop()
            self._connection = await loop.run_in_executor(self._thread, _connect, self.path)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        try:
            recovered = await self._write(lambda db: _recover(db, now))
            self._waiting, self._sending = await self._write(_count_waiting), 0
        except BaseException:
            await self.aclose()
            raise
        return recovered

    async def aclose(self) -> None:
        while self._committing or self._pending:
            await (asyncio.wait({self._committing}) if self._committing else asyncio.sleep(0))
        thread, self._thread = self._thread, None
        if thread:
            await asyncio.get_running_loop().run_in_executor(thread, self._connection.close)
            thread.shutdown(wait=False)

    async def _write(self, operation: Operation[_T]) -> _T:
        if self._thread is None:
            raise OutboxUnusable(f"outbox {self.path}: not open")
        future = asyncio.get_running_loop().create_future()
        self._pending.append((operation, future))
        if self._committing is None and len(self._pending) == 1:
            # Not at once: those who are woken together come back together, and share a commit.
            asyncio.get_running_loop().call_soon(self._commit_pending, self._thread)
        return await future  # type: ignore[no-any-return]

    # Callbacks, not a task: a loop that ends cancels its tasks, and then the last outcomes are
    # still to be written.

    def _commit_pending(self, thread: ThreadPoolExecutor) -> None:
        batch, self._pending = self._pending, []
        operations = [operation for operation, _ in batch]
        loop = asyncio.get_running_loop()
        self._committing = loop.run_in_executor(thread, self._commit, operations)
        self._committing.add_done_callback(partial(self._committed, thread, batch))

    def _committed(
        self,
        thread: ThreadPoolExecutor,
        batch: list[tuple[Operation[Any], asyncio.Future[Any]]],
        committing: asyncio.Future[list[Any]],
    ) -> None:
        for (_, future), result in zip(batch, committing.result(), strict=True):
            if future.done():
                continue  # whoever asked went away; it is on disk all the same
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
        self._committing = None
        if self._pending:
            self._commit_pending(thread)

    def _commit(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        db = self._connection
        try:
            db.execute("BEGIN IMMEDIATE")
            results = [operation(db) for operation in operations]
            db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 -- each goes to whom it concerns
            with contextlib.suppress(sqlite3.Error):  # none was begun, or SQLite did it itself
                db.execute("ROLLBACK")
            if len(operations) == 1:
                return [_unusable(self.path, error) if isinstance(error, sqlite3.Error) else error]
            # On a full disk a new message may find no room where an outcome still does.
            return [self._commit([operation])[0] for operation in operations]
        return results

    # -- what SendQueue asks --------------------------------------------------------------------

    @property
    def unfinished(self) -> int:
        return self._waiting.total() + self._sending

    def waiting(self, priority: Priority) -> int:
        return self._waiting[priority]

    def add(self, entry: Entry) -> asyncio.Future[Outcome | None]:
        return asyncio.ensure_future(self._add(entry))

    async def _add(self, entry: Entry) -> Outcome | None:
        kept = await self._write(lambda db: _add(db, entry))
        if kept is None:
            self._waiting[entry.priority] += 1
            return None
        same_message, outcome = kept
        if not same_message:
            raise InvalidMessage("reference: kept already, with another number or text")
        return outcome

    async def ready_at(self) -> float | None:
        return await self._write(_ready_at) if self._waiting.total() else None

    async def take(self, now: float) -> Entry | None:
        entry = await self._write(lambda db: _take(db, now))
        if entry is not None:
            self._waiting[entry.priority] -= 1
            self._sending += 1
        return entry

    async def put_back(self, entry: Entry) -> None:
        await self._write(lambda db: _put_back(db, entry))
        self._waiting[entry.priority] += 1
        self._sending -= 1

    async def settle(self, outcome: Outcome, now: float) -> None:
        def settle(db: sqlite3.Connection) -> None:
            _settle(db, outcome, now)
            _forget_old(db, now - self._retention)

        await self._write(settle)
        self._sending -= 1

    async def withdraw(self, outcome: Outcome, now: float) -> bool:
        priority = await self._write(lambda db: _withdraw(db, outcome, now))
        if priority is None:
            return False
        self._waiting[priority] -= 1
        return True

    async def resolve(self, reference: str, sent: ResourceId | None, now: float) -> bool:
        priority = await self._write(lambda db: _resolve(db, reference, sent, now))
        if priority is not None and sent is None:
            self._waiting[priority] += 1
        return priority is not None

    async def find(self, reference: str) -> Outcome:
        outcome = await self._write(lambda db: _find(db, reference))
        if outcome is None:
            raise KeyError(reference)
        return outcome

    async def outcomes(self, state: State | None) -> AsyncIterator[Outcome]:
        page = await self._write(partial(_page, state=state, after=0))
        while page:
            for _, outcome in page:
                yield outcome
            page = await self._write(partial(_page, state=state, after=page[-1][0]))

    # -- what a person asks ---------------------------------------------------------------------

    async def counts(self) -> Counter[State]:
        """Count the messages in each state."""
        return await self._write(_counts)

    async def messages(self, state: State | None = None) -> AsyncIterator[KeptMessage]:
        """Tell of all messages as they are kept, or of those in one state, oldest first."""
        page = await self._write(partial(_kept_page, state=state, after=0))
        while page:
            for _, message in page:
                yield message
            page = await self._write(partial(_kept_page, state=state, after=page[-1][0]))

    async def key(self) -> bytes:
        """Return a secret of this file: a hash keyed with it says nothing to who has no file."""
        return await self._write(_key)

    async def forget(self) -> int:
        """
        Replace numbers and texts of finished messages by keyed hashes; return how many.

        Their outcomes stay, and their references are still recognised. The key is in the file:
        whoever has the file can still try whether a guessed number and text were sent.
        """
        forgotten = await self._write(_forget_content)
        # What was overwritten in the file still stands in the log beside it.
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, _empty_log, self._connection)
        return forgotten


# -- in the thread: each takes the connection and leaves the transaction to `_commit` -------------


def _unusable(path: Path, error: Exception) -> OutboxUnusable:
    return OutboxUnusable(f"outbox {path}: {error}")


def _connect(path: Path) -> sqlite3.Connection:
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
        raise _unusable(path, _explained(error)) from error
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


def _explained(error: sqlite3.Error) -> Exception:
    code = error.sqlite_errorcode & 0xFF  # above it is a finer reason
    if code == sqlite3.SQLITE_BUSY:
        return OSError("held by another process")
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return OSError("not an outbox, or damaged")
    return error


def _recover(db: sqlite3.Connection, now: float) -> list[Outcome]:
    """Settle what an earlier process left on the wire, and what expired since."""
    db.execute(
        "UPDATE message SET state = 'queued', on_unknown = 'resent' "
        "WHERE state = 'sending' AND on_unknown = 'resend'"
    )
    late = f"state IN ('queued', 'scheduled') AND expires_at < 9e999 AND expires_at <= {now!r}"
    return (
        _finish_all(db, "state = 'sending'", State.UNKNOWN, _CUT, now)
        + _finish_all(db, f"{late} AND on_unknown = 'resent'", State.UNKNOWN, _CUT, now)
        + _finish_all(db, late, State.EXPIRED, _EXPIRED, now)
    )


def _finish_all(
    db: sqlite3.Connection, which: str, state: State, error: OrangeSMSError, now: float
) -> list[Outcome]:
    rows = db.execute(
        "UPDATE message SET state = ?, error = ?, reason = ?, finished_at = ? "
        f"WHERE {which} RETURNING reference",
        (state, type(error).__name__, str(error), now),
    )
    return [Outcome(reference, state, error=error) for (reference,) in rows.fetchall()]


def _count_waiting(db: sqlite3.Connection) -> Counter[Priority]:
    counts = Counter[Priority]()
    for state in (State.QUEUED, State.SCHEDULED):
        rows = db.execute(
            f"SELECT priority, count(*) FROM message WHERE state = '{state}' GROUP BY priority"
        )
        counts.update({Priority(priority): count for priority, count in rows})
    return counts


def _add(db: sqlite3.Connection, entry: Entry) -> tuple[bool, Outcome] | None:
    message = entry.message
    added = db.execute(
        "INSERT OR IGNORE INTO message (reference, state, priority, not_before, expires_at, "
        "on_unknown, recipient, text, sender_name, sender_address, on_net) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            message.reference,
            State.SCHEDULED if entry.not_before else State.QUEUED,
            entry.priority,
            entry.not_before,
            entry.expires_at,
            entry.on_unknown,
            message.to,
            message.text,
            message.sender_name,
            message.sender_address,
            message.on_net,
        ),
    )
    return None if added.rowcount else _kept(db, message)


def _kept(db: sqlite3.Connection, message: OutboundMessage) -> tuple[bool, Outcome]:
    """Say whether it is the same message that is kept under its reference, and its outcome."""
    query = f"SELECT recipient, text, fingerprint, {_OUTCOME} FROM message WHERE reference = ?"
    recipient, text, fingerprint, *outcome = db.execute(query, (message.reference,)).fetchone()
    if fingerprint is None:
        same = (recipient, text) == (message.to, message.text)
    else:
        same = fingerprint == _fingerprint(_key(db), message.to, message.text)
    return same, _outcome(outcome)[1]


def _ready_at(db: sqlite3.Connection) -> float | None:
    if db.execute("SELECT 1 FROM message WHERE state = 'queued' LIMIT 1").fetchone():
        return 0.0
    query = "SELECT min(not_before) FROM message WHERE state = 'scheduled'"
    return db.execute(query).fetchone()[0]  # type: ignore[no-any-return]


def _take(db: sqlite3.Connection, now: float) -> Entry | None:
    db.execute(
        "UPDATE message SET state = 'queued' WHERE state = 'scheduled' AND not_before <= ?", (now,)
    )
    row = db.execute(
        "SELECT id, reference, priority, not_before, expires_at, on_unknown, recipient, text, "
        "sender_name, sender_address, on_net "
        "FROM message WHERE state = 'queued' ORDER BY priority, id LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    id_, reference, priority, not_before, expires_at, on_unknown, to, text, name, address, on = row
    db.execute("UPDATE message SET state = 'sending' WHERE id = ?", (id_,))
    message = OutboundMessage(
        to, text, sender_name=name, sender_address=address, on_net=bool(on), reference=reference
    )
    return Entry(message, Priority(priority), not_before, expires_at, on_unknown, State.SENDING)


def _put_back(db: sqlite3.Connection, entry: Entry) -> None:
    db.execute(
        "UPDATE message SET state = 'queued', on_unknown = ? WHERE reference = ?",
        (entry.on_unknown, entry.message.reference),
    )


def _settle(db: sqlite3.Connection, outcome: Outcome, now: float) -> None:
    error = outcome.error
    db.execute(
        "UPDATE message SET state = ?, resource_id = ?, error = ?, reason = ?, details = ?, "
        "finished_at = ? WHERE reference = ?",
        (
            outcome.state,
            outcome.resource_id and _storable(outcome.resource_id),
            error and _known_name(type(error)),
            error and _storable(str(error)),
            error and _details(error),
            now,
            outcome.reference,
        ),
    )


def _storable(text: str) -> str:
    # JSON can hold half of a character (a lone surrogate), a file cannot.
    return text.encode(errors="backslashreplace").decode()


def _details(error: OrangeSMSError) -> str:
    # What our own classes carry; somebody's may carry what is not to be kept.
    ours = ("status_code", "code", "request_id", "reason", "accepted")
    return json.dumps({name: getattr(error, name) for name in ours if name in vars(error)})


def _known_name(class_: type[OrangeSMSError]) -> str:
    # Somebody's client may raise a class of its own, which nobody knows who opens this file.
    return next(base.__name__ for base in class_.__mro__ if base.__module__ == errors.__name__)


def _forget_old(db: sqlite3.Connection, before: float) -> None:
    # A few with every outcome keep up with what is added, and never stop a campaign for long.
    db.execute(
        "DELETE FROM message WHERE id IN "
        "(SELECT id FROM message WHERE finished_at < ? AND state <> 'unknown' LIMIT 10)",
        (before,),
    )


def _withdraw(db: sqlite3.Connection, outcome: Outcome, now: float) -> Priority | None:
    waits = db.execute(
        "SELECT priority FROM message WHERE reference = ? AND state IN ('queued', 'scheduled') "
        "AND on_unknown <> 'resent'",
        (outcome.reference,),
    ).fetchone()
    if waits is None:
        return None
    _settle(db, outcome, now)
    return Priority(waits[0])


def _resolve(
    db: sqlite3.Connection, reference: str, sent: ResourceId | None, now: float
) -> Priority | None:
    state, finished = (State.QUEUED, None) if sent is None else (State.SENT, now)
    row = db.execute(
        "UPDATE message SET state = ?, resource_id = ?, error = NULL, reason = NULL, "
        "details = NULL, finished_at = ? "
        "WHERE reference = ? AND state = 'unknown' RETURNING priority",
        (state, sent, finished, reference),
    ).fetchone()
    return None if row is None else Priority(row[0])


def _find(db: sqlite3.Connection, reference: str) -> Outcome | None:
    query = f"SELECT {_OUTCOME} FROM message WHERE reference = ?"
    row = db.execute(query, (reference,)).fetchone()
    return None if row is None else _outcome(row)[1]


def _page(db: sqlite3.Connection, state: State | None, after: int) -> list[tuple[int, Outcome]]:
    which = "" if state is None else f"state = '{state}' AND "
    rows = db.execute(
        f"SELECT {_OUTCOME} FROM message WHERE {which} id > ? ORDER BY id LIMIT 500", (after,)
    )
    return [_outcome(row) for row in rows]


def _counts(db: sqlite3.Connection) -> Counter[State]:
    rows = db.execute("SELECT state, count(*) FROM message GROUP BY state")
    return Counter({State(state): count for state, count in rows})


def _kept_page(
    db: sqlite3.Connection, state: State | None, after: int
) -> list[tuple[int, KeptMessage]]:
    which = "" if state is None else f"state = '{state}' AND "
    rows = db.execute(
        f"SELECT recipient, finished_at, {_OUTCOME} FROM message "
        f"WHERE {which} id > ? ORDER BY id LIMIT 500",
        (after,),
    )
    outcomes = ((to, finished_at, *_outcome(row)) for to, finished_at, *row in rows)
    return [(id_, KeptMessage(outcome, to, at)) for to, at, id_, outcome in outcomes]


def _outcome(row: Sequence[Any]) -> tuple[int, Outcome]:
    id_, reference, state, resource_id, name, reason, details = row
    error: OrangeSMSError | None = None
    if name is not None:
        error = getattr(errors, name)(reason)
        vars(error).update(json.loads(details or "{}"))
    return id_, Outcome(reference, State(state), resource_id, error)


def _forget_content(db: sqlite3.Connection) -> int:
    key = _key(db)
    db.create_function("fingerprint", 2, lambda to, text: _fingerprint(key, to, text))
    forgotten = db.execute(
        "UPDATE message SET fingerprint = fingerprint(recipient, text), "
        "recipient = NULL, text = NULL, sender_name = NULL "
        "WHERE finished_at IS NOT NULL AND state <> 'unknown' AND fingerprint IS NULL"
    )
    return forgotten.rowcount


def _empty_log(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _key(db: sqlite3.Connection) -> bytes:
    return db.execute("SELECT key FROM secret").fetchone()[0]  # type: ignore[no-any-return]


def _fingerprint(key: bytes, to: str, text: str) -> bytes:
    return hashlib.blake2b(f"{to}\n{text}".encode(), key=key, digest_size=16).digest()
