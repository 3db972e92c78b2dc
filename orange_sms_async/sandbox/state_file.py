"""A file that keeps the inbox, the account and the counts from one run to the next."""

import asyncio
import contextlib
import errno
import json
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import attrs
from cattrs.preconf.json import make_converter

from orange_sms_async.sandbox.orange.evidence import Statistics
from orange_sms_async.sandbox.orange.inbox import Message
from orange_sms_async.sandbox.orange.ledger import AccountState
from orange_sms_async.sandbox.sandbox import Sandbox

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

_EVERY = 0.25  # seconds from a change to the disk, at most
_APPLICATION, _VERSION = 0x4F534258, 1

_TABLES = f"""
CREATE TABLE IF NOT EXISTS message (number INTEGER PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS state (one INTEGER PRIMARY KEY CHECK (one = 1), value TEXT NOT NULL);
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
"""

_converter = make_converter()


class StateFileError(Exception):
    """The file cannot be used; the message says why in one line."""


@attrs.frozen
class _State:
    """What is kept beside the messages."""

    last_number: int
    statistics: Statistics
    account: AccountState


@contextlib.asynccontextmanager
async def kept_in(path: str | os.PathLike[str], sandbox: Sandbox) -> AsyncIterator[None]:
    """
    Load the file into a new sandbox, and save the sandbox to it while the block lasts.

    Changes are on disk a quarter of a second later, and survive if the process is killed. The file
    contains numbers and texts; only its owner can read it. Tokens are not kept.

    Args:
        path: the file; it is created if it does not exist.
        sandbox: a sandbox that has not answered yet. Only one at a time can use a file.

    Raises:
        StateFileError: the file is another program's, damaged, in use, or cannot be written.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="orange-sms sandbox") as thread:
        file = _StateFile(Path(path), thread, sandbox)
        await file.open()
        saving = asyncio.create_task(file.keep_saving())
        try:
            yield
        finally:
            saving.cancel()
            await asyncio.wait({saving})
            await file.close()


@attrs.define(eq=False)
class _StateFile:
    path: Path
    thread: ThreadPoolExecutor
    sandbox: Sandbox
    _connection: sqlite3.Connection = attrs.field(init=False)
    _changed: dict[int, Message] = attrs.field(factory=dict, init=False)
    _failing: bool = attrs.field(default=False, init=False)

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._connection = await loop.run_in_executor(self.thread, _connect, self.path)
        try:
            found = await loop.run_in_executor(
                self.thread, _read, self._connection, self.path, self.sandbox.keep
            )
        except BaseException:
            await loop.run_in_executor(self.thread, self._connection.close)
            raise
        if found is not None:
            self._restore(*found)
        self.sandbox.inbox.on_change = self._note

    def _restore(self, state: _State, messages: Sequence[Message]) -> None:
        for name, count in attrs.asdict(state.statistics).items():
            setattr(self.sandbox.counted, name, count)
        self.sandbox.account.restore(state.account)
        for message in messages:
            self.sandbox.inbox.restore(message)
        self.sandbox.inbox.last_number = state.last_number

    def _note(self, message: Message) -> None:
        self._changed[message.number] = message

    async def keep_saving(self) -> None:
        seen = -1
        while True:
            # Every change publishes an event, except for the most trifling requests.
            if seen != self.sandbox.events.count:
                seen = self.sandbox.events.count
                await self._save_or_complain()
            await asyncio.sleep(_EVERY)

    async def _save_or_complain(self) -> None:
        try:
            await self._save()
        except StateFileError as error:
            if not self._failing:
                fields = {"event": "sandbox_not_kept"}
                _log.warning("%s; it will be tried again", error, extra=fields)
            self._failing = True
        else:
            self._failing = False

    async def _save(self) -> None:
        changed, self._changed = self._changed, {}
        sandbox, first = self.sandbox, self.sandbox.inbox.first_number
        loop = asyncio.get_running_loop()
        try:
            rows = [(number, _written(message)) for number, message in changed.items()]
            last, account = sandbox.inbox.last_number, sandbox.account.state()
            state = _written(_State(last, sandbox.statistics(), account))
            # Once begun it is awaited: a batch that is interrupted would be lost.
            writing = loop.run_in_executor(
                self.thread, _write, self._connection, rows, first, state
            )
            await asyncio.shield(writing)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the changes are kept for later
            still = {number: m for number, m in changed.items() if number >= first}
            self._changed = still | self._changed
            raise _unusable(self.path, error) from None

    async def close(self) -> None:
        try:
            await self._save()
        finally:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self.thread, self._connection.close)
            self.sandbox.inbox.on_change = None


# -- in the file's own thread --------------------------------------------------------------------


def _connect(path: Path) -> sqlite3.Connection:
    try:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        _check_ours(path)
        db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(path, error) from None
    try:
        _prepare(db)
    except sqlite3.Error as error:
        db.close()
        raise _unusable(path, error) from None
    return db


def _check_ours(path: Path) -> None:
    """Look at the file without writing a byte: it may be another program's."""
    # Only SQLite opens the file: if this process closed it elsewhere, SQLite would lose its lock.
    # SQLite would report both errors below as a disk error.
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not os.access(path, os.R_OK | os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if not path.stat().st_size:
        return
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as db:
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION:
        raise StateFileError(f"{path}: belongs to another program, not to a sandbox")
    if version != _VERSION:
        raise StateFileError(f"{path}: written by another version of the sandbox")


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten
    # The file itself says whose it is before there is a log beside it.
    db.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
    db.execute("PRAGMA journal_mode = WAL")
    # A killed process loses nothing; only a power cut may cost the last moments.
    db.execute("PRAGMA synchronous = NORMAL")


def _read(db: sqlite3.Connection, path: Path, keep: int) -> tuple[_State, list[Message]] | None:
    try:
        state = db.execute("SELECT value FROM state").fetchone()
        newest = "SELECT value FROM message ORDER BY number DESC LIMIT ?"
        values = [value for (value,) in db.execute(newest, (keep,))]
        if state is None:
            return None
        messages = [_structured(value, Message) for value in reversed(values)]
        return _structured(state[0], _State), messages
    except sqlite3.Error as error:
        raise _unusable(path, error) from None
    except Exception:  # noqa: BLE001 -- whatever cattrs finds; its message would show the content
        raise StateFileError(f"{path}: damaged") from None


def _write(db: sqlite3.Connection, rows: Sequence[tuple[int, str]], first: int, state: str) -> None:
    try:
        db.execute("BEGIN IMMEDIATE")
        db.executemany("REPLACE INTO message VALUES (?, ?)", rows)
        db.execute("DELETE FROM message WHERE number < ?", (first,))
        db.execute("REPLACE INTO state VALUES (1, ?)", (state,))
        db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite may have done it itself
            db.execute("ROLLBACK")
        raise


def _written(value: Message | _State) -> str:
    return json.dumps(_converter.unstructure(value), ensure_ascii=False, separators=(",", ":"))


def _structured(value: str, kind: type[_T]) -> _T:
    return _converter.structure(json.loads(value), kind)


def _unusable(path: Path, error: Exception) -> StateFileError:
    if isinstance(error, OSError):
        return StateFileError(f"{path}: {error.strerror}")
    if "locked" in str(error):
        return StateFileError(f"{path}: in use by another sandbox")
    if isinstance(error, sqlite3.OperationalError):
        return StateFileError(f"{path}: {error}")
    if not isinstance(error, sqlite3.Error):
        return StateFileError(f"{path}: cannot be kept ({type(error).__name__})")
    return StateFileError(f"{path}: not a sandbox's file, or damaged")
